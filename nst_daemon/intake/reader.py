"""Reads a photo in a process of its own, so that no picture is decoded in the daemon.

A picture that crashes its decoder, eats all memory or never ends costs that process and not the daemon.
Decodes the whole photo: a header that reads well says nothing about the rest of the file. What the disk or
the machine is at fault for is a condition, and no verdict on the photo.
"""

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Protocol, Self

from nst_daemon import disk
from nst_daemon.config import MAX_MEGAPIXELS
from nst_daemon.errors import (
    ConditionError,
    FileConditionError,
    IncompletePhotoError,
    PhotoError,
    StyleError,
    Trouble,
)
from nst_daemon.folders.sidecars import xmp_beside
from nst_daemon.system.child import Child, ClosedError, EndedError

logger = logging.getLogger(__name__)

TIME_LIMIT: Final = 120.0  # seconds; a 200-megapixel TIFF takes about 20 on a slow core
LONG_LIMIT: Final = 400.0  # the second time; below the time after which a thread counts as hung
START_LIMIT: Final = 120.0  # for the process to load its decoders, from a disk that wakes up
IDLE_SECONDS: Final = 30.0  # then the process ends: it holds the memory of its largest photo
ATTEMPTS: Final = 2  # the kernel may have killed the process for somebody else's memory
SEEN: Final = 16  # px that are left of a decoded photo: nobody looks at them
THUMBNAIL: Final = 192  # px, longer side, of a style in a list: sharp on a screen of twice the pixels
SAMPLE_SECONDS: Final = 0.5  # between two looks at the memory that is left
ENOUGH_BYTES: Final = 1 << 30  # of memory that is left: with less, the death of a process is no photo's fault
BLOCK: Final = 1 << 20  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Readable:
    """A whole picture."""

    width: int  # px, upright
    height: int
    format: str  # "jpeg", "png", …
    keywords: tuple[str, ...] = ()
    provenance: Mapping[str, str] | None = None  # a painting of ours
    may_grow: bool = False  # it can be read, and looks as if somebody were still writing it


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why a file cannot be read as a picture."""

    reason: str
    remedy: str = ""
    may_grow: bool = False  # it breaks off: somebody may still be writing it


Inspection = Readable | Unreadable
Read = Callable[[Path, float], Inspection]


class Reader(Protocol):
    """What the intake asks of a `PhotoReader`, which tests and benchmarks play without a process."""

    def prepare(self) -> None:
        """Get ready: there will be a photo to read in a moment."""
        ...

    def inspect(self, path: Path) -> Inspection:
        """Return what a photo is. Raises: FileNotFoundError, ConditionError."""
        ...

    def thumbnail(self, path: Path) -> bytes | None:
        """Return a small JPEG of a picture; None: it is none. Raises: FileNotFoundError, ConditionError."""
        ...

    def rest(self) -> None:
        """Give back what is not needed at the moment."""
        ...

    def close(self) -> None:
        """End, for good and from any thread."""
        ...


class Task(StrEnum):
    """What the process is asked to do with a file."""

    READ = "read"  # decode it
    LOOK = "look"  # read its bytes: can its disk give them at all?
    SHRINK = "shrink"  # make a small picture of it


class PhotoReader:
    """Owns the reading process: started at the first photo, ended when idle. On one thread, but `close`."""

    def __init__(
        self,
        *,
        max_megapixels: float = MAX_MEGAPIXELS,
        time_limit: float = TIME_LIMIT,
        long_limit: float = LONG_LIMIT,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        read: "Read | None" = None,
        memory_left: "Callable[[int | None], int] | None" = None,
    ) -> None:
        self._max_megapixels = max_megapixels
        self._time_limit = time_limit
        self._long_limit = long_limit
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._read: Read = read or read_photo
        self._memory_left = memory_left or bytes_left
        self._child = Child(_serve, name="nst-reader", words="The process that reads photos")
        self._is_ready = False  # it has said so
        self._slow: set[Path] = set()  # not read within the time limit, at the last try
        self._last_use = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._child.pid

    def is_running(self) -> bool:
        """Whether the process exists."""
        return self._child.is_alive()

    def prepare(self) -> None:
        """Start the process, so that it is there when the photo that has just come has settled."""
        with suppress(ConditionError, ClosedError):  # `inspect` tries again, and tells
            self._start()

    def inspect(self, path: Path) -> Inspection:
        """Return what a photo is, or why it cannot be read.

        Raises:
            FileNotFoundError: it is proven not to be there.
            FileConditionError: its disk cannot tell, now: that costs nothing, and the photo stays.
            ConditionError: the machine cannot, or `close` was called.
        """
        try:
            return self._inspected(path)
        except ClosedError as error:
            raise ConditionError(f"{path.name} was not read: the daemon ends.", code="cancelled") from error
        finally:
            self._last_use = self._clock()

    def thumbnail(self, path: Path) -> bytes | None:
        """Return a small JPEG of a picture, for a list to choose from; None: it is no picture.

        Raises:
            FileNotFoundError, ConditionError: as `inspect`.
        """
        self._last_use = self._clock()
        self._get_ready()
        try:
            self._child.send((Task.SHRINK, path, self._max_megapixels))
            if self._child.poll(self._time_limit):
                answer: bytes | Exception | None = self._child.receive()
                if isinstance(answer, Exception):
                    raise answer
                return answer
        except ClosedError as error:
            raise ConditionError(f"{path.name} was not read: the daemon ends.", code="cancelled") from error
        except EndedError as error:
            raise _has_failed(error) from error
        self._child.end()
        raise _slow_disk(path, self._time_limit)

    def rest(self) -> None:
        """End the process if nobody needed it for a while."""
        if self._child.has_begun and self._clock() - self._last_use >= self._idle_seconds:
            self._child.end()

    def close(self) -> None:
        """End the process, for good and from any thread; a photo that is just being read is left."""
        self._child.close()

    def _inspected(self, path: Path) -> Inspection:
        is_slow = path in self._slow
        if is_slow:
            self._look(path)
        oom_kills, least, how = _oom_kills(), ENOUGH_BYTES, ""
        for _ in range(ATTEMPTS):
            self._get_ready()
            least = min(least, self._memory_left(self.pid))
            limit = self._long_limit if is_slow else self._time_limit
            deadline = time.monotonic() + limit
            try:
                self._child.send((Task.READ, path, self._max_megapixels))
                while not self._child.poll(min(SAMPLE_SECONDS, max(0.0, deadline - time.monotonic()))):
                    least = min(least, self._memory_left(self.pid))
                    if time.monotonic() >= deadline:
                        return self._too_slow(path, limit)
                return self._answer(path)
            except ClosedError:
                raise
            except EndedError as error:
                how = str(error)
                logger.warning("The process that reads photos died at %s: %s", path.name, how)
        is_short = least < ENOUGH_BYTES or _oom_kills() > oom_kills
        return self._deadly(path, how, is_short=is_short)

    def _answer(self, path: Path) -> Inspection:
        answer: Inspection | Exception = self._child.receive()
        self._slow.discard(path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _deadly(self, path: Path, how: str, *, is_short: bool) -> Unreadable:
        """Judge a photo at which the process died each time; the disk and the memory are asked first."""
        if is_short:
            raise ConditionError(
                f"There is too little memory to read {path.name}: the process that reads it ended ({how}).",
                remedy="It is tried again; close other programs.",
                code="system_busy",
            )
        self._look(path)
        return Unreadable(
            reason=f"{path.name} ended the process that reads it ({how}).",
            remedy="Export it again, or scale it down.",
        )

    def _too_slow(self, path: Path, limit: float) -> Unreadable:
        """Judge a photo that took too long: the first time its disk is at fault."""
        self._child.end()
        if path not in self._slow:
            self._slow.add(path)
            raise _slow_disk(path, limit)
        self._slow.discard(path)
        return Unreadable(
            reason=f"{path.name} could not be read within {limit:g} seconds.",
            remedy="Export it again, or scale it down.",
        )

    def _look(self, path: Path) -> None:
        """Read a file's bytes: where its disk cannot give them, no decoder can be blamed.

        Raises:
            FileNotFoundError, ConditionError: as `inspect`.
        """
        self._get_ready()
        try:
            self._child.send((Task.LOOK, path, self._max_megapixels))
            if self._child.poll(self._time_limit):
                answer = self._child.receive()
                if isinstance(answer, Exception):
                    raise answer
                return
        except ClosedError:
            raise
        except EndedError as error:
            raise _has_failed(error) from error
        self._child.end()
        raise _slow_disk(path, self._time_limit)

    def _start(self) -> None:
        if not self._child.is_alive():
            self._is_ready = False
            self._child.start(self._read)
            self._last_use = self._clock()

    def _get_ready(self) -> None:
        """Have a process that waits for a photo: what ends before that is no photo's fault."""
        self._start()
        if self._is_ready:
            return
        try:
            self._is_ready = self._child.poll(START_LIMIT) and bool(self._child.receive())
        except ClosedError:
            raise
        except EndedError as error:
            raise _has_failed(error) from error
        if not self._is_ready:
            self._child.end()
            raise _has_failed(f"not ready after {START_LIMIT:g} s")


