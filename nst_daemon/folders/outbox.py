"""Names results, and publishes them whole or not at all; never overwrites what is not the job's own."""

import itertools
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config.recipe import blend_name
from nst_daemon.disk.files import copy_whole, is_left_over, names_beside
from nst_daemon.disk.spelling import spellings, with_letters_for_all
from nst_daemon.errors import ConditionError, FileConditionError, Trouble
from nst_daemon.images.endings import RESULTS
from nst_daemon.ledger.jobs import PREVIEWS, Job, NewJob

logger = logging.getLogger(__name__)

MAX_NAME: Final = 220  # bytes; file systems end at 255, and `.2`, `.report.png`, `.error.txt` want room
MAX_STYLE: Final = 80  # bytes; a blend of many styles has a long name
RESULT_SUFFIXES: Final = tuple(suffix for suffixes in RESULTS.values() for suffix in suffixes)

Sha256Of = Callable[[Path], str]


def choose_target(
    job: Job,
    extension: str,
    *,
    is_free: Callable[[Path], bool],
    folder: Path | None = None,
    spelling: int = 0,
) -> Path:
    """Return the path of a job's result: `outbox/<sub-folders>/<stem>.<style>.<ext>`, else `….2.<ext>`.

    A job that has a result, or a name reserved for one, keeps it. `is_free` says whether nobody else has a
    name; ask the ledger (`jobs.owner_of`) and the folder. `folder`: where the sub-folders have other names.
    `spelling`: how many ways to write it the disk has refused.
    """
    suffix = f".{extension.removeprefix('.')}"
    if job.result is not None and job.result.suffix.lower() == suffix.lower():
        return job.result
    targets = _targets(job, job.style, suffix, folder=folder, spelling=spelling)
    return next(target for target in targets if is_free(target))


def existing_results(new: NewJob) -> Iterator[Path]:
    """Yield the files that have a name which the result of a job would get. Raises: ConditionError."""
    style = blend_name(new.styles)
    for spelling, suffix in itertools.product(range(len(_spelt(new, style, ".jpg"))), RESULT_SUFFIXES):
        folder = new.outbox.joinpath(*(nth_spelling(part, spelling) for part in new.place.parts))
        for target in _targets(new, style, suffix, folder=folder, spelling=spelling):
            if not disk.is_file(target, follow=True):
                break
            yield target


def free_target(new: NewJob, suffix: str) -> Path:
    """Return the first of the names that the result of a job may have, and no file has.

    Raises:
        ConditionError: nobody knows.
    """
    targets = _targets(new, blend_name(new.styles), suffix)
    return next(target for target in targets if not disk.is_there(target))


def report_target(target: Path) -> Path:
    """Return the path of the report beside a result: `<stem>.<style>.report.png`."""
    return target.with_name(f"{target.stem}.report.png")


def name_of(job: Job, suffix: str) -> str:
    """Return the name that a job's result has where the disk takes it, and nobody else has it."""
    return f"{_stem(job.original, job.style)}{suffix}"


def _targets(
    job: Job | NewJob, style: str, suffix: str, *, folder: Path | None = None, spelling: int = 0
) -> Iterator[Path]:
    name = nth_spelling(f"{_stem(job.original, style)}{suffix}", spelling)
    return names_beside(job.outbox / job.place if folder is None else folder, name)


def _spelt(new: NewJob, style: str, suffix: str) -> tuple[str, ...]:
    """Return the longest list of spellings that a part of a result's path has."""
    parts = (f"{_stem(new.original, style)}{suffix}", *new.place.parts)
    return max((tuple(spellings(part)) for part in parts), key=len)


def nth_spelling(name: str, spelling: int) -> str:
    """Return a name after so many refusals, or the last that there is."""
    return list(itertools.islice(spellings(name), spelling + 1))[-1]


def _stem(photo: Path, style: str) -> str:
    style = _cut(with_letters_for_all(style), MAX_STYLE)
    return f"{_cut(with_letters_for_all(photo.stem), MAX_NAME - len(style.encode()) - 1)}.{style}"


def _cut(name: str, size: int) -> str:
    return name.encode()[: max(size, 1)].decode(errors="ignore")


def publish(source: Path, target: Path, *, outbox: Path | None = None, replace: bool = True) -> None:
    """Put a finished file where it belongs: whole, on the disk, or not at all.

    Sub-folders are made. `outbox` is never made where it is given: it may be a disk that is not mounted.

    Raises:
        ConditionError: the disk is full or read-only, or the outbox is not there.
        FileExistsError: `replace` is false, and somebody was faster.
        NameRefusedError: the disk takes no such name; it may take another.
    """
    try:
        if outbox is not None and not disk.is_folder(outbox):
            raise missing(outbox, name="outbox")
        disk.make_folder(target.parent)
        copy_whole(source, target, replace=replace)
    except FileConditionError as error:
        raise error if error.is_named else error.named("outbox") from error


def missing(folder: Path, *, name: str) -> FileConditionError:
    """Return the condition of a folder that is not there; `name` is what the config calls it."""
    return FileConditionError(
        f"The {name} {folder} is not there.",
        path=folder,
        trouble=Trouble.MISSING,
        remedy="Make the folder, or mount its disk; it goes on by itself.",
    ).named(name)


def sweep(folder: Path) -> int:
    """Remove what a crash of ours left in a folder and below, temporary files and previews; return how many.

    At the start only: no job of ours runs. Another daemon's preview comes back by itself. Never raises.
    """
    swept, previews = 0, folder / PREVIEWS
    for entry in _entries(folder):
        if is_left_over(entry.path):
            swept += _remove(entry)
        elif entry.path == previews:
            swept += sum(_remove(each) for each in _entries(previews) if entry_is_ours(each))
            disk.remove_if_empty(previews)
        elif entry.is_folder and not entry.is_link:
            swept += sweep(entry.path)
    return swept


def entry_is_ours(entry: disk.Entry) -> bool:
    """Return whether something in the folder of previews is one, or is left of one."""
    return (entry.path.suffix == ".jpg" and entry.path.stem.isdecimal()) or is_left_over(entry.path)


def end_preview(job: Job) -> None:
    """Take a job's preview away, and what an engine that was killed left of it; never raises."""
    previews = job.preview.parent
    for entry in _entries(previews):
        if entry.path == job.preview or is_left_over(entry.path):
            _remove(entry)
    disk.remove_if_empty(previews)


def _entries(folder: Path) -> list[disk.Entry]:
    try:
        return disk.entries_of(folder)
    except (FileNotFoundError, ConditionError):
        return []


def _remove(entry: disk.Entry) -> bool:
    if entry.is_folder and not entry.is_link:  # a name was tried in it
        disk.remove_tree(entry.path)
        return True
    try:
        return disk.remove(entry.path)
    except ConditionError as error:
        logger.debug("%s could not be removed: %s", entry.path, error)
        return False
