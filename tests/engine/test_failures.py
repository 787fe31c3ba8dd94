"""What the engine's process may do to us: hang, die, die again, never begin. A child plays it."""

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import psutil
import pytest
from support.clock import FakeClock
from support.daemons import serve_played, start_server
from support.desk import Desk
from support.waiting import hang

from nst_daemon.engine import process
from nst_daemon.engine.process import EngineProcess
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.painting.attempt import MAX_ATTEMPTS, MAX_INTERRUPTIONS

WaitFor = Callable[..., None]
SILENCE_SECONDS = 0.5


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    start_server()
    monkeypatch.setattr(process, "START_METHOD", "forkserver")
    with Ledger(tmp_path / "state" / "ledger.db", clock=clock) as ledger:
        desk = Desk(tmp_path, ledger, clock)
        desk.worker.easel.engine = engine_in(tmp_path)
        yield desk
        desk.worker.easel.engine.end()


def engine_in(folder: Path, device: str = "played") -> EngineProcess:
    settings = EngineSettings(device=device, cache_dir=folder)
    return EngineProcess(settings, silence_seconds=SILENCE_SECONDS, serve=serve_played)


@pytest.mark.parametrize(
    ("does", "said"), [("hang", "did not answer"), ("exit", "exit code 1"), ("memory", "memory")]
)
def test_a_photo_that_breaks_the_engines_process_three_times_is_quarantined_and_the_queue_goes_on(
    desk: Desk, clock: FakeClock, does: str, said: str
) -> None:
    bad = desk.drop("bad.jpg", content=does.encode())
    good = desk.drop("good.jpg", content=b"good")
    for _ in range(2 * MAX_ATTEMPTS):
        desk.worker.tick()
        clock.advance(14.0)
    assert (desk.job(bad).state, desk.job(bad).attempts) == (JobState.FAILED, MAX_ATTEMPTS)
    assert said in (desk.job(bad).error or "")
    assert (desk.folder.failed / "bad.jpg").read_bytes() == does.encode()
    assert said in (desk.folder.failed / "bad.jpg.error.txt").read_text()
    assert (desk.job(good).state, desk.job(good).attempts) == (JobState.DONE, 1)


def test_a_stopped_engine_is_ended_when_its_lease_runs_out_and_the_next_paints(
    desk: Desk, clock: FakeClock, wait_for: WaitFor
) -> None:
    desk.drop("warm.jpg", content=b"warm")
    desk.worker.tick()
    engine = desk.worker.easel.engine
    assert isinstance(engine, EngineProcess)
    assert engine.pid is not None
    os.kill(engine.pid, signal.SIGSTOP)
    stopped = psutil.Process(engine.pid)
    job = desk.drop("cat.jpg", content=b"cat")
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 1)
    wait_for(lambda: not stopped.is_running(), seconds=2, what="the end of the stopped process")
    clock.advance(14.0)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE


def test_an_engine_that_cannot_start_fails_no_photo_and_is_one_problem_until_it_can(
    desk: Desk, clock: FakeClock, tmp_path: Path
) -> None:
    desk.worker.easel.engine = engine_in(tmp_path, "xpu")
    jobs = [desk.drop(f"{number}.jpg", content=b"%d" % number) for number in range(3)]
    for _ in range(2 * len(jobs)):
        desk.worker.tick()
        clock.advance(8.0)
    assert {(desk.job(job).state, desk.job(job).attempts) for job in jobs} == {(JobState.QUEUED, 0)}
    (problem,) = desk.ledger.snapshot(running=True).problems
    assert (problem.code, "exit code 3" in problem.message) == ("engine_missing", True)
    desk.worker.easel.engine = engine_in(tmp_path)
    for _ in jobs:
        clock.advance(16.0)
        desk.worker.tick()
    assert {desk.job(job).state for job in jobs} == {JobState.DONE}
    assert desk.ledger.snapshot(running=True).problems == ()


def test_a_photo_that_ends_the_daemon_itself_is_quarantined(desk: Desk) -> None:
    desk.ledger.attempts.recover()  # the daemon begins
    job = desk.drop()
    for count in range(MAX_INTERRUPTIONS):  # the system ends the whole service for the engine's memory
        assert desk.job(job).strikes == count
        assert desk.ledger.queue.claim() is not None
        desk.ledger.attempts.begin(job)
        assert desk.ledger.attempts.recover() == [job]
    desk.worker.tick()
    assert desk.job(job).state is JobState.FAILED
    assert "10 times" in (desk.job(job).error or "")
    assert (desk.folder.failed / "cat.jpg").exists()


