"""The files that a seat keeps, by their hash: sent by a coordinator, or read in a folder that both see.

Lives on the event loop; what waits for a disk is on other threads. A folder that both see is read where
`farm join --shared` allows it, and nowhere else; what is read there is copied first, and hashed meanwhile.
"""

import asyncio
import hashlib
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import BinaryIO, Final

from nst_daemon import disk
from nst_daemon.disk.files import BLOCK, Digests, temporary_in
from nst_daemon.errors import ConditionError
from nst_daemon.farm.answers import Sight
from nst_daemon.farm.parcel import Blob, plain

KEPT_BYTES: Final = 2 << 30  # of style pictures: some thousand


class Store:
    """The files of one seat, in a folder of its own."""

    def __init__(self, folder: Path, shared: Sequence[Path] = ()) -> None:
        self.folder = folder
        self._shared = tuple(shared)  # folders of others that may be read
        self._digests = Digests()
        self._coming: dict[str, _Coming] = {}
        self._is_looking = False  # in a folder that both see: one that hangs takes one thread and no more

    def prepare(self) -> None:
        """Make the folder, and keep in it what may be of use. Raises: ConditionError."""
        disk.make_private(self.folder)
        self._sweep()

    def path_of(self, blob: Blob) -> Path:
        """Return where a file is, if it is here."""
        return self.folder / plain(blob.name)

    async def lacks(self, blobs: Iterable[Blob]) -> tuple[Blob, ...]:
        """Return which files are not here. Raises: ConditionError."""
        return await asyncio.to_thread(lambda: tuple(blob for blob in blobs if not self._has(blob)))

    async def put(self, blob: Blob, offset: int, data: bytes, is_last: bool) -> bool:
        """Take the next bytes of a file; False: they are not what they should be, all has to come anew."""
        name = plain(blob.name)
        if offset == 0:
            self._abandon(name)
            self._coming[name] = _Coming(self.folder)
        coming = self._coming.get(name)
        if coming is None:
            return is_last and offset > 0 and await asyncio.to_thread(self._has, blob)
        if coming.size == offset + len(data) and offset:
            return True  # the answer got lost
        if coming.size != offset:
            return False
        await asyncio.to_thread(coming.write, data)
        if not is_last:
            return True
        del self._coming[name]
        return await asyncio.to_thread(coming.finish, self.path_of(blob), blob.sha256)

    async def borrow(self, blob: Blob, root: str, parts: tuple[str, ...], size: int) -> Sight:
        """Take a file from a folder that both see, if that may be read and has it. Raises: ConditionError."""
        if self._is_looking:
            return Sight.BUSY
        self._is_looking = True
        try:
            return await asyncio.to_thread(self._borrowed, blob, Path(root).joinpath(*parts), size)
        finally:
            self._is_looking = False

    def _borrowed(self, blob: Blob, path: Path, size: int) -> Sight:
        path = disk.real_path(path)  # no link and no `..` leads out of it
        if not any(path.is_relative_to(disk.real_path(folder)) for folder in self._shared):
            return Sight.FORBIDDEN
        try:
            if not disk.is_file(path):
                return Sight.ABSENT
            stamp = disk.stamp_of(path)
            if stamp is None or stamp.size != size:
                return Sight.DIFFERENT
            coming = _Coming(self.folder)
            try:
                with disk.opened(path, follow=False) as file:
                    while block := file.read(BLOCK):
                        coming.write(block)
            except BaseException:
                coming.abandon()
                raise
        except FileNotFoundError:
            return Sight.ABSENT
        return Sight.TAKEN if coming.finish(self.path_of(blob), blob.sha256) else Sight.DIFFERENT

    def drop(self, blobs: Iterable[Blob]) -> None:
        """Forget files, and of the others those that were used longest ago. Raises: ConditionError."""
        for blob in blobs:
            disk.remove(self.path_of(blob))
        self._sweep()

    def _sweep(self) -> None:
        """Remove the files that were used longest ago, down to KEPT_BYTES. Raises: ConditionError."""
        found = [(entry.path, disk.facts_of(entry.path)) for entry in disk.entries_of(self.folder)]
        kept = 0
        for path, facts in sorted(found, key=lambda each: each[1].st_mtime if each[1] else 0.0, reverse=True):
            kept += facts.st_size if facts else 0
            if kept > KEPT_BYTES:
                disk.remove(path)

    def _has(self, blob: Blob) -> bool:
        """Return whether a file is here, and sound. Raises: ConditionError."""
        path = self.path_of(blob)
        try:
            if self._digests.of(path) != blob.sha256:
                return False
            disk.touch(path)  # used last: kept longest
        except FileNotFoundError:
            return False
        return True

    def _abandon(self, name: str) -> None:
        if (coming := self._coming.pop(name, None)) is not None:
            coming.abandon()


class _Coming:
    """A file that is on its way to us."""

    def __init__(self, folder: Path) -> None:
        self.size = 0
        self._path = temporary_in(folder)
        self._digest = hashlib.sha256()
        self._stack = ExitStack()
        self._file: BinaryIO = self._stack.enter_context(disk.created(self._path))

    def write(self, data: bytes) -> None:
        """Take the next bytes. Raises: ConditionError."""
        self._file.write(data)
        self._digest.update(data)
        self.size += len(data)

    def finish(self, target: Path, sha256: str) -> bool:
        """Keep the file, if it is what it should be."""
        self._stack.close()
        if self._digest.hexdigest() != sha256:
            disk.remove(self._path)
            return False
        disk.replace(self._path, target)
        return True

    def abandon(self) -> None:
        """Forget what has come."""
        with suppress(ConditionError):
            self._stack.close()
            disk.remove(self._path)
