"""Names results; publishes them whole or not at all; brings originals to the archive or to `failed`.

Never overwrites what is not the job's own, and deletes an original only after its copy is on the disk.
"""

import itertools
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

from nst_daemon.belongings import Belonging, belongings_of
from nst_daemon.conditions import condition_of, missing
from nst_daemon.config import Folder, Originals
from nst_daemon.endings import RESULTS
from nst_daemon.errors import ConditionError, FileConditionError, JobError
from nst_daemon.files import (
    TEMPORARY,
    copy_whole,
    file_sha256,
    is_left_over,
    is_plain_file,
    move_beside,
    names_beside,
)
from nst_daemon.jobs import PREVIEWS, Job, NewJob, Origin
from nst_daemon.recipe import blend_name

logger = logging.getLogger(__name__)

MAX_NAME: Final = 220  # bytes; file systems end at 255, and `.2`, `.report.png`, `.error.txt` want room
MAX_STYLE: Final = 80  # bytes; a blend of many styles has a long name
FORBIDDEN: Final = frozenset('/\\:*?"<>|')  # on one file system or another


def choose_target(job: Job, extension: str, *, is_free: Callable[[Path], bool]) -> Path:
    """Return the path of a job's result: `outbox/<sub-folders>/<stem>.<style>.<ext>`, else `….2.<ext>`.

    A job that has a result, or a name reserved for one, keeps it. `is_free` says whether nobody else has a
    name; ask the ledger (`results_of`) and the folder.
    """
    suffix = f".{extension.removeprefix('.')}"
    if job.result is not None and job.result.suffix.lower() == suffix.lower():
        return job.result
    return next(target for target in _targets(job, job.style, suffix) if is_free(target))


def existing_results(new: NewJob) -> Iterator[Path]:
    """Yield the files that have a name which the result of a job would get."""
    for suffix in itertools.chain.from_iterable(RESULTS.values()):
        for target in _targets(new, blend_name(new.styles), suffix):
            if not target.is_file():
                break
            yield target


def report_target(target: Path) -> Path:
    """Return the path of the report beside a result: `<stem>.<style>.report.png`."""
    return target.with_name(f"{target.stem}.report.png")


def _targets(job: Job | NewJob, style: str, suffix: str) -> Iterator[Path]:
    folder, stem = job.outbox / _sub_folder(job), _stem(job.original, style)
    yield folder / f"{stem}{suffix}"
    for count in itertools.count(2):
        yield folder / f"{stem}.{count}{suffix}"


def _stem(photo: Path, style: str) -> str:
    style = _cut(_safe(style), MAX_STYLE)
    return f"{_cut(_safe(photo.stem), MAX_NAME - len(style.encode()) - 1)}.{style}"


def _sub_folder(job: Job | NewJob) -> PurePath:
    """Return the photo's folder, relative to its inbox; empty for a photo from elsewhere."""
    if job.inbox is None:
        return PurePath()
    if job.original.is_relative_to(job.inbox):
        return job.original.relative_to(job.inbox).parent
    # It has been to the archive or to `failed` and is painted again.
    parts = PurePath(job.photo).parent.parts
    return PurePath(*(part for part in parts if part != ".." and not PurePath(part).anchor))


def _safe(name: str) -> str:
    """Return a name that every file system takes: bytes that are no UTF-8 are read as Latin-1."""
    try:
        name.encode()
    except UnicodeEncodeError:
        name = os.fsencode(name).decode("latin-1")
    return "".join("_" if char in FORBIDDEN or not char.isprintable() else char for char in name)


def _cut(name: str, size: int) -> str:
    return name.encode()[: max(size, 1)].decode(errors="ignore")


def publish(source: Path, target: Path, *, outbox: Path | None = None, replace: bool = True) -> None:
    """Put a finished file where it belongs: whole, on the disk, or not at all.

    Sub-folders are made. `outbox` is never made where it is given: it may be a disk that is not mounted.

    Raises:
        ConditionError: the disk is full or read-only, or the outbox is not there.
        FileExistsError: `replace` is false, and somebody was faster.
        JobError: this file cannot be written there, e.g. its name is too long.
    """
    if outbox is not None and not outbox.is_dir():
        raise missing(outbox, name="outbox")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_whole(source, target, replace=replace)
    except FileExistsError:
        raise
    except FileConditionError as error:
        raise error.named("outbox") from error
    except OSError as error:
        if condition := condition_of(error, outbox or target.parent, name="outbox"):
            raise condition from error
        raise JobError(f"{target}: cannot be written: {error.strerror}.") from error


def as_condition(error: OSError, folder: Path) -> ConditionError:
    """Return the condition of the machine behind an error in a folder, of whatever kind it is."""
    return condition_of(error, folder, name="folder") or ConditionError(
        f"{folder}: {error.strerror or error}.",
        remedy="Check this disk; it goes on by itself.",
        code="disk_error",
    )


