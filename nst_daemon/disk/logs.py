"""The log: one rotated file in the state folder, and standard error for a daemon in the foreground.

Every record carries the job that its thread works on. One record is one line, whatever a photo is called.
Nothing reads the log back but `nst-daemon logs`, for people.
"""

import logging
import logging.handlers
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from io import TextIOWrapper
from pathlib import Path
from typing import Final, TextIO

from nst_daemon import disk
from nst_daemon.errors import ConditionError, NameRefusedError

LOG_NAME: Final = "nst-daemon.log"
MAX_BYTES: Final = 5_000_000  # a year of a busy inbox, at four lines a job
BACKUPS: Final = 3
PACKAGE: Final = "nst_daemon"
FILE_FORMAT: Final = "%(asctime)s %(levelname)-7s %(job)s%(message)s"
TAIL_BLOCK: Final = 64 * 1024  # bytes

job_id: ContextVar[int | None] = ContextVar("job_id", default=None)


@contextmanager
def job_in_log(job: int) -> Iterator[None]:
    """Name a job in every record of this thread."""
    token = job_id.set(job)
    try:
        yield
    finally:
        job_id.reset(token)


def log_path(state_dir: Path) -> Path:
    """Return where the log is."""
    return state_dir / LOG_NAME


@contextmanager
def logging_to(
    state_dir: Path, *, foreground: TextIO | None = None, level: int = logging.INFO
) -> Iterator[Path]:
    """Write the records of this package to the log for as long as the block runs; yield the log's path.

    `foreground` gets them as well. For the daemon alone: two processes must not rotate one file.

    Raises:
        MissingError: the log cannot be written there.
    """
    path = log_path(state_dir)
    try:
        disk.make_private(state_dir)
        disk.make_private_file(path)
        handlers: list[logging.Handler] = [_LogFile(path)]
    except (ConditionError, NameRefusedError, OSError) as error:
        raise disk.unusable(error, path) from error
    if foreground is not None:
        handlers.append(stream_handler(foreground))
    package = logging.getLogger(PACKAGE)
    before = package.level
    package.setLevel(level)
    for handler in handlers:
        _dress(handler)
        package.addHandler(handler)
    try:
        yield path
    finally:
        package.setLevel(before)
        for handler in handlers:
            package.removeHandler(handler)
            with suppress(OSError):  # its disk is full
                handler.close()


def log_to_stderr(level: int = logging.WARNING) -> None:
    """Write the records of this package to standard error; for commands that are not the daemon."""
    package = logging.getLogger(PACKAGE)
    if not any(isinstance(handler, _Foreground) for handler in package.handlers):
        package.addHandler(_dress(stream_handler(sys.stderr)))
    package.setLevel(level)


def stream_handler(stream: TextIO) -> logging.Handler:
    """Return a handler that writes to a stream whatever its encoding can say, and spells out the rest."""
    return _Foreground(stream)


class _LogFile(logging.handlers.RotatingFileHandler):
    """The rotated file: its owner's alone, and quiet where its disk is full."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", errors="backslashreplace"
        )

    def _open(self) -> TextIOWrapper:
        with suppress(ConditionError, NameRefusedError):
            disk.make_private_file(Path(self.baseFilename))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        if not isinstance(sys.exc_info()[1], OSError):  # a disk that takes no log shows as a problem
            super().handleError(record)


class _Foreground(logging.StreamHandler[TextIO]):
    """Writes to a terminal or a pipe; a character that it cannot show is spelt out."""

    def format(self, record: logging.LogRecord) -> str:
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return super().format(record).encode(encoding, "backslashreplace").decode(encoding)


def _dress(handler: logging.Handler) -> logging.Handler:
    handler.addFilter(_name_job)
    handler.setFormatter(_OneLine(FILE_FORMAT))
    return handler


def _name_job(record: logging.LogRecord) -> bool:
    job = job_id.get()
    record.job = "" if job is None else f"[job {job}] "
    return True


class _OneLine(logging.Formatter):
    """Spells out control characters, so that a file name cannot forge a record or steer a terminal."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's own name
        line = super().formatMessage(record)
        return "".join(
            char if char.isprintable() else char.encode("unicode_escape").decode() for char in line
        )


def read_tail(path: Path, lines: int) -> list[str]:
    """Return the last lines of the log; none if there is no log. Raises: ConditionError."""
    try:
        with disk.opened(path) as file:
            end = file.seek(0, 2)
            tail = b""
            while end > 0 and tail.count(b"\n") <= lines:
                start = max(0, end - TAIL_BLOCK)
                file.seek(start)
                tail = file.read(end - start) + tail
                end = start
    except FileNotFoundError:
        return []
    return tail.decode("utf-8", "backslashreplace").splitlines()[-lines:] if lines > 0 else []


def follow(path: Path, *, wait: Callable[[], bool]) -> Iterator[str]:
    """Yield the lines that come to the log from now on, also after it was rotated or while there is none.

    A log that was rotated is read to its end first, by the file that it is, then those that came after it.
    `wait` pauses between two looks, and ends it all by returning False.
    """
    tail = _Tail(path)
    while wait():
        while tail.is_over():
            yield from tail.lines()
            tail.go_on()
        yield from tail.lines()


class _Tail:
    """The end of one file, whatever it is called by now. Not kept open: Windows could not rotate it."""

    def __init__(self, path: Path) -> None:
        self._names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, BACKUPS + 1))]
        self._file = (0, 0)
        self._position = 0
        self._rest = b""
        with suppress(ConditionError):
            facts = disk.facts_of(path)
            if facts is not None:
                self._file, self._position = (facts.st_dev, facts.st_ino), facts.st_size

    def is_over(self) -> bool:
        """Return whether the log's name stands for another file now, or this one was emptied."""
        try:
            facts = disk.facts_of(self._names[0])
        except ConditionError:
            return False
        if facts is None:
            return False  # there is none: ours may still grow
        return (facts.st_dev, facts.st_ino) != self._file or facts.st_size < self._position

    def go_on(self) -> None:
        """Begin with the file that came after ours."""
        files = [_identity(name) for name in self._names]
        number = files.index(self._file) if self._file in files and self._file != (0, 0) else 1
        self._file, self._position, self._rest = files[max(0, number - 1)], 0, b""

    def lines(self) -> Iterator[str]:
        """Yield the whole lines that have come since."""
        fresh = b""
        for name in self._names:
            if _identity(name) == self._file:
                with suppress(FileNotFoundError, ConditionError), disk.opened(name) as file:
                    file.seek(self._position)
                    fresh = file.read()
                break
        self._position += len(fresh)
        *whole, self._rest = (self._rest + fresh).split(b"\n")
        yield from (line.decode("utf-8", "backslashreplace") for line in whole)


def _identity(path: Path) -> tuple[int, int]:
    """Return which file has a name now; none, where nobody knows."""
    with suppress(ConditionError):
        facts = disk.facts_of(path)
        if facts is not None:
            return facts.st_dev, facts.st_ino
    return 0, 0
