"""Reads a photo in a process of its own, so that no picture is decoded in the daemon.

A picture that crashes its decoder, eats all memory or never ends costs that process and not the daemon. What
the process does is in `reading`.
"""

import logging
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeVar

from nst_daemon import disk
from nst_daemon.config import MAX_MEGAPIXELS
from nst_daemon.errors import (
    ConditionError,
    FileConditionError,
    Trouble,
)
from nst_daemon.images.layout import ContactSheet
from nst_daemon.images.likeness import Descriptor
from nst_daemon.intake.inspection import Inspection, Read, Taken, Unreadable, is_to_copy
from nst_daemon.intake.reading import THUMBNAIL, Task, read_photo, serve
from nst_daemon.system.child import Child, ClosedError, EndedError
from nst_daemon.system.machine import free_memory, memory_of

logger = logging.getLogger(__name__)

TIME_LIMIT: Final = 120.0  # seconds; a 200-megapixel TIFF takes about 20 on a slow core
LONG_LIMIT: Final = 400.0  # the second time; below the time after which a thread counts as hung
START_LIMIT: Final = 120.0  # for the process to load its decoders, from a disk that wakes up
IDLE_SECONDS: Final = 30.0  # then the process ends: it holds the memory of its largest photo
ATTEMPTS: Final = 2  # the kernel may have killed the process for somebody else's memory
SAMPLE_SECONDS: Final = 0.5  # between two looks at the memory that is left
ENOUGH_BYTES: Final = 1 << 30  # of memory that is left: with less, the death of a process is no photo's fault

T = TypeVar("T")
# A piece of work in steps: yields for how many seconds its process may be waited for.
Work = Generator[float, None, T]


class Reader(Protocol):
    """What is asked of a `PhotoReader`, which tests and benchmarks play without a process."""

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


