"""Copies that are becoming private ones: written under a temporary name, in whichever process, then kept.

Knows no job and no ledger: the process that reads photos has neither.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_daemon import disk
from nst_daemon.disk.files import copy_hashed, file_sha256
from nst_daemon.errors import ConditionError, FileConditionError
from nst_daemon.system.crash import CrashPoint, crash_at


def draft_copy(photo: Path, draft: Path) -> str:
    """Copy a photo to a file of ours that nobody else knows; return the sha256 of its bytes.

    They are on the disk when this returns. What an earlier try has left there goes.

    Raises:
        FileNotFoundError: the photo has gone.
        FileConditionError: the photo cannot be read now.
        ConditionError: our own folder cannot be written.
    """
    with _blamed(photo):
        disk.make_folder(draft.parent)
        disk.remove(draft)
        return copy_hashed(photo, draft)


def kept(draft: Path, photo: Path, sha256: str) -> Path:
    """Give a photo's draft the name of its hash, or leave the sound copy there that has it; return that path.

    Raises:
        FileNotFoundError: somebody took the draft away.
        ConditionError: our own folder cannot be written.
    """
    crash_at(CrashPoint.COPYING)
    target = draft.with_name(f"{sha256}{photo.suffix.lower()}")
    with _blamed(photo):
        if not _is_kept(target, sha256):
            disk.replace(draft, target)
        disk.sync_folder(draft.parent)
    crash_at(CrashPoint.COPIED)
    return target


@contextmanager
def _blamed(photo: Path) -> Iterator[None]:
    """Let trouble with any file but the photo be our own folder's."""
    try:
        yield
    except FileConditionError as error:
        if error.path == photo:
            raise
        of_ours = error.named("state_dir")
        raise ConditionError(of_ours.message, remedy=of_ours.remedy, code=of_ours.code) from error


def _is_kept(copy: Path, sha256: str) -> bool:
    """Return whether there is such a copy already, and it is sound: an engine may be reading it just now.

    It is as good as new then: no sweep takes it within a day.
    """
    try:
        if not disk.is_file(copy) or file_sha256(copy) != sha256:
            return False
        disk.touch(copy)
    except (FileNotFoundError, FileConditionError):
        return False
    return True
