"""Names given and taken: folders made, files linked, renamed, removed."""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from nst_daemon.disk import system
from nst_daemon.disk.facts import entries_of, facts_of, is_folder, is_owners_alone
from nst_daemon.disk.verdicts import NO_LINKS, NO_NAME, ask, condition_at, missing
from nst_daemon.errors import FileConditionError, NameRefusedError, Trouble

READERS: Final = stat.S_IRUSR | stat.S_IRGRP | stat.S_IROTH
T = TypeVar("T")


def make_folder(folder: Path, *, mode: int = 0o777) -> None:
    """Make a folder, and those above it, unless it is there.

    In a folder that is its owner's alone it is so, too.

    Raises:
        NameRefusedError: this disk takes no such name.
        ConditionError: it cannot be made now, or a file is in its place.
    """
    if is_folder(folder):
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    try:
        make(system.calls.mkdir, folder, 0o700 if is_owners_alone(folder.parent) else mode)
    except FileExistsError as error:
        if not is_folder(folder):  # else another was faster
            raise FileConditionError(
                f"{folder} is no folder.",
                path=folder,
                trouble=Trouble.MISSING,
                remedy="Put a folder in its place; it goes on by itself.",
            ) from error


def link(path: Path, target: Path) -> bool:
    """Give a file a second name; False: this file system cannot.

    Raises:
        FileNotFoundError: the file is not there.
        FileExistsError: the name is taken.
        NameRefusedError, ConditionError: see `created`.
    """
    try:
        make(lambda target: system.calls.link(path, target), target, source=path, passed=NO_LINKS)
    except PassedError:
        return False
    return True


def replace(path: Path, target: Path) -> None:
    """Give a file another name in one step, whoever has it. Raises: as `created`; FileNotFoundError."""
    make(lambda target: system.calls.replace(path, target), target, source=path)


def remove(path: Path) -> bool:
    """Take a file away; False: there was none. Raises: ConditionError: it cannot be taken away now."""
    try:
        ask(system.calls.unlink, path, is_writing=True)
    except FileNotFoundError:
        return False
    return True


def remove_if_empty(folder: Path) -> None:
    """Remove a folder with nothing in it; never raises."""
    with suppress(OSError):
        system.calls.rmdir(folder)


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours with all that is in it, as far as that can be; never raises."""
    with suppress(FileNotFoundError, FileConditionError):
        for entry in entries_of(folder):
            if entry.is_folder and not entry.is_link:
                remove_tree(entry.path)
            else:
                with suppress(FileConditionError):
                    remove(entry.path)
    remove_if_empty(folder)


def make_executable(path: Path) -> None:
    """Let whoever may read a file start it as a program. Raises: FileNotFoundError, ConditionError."""
    mode = stat.S_IMODE(ask(system.calls.stat, path).st_mode)
    ask(system.calls.chmod, path, mode | (mode & READERS) >> 2, is_writing=True)


def touch(path: Path) -> None:
    """Set a file's time to now. Raises: FileNotFoundError, ConditionError."""
    ask(system.calls.utime, path, is_writing=True)


def copy_facts(path: Path, target: Path) -> None:
    """Give a file the times and rights of another, as far as its disk takes them; never raises."""
    with suppress(OSError):
        system.calls.copystat(path, target)


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can: a rename alone may be lost."""
    if os.name == "nt":
        return  # NTFS journals names; a folder cannot be opened
    with suppress(OSError):  # some network file systems refuse it
        descriptor = system.calls.open(folder, os.O_RDONLY)
        try:
            system.calls.fsync(descriptor)
        finally:
            os.close(descriptor)


class PassedError(Exception):
    """An errno that the caller knows how to go round."""


def make(
    call: Callable[..., T],
    target: Path,
    *args: Any,
    source: Path | None = None,
    passed: frozenset[int] = frozenset(),
) -> T:
    """Make a call that gives something a name: a name that cannot be is no error of the disk.

    Raises:
        FileExistsError: the name is taken.
        FileNotFoundError: `source` is not there.
        PassedError: an errno of `passed`.
        NameRefusedError: the disk takes no such name.
        FileConditionError: the folder is missing, or the disk does not take it now.
    """
    try:
        return call(target, *args)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno in passed:
            raise PassedError from error
        is_name = error.errno in NO_NAME
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            if source is not None and facts_of(source) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(source)) from error
            if not is_folder(target.parent):
                raise missing(target.parent) from error
            is_name = True  # FUSE's exFAT and NTFS say so of names that they do not take
        if is_name:
            raise NameRefusedError(
                f"{target.name}: the disk of {target.parent} takes no file of this name.",
                remedy="Give the photo or its folder a plainer name.",
            ) from error
        raise condition_at(error, target, is_writing=True) from error