class IntakeReader(Reader, Protocol):
    """What the intake asks of its `Readers`: also to read several photos at once."""

    def take(self, path: Path, draft: Path) -> Future[Taken]:
        """Begin to read a photo and, if it is one to paint, to copy it to a draft; tell of it later.

        As many at once as the caller likes. The future fails with: FileNotFoundError, ConditionError.
        """
        ...

    def attend(self, seconds: float) -> None:
        """Wait until one that was begun is done or comes a step further, at most so long."""
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
        slow: set[Path] | None = None,
    ) -> None:
        self._max_megapixels = max_megapixels
        self._time_limit = time_limit
        self._long_limit = long_limit
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._read: Read = read or read_photo
        self._memory_left = memory_left or bytes_left
        self.child: Final = Child(serve, name="nst-reader", words="The process that reads photos")
        self._is_ready = False  # it has said so
        self._slow = set() if slow is None else slow  # not read within the time limit, at the last try
        self._last_use = clock()

    def another(self) -> "PhotoReader":
        """Return a further reader of the same kind; what one found to be slow, the other knows of."""
        return PhotoReader(
            max_megapixels=self._max_megapixels,
            time_limit=self._time_limit,
            long_limit=self._long_limit,
            idle_seconds=self._idle_seconds,
            clock=self._clock,
            read=self._read,
            memory_left=self._memory_left,
            slow=self._slow,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self.child.pid

    def is_running(self) -> bool:
        """Whether the process exists."""
        return self.child.is_alive()

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
        return self._finished(self._guarded(path, self._inspected(path, Task.READ)))

    def taking(self, path: Path, draft: Path) -> Work[Taken]:
        """Read a photo and, if it is one to paint, have it copied to a draft, step by step.

        Nothing else may be asked meanwhile. Raises: as `inspect`; and where our own folder cannot be written.
        """
        return self._guarded(path, self._taken(path, draft))

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
        if self.child.has_begun and self._clock() - self._last_use >= self._idle_seconds:
            self.child.end()

    def close(self) -> None:
        """End the process, for good and from any thread; a photo that is just being read is left."""
        self.child.close()

    def _finished(self, work: Work[T]) -> T:
        """Carry a piece of work out to its end."""
        try:
            while True:
                seconds = next(work)
                with suppress(EndedError):  # the next step meets it, and knows what it means
                    self.child.poll(seconds)
        except StopIteration as end:
            result: T = end.value
            return result

    def _guarded(self, path: Path, work: Work[T]) -> Work[T]:
        """Do a piece of work of which a closed reader makes a condition."""
        self._last_use = self._clock()
        try:
            return (yield from work)
        except ClosedError as error:
            raise ConditionError(f"{path.name} was not read: the daemon ends.", code="cancelled") from error
        finally:
            self._last_use = self._clock()

    def _taken(self, path: Path, draft: Path) -> Work[Taken]:
        answer = yield from self._inspected(path, Task.TAKE, draft)
        if not is_to_copy(answer):
            return Taken(answer)
        # Without a verdict on the photo, which was read: the disk of the copy may be the slow one, or full.
        with _no_photos_fault():
            sha256: str = yield from self._word(path, self._long_limit)
        return Taken(answer, sha256)

    def _inspected(self, path: Path, task: Task, detail: object = None) -> Work[Inspection]:
        is_slow = path in self._slow
        if is_slow:
            yield from self._look(path)
        oom_kills, least, how = _oom_kills(), ENOUGH_BYTES, ""
        for _ in range(ATTEMPTS):
            yield from self._get_ready()
            least = min(least, self._memory_left(self.pid))
            limit = self._long_limit if is_slow else self._time_limit
            deadline = time.monotonic() + limit
            try:
                self.child.send((task, path, self._max_megapixels, detail))
                while not self.child.poll(0.0):
                    least = min(least, self._memory_left(self.pid))
                    if time.monotonic() >= deadline:
                        return self._too_slow(path, limit)
                    yield min(SAMPLE_SECONDS, max(0.0, deadline - time.monotonic()))
                return self._answer(path)
            except ClosedError:
                raise
            except EndedError as error:
                how = str(error)
                logger.warning("The process that reads photos died at %s: %s", path.name, how)
        is_short = least < ENOUGH_BYTES or _oom_kills() > oom_kills
        return (yield from self._deadly(path, how, is_short=is_short))

    def _answer(self, path: Path) -> Inspection:
        answer: Inspection | Exception = self.child.receive()
        self._slow.discard(path)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _deadly(self, path: Path, how: str, *, is_short: bool) -> Work[Unreadable]:
        """Judge a photo at which the process died each time; the disk and the memory are asked first."""
        if is_short:
            raise ConditionError(
                f"There is too little memory to read {path.name}: the process that reads it ended ({how}).",
                remedy="It is tried again; close other programs.",
                code="system_busy",
            )
        yield from self._look(path)
        return Unreadable(
            reason=f"{path.name} ended the process that reads it ({how}).",
            remedy="Export it again, or scale it down.",
        )

    def _too_slow(self, path: Path, limit: float) -> Unreadable:
        """Judge a photo that took too long: the first time its disk is at fault."""
        self.child.end()
        if path not in self._slow:
            self._slow.add(path)
            raise _slow_disk(path, limit)
        self._slow.discard(path)
        return Unreadable(
            reason=f"{path.name} could not be read within {limit:g} seconds.",
            remedy="Export it again, or scale it down.",
        )

    def _look(self, path: Path) -> Work[None]:
        """Read a file's bytes: where its disk cannot give them, no decoder can be blamed.

        Raises:
            FileNotFoundError, ConditionError: as `inspect`.
        """
        yield from self._told(Task.LOOK, path)

    def _asked(self, task: Task, path: Path, detail: object = None) -> Any:
        """Return what the process answers to a task over a file. Raises: as `inspect`."""
        return self._finished(self._guarded(path, self._told(task, path, detail)))

    def _told(self, task: Task, path: Path, detail: object = None) -> Work[Any]:
        yield from self._get_ready()
        with _no_photos_fault():
            self.child.send((task, path, self._max_megapixels, detail))
            return (yield from self._word(path, self._time_limit))

    def _word(self, path: Path, limit: float) -> Work[Any]:
        """Return the next word of the process on a file."""
        deadline = time.monotonic() + limit
        while not self.child.poll(0.0):
            if time.monotonic() >= deadline:
                self.child.end()
                raise _slow_disk(path, limit)
            yield deadline - time.monotonic()
        answer = self.child.receive()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _start(self) -> None:
        if not self.child.is_alive():
            self._is_ready = False
            self.child.start(self._read)
            self._last_use = self._clock()

    def _get_ready(self) -> Work[None]:
        """Have a process that waits for a photo: what ends before that is no photo's fault."""
        self._start()
        if self._is_ready:
            return
        deadline = time.monotonic() + START_LIMIT
        with _no_photos_fault():
            while not self.child.poll(0.0):
                if time.monotonic() >= deadline:
                    self.child.end()
                    raise _has_failed(f"not ready after {START_LIMIT:g} s")
                yield deadline - time.monotonic()
            self._is_ready = bool(self.child.receive())


@contextmanager
def _no_photos_fault() -> Iterator[None]:
    """Make a condition of the death of a process at which no photo can be blamed."""
    try:
        yield
    except ClosedError:
        raise
    except EndedError as error:
        raise _has_failed(error) from error


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
        left = free_memory() + (0 if pid is None else memory_of(pid))
    return left


def _oom_kills() -> int:
    """Return how many processes the kernel has killed for their memory since the start; 0: nobody knows."""
    with suppress(FileNotFoundError, ConditionError):
        for line in disk.read_bytes(Path("/proc/vmstat")).splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return int(count)
    return 0
