"""Whole files: copied, moved and hashed so that a crash at any point loses nothing and shows no half.

Knows no job. Temporary names say who made them, so that a sweep tells a crash's left-overs from a file
that another daemon is writing at this moment. Raises what `disk` raises.
"""

import errno
import hashlib
import itertools
import os
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePath
from typing import BinaryIO, Final

from nst_daemon import disk
from nst_daemon.disk.spelling import is_plain, spellings
from nst_daemon.errors import ConditionError, FileConditionError, NameRefusedError, Trouble
from nst_daemon.system import machine
from nst_daemon.system.crash import CrashPoint, crash_at

TEMPORARY: Final = ".nst-"  # a hidden name: file managers, indexers and our own inbox walk leave it alone
SUFFIX: Final = ".tmp"
OLD_SECONDS: Final = 24 * 3600.0  # no copy takes a day: left over, whoever made it
CLOCK_SECONDS: Final = 600.0  # the clocks of a share and of this machine differ by less
BLOCK: Final = 1 << 20  # bytes read at once
_RUN: Final = uuid.uuid4().hex[:4]  # tells the files of this process from those of one that had its number


def temporary_in(folder: Path) -> Path:
    """Return a new temporary path in a folder."""
    return folder / f"{TEMPORARY}{_HOST}-{os.getpid()}-{_RUN}{uuid.uuid4().hex[:8]}{SUFFIX}"


def is_left_over(path: Path) -> bool:
    """Return whether a temporary file was left by a process that is no more, or had our number before us.

    What cannot be known is not left over.
    """
    if not (path.name.startswith(TEMPORARY) and path.name.endswith(SUFFIX)):
        return False
    parts = path.name.removeprefix(TEMPORARY).removesuffix(SUFFIX).split("-")
    pid = int(parts[1]) if len(parts) == 3 and parts[0] == _HOST and parts[1].isdecimal() else None
    if pid == os.getpid():
        return not parts[2].startswith(_RUN)  # a container numbers its processes alike at each start
    if pid is not None and not machine.is_alive(pid):
        return True
    try:
        facts = disk.facts_of(path)
    except ConditionError:
        return False
    if facts is None:
        return False
    if time.time() - facts.st_mtime > OLD_SECONDS:
        return True
    began = None if pid is None else machine.began_at(pid)
    return began is not None and facts.st_mtime < began - CLOCK_SECONDS  # the number was given anew


def copy_whole(source: Path, target: Path, *, replace: bool) -> None:
    """Copy a file so that `target` is whole and on the disk, or untouched; nothing else is left behind.

    Raises:
        FileNotFoundError: the source is not there.
        FileExistsError: there is a target, and `replace` is false.
        NameRefusedError: the disk takes no such name.
        ConditionError: the source cannot be read now, or the target not be written.
    """
    with _draft_of(target) as draft:
        write_whole(source, draft)
        crash_at(CrashPoint.WRITTEN)
        if replace:
            disk.replace(draft, target)
        else:
            _appear(draft, target)
    disk.sync_folder(target.parent)
    crash_at(CrashPoint.PUBLISHED)


@contextmanager
def written_whole(target: Path) -> Iterator[BinaryIO]:
    """Yield a file to write to, which replaces `target` once it is on the disk; or never, on an error.

    Raises:
        NameRefusedError: the disk takes no such name.
        ConditionError: it cannot be written now.
    """
    with _draft_of(target) as draft:
        with disk.created(draft) as writer:
            yield writer
        disk.replace(draft, target)
    disk.sync_folder(target.parent)


@contextmanager
def _draft_of(target: Path) -> Iterator[Path]:
    """Give a temporary path beside a file; it is gone in the end. Conditions speak of the file."""
    draft = temporary_in(target.parent)
    try:
        yield draft
    except FileConditionError as error:
        if error.path != draft:
            raise
        raise error.about(target) from error.__cause__
    finally:
        discard(draft)


def discard(path: Path) -> None:
    """Take a file of ours away; what cannot be taken away now, a sweep does. Never raises."""
    with suppress(ConditionError):
        disk.remove(path)


def write_whole(source: Path, target: Path) -> None:
    """Copy a file's bytes to a new file and wait until they are on the disk. Raises: as `copy_whole`."""
    with disk.opened(source) as reader, disk.created(target) as writer:
        while block := reader.read(BLOCK):
            writer.write(block)


def copy_hashed(source: Path, target: Path) -> str:
    """Copy a file to a new one and wait until it is on the disk; return the sha256 of what the copy has.

    Where the disk can, both share their bytes. Raises: as `copy_whole`.
    """
    digest = hashlib.sha256()
    with disk.opened(source) as reader, disk.created(target) as writer:
        if not (is_shared := disk.share_bytes(reader, writer)):
            while block := reader.read(BLOCK):
                digest.update(block)
                writer.write(block)
    # Not the source's bytes: somebody may write to that meanwhile.
    return file_sha256(target) if is_shared else digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file's bytes. Raises: FileNotFoundError, ConditionError."""
    digest = hashlib.sha256()
    with disk.opened(path) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