def _has_failed(why: object) -> ConditionError:
    return ConditionError(
        f"The process that reads photos ended before it had read any: {why}.",
        remedy="It is tried again; if it stays, the log says more.",
        code="process_failed",
    )


def _slow_disk(path: Path, seconds: float) -> FileConditionError:
    return FileConditionError(
        f"{path} could not be read within {seconds:g} seconds.",
        path=path,
        trouble=Trouble.UNREACHABLE,
        remedy="Check its disk or the network; it is tried again, with more time.",
    )


def bytes_left(pid: int | None) -> int:
    """Return the memory that is left for a process: what is free, and what it has already."""
    import psutil

    left = ENOUGH_BYTES  # where the system does not say
    with suppress(psutil.Error, OSError):
        left = int(psutil.virtual_memory().available)
        left += 0 if pid is None else int(psutil.Process(pid).memory_info().rss)
    return left


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for their memory since the start; 0: nobody knows."""
    with suppress(FileNotFoundError, ConditionError):
        for line in disk.read_bytes(Path("/proc/vmstat")).splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return int(count)
    return 0


# ── in the process ──────────────────────────────────────────────────────────────────────────────────────


def _serve(pipe: Connection, read: Read) -> None:
    """Answer for one photo after another until the daemon closes its end."""
    importlib.import_module("nst_daemon.images.labels")  # while the first photo settles
    pipe.send(True)  # ready
    while True:
        try:
            task, path, max_megapixels = pipe.recv()
        except (EOFError, OSError):
            return
        answer: object
        if task is Task.READ:
            answer = _answer(read, path, max_megapixels)
        else:
            answer = _look(path) if task is Task.LOOK else _shrunk(path, max_megapixels)
        try:
            pipe.send(answer)
        except OSError:
            return


def _answer(read: Read, path: Path, max_megapixels: float) -> Inspection | Exception:
    """Return what a photo is, or what stands between it and us."""
    try:
        return read(path, max_megapixels)
    except (ConditionError, FileNotFoundError) as error:
        return error
    except OSError as error:
        return disk.condition_at(error, path)
    except MemoryError:
        return ConditionError(
            f"There is too little memory to read {path.name}.",
            remedy="It is tried again; close other programs.",
            code="system_busy",
        )
    except Exception as error:  # a bug of a decoder: this photo's, whatever comes next
        logger.exception("%s broke its decoder", path.name)
        return Unreadable(
            reason=f"{path.name} cannot be decoded: {type(error).__name__}: {error}.",
            remedy="Export it again.",
        )


def _look(path: Path) -> bool | Exception:
    """Read a file's bytes; return what stands between them and us."""
    try:
        with disk.opened(path) as file:
            while file.read(BLOCK):
                pass
    except (ConditionError, FileNotFoundError) as error:
        return error
    return True


