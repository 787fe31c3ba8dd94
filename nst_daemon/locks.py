"""One daemon for one state folder: who holds it, and taking it.

The lock is the operating system's own, so that a daemon which was killed leaves nothing to clean up.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nst_daemon.errors import AlreadyRunningError

LOCK_NAME = "daemon.lock"
PEEK_SECONDS = 1.0  # `holder` takes the lock for a moment, which must not look like a daemon
HOLDER_NAME = "daemon.json"  # who holds the lock; only believed while the lock is held


@contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a state folder.

    Raises:
        AlreadyRunningError: another daemon holds it; names the holder.
    """
    from filelock import FileLock, Timeout

    state_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(state_dir / LOCK_NAME)
    try:
        lock.acquire(timeout=PEEK_SECONDS)
    except Timeout as error:
        pid = _written_pid(state_dir)
        raise AlreadyRunningError(
            f"The daemon is already running (process {pid}) on {state_dir}.",
            remedy="See `nst-daemon status`.",
        ) from error
    try:
        (state_dir / HOLDER_NAME).write_text(json.dumps({"pid": os.getpid()}))
        yield
    finally:
        lock.release()


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Hold the lock of a file, after whoever holds it now. Raises: OSError: it cannot be made there."""
    from filelock import FileLock

    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path):
        yield


def holder(state_dir: Path) -> int | None:
    """Return the process that holds the lock, or None if no daemon runs."""
    path = state_dir / LOCK_NAME
    if not path.exists():
        return None
    from filelock import FileLock, Timeout  # not at the top: every `status` would wait for it

    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _written_pid(state_dir)
    lock.release()
    return None


def _written_pid(state_dir: Path) -> int | None:
    try:
        pid = json.loads((state_dir / HOLDER_NAME).read_text())["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None  # the holder is just starting
    import psutil

    return int(pid) if psutil.pid_exists(pid) else None
