"""Reads a photo in a process of its own, so that no picture is decoded in the daemon.

A picture that crashes its decoder, eats all memory or never ends costs that process and not the daemon. What
the process does is in `reading`.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self

from nst_daemon import disk
from nst_daemon.config import MAX_MEGAPIXELS
from nst_daemon.errors import (
    ConditionError,
    FileConditionError,
    Trouble,
)
from nst_daemon.images.layout import ContactSheet
from nst_daemon.images.likeness import Descriptor
from nst_daemon.intake.inspection import Inspection, Read, Unreadable
from nst_daemon.intake.reading import THUMBNAIL, Task, read_photo, serve
from nst_daemon.system.child import Child, ClosedError, EndedError

logger = logging.getLogger(__name__)

TIME_LIMIT: Final = 120.0  # seconds; a 200-megapixel TIFF takes about 20 on a slow core
LONG_LIMIT: Final = 400.0  # the second time; below the time after which a thread counts as hung
START_LIMIT: Final = 120.0  # for the process to load its decoders, from a disk that wakes up
IDLE_SECONDS: Final = 30.0  # then the process ends: it holds the memory of its largest photo
ATTEMPTS: Final = 2  # the kernel may have killed the process for somebody else's memory
SAMPLE_SECONDS: Final = 0.5  # between two looks at the memory that is left
ENOUGH_BYTES: Final = 1 << 30  # of memory that is left: with less, the death of a process is no photo's fault


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
        read: Read | None = None,
        memory_left: "Callable[[int | None], int] | None" = None,
    ) -> None:
        self._max_megapixels = max_megapixels
        self._time_limit = time_limit
        self._long_limit = long_limit
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._read: Read = read or read_photo
        self._memory_left = memory_left or bytes_left
        self._child = Child(serve, name="nst-reader", words="The process that reads photos")
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

    def thumbnail(self, path: Path, longest: int | None = THUMBNAIL) -> bytes | None:
        """Return a JPEG of a picture, no longer than so many px, or as it is; None: it is no picture.

        Raises:
            FileNotFoundError, ConditionError: as `inspect`.
        """
        answer: bytes | None = self._asked(Task.SHRINK, path, longest)
        return answer

    def descriptor(self, path: Path) -> Descriptor | None:
        """Return what a picture's colours and contrasts are, to be compared; None: it is no picture.

        Raises:
            FileNotFoundError, ConditionError: as `inspect`.
        """
        answer: Descriptor | None = self._asked(Task.DESCRIBE, path)
        return answer

    def draw(self, sheet: ContactSheet, kind: str) -> bytes:
        """Return a contact sheet as a file of a format.

        Raises:
            PhotoError: its photo cannot be read.
            FileNotFoundError, ConditionError: as `inspect`.
        """
        answer: bytes = self._asked(Task.DRAW, sheet.photo, (sheet, kind))
        return answer

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
                self._child.send((Task.READ, path, self._max_megapixels, None))
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
        self._told(Task.LOOK, path)

    def _asked(self, task: Task, path: Path, detail: object = None) -> Any:
        """Return what the process answers to a task over a file. Raises: as `inspect`."""
        self._last_use = self._clock()
        try:
            return self._told(task, path, detail)
        except ClosedError as error:
            raise ConditionError(f"{path.name} was not read: the daemon ends.", code="cancelled") from error
        finally:
            self._last_use = self._clock()

    def _told(self, task: Task, path: Path, detail: object = None) -> Any:
        self._get_ready()
        try:
            self._child.send((task, path, self._max_megapixels, detail))
            if self._child.poll(self._time_limit):
                answer = self._child.receive()
                if isinstance(answer, Exception):
                    raise answer
                return answer
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
