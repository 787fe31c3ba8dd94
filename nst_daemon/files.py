"""Whole files: copied, moved and hashed so that a crash at any point loses nothing and shows no half.

Knows no job. Temporary names say who made them, so that a sweep tells a crash's left-overs from a file
that another daemon is writing at this moment.
"""

import errno
import filecmp
import hashlib
import itertools
import os
import shutil
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from nst_daemon.crash import CrashPoint, crash_at

TEMPORARY: Final = ".nst-"  # a hidden name: file managers, indexers and our own inbox walk leave it alone
SUFFIX: Final = ".tmp"
OLD_SECONDS: Final = 24 * 3600.0  # no copy takes a day: left over, whoever made it
BLOCK: Final = 1 << 20  # bytes read at once
NO_LINKS: Final = frozenset(
    {errno.EXDEV, errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
    | {errno.EINVAL}
)  # another file system, one without hard links, or a file of another user (fs.protected_hardlinks)


def temporary_in(folder: Path) -> Path:
    """Return a new temporary path in a folder."""
    return folder / f"{TEMPORARY}{_HOST}-{os.getpid()}-{uuid.uuid4().hex[:12]}{SUFFIX}"


def is_left_over(path: Path) -> bool:
    """Return whether a temporary file was left by a process that is no more, or by this one before it began.

    Ask at the start only: while we write, our own files look the same.
    """
    if not (path.name.startswith(TEMPORARY) and path.name.endswith(SUFFIX)):
        return False
    parts = path.name.removeprefix(TEMPORARY).removesuffix(SUFFIX).split("-")
    if len(parts) == 3 and parts[0] == _HOST and parts[1].isdecimal():
        return int(parts[1]) == os.getpid() or not is_alive(int(parts[1]))
    try:
        return time.time() - path.stat().st_mtime > OLD_SECONDS
    except OSError:
        return False


def copy_whole(source: Path, target: Path, *, replace: bool) -> None:
    """Copy a file so that `target` is whole and on the disk, or untouched.

    Raises:
        FileExistsError: there is a target, and `replace` is false.
        OSError: as the file system says; nothing is left behind.
    """
    temporary = temporary_in(target.parent)
    try:
        write_whole(source, temporary)
        crash_at(CrashPoint.WRITTEN)
        if replace:
            temporary.replace(target)
        else:
            _appear(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)
    crash_at(CrashPoint.PUBLISHED)


@contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to, which replaces `target` once it is on the disk; or never, on an error."""
    temporary = temporary_in(target.parent)
    try:
        with temporary.open("xb") as writer:
            yield writer
            writer.flush()
            os.fsync(writer.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def write_whole(
    source: Path, target: Path, *, on_block: Callable[[bytes], None] = lambda block: None
) -> None:
    """Copy a file's bytes to a new file and wait until they are on the disk."""
    with source.open("rb") as reader, target.open("xb") as writer:
        while block := reader.read(BLOCK):
            on_block(block)
            writer.write(block)
        writer.flush()
        os.fsync(writer.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names are on the disk, where the system can: a rename alone may be lost."""
    if os.name == "nt":
        return  # NTFS journals names; a folder cannot be opened
    with suppress(OSError):  # some network file systems refuse it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def is_plain_file(path: Path) -> bool:
    """Return whether there is a file of that name, and no link. A name that cannot be is no error."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # e.g. the sidecar's name is too long because the photo's is near the limit
        return False


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def move_beside(source: Path, folder: Path, *, stem: str | None = None) -> Path:
    """Move a file into a folder under its name, or under `….2`, `….3` where others have it; return its path.

    A crash leaves it in one place or in both, and never in none; a second call ends what the first began.
    A file that is there already stays. `stem`: another name before the suffix.
    """
    name = source.name if stem is None else f"{stem}{source.suffix}"
    if name == source.name and source.parent.samefile(folder):
        return source
    for target in names_beside(folder, name):
        try:
            _move_to(source, target)
        except FileExistsError:
            if not _is_moved(source, target):
                continue
        crash_at(CrashPoint.LINKED)
        source.unlink(missing_ok=True)
        sync_folder(folder)
        sync_folder(source.parent)
        crash_at(CrashPoint.MOVED)
        return target
    raise AssertionError("unreachable: there is always a further name")


def names_beside(folder: Path, name: str) -> Iterator[Path]:
    """Yield a file's name in a folder, `a.jpg`, and those that it gets where others have it: `a.2.jpg`."""
    path = PurePath(name)
    yield folder / name
    for count in itertools.count(2):
        yield folder / f"{path.stem}.{count}{path.suffix}"


def _move_to(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy of it on another file system."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        copy_whole(source, target, replace=False)
        with suppress(OSError):
            shutil.copystat(source, target)


def _is_moved(source: Path, target: Path) -> bool:
    """Return whether an earlier move got as far as the target, so that only the source is left to remove."""
    return target.is_file() and (target.samefile(source) or filecmp.cmp(source, target, shallow=False))


def _appear(temporary: Path, target: Path) -> None:
    """Give a whole file its name, unless somebody has it."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        # No hard links here: the moment between question and rename is the best that can be had.
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        temporary.rename(target)


def is_alive(pid: int) -> bool:
    """Return whether a process of this machine lives; false on Windows, where asking would end it."""
    if os.name == "nt":
        return False  # os.kill(pid, 0) would end it; a file that it writes cannot be removed anyway
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _host() -> str:
    return hashlib.sha256(f"{uuid.getnode()}".encode()).hexdigest()[:8]


_HOST: Final = _host()
