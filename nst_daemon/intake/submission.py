"""One photo by command: what it would get, and the jobs that are made of it.

The left half for a single photo: no watching, no waiting; its answers go to the person who asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath

from nst_daemon import __version__, disk
from nst_daemon.config import Config, Folder
from nst_daemon.config.blends import Blend, Regions, style_key
from nst_daemon.config.overlaps import is_inside
from nst_daemon.config.recipe import Areas, Recipe, Style, job_key, resolve
from nst_daemon.errors import ConditionError, ConfigError, FileConditionError, MissingError, PhotoError
from nst_daemon.folders.copies import private_copy
from nst_daemon.folders.library import Library, styles_of
from nst_daemon.folders.masks import areas_of, take_masks
from nst_daemon.folders.networks import network_of
from nst_daemon.folders.sidecars import find_sidecar
from nst_daemon.intake.pairing import Choice, Paired, Unpaired, pair
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import JobState, NewJob, Origin

Styles = Library | Shelf  # a shelf where jobs are made


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a photo would get, and in which folder's name."""

    folder: Folder
    photo: PurePath  # relative to the inbox; the name alone where it lies elsewhere
    outcome: Paired | Unpaired
    sidecar: Path | None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job that does the asked work, and whether it was there already."""

    job: int
    is_new: bool
    is_again: bool = False  # it had ended without a result, and was taken up again


def proposal_for(photo: Path, *, config: Config, library: Styles, keywords: Sequence[str]) -> Proposal:
    """Return which style and settings a photo would get, by the rules of its inbox or of the first one."""
    folder = next((folder for folder in config.folders if is_inside(photo, folder.inbox)), None)
    relative = PurePath(photo.name)
    if folder is not None and photo.is_relative_to(folder.inbox):
        relative = photo.relative_to(folder.inbox)
    folder = folder or config.folders[0]
    sidecar = find_sidecar(photo)
    outcome = pair(
        relative,
        sidecar=sidecar,
        keywords=keywords,
        rules=folder.rules,
        default_style=folder.style,
        settings=folder.set,
        styles=library.names(),
    )
    return Proposal(folder=folder, photo=relative, outcome=outcome, sidecar=sidecar.path if sidecar else None)


def choices_of(
    proposal: Proposal, *, style: Blend | None, settings: Mapping[str, object]
) -> tuple[Choice, ...]:
    """Return what to paint: the proposal, with what was asked for by command put over it.

    Raises:
        ConfigError: no style was named, and the photo's own cannot be used.
    """
    if style is not None:
        known = (
            proposal.outcome.choices[0].settings
            if isinstance(proposal.outcome, Paired)
            else proposal.folder.set
        )
        return (Choice(blend=style, settings={**known, **settings}),)
    if isinstance(proposal.outcome, Unpaired):
        raise ConfigError(proposal.outcome.reason, remedy="Name a style with --style.", code="photo_held")
    return tuple(
        replace(choice, settings={**choice.settings, **settings}) for choice in proposal.outcome.choices
    )


def known_styles(blend: Blend, library: Styles) -> tuple[Style, ...]:
    """Return the pictures of a blend.

    Raises:
        ConfigError: one is not in the library; names the near ones.
    """
    known = {style_key(name) for name in library.names()}
    for name, _ in blend:
        if style_key(name) not in known:
            near = library.near(name)
            remedy = f"Did you mean {' or '.join(near)}?" if near else "`nst-daemon styles` lists them."
            raise ConfigError(f"There is no style {name}.", remedy=remedy, code="style_missing")
    return styles_of(blend, library.get)


def submit(
    photo: Path,
    choices: Sequence[Choice],
    *,
    proposal: Proposal,
    config: Config,
    library: Styles,
    ledger: Ledger,
) -> list[Submitted]:
    """Make a job of each choice; the photo is copied, and stays where it is.

    The same work is never done twice: a job that does it already is returned, and taken up again if it
    failed, was cancelled, or its result is gone.
    """
    folder = config.state_dir / "photos"
    paints = [
        (
            known_styles(choice.blend, library),
            resolve(choice.settings),
            areas_for(photo, choice.regions, library=library, folder=folder),
        )
        for choice in choices
    ]
    return [_submit(photo, *paint, proposal=proposal, config=config, ledger=ledger) for paint in paints]


def areas_for(photo: Path, regions: Regions, *, library: Styles, folder: Path) -> Areas:
    """Return where on a photo what is painted; its masks are copied into a folder of ours.

    Raises:
        ConfigError: a mask is not there.
    """
    sidecar = find_sidecar(photo)
    if sidecar is not None and not regions:  # another style was named: theirs are not needed
        sidecar = replace(sidecar, regions=())
    masks = take_masks(photo, sidecar, folder)
    if masks.fault is not None:
        raise ConfigError(masks.fault, remedy="Put it there, or mend the sidecar.")
    return areas_of(regions, masks, lambda blend: known_styles(blend, library))


def _submit(
    photo: Path,
    styles: tuple[Style, ...],
    recipe: Recipe,
    areas: Areas,
    *,
    proposal: Proposal,
    config: Config,
    ledger: Ledger,
) -> Submitted:
    copy, sha256 = copy_of(photo, config)
    new = NewJob(
        key=job_key(sha256, styles, recipe, __version__, areas, network_of(config.engine.weights)),
        path=photo,
        original=photo,
        copy=copy,
        photo_sha256=sha256,
        inbox=None,
        outbox=proposal.folder.outbox,
        origin=Origin.SUBMIT,
        styles=styles,
        recipe=recipe,
        sidecar=proposal.sidecar,
        areas=areas,
    )
    added = ledger.add(new)
    if isinstance(added, Added):
        return Submitted(added.job, is_new=True)
    # The copy may be that job's own: what is not needed is swept.
    return Submitted(added.job, is_new=False, is_again=_take_up(added.job, new, ledger))


def _take_up(job: int, new: NewJob, ledger: Ledger) -> bool:
    """Return whether a job that had ended without a result waits again, with the new copy."""
    known = ledger.jobs.get(job)
    if known is None:
        return False
    if known.state in (JobState.FAILED, JobState.CANCELLED):
        return ledger.revive(job, new)
    if known.state is JobState.DONE and not (known.result and disk.is_there(known.result)):
        return ledger.retry(job)
    return False


def copy_of(photo: Path, config: Config) -> tuple[Path, str]:
    """Copy a photo to where the jobs' photos are; return the copy and its sha256.

    No sweep takes it before its job is in the ledger: a copy stays for a day, and this one is new.

    Raises:
        PhotoError: it is gone.
        FileConditionError: it cannot be read now.
        MissingError: the folder cannot be written.
    """
    folder = config.state_dir / "photos"
    try:
        return private_copy(photo, folder)
    except FileNotFoundError as error:
        raise PhotoError(f"{photo}: is gone.") from error
    except FileConditionError:
        raise  # of the photo
    except ConditionError as error:
        raise MissingError(
            f"{folder}: cannot be written: {error.message}",
            remedy="Check state_dir in config.yaml.",
            code=error.code,
        ) from error
