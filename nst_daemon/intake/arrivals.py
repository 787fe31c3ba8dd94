"""A photo that has arrived, and the jobs that it asks for. Starts nothing and writes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final

from nst_daemon import __version__, disk
from nst_daemon.config import Folder, Watch
from nst_daemon.config.recipe import Sidecar, Style, job_key, resolve
from nst_daemon.disk import Stamp
from nst_daemon.errors import FileConditionError, PhotoError, StyleError, with_section
from nst_daemon.folders.library import styles_of
from nst_daemon.folders.masks import NO_MASKS, Masks, areas_of
from nst_daemon.folders.sidecars import is_whole, sidecars_beside
from nst_daemon.images.endings import Role, role_of
from nst_daemon.intake.pairing import Choice, Paired, pair
from nst_daemon.intake.shelf import Shelf
from nst_daemon.ledger.jobs import Job, JobState, NewJob, Problem, shown

KEY_DIGITS: Final = 64  # of a sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A whole photo in an inbox, copied and read."""

    path: Path
    relative: PurePath  # to the inbox
    folder: Folder
    stamp: Stamp
    sha256: str
    copy: Path
    keywords: tuple[str, ...] = ()


@dataclass(slots=True)
class AwaitingSidecar:
    """A photo that is ready but for a sidecar which may still come."""

    arrival: Arrival
    sidecars: str  # their fingerprint
    due: float


def sidecar_wait(photo: Path, watch: Watch, *, now: float) -> float:
    """Return how many seconds a photo waits for a sidecar: none where one stands still, or is whole.

    `now` in seconds since 1970. Raises: ConditionError: nobody knows.
    """
    beside = sidecars_beside(photo)
    if not beside:
        return watch.sidecar_seconds
    if any(role_of(sidecar.name) is Role.ASKING and is_whole(sidecar) for sidecar in beside):
        return 0.0
    facts = [disk.facts_of(sidecar) for sidecar in beside]
    # One that has gone since is just being written anew.
    ages = [0.0 if each is None else now - each.st_mtime for each in facts]
    return 0.0 if min(ages) >= watch.settle_seconds else watch.settle_seconds


def jobs_for(
    arrival: Arrival,
    sidecar: Sidecar | None,
    library: Shelf,
    masks: Masks = NO_MASKS,
    *,
    network: str = "",
) -> list[NewJob]:
    """Return the jobs that a photo asks for; one, held, where it has to wait for style, sidecar or mask.

    `network` is that of the config, by `networks.network_of`.
    """
    folder = arrival.folder
    outcome = pair(
        arrival.relative,
        sidecar=sidecar,
        keywords=arrival.keywords,
        rules=folder.rules,
        default_style=folder.style,
        settings=folder.set,
        styles=library.names(),
    )
    held = _held(arrival, sidecar)
    if not isinstance(outcome, Paired):
        return [_held_for(held, outcome.reason)]
    if masks.fault is not None:
        return [_held_for(held, masks.fault)]
    try:
        return [_queued(held, choice, library, masks, network) for choice in outcome.choices]
    except (StyleError, FileConditionError, ValueError) as error:
        return [_held_for(held, str(error))]


def _held_for(held: NewJob, reason: str) -> NewJob:
    return replace(held, error=with_section(reason, "photo_held"))


def _held(arrival: Arrival, sidecar: Sidecar | None) -> NewJob:
    return NewJob(
        key=f"held:{arrival.sha256}:{arrival.path}",
        path=arrival.relative,
        original=arrival.path,
        copy=arrival.copy,
        photo_sha256=arrival.sha256,
        inbox=arrival.folder.inbox,
        outbox=arrival.folder.outbox,
        sidecar=None if sidecar is None else sidecar.path,
        state=JobState.HELD,
    )


def _queued(held: NewJob, choice: Choice, library: Shelf, masks: Masks, network: str) -> NewJob:
    styles = styles_of(choice.blend, library.get)
    areas = areas_of(choice.regions, masks, lambda blend: styles_of(blend, library.get))
    recipe = resolve(choice.settings)
    key = job_key(held.photo_sha256, styles, recipe, __version__, areas, network)
    return replace(held, key=key, styles=styles, recipe=recipe, areas=areas, state=JobState.QUEUED)


def with_styles_anew(job: Job, library: Shelf, network: str) -> NewJob:
    """Return what a held job becomes when each of its styles is taken from the library as it is now.

    Raises:
        StyleError, ConditionError: one of them cannot be had.
    """

    def anew(styles: tuple[Style, ...]) -> tuple[Style, ...]:
        return tuple(replace(library.get(style.name), weight=style.weight) for style in styles)

    regions = tuple(replace(region, styles=anew(region.styles)) for region in job.areas.regions)
    anew_job = replace(job, styles=anew(job.styles), areas=replace(job.areas, regions=regions))
    return as_new(anew_job, network)


def as_new(job: Job, network: str) -> NewJob:
    """Return a paired job as if it came now, with the key of its work by this program and network."""
    assert job.recipe is not None  # else it was never paired
    key = job_key(job.photo_sha256, job.styles, job.recipe, __version__, job.areas, network)
    key += job.key[KEY_DIGITS:]  # what makes it another job than one of the same work
    return replace(job.as_new(), key=key, state=JobState.QUEUED, error=None)


def unreadable_job(path: Path, folder: Folder, *, stamp: Stamp, sha256: str, reason: str) -> NewJob:
    """Return the failed job that stands for a file which is no whole picture."""
    return NewJob(
        key=f"unreadable:{sha256}:{stamp}:{path}",
        path=path.relative_to(folder.inbox),
        original=path,
        copy=path,
        photo_sha256=sha256,
        inbox=folder.inbox,
        outbox=folder.outbox,
        state=JobState.FAILED,
        error=with_section(reason, PhotoError.code),
    )


def restless_problem(paths: Sequence[Path]) -> list[Problem]:
    """Return what is wrong with files that never stand still; nothing without any."""
    if not paths:
        return []
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    message = f"{shown(paths[0])}{more}: never stand still, and were not taken."
    return [Problem(code="photo_restless", message=message, remedy="Is it still being written?")]
