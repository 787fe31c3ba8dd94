"""Files read and made. Each read and write is judged: no decoder takes a sick disk for a sick file."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, Final

from nst_daemon.disk import system
from nst_daemon.disk.changes import make
from nst_daemon.disk.facts import UNBLOCKED, is_owners_alone
from nst_daemon.disk.verdicts import ask

BUFFER: Final = 256 << 10  # bytes read at once where the reader asks for few
MOST: Final = 8 << 20  # bytes read at once: each block is in memory twice for a moment


class _Raw(io.RawIOBase):
    """A file whose every call is judged. It has no `fileno`: nobody reads past us."""

    def __init__(self, path: Path, descriptor: int, *, is_writing: bool) -> None:
        super().__init__()
        self._path = path
        self.descriptor = descriptor
        self._is_writing = is_writing

    def readable(self) -> bool:
        return not self._is_writing

    def writable(self) -> bool:
        return self._is_writing

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        block = ask(lambda _: system.calls.read(self.descriptor, min(len(buffer), MOST)), self._path)
        buffer[: len(block)] = block
        return len(block)

    def write(self, block: Any) -> int:
        return ask(
            lambda _: system.calls.write(self.descriptor, memoryview(block)), self._path, is_writing=True
        )

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return os.lseek(self.descriptor, offset, whence)

    def truncate(self, size: int | None = None) -> int:
        raise io.UnsupportedOperation("truncate")

    def sync(self) -> None:
        ask(lambda _: system.calls.fsync(self.descriptor), self._path, is_writing=True)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):  # what was written is on the disk by `sync`, which has told
                os.close(self.descriptor)
        super().close()


@contextmanager
def opened(path: Path, *, follow: bool = True) -> Iterator[BinaryIO]:
    """Open a file to read its bytes; each call on it may raise as this does. `follow`: a link, too.

    Raises:
        FileNotFoundError: it is not there.
        ConditionError: it cannot be read now.
    """
    flags = os.O_RDONLY | UNBLOCKED | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    descriptor = ask(system.calls.open, path, flags)
    with io.BufferedReader(_Raw(path, descriptor, is_writing=False), BUFFER) as file:
        yield file


@contextmanager
def created(path: Path) -> Iterator[BinaryIO]:
    """Make a new file to write to; its bytes are on the disk when the context ends without an error.

    In a folder that is its owner's alone it is so, too, whatever the umask says.

    Raises:
        FileExistsError: the name is taken.
        NameRefusedError: this disk takes no such name.
        ConditionError: it cannot be written now.
    """
    mode = 0o600 if is_owners_alone(path.parent) else 0o666
    descriptor = make(system.calls.open, path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    raw = _Raw(path, descriptor, is_writing=True)
    try:
        file = io.BufferedWriter(raw, BUFFER)
        yield file
        file.flush()
        raw.sync()
    finally:
        raw.close()  # not the buffer: after an error it would try to write once more


def share_bytes(reader: BinaryIO, writer: BinaryIO) -> bool:
    """Let a new file share all bytes of an opened one on the disk, in no time and no room.

    False: this disk cannot, or something else stands in the way, which whoever copies them meets by himself.
    """
    source, target = getattr(reader, "raw", None), getattr(writer, "raw", None)
    if not isinstance(source, _Raw) or not isinstance(target, _Raw):
        return False
    try:
        system.calls.clone(target.descriptor, source.descriptor)
    except OSError:
        return False
    return True


def read_bytes(path: Path, *, at_most: int = -1, follow: bool = True) -> bytes:
    """Return a file's bytes, or its first so many. Raises: FileNotFoundError, ConditionError."""
    with opened(path, follow=follow) as file:
        return file.read(at_most)
