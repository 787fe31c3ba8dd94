"""What is there: facts, stamps, folders' entries. Absence is proven, never concluded from an error."""

import errno
import os
import signal
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from nst_daemon.disk import system
from nst_daemon.disk.system import Entry
from nst_daemon.disk.verdicts import IN_USE, ask
from nst_daemon.errors import ConditionError

UNBLOCKED: Final = getattr(os, "O_NONBLOCK", 0)  # a pipe in place of a file must not hang us


@dataclass(frozen=True, slots=True)
class Stamp:
    """What changes when somebody writes to a file."""

    size: int  # bytes
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, facts: os.stat_result) -> Self:
        """Return the stamp of a file with these facts."""
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ino)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the stamp that was spelt so. Raises: ValueError: none was."""
        size, mtime_ns, inode = map(int, text.split(":"))
        return cls(size, mtime_ns, inode)

    def __str__(self) -> str:
        return f"{self.size}:{self.mtime_ns}:{self.inode}"


def facts_of(path: Path, *, follow: bool = False) -> os.stat_result | None:
    """Return the facts of a path; None: it is not there, which is proven. `follow`: of what it leads to.

    Raises:
        ConditionError: nobody knows.
    """
    try:
        return ask(system.calls.stat if follow else system.calls.lstat, path)
    except FileNotFoundError:
        return None


def stamp_of(path: Path, *, follow: bool = False) -> Stamp | None:
    """Return a file's stamp; None: it is not there. `follow`: of what it leads to.

    Raises:
        ConditionError: nobody knows.
    """
    facts = facts_of(path, follow=follow)
    return None if facts is None else Stamp.of(facts)


def is_there(path: Path) -> bool:
    """Return whether there is anything of that name, a broken link too. Raises: ConditionError."""
    return facts_of(path) is not None


def is_file(path: Path, *, follow: bool = False) -> bool:
    """Return whether there is an ordinary file, and no link unless `follow`. Raises: ConditionError."""
    facts = facts_of(path, follow=follow)
    return facts is not None and stat.S_ISREG(facts.st_mode)


def is_executable(path: Path) -> bool:
    """Return whether its owner may start a file as a program. Raises: ConditionError."""
    facts = facts_of(path)
    return facts is not None and (os.name == "nt" or bool(facts.st_mode & stat.S_IXUSR))


def is_folder(path: Path) -> bool:
    """Return whether there is a folder, or a link to one. Raises: ConditionError."""
    facts = facts_of(path, follow=True)
    return facts is not None and stat.S_ISDIR(facts.st_mode)


def is_owners_alone(folder: Path) -> bool:
    """Return whether others have no right at all in a folder, as far as that is known; never raises."""
    try:
        facts = facts_of(folder, follow=True)
    except ConditionError:  # the call that asked will tell
        return False
    return facts is not None and os.name != "nt" and not facts.st_mode & (stat.S_IRWXG | stat.S_IRWXO)


def entries_of(folder: Path) -> list[Entry]:
    """Return all that is in a folder, by name.

    Raises:
        FileNotFoundError: there is no such folder.
        ConditionError: it cannot be read.
    """
    return sorted(ask(system.calls.scandir, folder), key=lambda entry: entry.name)


def is_gone(path: Path, *, root: Path) -> bool:
    """Return whether it is proven that a file below `root` is not there: a folder that reads well lacks it.

    A disk that is not mounted, or a share that has lost its head, proves nothing. False: it is there, or the
    root itself is not.

    Raises:
        ConditionError: nobody knows.
    """
    if facts_of(path) is not None:
        return False
    for folder in path.parents:
        if not folder.is_relative_to(root):
            return False
        with suppress(FileNotFoundError):
            return path.name not in {entry.name for entry in entries_of(folder)}
        path = folder
    return False


def real_path(path: Path) -> Path:
    """Return a path without links, as far as they can be followed; never raises."""
    return Path(os.path.realpath(path))


def is_same_file(path: Path, other: Path) -> bool:
    """Return whether two names lead to one file or folder. Raises: ConditionError."""
    one, two = facts_of(path, follow=True), facts_of(other, follow=True)
    return one is not None and two is not None and os.path.samestat(one, two)


def mount_point_of(folder: Path) -> Path:
    """Return the mount point that a folder lies under; the folder need not exist.

    Raises:
        ConditionError: nobody knows.
    """
    place = Path(os.path.realpath(folder))
    while place.parent != place and not _is_mount(place):
        place = place.parent
    return place


def _is_mount(folder: Path) -> bool:
    facts, above = facts_of(folder), facts_of(folder.parent)
    if facts is None or above is None:
        return False
    return facts.st_dev != above.st_dev or facts.st_ino == above.st_ino


def first_hole(path: Path) -> int | None:
    """Return from where on a part of a file is not on the disk, and reads as zeros, where a system tells.

    Raises:
        FileNotFoundError: it is not there.
        ConditionError: it cannot be opened now.
    """
    if not hasattr(os, "SEEK_HOLE"):
        return None
    descriptor = ask(system.calls.open, path, os.O_RDONLY | UNBLOCKED)
    try:
        place = os.lseek(descriptor, 0, os.SEEK_HOLE)
        return place if place < os.fstat(descriptor).st_size else None
    except OSError:  # it does not tell
        return None
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Return the room that is left on a folder's disk. Raises: FileNotFoundError, ConditionError."""
    return ask(system.calls.free, folder)


def is_being_written(path: Path) -> bool:
    """Return whether some program has a file open for writing; False where the system does not tell.

    Linux tells by its leases: one for reading is refused while there is a writer. (fcntl(2), F_SETLEASE)
    """
    try:
        import fcntl

        lease, read, none, tell = fcntl.F_SETLEASE, fcntl.F_RDLCK, fcntl.F_UNLCK, fcntl.F_SETSIG
    except (ImportError, AttributeError):
        return _is_locked_by_windows(path)
    try:
        descriptor = ask(system.calls.open, path, os.O_RDONLY | UNBLOCKED)
    except FileNotFoundError:
        return False
    try:
        # A writer that comes at this very moment is announced by a signal: SIGIO would end us.
        fcntl.fcntl(descriptor, tell, signal.SIGURG)
        fcntl.fcntl(descriptor, lease, read)
        fcntl.fcntl(descriptor, lease, none)
    except OSError as error:
        return error.errno == errno.EAGAIN  # EACCES: not our file, and nobody tells
    finally:
        os.close(descriptor)
    return False


def _is_locked_by_windows(path: Path) -> bool:
    if os.name != "nt":
        return False
    try:
        os.close(system.calls.open(path, os.O_RDWR))
    except OSError as error:
        return getattr(error, "winerror", 0) in IN_USE
    return False
