"""One daemon a state folder."""

import multiprocessing
import os
import signal
from pathlib import Path

import pytest

from nst_daemon import locks
from nst_daemon.errors import AlreadyRunningError


def _hold(state: Path, told: "multiprocessing.connection.Connection") -> None:
    with locks.held(state):
        told.send(os.getpid())
        told.recv()


def test_without_a_daemon_nobody_holds_the_lock(tmp_path: Path) -> None:
    assert locks.holder(tmp_path) is None
    with locks.held(tmp_path):
        pass
    assert locks.holder(tmp_path) is None


def test_a_second_daemon_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    other = context.Process(target=_hold, args=(tmp_path, theirs))
    other.start()
    pid = ours.recv()
    assert locks.holder(tmp_path) == pid
    with pytest.raises(AlreadyRunningError, match=str(pid)), locks.held(tmp_path):
        pass
    os.kill(pid, signal.SIGKILL)
    other.join()
    with locks.held(tmp_path):
        assert locks.holder(tmp_path) == os.getpid()
    ours.close()
    theirs.close()
