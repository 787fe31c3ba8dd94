"""Reads a photo in a process of its own, so that no picture is decoded in the daemon.

A picture that crashes its decoder, eats all memory or never ends costs that process and not the daemon.
Decodes the whole photo: a header that reads well says nothing about the rest of the file.
"""

import contextlib
import importlib
import logging
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final, Self

from nst_daemon.errors import IncompletePhotoError, PhotoError

logger = logging.getLogger(__name__)

TIME_LIMIT: Final = 120.0  # seconds; a 200-megapixel TIFF takes about 20 on a slow core
IDLE_SECONDS: Final = 30.0  # then the process ends: it holds the memory of its largest photo
ATTEMPTS: Final = 2  # the kernel may have killed the process for somebody else's memory
SEEN: Final = 16  # px that are left of a decoded photo: nobody looks at them
END_SECONDS: Final = 5.0  # between asking the process to end and ending it


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


class Inspector:
    """Owns the reading process: started at the first photo, ended when idle. Lives on one thread."""

    def __init__(
        self,
        *,
        max_megapixels: float = 200.0,
        time_limit: float = TIME_LIMIT,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        read: "Read | None" = None,
    ) -> None:
        self._max_megapixels = max_megapixels
        self._time_limit = time_limit
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._read: Read = read or read_photo
        self._process: SpawnProcess | None = None
        self._connection: Connection | None = None
        self._last_use = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def is_running(self) -> bool:
        """Whether the process exists."""
        return self._process is not None and self._process.is_alive()

    def prepare(self) -> None:
        """Start the process, so that it is there when the photo that has just come has settled."""
        if self.is_running():
            return
        with contextlib.suppress(OSError):  # `inspect` tries again, and tells
            self._started()
            self._last_use = self._clock()

    def inspect(self, path: Path) -> Inspection:
        """Return what a photo is, or why it cannot be read; never raises for a file, whatever is in it."""
        reason = ""
        for _ in range(ATTEMPTS):
            self._last_use = self._clock()
            try:
                connection = self._started()
                connection.send((path, self._max_megapixels))
                if connection.poll(self._time_limit):
                    answer: Inspection = connection.recv()
                    self._last_use = self._clock()
                    return answer
            except (EOFError, OSError) as error:
                reason = self._end_of_process()
                logger.warning("The process that reads photos died at %s: %s (%s)", path.name, reason, error)
                continue
            self._kill()
            return Unreadable(
                reason=f"{path.name} could not be read within {self._time_limit:g} seconds.",
                remedy="Export it again, or scale it down.",
            )
        return Unreadable(
            reason=f"{path.name} ended the process that reads it ({reason}).",
            remedy="Export it again, or scale it down.",
        )

    def rest(self) -> None:
        """End the process if nobody needed it for a while."""
        if self._process is not None and self._clock() - self._last_use >= self._idle_seconds:
            self.close()

    def close(self) -> None:
        """End the process; the next photo starts a new one."""
        if self._connection is not None:
            self._connection.close()  # the process reads the end of the pipe, and leaves
            self._connection = None
        if self._process is not None:
            self._process.join(END_SECONDS)
            self._kill()

    def _started(self) -> Connection:
        if self._connection is not None and self._process is not None and self._process.is_alive():
            return self._connection
        self._kill()
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._read), name="nst-inspector", daemon=True
        )
        try:
            self._process.start()
        finally:
            theirs.close()
        self._connection = ours
        return ours

    def _end_of_process(self) -> str:
        process = self._process
        if process is None:
            return "it never began"
        process.join(END_SECONDS)
        code = process.exitcode
        self._kill()
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"

    def _kill(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            if self._process.is_alive():
                self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None


def _serve(connection: Connection, read: Read) -> None:
    """Answer for one photo after another until the daemon closes its end. Runs in the process."""
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the daemon's, which then ends us
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    importlib.import_module("nst_daemon.images")  # while the first photo settles
    while True:
        try:
            path, max_megapixels = connection.recv()
        except (EOFError, OSError):
            return
        answer = read(path, max_megapixels)
        try:
            connection.send(answer)
        except OSError:
            return


def _leave_with_parent() -> None:
    """End this process when the daemon is killed, even in the middle of a picture that never ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def read_photo(path: Path, max_megapixels: float) -> Inspection:
    """Decode a whole photo. For the process: the daemon never calls it."""
    from nst_daemon import images  # here, so that the daemon itself never loads Pillow

    try:
        photo = images.load_photo(path, name=path.name, max_megapixels=max_megapixels, longer=SEEN)
    except PhotoError as error:
        return Unreadable(
            reason=error.message, remedy=error.remedy, may_grow=isinstance(error, IncompletePhotoError)
        )
    return Readable(
        width=photo.width,
        height=photo.height,
        format=photo.format,
        keywords=images.read_keywords(path),
        provenance=images.read_provenance(path),
    )
