"""The one class that starts and ends processes: what fails at a start, in the middle, and at the end."""

import errno
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest
from support.starts import fail_starts
from support.waiting import hang

from nst_daemon.errors import ConditionError
from nst_daemon.system.child import Child, ClosedError, EndedError

WaitFor = Callable[..., None]
needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="signals")


def serve(pipe: Connection, *words: str) -> None:
    """Do what each message says."""
    for word in words:
        pipe.send(word)
    while True:
        match pipe.recv():
            case "exit":
                return
            case "crash":
                os._exit(7)
            case "half":
                os.write(pipe.fileno(), b"\x00\x00\x10\x00only a part of it")
                os._exit(0)
            case "nonsense":
                pipe.send_bytes(b"no pickle at all")
            case "hang":
                hang()
            case word:
                pipe.send(word)


@pytest.fixture
def child() -> Iterator[Child]:
    child = Child(serve, name="nst-test", words="The test's process")
    yield child
    child.close()


def open_files() -> int:
    return psutil.Process().num_fds() if sys.platform != "win32" else 0


def test_a_child_is_started_spoken_to_and_ended(child: Child) -> None:
    assert (child.pid, child.is_alive(), child.has_begun) == (None, False, False)
    child.start("hello")
    assert child.poll(20.0)
    assert child.receive() == "hello"
    pid = child.pid
    assert pid is not None
    child.send("and now?")
    assert child.poll(20.0)
    assert child.receive() == "and now?"
    assert not child.poll(0.0)
    child.end()
    assert not psutil.pid_exists(pid)
    with pytest.raises(EndedError):
        child.send("too late")
    child.start("again")
    assert child.receive() == "again"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.ENOMEM, errno.EMFILE])
def test_a_start_that_fails_is_a_condition_and_the_next_is_as_good(
    child: Child, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    child.start()
    child.end()  # what Python opens once and keeps, is open now
    before = open_files()
    fail_starts(monkeypatch, 2, number)
    for _ in range(2):
        with pytest.raises(ConditionError, match="The test's process cannot be started") as caught:
            child.start()
        assert caught.value.code == "system_busy"
        assert (child.is_alive(), child.has_begun) == (False, False)
    assert open_files() == before
    child.start("here")
    assert child.receive() == "here"


def test_what_cannot_cross_to_the_process_leaves_nothing_open(child: Child) -> None:
    child.start()
    child.end()
    before = open_files()
    with pytest.raises((TypeError, AttributeError)):
        child.start(threading.Lock())
    assert open_files() == before
    child.start("here")
    assert child.receive() == "here"


@pytest.mark.parametrize(
    ("word", "how"), [("exit", "exit code 0"), ("crash", "exit code 7"), ("half", "exit code 0")]
)
def test_a_child_that_ends_unasked_says_how(child: Child, word: str, how: str) -> None:
    child.start()
    child.send(word)
    with pytest.raises(EndedError, match=how):
        while child.poll(20.0):
            child.receive()
    assert not child.is_alive()


def test_a_word_that_cannot_be_understood_ends_the_child(child: Child) -> None:
    child.start()
    child.send("nonsense")
    assert child.poll(20.0)
    with pytest.raises(EndedError):
        child.receive()
    assert not child.is_alive()


@needs_signals
def test_a_kill_from_outside_is_noticed_at_once(child: Child) -> None:
    child.start("here")
    child.receive()
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(EndedError, match="signal 9"):
        child.poll(60.0)
        child.receive()  # the end of the pipe may come first


@pytest.mark.parametrize("is_for_good", [False, True])
def test_another_thread_ends_the_child_and_the_call_comes_back(
    child: Child, wait_for: WaitFor, is_for_good: bool
) -> None:
    child.start("here")
    child.receive()
    child.send("hang")
    raised: list[EndedError] = []

    def listen() -> None:
        try:
            child.poll(600.0)
            child.receive()
        except EndedError as error:
            raised.append(error)

    thread = threading.Thread(target=listen)
    thread.start()
    wait_for(lambda: child._run is not None and child._run.calls)
    (child.close if is_for_good else child.end)()
    thread.join(5.0)
    assert [type(error) for error in raised] == [ClosedError if is_for_good else EndedError]


def test_after_close_no_process_is_ever_started(child: Child) -> None:
    child.close()
    with pytest.raises(ClosedError):
        child.start()
    with pytest.raises(ClosedError):
        child.send("anybody?")
    assert child.pid is None


def test_a_close_while_it_is_being_started_ends_it(child: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    from multiprocessing.context import SpawnProcess

    real = SpawnProcess.start
    closing = threading.Thread(target=child.close)

    def start(process: SpawnProcess) -> None:
        closing.start()
        real(process)

    monkeypatch.setattr(SpawnProcess, "start", start)
    child.start()
    closing.join(10.0)
    assert (child.is_alive(), child.is_closed) == (False, True)


@needs_signals
def test_a_child_that_nobody_may_wait_for_is_seen_to_end(child: Child) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # inherited from whoever started us
    try:
        child.start("here")
        assert child.receive() == "here"
        child.send("exit")
        with pytest.raises(EndedError):
            child.poll(20.0)
            child.receive()
        assert not child.is_alive()
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_farewell_lets_the_child_end_by_itself(child: Child) -> None:
    child.start("here")
    child.receive()
    child.end(seconds=20.0, farewell="exit")
    assert child._last_code == 0


@needs_signals
def test_a_child_ends_with_its_parent(tmp_path: Path, wait_for: WaitFor) -> None:
    parent = Child(parent_of_a_child, name="nst-test-parent", words="The parent")
    parent.start()
    pid = parent.receive()
    assert psutil.pid_exists(pid)
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    parent.close()


def parent_of_a_child(pipe: Connection) -> None:
    import multiprocessing

    multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
    child = Child(serve, name="nst-test-child", words="The child")
    child.start("here")
    child.receive()
    child.send("hang")
    pipe.send(child.pid)
    hang()
