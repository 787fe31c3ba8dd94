"""Starts and stops the daemon in the background, and says so only when it is true."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final, TypeVar

import psutil

from nst_daemon import disk
from nst_daemon.config import Config
from nst_daemon.disk import locks
from nst_daemon.errors import DaemonError, ExitCode, MissingError, NotRunningError
from nst_daemon.ledger import Ledger, Request
from nst_daemon.service import installing as service

T = TypeVar("T")

START_SECONDS: Final = 90.0  # the first reading of a large inbox on a slow disk
STOP_SECONDS: Final = 45.0  # a step of a painting may take 30
TERMINATE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.1
OUTPUT: Final = "daemon.out"  # what a daemon in the background says before its log begins


class _StartError(DaemonError):
    """The daemon ended as it began; has its words, and its exit code."""

    code = ""  # its words name their section

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message, remedy="")
        self.exit_code = ExitCode(code) if code in list(ExitCode) else ExitCode.JOB_FAILED


def start(config: Config) -> int:
    """Start the daemon and return its process, once it has lock and ledger and has read its inboxes.

    Raises:
        AlreadyRunningError: names the holder.
        DaemonError: it ended as it began; with its words and its exit code.
        MissingError: it was not ready in time; it may still become so.
    """
    if (pid := locks.holder(config.state_dir)) is not None:
        raise locks.already_running(config.state_dir, pid)
    with Ledger(config.state_dir / "ledger.db", is_view=True) as ledger:
        ledger.presence.set_ready(None)
        output = config.state_dir / OUTPUT
        child = None if service.start_supervised(config) else _spawn(config, output)
        pid = _awaited(lambda: _ready_pid(ledger, child, output), START_SECONDS)
    if pid is None:
        raise MissingError(
            f"The daemon was not ready within {START_SECONDS:.0f} s.",
            remedy="See `nst-daemon logs`.",
            code="not_ready",
        )
    return pid


def stop(config: Config) -> None:
    """End the daemon, and return when it has ended. What it was painting waits in the queue.

    Raises:
        NotRunningError: there is none.
        MissingError: it cannot be ended.
    """
    pid = locks.holder(config.state_dir)
    if pid is None:
        raise NotRunningError("The daemon is not running.", remedy="`nst-daemon start` starts it.")
    with Ledger(config.state_dir / "ledger.db", is_view=True) as ledger:
        ledger.requests.ask(Request.QUIT)
    for seconds, more in ((STOP_SECONDS, "terminate"), (TERMINATE_SECONDS, "kill"), (TERMINATE_SECONDS, "")):
        if _awaited(lambda: not is_running(config) or None, seconds):
            return
        with suppress(psutil.NoSuchProcess):
            if more and pid:
                getattr(psutil.Process(pid), more)()
    raise MissingError(
        f"The daemon (process {pid or 'unknown'}) does not end.", remedy="End it by hand.", code="not_ending"
    )


def is_running(config: Config) -> bool:
    """Return whether a daemon has the lock."""
    return locks.holder(config.state_dir) is not None


def _spawn(config: Config, output: Path) -> subprocess.Popen[bytes]:
    command = service.command_of(config, "run", is_windowless=True)
    disk.make_private_file(output)
    with output.open("wb") as file:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **_apart(file))


def _apart(output: IO[bytes]) -> dict[str, Any]:
    """Return what makes a process outlive us and our terminal."""
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return {"stderr": output, "creationflags": flags}
    return {"stderr": output, "start_new_session": True}


def _ready_pid(ledger: Ledger, child: subprocess.Popen[bytes] | None, output: Path) -> int | None:
    """Return the process of the daemon that is ready; None: not yet.

    Not by its lock: to try that would keep the daemon from it.
    """
    if child is not None and (code := child.poll()) is not None:
        said = output.read_text("utf-8", "replace").strip()
        raise _StartError(said.removeprefix("Error: ") or "The daemon ended as it began.", code)
    pid = ledger.presence.ready_pid()
    if pid is None or not psutil.pid_exists(pid):
        return None
    if child is not None:
        child.returncode = 0  # it outlives us: no warning that it still runs
    return pid


def _awaited(look: Callable[[], T | None], seconds: float) -> T | None:
    deadline = time.monotonic() + seconds
    while (found := look()) is None and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)
    return found
