"""The system's own calls on files, unjudged. Nobody else makes them; tests inject their faults here."""

import errno
import os
import shutil
import sys
from pathlib import Path
from typing import Final, NamedTuple

BINARY: Final = getattr(os, "O_BINARY", 0)  # Windows translates line ends without it

FICLONE: Final = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)


class Entry(NamedTuple):
    """What a folder says of one thing in it. Cheap: a folder may have ten thousand."""

    folder: Path
    name: str
    is_folder: bool | None  # no link to one; None: nobody knows
    is_link: bool

    @property
    def path(self) -> Path:
        """Where it is."""
        return self.folder / self.name


def _entry(folder: Path, entry: "os.DirEntry[str]") -> Entry:
    try:  # some file systems do not tell in the listing, and have to be asked for each
        return Entry(folder, entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink())
    except OSError:
        return Entry(folder, entry.name, is_folder=None, is_link=False)


class System:
    """The system's own calls, unjudged. Tests put one in its place that fails where they want it to."""

    def lstat(self, path: Path) -> os.stat_result:
        """Return the facts of a path itself."""
        return os.lstat(path)

    def stat(self, path: Path) -> os.stat_result:
        """Return the facts of what a path leads to."""
        return os.stat(path)  # noqa: PTH116

    def scandir(self, path: Path) -> list[Entry]:
        """Return all that a folder has."""
        with os.scandir(path) as entries:
            return [_entry(path, entry) for entry in entries]

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        """Return a descriptor of a file; a new one may be read by its owner alone until it has its name."""
        return os.open(path, flags | BINARY, mode)

    def read(self, descriptor: int, size: int) -> bytes:
        """Return the next bytes."""
        return os.read(descriptor, size)

    def write(self, descriptor: int, block: "memoryview") -> int:
        """Write bytes; return how many."""
        return os.write(descriptor, block)

    def fsync(self, descriptor: int) -> None:
        """Wait until a file, or a folder's names, are on the disk."""
        os.fsync(descriptor)

    def clone(self, descriptor: int, source: int) -> None:
        """Let a new file share the bytes of another on the disk. Linux's FICLONE: btrfs and XFS can."""
        if sys.platform != "linux":
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        import fcntl

        fcntl.ioctl(descriptor, FICLONE, source)

    def link(self, path: Path, target: Path) -> None:
        """Give a file a second name."""
        os.link(path, target)

    def replace(self, path: Path, target: Path) -> None:
        """Give a file another name, and take it from whoever has it."""
        os.replace(path, target)  # noqa: PTH105

    def unlink(self, path: Path) -> None:
        """Take a file's name away."""
        os.unlink(path)  # noqa: PTH108

    def mkdir(self, path: Path, mode: int) -> None:
        """Make a folder."""
        os.mkdir(path, mode)  # noqa: PTH102

    def rmdir(self, path: Path) -> None:
        """Remove an empty folder."""
        os.rmdir(path)  # noqa: PTH106

    def utime(self, path: Path) -> None:
        """Set a file's time to now."""
        os.utime(path)

    def chmod(self, path: Path, mode: int) -> None:
        """Say who may do what with a file or folder."""
        os.chmod(path, mode)  # noqa: PTH101

    def copystat(self, path: Path, target: Path) -> None:
        """Give a file the times and rights of another."""
        shutil.copystat(path, target)

    def free(self, path: Path) -> int:
        """Return the bytes that are free on a folder's disk."""
        return shutil.disk_usage(path).free


calls: System = System()  # replaced by tests, and by nobody else
