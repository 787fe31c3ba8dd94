"""Folders and files that are their owner's alone, whatever the umask says, and those that are not."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from nst_daemon.disk import system
from nst_daemon.disk.changes import make, make_folder
from nst_daemon.disk.facts import entries_of, facts_of
from nst_daemon.disk.verdicts import condition_at
from nst_daemon.errors import ConditionError, FileConditionError, MissingError, NstError, Trouble

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
FOLDER_MODE: Final = 0o700
FILE_MODE: Final = 0o600
HAS_RIGHTS: Final = os.name != "nt"  # Windows' profile folders are private by inheritance


def make_private(folder: Path) -> bool:
    """Make a folder that only its owner enters, or close one that is ours; False: others may enter it still.

    Raises:
        NameRefusedError, ConditionError: as `make_folder`.
    """
    make_folder(folder, mode=FOLDER_MODE)
    return _close(folder)


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner reads, or close one that is there. Raises: ConditionError."""
    if facts_of(path) is None:
        with suppress(FileExistsError):  # another was faster
            os.close(make(system.calls.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE))
    _close(path)


def close_tree(folder: Path) -> None:
    """Close a folder of ours and all that is in it: an older one was open to others. Never raises."""
    with suppress(FileNotFoundError, ConditionError):
        _close(folder)
        for entry in entries_of(folder):
            if entry.is_folder:
                close_tree(entry.path)
            elif not entry.is_link:
                _close(entry.path)


def is_private(folder: Path) -> bool:
    """Return whether nobody but its owner may enter a folder, or there is none. Raises: ConditionError."""
    facts = facts_of(folder, follow=True)
    return facts is None or not HAS_RIGHTS or not facts.st_mode & OTHERS


def unusable(error: OSError | NstError, path: Path) -> MissingError:
    """Return why a file of our own cannot be used, in one sentence and with what to do."""
    if isinstance(error, OSError):
        error = condition_at(error, path, is_writing=True)
    code, remedy = error.code, f"Own it and make it writable (`ls -ld {path.parent}` says whose it is)"
    if isinstance(error, FileConditionError):
        code = error.named("state_dir").code
        if error.trouble is Trouble.MISSING:
            remedy = "Put a folder in its place"
    return MissingError(
        f"The state folder cannot be used: {error.message}",
        remedy=f"{remedy}, or set another state_dir in config.yaml.",
        code=code,
    )


def _close(path: Path) -> bool:
    """Take from others what they may with a file or folder of ours; False: they may it still."""
    facts = facts_of(path, follow=True)
    if facts is None or not HAS_RIGHTS or not facts.st_mode & OTHERS:
        return True
    if facts.st_uid != os.geteuid() or facts.st_mode & stat.S_ISVTX:  # somebody else's; /tmp and its like
        return False
    with suppress(OSError):  # exFAT, some shares: they know no rights
        system.calls.chmod(path, stat.S_IMODE(facts.st_mode) & ~OTHERS)
        again = facts_of(path, follow=True)
        return again is None or not again.st_mode & OTHERS
    return False