def _shrunk(path: Path, max_megapixels: float) -> bytes | Exception | None:
    """Return a small JPEG of a picture; None: it is none; or what stands between it and us."""
    from nst_daemon.images.loading import load_style
    from nst_daemon.images.saving import thumbnail

    try:
        picture = load_style(path, name=path.name, max_megapixels=max_megapixels, longer=THUMBNAIL)
        return thumbnail(picture, THUMBNAIL)
    except (ConditionError, FileNotFoundError) as error:
        return error
    except StyleError as error:
        logger.info("%s", error)
        return None


def read_photo(path: Path, max_megapixels: float) -> Inspection:
    """Decode a whole photo. For the process: the daemon never calls it."""
    # Here, so that the daemon itself never loads Pillow.
    from nst_daemon.images.labels import read_keywords, read_provenance
    from nst_daemon.images.loading import load_photo

    try:
        photo = load_photo(path, name=path.name, max_megapixels=max_megapixels, longer=SEEN)
    except PhotoError as error:
        return Unreadable(
            reason=error.message, remedy=error.remedy, may_grow=isinstance(error, IncompletePhotoError)
        )
    return Readable(
        width=photo.width,
        height=photo.height,
        format=photo.format,
        keywords=read_keywords(path, photo.metadata, sidecars=xmp_beside(path)),
        provenance=read_provenance(path, photo.metadata),
        may_grow=photo.may_grow,
    )
