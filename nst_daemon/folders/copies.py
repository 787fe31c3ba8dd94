"""Private copies of photos: what is painted is what was read, whatever happens to the original meanwhile."""

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.disk.files import discard, file_sha256, is_left_over, temporary_in
from nst_daemon.errors import ConditionError, FileConditionError, PhotoError
from nst_daemon.folders.drafts import draft_copy, kept
from nst_daemon.ledger.jobs import Job

logger = logging.getLogger(__name__)

STEP: Final = 500  # files that a sweep looks at in one go
KEEP_SECONDS: Final = 24 * 3600.0  # a copy that no job needs any more stays for a day, for a second try


def private_copy(photo: Path, folder: Path) -> tuple[Path, str]:
    """Copy a photo into a folder of ours; return the copy, named by its hash, and the sha256 of its bytes.

    The copy is on the disk when this returns: a job that points to it survives a power cut.

    Raises:
        FileNotFoundError: the photo has gone.
        FileConditionError: the photo cannot be read now.
        ConditionError: our own folder cannot be written.
    """
    draft = temporary_in(folder)
    try:
        sha256 = draft_copy(photo, draft)
        return kept(draft, photo, sha256), sha256
    finally:
        discard(draft)


def source_of(job: Job) -> Path:
    """Return the file to paint: the private copy or, where that is gone or damaged, the unchanged original.

    Raises:
        PhotoError: neither is there, which is proven.
        ConditionError: nobody knows.
    """
    unknown: FileConditionError | None = None
    for path in (job.copy, job.original):
        try:
            if disk.is_file(path) and file_sha256(path) == job.photo_sha256:
                return path
        except FileNotFoundError:
            continue
        except FileConditionError as error:
            unknown = unknown or error
    if unknown is not None:
        raise unknown
    if job.inbox is not None and not disk.is_folder(job.inbox):
        raise disk.missing(job.inbox).named("inbox")
    raise PhotoError(
        f"{job.photo}: the photo is gone, and so is our copy of it.", remedy="Put it into the inbox again."
    )


def sweep_copies(folder: Path, needed: Callable[[], Iterable[Collection[Path]]]) -> Iterator[int]:
    """Remove the copies that no job needs, and what a crash left of one; yield how many, a step at a time.

    There may be a million of either: what jobs need comes in parts, and while the files are looked at others
    have a turn. To ask for what is needed and to remove the rest is one step: no job comes between.
    """
    try:
        names = [entry.name for entry in disk.entries_of(folder)]
    except (FileNotFoundError, ConditionError):
        return
    idle: set[str] = set()
    for some in _parts(names):
        swept = 0
        for name in some:
            is_swept = _remove_if(folder / name, is_left_over)
            swept += is_swept
            if not is_swept and _is_old(folder / name):
                idle.add(name)
        yield swept
    for part in needed() if idle else ():
        idle.difference_update(path.name for path in part if path.parent == folder)
    yield sum(_remove_if(folder / name, _is_old) for name in idle)


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[begin : begin + STEP] for begin in range(0, len(names), STEP))


def _remove_if(path: Path, is_over: Callable[[Path], bool]) -> bool:
    """Remove a file of which that is so; return whether it was there, and is not now."""
    try:
        return is_over(path) and disk.remove(path)
    except ConditionError as error:
        logger.debug("%s could not be removed: %s", path, error)
        return False


def _is_old(path: Path) -> bool:
    try:
        facts = disk.facts_of(path)
    except ConditionError as error:
        logger.debug("of %s nobody knows: %s", path, error)
        return False
    return facts is not None and time.time() - facts.st_mtime > KEEP_SECONDS
