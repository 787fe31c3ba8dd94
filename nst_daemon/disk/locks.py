"""One daemon for one state folder: who holds it, and taking it.

The lock is the operating system's own, so that a daemon which was killed leaves nothing to clean up.
"""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.errors import AlreadyRunningError, ConditionError, MissingError, NameRefusedError

LOCK_NAME = "daemon.lock"
PEEK_SECONDS = 1.0  # `holder` takes the lock for a moment, which must not look like a daemon
HOLDER_NAME = "daemon.json"  # who holds the lock; only believed while the lock is held
CONTENTION: Final = frozenset({errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK})
NO_LOCKS: Final = frozenset(
    getattr(errno, name) for name in ("ENOLCK", "ENOSYS", "ENOTSUP", "EOPNOTSUPP") if hasattr(errno, name)
)  # a network disk whose server keeps none


class Hold:
    """A lock that is held."""

    def __init__(self) -> None:
        self.is_kept = False

    def keep(self) -> None:
        """Give the lock back only with the end of this process: somebody still works under it."""
        self.is_kept = True


@contextmanager
def held(state_dir: Path) -> Iterator[Hold]:
    """Hold the lock of a state folder, which is made if need be, and is its owner's alone.

    Raises:
        AlreadyRunningError: another daemon holds it; names the holder.
        MissingError: the folder cannot be used, or its disk knows no locks.
    """
    from filelock import FileLock, Timeout

    path = state_dir / LOCK_NAME
    _prepare(state_dir)
    lock = FileLock(path, mode=disk.FILE_MODE)
    with _words(path):
        try:
            lock.acquire(timeout=PEEK_SECONDS)
        except Timeout as error:
            _check_locking(path)
            raise already_running(state_dir, _written_pid(state_dir)) from error
    hold = Hold()
    try:
        _write_pid(state_dir)
        yield hold
    finally:
        if hold.is_kept:
            _KEPT.append(lock)
        else:
            lock.release()


_KEPT: Final[list[object]] = []  # an unused lock would be given back with its object


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock of a file, after whoever holds it now. Raises: ConditionError, OSError."""
    from filelock import FileLock

    disk.make_folder(path.parent)
    with FileLock(path, mode=disk.FILE_MODE):
        yield


def holder(state_dir: Path) -> int | None:
    """Return the process that holds the lock; 0: one that nobody knows; None: no daemon runs.

    Raises:
        MissingError: nobody can know: the folder may not be read, or its disk knows no locks.
    """
    path = state_dir / LOCK_NAME
    with _words(path):
        if not disk.is_there(path):
            return None
        from filelock import FileLock, Timeout  # not at the top: every `status` would wait for it

        lock = FileLock(path, mode=disk.FILE_MODE)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _check_locking(path)
            return _written_pid(state_dir)
    lock.release()
    return None


def already_running(state_dir: Path, pid: int) -> AlreadyRunningError:
    """Return the error of a second daemon; names the first."""
    who = f" (process {pid})" if pid else ""
    return AlreadyRunningError(
        f"The daemon is already running{who} on {state_dir}.",
        remedy="See `nst-daemon status`, or `nst-daemon restart`.",
    )


def _prepare(state_dir: Path) -> None:
    try:
        disk.make_private(state_dir)
    except (ConditionError, NameRefusedError) as error:
        raise disk.unusable(error, state_dir / LOCK_NAME) from error


@contextmanager
def _words(path: Path) -> Iterator[None]:
    """Put what the system refuses into a sentence."""
    try:
        yield
    except ConditionError as error:
        raise disk.unusable(error, path) from error
    except NotImplementedError as error:  # how filelock says ENOSYS
        raise _no_locks(path) from error
    except OSError as error:
        if error.errno in NO_LOCKS:
            raise _no_locks(path) from error
        raise disk.unusable(error, path) from error


def _no_locks(path: Path) -> MissingError:
    return MissingError(
        f"The disk of {path.parent} knows no locks: nobody can say whether a daemon is running.",
        remedy="Put state_dir on a local disk, in config.yaml.",
        code="state_dir_remote",
    )


def _check_locking(path: Path) -> None:
    """Raise what is wrong with locking here: some versions of filelock take every refusal for a holder."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    descriptor = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in CONTENTION:
            raise
    finally:
        os.close(descriptor)


def _write_pid(state_dir: Path) -> None:
    """Say who we are: for words alone, so that a full disk does not keep us from working."""
    path = state_dir / HOLDER_NAME
    draft = path.with_suffix(".new")
    with suppress(ConditionError, NameRefusedError, FileNotFoundError, FileExistsError):
        disk.remove(draft)
        with disk.created(draft) as file:
            file.write(json.dumps({"pid": os.getpid()}).encode())
        disk.replace(draft, path)


def _written_pid(state_dir: Path) -> int:
    try:
        pid = json.loads(disk.read_bytes(state_dir / HOLDER_NAME))["pid"]
    except (FileNotFoundError, ConditionError, ValueError, KeyError, TypeError):
        return 0  # the holder is just starting, or its disk is full
    import psutil

    return int(pid) if psutil.pid_exists(pid) else 0
