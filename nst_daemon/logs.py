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
from pathlib import Path
from typing import Final, TextIO

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
    """
    path = log_path(state_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    handlers: list[logging.Handler] = [
        logging.handlers.RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8", errors="backslashreplace"
        )
    ]
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
    """Return the last lines of the log; none if there is no log."""
    try:
        with path.open("rb") as file:
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

    `wait` pauses between two looks, and ends it all by returning False.
    """
    inode, position = _identity(path)
    rest = b""
    while wait():
        now, size = _identity(path)
        if now != inode or size < position:
            inode, position, rest = now, 0, b""
        if size > position:
            with path.open("rb") as file:
                file.seek(position)
                fresh = file.read()
            position += len(fresh)
            *whole, rest = (rest + fresh).split(b"\n")
            yield from (line.decode("utf-8", "backslashreplace") for line in whole)


def _identity(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_ino, stat.st_size