def test_kills_while_the_engine_starts_are_no_fault_of_the_photo(desk: Desk) -> None:
    desk.ledger.attempts.recover()
    job = desk.drop()
    for _ in range(2 * MAX_ATTEMPTS):
        assert desk.ledger.queue.claim() is not None
        assert desk.ledger.attempts.recover() == [job]
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE


def test_a_cancel_reaches_an_engine_that_does_not_listen(
    desk: Desk, wait_for: WaitFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    desk.worker.easel.engine = EngineProcess(
        EngineSettings(device="played", cache_dir=desk.root), serve=serve_played
    )
    job = desk.drop("cat.jpg", content=b"hang")
    thread = threading.Thread(target=desk.worker.tick)
    thread.start()
    wait_for(lambda: desk.job(job).state is JobState.RUNNING)
    desk.ledger.cancel(job)
    thread.join(20)
    assert desk.job(job).state is JobState.CANCELLED


def test_an_error_of_the_driver_sticks_to_its_process_and_meets_no_other_photo(
    desk: Desk, clock: FakeClock
) -> None:
    bad = desk.drop("bad.jpg", content=b"driver")
    good = [desk.drop(f"{number}.jpg", content=b"good %d" % number) for number in range(3)]
    for _ in range(2 * MAX_ATTEMPTS):
        desk.worker.tick()
        clock.advance(14.0)
    assert (desk.job(bad).state, desk.job(bad).attempts) == (JobState.FAILED, MAX_ATTEMPTS)
    assert [(desk.job(job).state, desk.job(job).attempts) for job in good] == [(JobState.DONE, 1)] * 3


def test_where_memory_ran_out_a_fresh_process_paints_it_at_the_same_attempt(desk: Desk) -> None:
    desk.worker.tick()
    desk.drop("warm.jpg", content=b"warm")
    desk.worker.tick()
    engine = desk.worker.easel.engine
    assert isinstance(engine, EngineProcess)
    first = engine.pid
    job = desk.drop("large.jpg", content=b"full")
    desk.job(job).copy.with_suffix(".once").touch()
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.DONE, 1)
    assert engine.pid not in (None, first)


def test_an_engine_that_cannot_be_started_for_a_moment_costs_no_photo_anything(
    desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []
    real = ForkServerProcess.start

    def start(process: ForkServerProcess) -> None:
        made.append(1)
        if len(made) <= 2:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        real(process)

    monkeypatch.setattr(ForkServerProcess, "start", start)
    jobs = [desk.drop(f"{number}.jpg", content=b"%d" % number) for number in range(2)]
    desk.worker.tick()
    (problem,) = desk.ledger.snapshot(running=True).problems
    assert problem.code == "system_busy"
    assert {(desk.job(job).state, desk.job(job).attempts) for job in jobs} == {(JobState.QUEUED, 0)}
    for _ in range(5):
        clock.advance(16.0)
        desk.worker.tick()
    assert {(desk.job(job).state, desk.job(job).attempts) for job in jobs} == {(JobState.DONE, 1)}
    assert desk.ledger.snapshot(running=True).problems == ()


def test_an_engine_that_is_ended_by_another_thread_hands_its_job_back(desk: Desk, wait_for: WaitFor) -> None:
    job = desk.drop("cat.jpg", content=b"hang")
    stop = threading.Event()
    desk.worker.should_stop = stop.is_set
    engine = EngineProcess(EngineSettings(device="played", cache_dir=desk.root), serve=serve_played)
    desk.worker.easel.engine = engine
    thread = threading.Thread(target=desk.worker.tick)
    thread.start()
    wait_for(lambda: engine.facts.state == "painting")
    stop.set()
    engine.end()
    thread.join(20)
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    assert engine.pid is None


def mute(pipe: Connection, settings: EngineSettings) -> None:
    hang()


def leaving(pipe: Connection, settings: EngineSettings) -> None:
    pass


def babbling(pipe: Connection, settings: EngineSettings) -> None:
    pipe.send_bytes(b"no pickle")
    hang()


@pytest.mark.parametrize("serve", [mute, leaving, babbling])
def test_an_engine_that_never_says_that_it_is_loaded_fails_no_photo(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, serve: Callable[[Connection, EngineSettings], None]
) -> None:
    monkeypatch.setattr(process, "SILENCE_SECONDS", 0.5)
    engine = EngineProcess(EngineSettings(device="played", cache_dir=desk.root), serve=serve)
    desk.worker.easel.engine = engine
    job = desk.drop()
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    (problem,) = desk.ledger.snapshot(running=True).problems
    assert problem.code == "engine_missing"
    assert engine.pid is None
