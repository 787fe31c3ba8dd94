"""A job's photo painted once more, with another style or other settings: a new job beside the first."""

from collections.abc import Mapping
from dataclasses import replace

from nst_daemon import __version__
from nst_daemon.config import Config, check_settings
from nst_daemon.config.recipe import PRESETS, Recipe, Style, job_key, resolve
from nst_daemon.errors import StyleError
from nst_daemon.folders.copies import private_copy, source_of
from nst_daemon.folders.library import Library
from nst_daemon.folders.networks import network_of
from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import ENDS, Job, JobState, NewJob, Origin
from nst_daemon.page.answers import RefusedError


def paint_again(
    job: Job,
    *,
    style: str | None,
    changes: Mapping[str, object],
    config: Config,
    library: Library,
    ledger: Ledger,
) -> int:
    """Return the job that paints a job's photo with what is named, and with its own settings else.

    One that does so already is taken up again if it has ended. The original stays where it is.

    Raises:
        RefusedError: it was never paired with a style, or there is no such style.
        ConfigError: a setting is none.
        PhotoError: neither the photo nor our copy of it is there.
        ConditionError: they cannot be read now.
    """
    if job.recipe is None:
        raise RefusedError(409, f"Job {job.id} has no settings yet.", "Retry it.")
    styles = _styles(job, style, library)
    recipe = resolve(check_settings(changed(job.recipe, changes)))
    return added_or_taken_up(made_of(job, styles, recipe, config), ledger)


def made_of(job: Job, styles: tuple[Style, ...], recipe: Recipe, config: Config) -> NewJob:
    """Return a job for another's photo, which stays where it is.

    Raises:
        PhotoError: neither the photo nor our copy of it is there.
        ConditionError: they cannot be read now.
    """
    copy, sha256 = private_copy(source_of(job), config.state_dir / "photos")
    return replace(
        job.as_new(),
        key=job_key(sha256, styles, recipe, __version__, job.areas, network_of(config.engine.weights)),
        copy=copy,
        photo_sha256=sha256,
        inbox=None,  # the photo may lie in the archive by now: no inbox is asked whether it is still there
        origin=Origin.SUBMIT,
        styles=styles,
        recipe=recipe,
        state=JobState.QUEUED,
        error=None,
    )


def added_or_taken_up(new: NewJob, ledger: Ledger) -> int:
    """Return the job that does some work: a new one, or one that did it before and begins anew."""
    added = ledger.add(new)
    if not isinstance(added, Added) and added.state in ENDS:
        ledger.retry(added.job)
    return added.job


def changed(recipe: Recipe, changes: Mapping[str, object]) -> dict[str, object]:
    """Return the settings of a recipe with others put over them.

    Of another preset all is taken that nobody had set by hand.
    """
    usual = PRESETS[recipe.preset].as_settings()
    by_hand = {key: value for key, value in recipe.as_settings().items() if usual[key] != value}
    return {"preset": recipe.preset, **by_hand, **changes}


def _styles(job: Job, style: str | None, library: Library) -> tuple[Style, ...]:
    """Return the pictures to paint in, as they are now; those that have gone, as they were."""
    if style is not None:
        try:
            return (library.get(style),)
        except StyleError as error:
            raise RefusedError(400, error.message, error.remedy) from error
    found = []
    for each in job.styles:
        try:
            found.append(replace(library.get(each.name), weight=each.weight))
        except StyleError:
            found.append(each)
    return tuple(found)