def dispose_original(job: Job, folder: Folder) -> Path | None:
    """Do with a painted photo what `originals` says; return where it is now, None if it is no more.

    Call it when every job of the photo has ended, and DONE is in the ledger. A file that was overwritten
    since it was read stays where it is: nobody has painted it yet. So does a submitted photo.

    Raises:
        ConditionError: the archive cannot be written; call again later.
    """
    photo = job.original
    if not _is_ours(job):
        return photo if photo.exists() else _moved_before(job, folder, folder.archive, name="archive")
    match folder.originals:
        case Originals.KEEP:
            _forget_failure(photo, folder)
            return photo
        case Originals.DELETE:
            _delete(job, folder)
            return None
        case Originals.MOVE:
            return _move(job, folder.archive, folder, name="archive")


def fail_original(job: Job, folder: Folder, reason: str) -> Path | None:
    """Move a failed photo and its sidecars to `failed`, with `<name>.error.txt`; return where it is now.

    None if it is no more. A submitted photo, and one that was overwritten meanwhile, stays.

    Raises:
        ConditionError: the folder cannot be written; call again later.
    """
    photo = job.original
    if _is_ours(job):
        is_there = photo.is_relative_to(folder.failed)
        moved = photo if is_there else _move(job, folder.failed, folder, name="failed")
    elif photo.exists() or (found := _moved_before(job, folder, folder.failed, name="failed")) is None:
        return photo if photo.exists() else None
    else:
        moved = found
    try:
        with _failure_note(moved).open("w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{photo.name}: {reason}\nTo try again: nst-daemon retry {job.id}\n")
    except OSError as error:
        raise as_condition(error, folder.failed) from error
    return moved


def sweep(folder: Path) -> int:
    """Remove what a crash of ours left in a folder and below, temporary files and previews; return how many.

    At the start only: no job of ours runs. Another daemon's preview comes back by itself.
    """
    if not folder.is_dir():
        return 0
    swept = sum(_remove(path) for path in folder.rglob(f"{TEMPORARY}*") if is_left_over(path))
    previews = folder / PREVIEWS
    swept += sum(_remove(path) for path in previews.glob("*.jpg") if path.stem.isdecimal())
    _remove_if_empty(previews)
    return swept


def end_preview(job: Job) -> None:
    """Take a job's preview away, and what an engine that was killed left of it; never raises."""
    previews = job.preview.parent
    for path in (job.preview, *(path for path in _listed(previews) if is_left_over(path))):
        _remove(path)
    _remove_if_empty(previews)


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.debug("%s could not be removed: %s", path, error)
        return False
    return True


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _is_ours(job: Job) -> bool:
    """Return whether the original is ours to move, and still the file that was read. Reads it whole."""
    try:
        return job.origin is Origin.INBOX and file_sha256(job.original) == job.photo_sha256
    except OSError:
        return False


def _delete(job: Job, folder: Folder) -> None:
    """Delete a photo and what belongs to it; what nobody has painted, a raw file, goes to the archive."""
    photo = job.original
    try:
        belongings = belongings_of(photo)
        kept = [each.path for each in belongings if each.is_kept]
        if kept:
            place = folder.archive / _sub_folder(job)
            place.mkdir(parents=True, exist_ok=True)
            for path in kept:
                move_beside(path, place)
        for path in (*(each.path for each in belongings if not each.is_kept), photo):
            path.unlink(missing_ok=True)
        _forget_failure(photo, folder)
    except OSError as error:
        raise as_condition(error, photo.parent) from error


def _move(job: Job, target: Path, folder: Folder, *, name: str) -> Path:
    """Move a photo and its sidecars into a folder, under the sub-folders that it had."""
    photo, place = job.original, target / _sub_folder(job)
    try:
        place.mkdir(parents=True, exist_ok=True)
        belongings = belongings_of(photo)
        moved = move_beside(photo, place)
        _move_after(photo, moved, belongings)
        _forget_failure(photo, folder)
    except OSError as error:
        raise condition_of(error, target, name=name) or as_condition(error, target) from error
    logger.debug("%s was moved to %s", photo, moved)
    return moved


def _move_after(photo: Path, moved: Path, belongings: list[Belonging]) -> None:
    """Move what belongs to a photo to where the photo is now: photo.yaml becomes photo.2.yaml."""
    for each in belongings:
        move_beside(each.path, moved.parent, stem=each.stem_beside(photo, moved))


def _moved_before(job: Job, folder: Folder, target: Path, *, name: str) -> Path | None:
    """Return where a crash left a photo that it had moved and not recorded; what it left behind follows."""
    if job.origin is not Origin.INBOX:
        return None
    photo = job.original
    for path in names_beside(target / _sub_folder(job), photo.name):
        if not is_plain_file(path):
            return None
        if file_sha256(path) != job.photo_sha256:
            continue
        try:
            if photo.parent.is_dir():
                _move_after(photo, path, belongings_of(photo))
            _forget_failure(photo, folder)
        except OSError as error:
            raise condition_of(error, target, name=name) or as_condition(error, target) from error
        return path
    return None


def _failure_note(photo: Path) -> Path:
    name = os.fsdecode(os.fsencode(photo.name)[: 255 - len(".error.txt")])
    return photo.with_name(f"{name}.error.txt")


def _forget_failure(photo: Path, folder: Folder) -> None:
    if photo.is_relative_to(folder.failed):
        _failure_note(photo).unlink(missing_ok=True)