class Digests:
    """The sha256 of files, remembered for as long as their stamps are the same. Safe on any thread."""

    KEPT: Final = 1024

    def __init__(self) -> None:
        self._known: dict[Path, tuple[disk.Stamp, str]] = {}
        self._lock = threading.Lock()

    def trust(self, path: Path, stamp: disk.Stamp, sha256: str) -> None:
        """Take the word of whoever read a file at a stamp: while it has that, it is not read again."""
        self._keep(path, stamp, sha256)

    def of(self, path: Path) -> str:
        """Return the sha256 of a file's bytes. Raises: FileNotFoundError, ConditionError."""
        stamp = disk.stamp_of(path)
        stored, sha256 = self._known.get(path, (None, ""))
        if stamp is not None and stamp == stored:
            return sha256
        sha256 = file_sha256(path)
        if stamp is not None and disk.stamp_of(path) == stamp:  # else somebody is writing to it
            self._keep(path, stamp, sha256)
        return sha256

    def _keep(self, path: Path, stamp: disk.Stamp, sha256: str) -> None:
        with self._lock:
            self._known[path] = stamp, sha256
            while len(self._known) > self.KEPT:
                self._known.pop(next(iter(self._known)))


def move_beside(
    source: Path, folder: Path, *, stem: str | None = None, sha256_of: Callable[[Path], str] = file_sha256
) -> Path:
    """Move a file into a folder under its name, or under `….2`, `….3` where others have it; return its path.

    A crash leaves it in one place or in both, and never in none; a second call ends what the first began.
    A file that is there already stays. `stem`: another name before the suffix. Where the disk takes no such
    name, it gets one that this disk takes.

    Raises:
        FileNotFoundError: the source is not there.
        ConditionError: of the path that it names; with the source's, the file is in both places.
    """
    name = source.name if stem is None else f"{stem}{source.suffix}"
    if name == source.name and disk.is_same_file(source.parent, folder):
        return source
    target = _placed(source, folder, name, sha256_of)
    crash_at(CrashPoint.LINKED)
    disk.remove(source)
    disk.sync_folder(folder)
    disk.sync_folder(source.parent)
    crash_at(CrashPoint.MOVED)
    return target


def _placed(source: Path, folder: Path, name: str, sha256_of: Callable[[Path], str]) -> Path:
    """Return where in a folder a file is now as well."""
    refused: NameRefusedError | None = None
    for spelling in spellings(name):
        try:
            return _placed_as(source, folder, spelling, sha256_of)
        except NameRefusedError as error:
            refused = error
    assert refused is not None  # a name has at least one spelling
    raise FileConditionError(
        f"{folder} takes no file of the name {name}.",
        path=folder,
        trouble=Trouble.ERROR,
        remedy=refused.remedy,
    ) from refused


def _placed_as(source: Path, folder: Path, name: str, sha256_of: Callable[[Path], str]) -> Path:
    for target in names_beside(folder, name):
        try:
            _move_to(source, target)
        except FileExistsError:
            if not _is_moved(source, target, sha256_of):
                continue
        return target
    raise AssertionError("unreachable: there is always a further name")


def folder_in(root: Path, place: PurePath) -> Path:
    """Return a sub-folder of a folder, made where it is not there, under names that the disk takes.

    Raises:
        NameRefusedError: it takes none.
        ConditionError: it cannot be made now.
    """
    folder = root
    for part in place.parts:
        folder = _sub_folder(folder, part)
    return folder


def _sub_folder(folder: Path, name: str) -> Path:
    refused: NameRefusedError | None = None
    for spelling in spellings(name):
        try:
            disk.make_folder(folder / spelling)
        except NameRefusedError as error:
            refused = error
        else:
            return folder / spelling
    assert refused is not None  # a name has at least one spelling
    raise refused


def takes_name(folder: Path, name: str) -> bool:
    """Return whether a folder's disk takes a name as it is: tried in a folder of ours within it.

    Raises:
        ConditionError: it cannot be tried now.
    """
    if is_plain(name):
        return True
    probe = temporary_in(folder)
    try:
        disk.make_folder(probe)
        with disk.created(probe / name):
            pass
        # Some take a name and change it in silence: a last dot goes, what is behind a colon is a stream.
        return [_folded(entry.path.name) for entry in disk.entries_of(probe)] == [_folded(name)]
    except NameRefusedError:
        return False
    finally:
        disk.remove_tree(probe)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def names_beside(folder: Path, name: str) -> Iterator[Path]:
    """Yield a file's name in a folder, `a.jpg`, and those that it gets where others have it: `a.2.jpg`."""
    path = PurePath(name)
    yield folder / name
    for count in itertools.count(2):
        yield folder / f"{path.stem}.{count}{path.suffix}"


def _move_to(source: Path, target: Path) -> None:
    """Make `target` the same file as `source`, or a copy of it on another file system."""
    if not disk.link(source, target):
        _refuse_taken(target)  # before anything is copied
        copy_whole(source, target, replace=False)
        disk.copy_facts(source, target)


def _is_moved(source: Path, target: Path, sha256_of: Callable[[Path], str]) -> bool:
    """Return whether an earlier move got as far as the target, so that only the source is left to remove."""
    if disk.is_same_file(source, target):
        return True
    one, two = disk.facts_of(source), disk.facts_of(target)
    if one is None or two is None or one.st_size != two.st_size or not disk.is_file(target):
        return False
    try:
        return sha256_of(source) == sha256_of(target)
    except FileNotFoundError:
        return False


def _appear(draft: Path, target: Path) -> None:
    """Give a whole file its name, unless somebody has it."""
    if disk.link(draft, target):
        return
    # No hard links here: the moment between question and rename is the best that can be had.
    _refuse_taken(target)
    disk.replace(draft, target)


def _refuse_taken(target: Path) -> None:
    if disk.is_there(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))


def _host() -> str:
    return hashlib.sha256(f"{uuid.getnode()}".encode()).hexdigest()[:8]


_HOST: Final = _host()
