"""What the daemon costs while there is nothing to do, measured from outside."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
from support.daemons import Home
from support.waiting import WAIT_SECONDS, take

from nst_daemon.errors import ExitCode
from nst_daemon.ledger import Ledger

MEASURED_SECONDS = 4.0
MOST_CPU = 0.05  # of one core; 0.01 on a quiet one, but a busy machine makes every wake-up dearer
MOST_MEGABYTES = 150.0


def test_an_idle_daemon_takes_next_to_no_time_and_little_memory(
    tmp_path: Path, wait_for: Callable[..., None]
) -> None:
    home = Home(tmp_path)
    words = [sys.executable, "-m", "nst_daemon", "run", "--no-tray", "--config", str(home.source)]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as daemon:
        wait_for(lambda: _is_ready(home), seconds=WAIT_SECONDS, what="the daemon")
        process = psutil.Process(daemon.pid)
        before = sum(process.cpu_times()[:2])
        take(MEASURED_SECONDS)
        used = sum(process.cpu_times()[:2]) - before
        megabytes = process.memory_info().rss / 1e6
        children = process.children(recursive=True)
        os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.wait(WAIT_SECONDS) == ExitCode.FINE
    assert used / MEASURED_SECONDS < MOST_CPU
    assert megabytes < MOST_MEGABYTES
    assert children == []  # neither engine nor reader: no model, no picture in memory


def _is_ready(home: Home) -> bool:
    if not (home.path / "state" / "ledger.db").exists():
        return False
    with Ledger(home.path / "state" / "ledger.db") as ledger:
        return ledger.presence.ready_pid() is not None
