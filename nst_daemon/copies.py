"""Private copies of photos: what is painted is what was read, whatever happens to the original meanwhile."""

import hashlib
import logging
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

from nst_daemon.conditions import condition_of
from nst_daemon.crash import CrashPoint, crash_at
from nst_daemon.disk import sync_folder
from nst_daemon.errors import PhotoError
from nst_daemon.files import is_left_over, temporary_in, write_whole

logger = logging.getLogger(__name__)

KEEP_SECONDS: Final = 24 * 3600.0  # a copy that no job needs any more stays for a day, for a second try


def private_copy(photo: Path, folder: Path) -> tuple[Path, str]:
    """Copy a photo into a folder of ours; return the copy, named by its hash, and the sha256 of its bytes.

    The copy is on the disk when this returns: a job that points to it survives a power cut.

    Raises:
        FileNotFoundError: the photo has gone.
        PhotoError: the photo cannot be read.
        ConditionError: the folder cannot be written.
    """
    digest = hashlib.sha256()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = temporary_in(folder)
        try:
            write_whole(photo, temporary, on_block=digest.update)
            crash_at(CrashPoint.COPYING)
            target = folder / f"{digest.hexdigest()}{photo.suffix.lower()}"
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is not None and Path(error.filename) == photo:
            if isinstance(error, FileNotFoundError):
                raise
            raise PhotoError(f"{photo.name}: cannot be read: {error.strerror}.") from error
        raise condition_of(error, folder, name="state_dir") or error from error
    sync_folder(folder)
    crash_at(CrashPoint.COPIED)
    return target, digest.hexdigest()


def sweep_copies(folder: Path, needed: Collection[Path]) -> int:
    """Remove the copies that no job needs, and what a crash left of one; return how many."""
    swept = 0
    for path in list(folder.iterdir()) if folder.is_dir() else []:
        try:
            is_old = time.time() - path.stat().st_mtime > KEEP_SECONDS
            if is_left_over(path) or (is_old and path not in needed):
                path.unlink()
                swept += 1
        except OSError as error:
            logger.debug("%s could not be removed: %s", path, error)
    return swept
