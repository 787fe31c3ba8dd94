"""One daemon a state folder."""

import errno
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from support.faults import Faults

from nst_daemon.disk import locks
from nst_daemon.errors import AlreadyRunningError, MissingError


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


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EIO, errno.EACCES])
def test_a_disk_that_locks_nothing_is_not_taken_for_a_daemon_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fcntl = pytest.importorskip("fcntl")
    with locks.held(tmp_path):
        pass

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    if number == errno.EACCES:  # how some systems say that another has it
        with pytest.raises(AlreadyRunningError), locks.held(tmp_path):
            pass
        return
    with pytest.raises(MissingError) as caught, locks.held(tmp_path):
        pass
    assert caught.value.code == ("state_dir_remote" if number == errno.ENOLCK else "state_dir_unreachable")
    with pytest.raises(MissingError):
        locks.holder(tmp_path)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EIO])
def test_a_state_folder_that_cannot_be_used_is_told_in_words(
    tmp_path: Path, faults: Faults, number: int
) -> None:
    state = tmp_path / "state"
    faults.fail_for_ever("mkdir", number=number, at=state)
    with pytest.raises(MissingError, match="state folder cannot be used"), locks.held(state):
        pass
    faults.heal()
    faults.fail_for_ever("lstat", number=number, at=state / locks.LOCK_NAME)
    with pytest.raises(MissingError, match="state folder cannot be used"):
        locks.holder(state)


def test_a_file_in_the_place_of_the_state_folder_is_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("x")
    with pytest.raises(MissingError, match="is no folder"), locks.held(tmp_path / "state"):
        pass
    assert locks.holder(tmp_path / "state") is None


def test_a_full_disk_does_not_keep_the_daemon_from_its_lock(tmp_path: Path, faults: Faults) -> None:
    faults.fail_for_ever("write", number=errno.ENOSPC, at=lambda path: True)
    with locks.held(tmp_path):
        assert locks.holder(tmp_path) == 0  # it holds it, and could not say who it is
    with locks.held(tmp_path):
        pass


def test_a_lock_that_is_kept_is_given_back_with_the_process_alone(tmp_path: Path) -> None:
    with locks.held(tmp_path) as hold:
        hold.keep()
    assert locks.holder(tmp_path) == os.getpid()
    lock = locks._KEPT.pop()
    lock.release()  # type: ignore[attr-defined]
    assert locks.holder(tmp_path) is None
