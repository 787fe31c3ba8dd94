"""A daemon, machines that lend devices, photos: on loopback, all processes real; the engines are played."""

import os
import re
import signal
from pathlib import Path

import pytest
from support.daemons import ended, hang_up, left_overs, running
from support.farms import (
    assert_each_was_painted_once,
    drop,
    logs,
    painted_jobs,
    running_jobs,
    wait_for_done,
)
from support.seats import FarmHome, lent, scheduler_pids, send
from support.waiting import WAIT_SECONDS, wait_for

from nst_daemon.disk.logs import log_path
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState

__all__ = ["logs"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")


@pytest.fixture
def home(tmp_path: Path) -> FarmHome:
    return FarmHome(tmp_path / "home")


def test_machines_come_paint_and_leave_and_each_photo_is_painted_once(home: FarmHome) -> None:
    drop(home, 6)
    with running(home):
        wait_for(lambda: "no_engine" in home.codes(), seconds=WAIT_SECONDS, what="that nobody is there")
        with lent(home, "gpu1", "gpu2", seconds=0.1) as (one, two):
            wait_for_done(home, 6)
            assert home.codes() == []
            seats = home.seats()
            assert set(seats) == {"gpu1/cpu", "gpu2/cpu"}
            wait_for(lambda: sum(seat.painted for seat in home.seats().values()) == 6, what="the count")
            assert {job.seat for job in home.jobs()} <= set(seats)
            assert (one.end(), two.end()) == (0, 0)
        wait_for(lambda: home.codes() == ["no_engine"])
        assert home.seats() == {}
    assert_each_was_painted_once(home, 6)
    assert {job.attempts for job in home.jobs()} == {1}
    assert scheduler_pids(home) == []


def test_photos_in_a_folder_that_both_see_are_not_sent(tmp_path: Path) -> None:
    there = tmp_path / "there"
    shared = f"shared: [{{here: inbox, there: '{there}'}}]"
    home = FarmHome(tmp_path / "home", farm=f"local: false, {shared}")
    there.symlink_to(home.path / "inbox")
    drop(home, 2)
    with running(home):
        with lent(home, "gpu1", shared=[there]):
            wait_for_done(home, 2)
        assert "it is sent" not in (log := log_path(home.config.state_dir)).read_text()
        home.drop("photo2.jpg", b"photo 2")
        with lent(home, "gpu2"):  # which may not read it
            wait_for_done(home, 3)
        assert log.read_text().count("may not be read there") == 1
    assert_each_was_painted_once(home, 3)


def test_a_seat_that_is_killed_costs_no_attempt_and_is_begun_anew(home: FarmHome) -> None:
    drop(home, 2)
    with running(home), lent(home, "gpu1", "gpu2", seconds=4.0) as machines:
        wait_for(lambda: len(painted_jobs(home)) == 2, seconds=WAIT_SECONDS, what="two at a time")
        killed = machines[0].seat_pids()
        send(killed, signal.SIGKILL)
        wait_for(lambda: [job.lost for job in home.jobs() if job.lost] == [1], seconds=60, what="the loss")
        wait_for(lambda: machines[0].seat_pids() not in ([], killed), seconds=WAIT_SECONDS, what="another")
        wait_for(lambda: len(home.ready()) == 2, seconds=WAIT_SECONDS, what="the seat's return")
        wait_for_done(home, 2)
    assert_each_was_painted_once(home, 2)
    assert {job.attempts for job in home.jobs()} == {1}


def test_an_engine_that_dies_at_a_seat_costs_an_attempt_as_at_home(home: FarmHome) -> None:
    home.drop("bad.jpg", b"memory")
    home.drop("photo0.jpg", b"photo 0")
    with running(home), lent(home, "gpu1"):
        wait_for(lambda: home.has_ledger() and home.states().get("photo0.jpg") is JobState.DONE, seconds=60)
        wait_for(lambda: (job := _of(home, "bad.jpg")).error is not None and job.attempts >= 1, seconds=60)
        assert _of(home, "bad.jpg").lost == 0
        assert "ended in the middle of its work" in str(_of(home, "bad.jpg").error)


def _of(home: FarmHome, photo: str) -> Job:
    return next(job for job in home.jobs() if job.photo == photo)


@pytest.mark.slow  # half a minute passes until it is believed again; the kills at random freeze seats, too
def test_a_seat_that_freezes_and_thaws_publishes_nothing_twice(tmp_path: Path) -> None:
    home = FarmHome(tmp_path / "home", farm="local: false, silence_seconds: 2")
    drop(home, 1)
    with running(home), lent(home, "gpu1", "gpu2", seconds=3.0) as machines:
        wait_for(lambda: painted_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        frozen = next(m for m in machines if f"{m.name}/cpu" == running_jobs(home)[0].seat)
        send(frozen.seat_pids(), signal.SIGSTOP)
        wait_for_done(home, 1)
        assert home.jobs()[0].seat != f"{frozen.name}/cpu"
        assert (home.jobs()[0].lost, home.jobs()[0].attempts) == (1, 1)
        assert home.seats()[f"{frozen.name}/cpu"].state == "silent"
        assert home.codes() == ["seat_lost"]
        send(frozen.seat_pids(), signal.SIGCONT)
        wait_for(lambda: len(home.ready()) == 2 and home.codes() == [], seconds=WAIT_SECONDS, what="the thaw")
    assert_each_was_painted_once(home, 1)


def test_a_scheduler_that_is_killed_costs_nothing_and_the_painting_goes_on(home: FarmHome) -> None:
    drop(home, 2)
    with running(home), lent(home, "gpu1", "gpu2", seconds=4.0) as machines:
        wait_for(lambda: len(painted_jobs(home)) == 2, seconds=WAIT_SECONDS, what="two at a time")
        began = {job.id: job.started for job in home.jobs()}
        engines = [machine.engine_pids() for machine in machines]
        (pid,) = scheduler_pids(home)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: scheduler_pids(home) not in ([], [pid]), what="another scheduler")
        wait_for_done(home, 2)
        assert {job.id: job.started for job in home.jobs()} == began  # by the same attempt
        assert [machine.engine_pids() for machine in machines] == engines  # still warm
        wait_for(lambda: len(home.ready()) == 2 and home.codes() == [], seconds=WAIT_SECONDS)
    assert_each_was_painted_once(home, 2)
    assert {(job.attempts, job.lost) for job in home.jobs()} == {(1, 0)}


def test_a_daemon_that_is_killed_finds_its_machines_again(home: FarmHome) -> None:
    drop(home, 3)
    with lent(home, "gpu1", "gpu2", seconds=1.5):
        process = home.start()
        wait_for(lambda: len(running_jobs(home)) == 2, seconds=WAIT_SECONDS, what="two at a time")
        os.kill(process.pid or 0, signal.SIGKILL)
        assert ended(process) == -signal.SIGKILL
        wait_for(lambda: scheduler_pids(home) == [], what="the end of the scheduler")
        with running(home):
            wait_for_done(home, 3)
    assert_each_was_painted_once(home, 3)


def test_cancel_stop_and_pause_reach_a_seat_at_once(home: FarmHome) -> None:
    drop(home, 2)
    with lent(home, "gpu1", "gpu2", seconds=600.0):
        with running(home):
            wait_for(lambda: len(painted_jobs(home)) == 2, seconds=WAIT_SECONDS, what="two at a time")
            with Ledger(home.path / "state" / "ledger.db") as ledger:
                ledger.requests.pause()
                ledger.cancel(1)
            wait_for(lambda: _of_id(home, 1).state is JobState.CANCELLED, seconds=4, what="the cancel")
            assert _of_id(home, 2).state is JobState.RUNNING
        assert (_of_id(home, 2).state, _of_id(home, 2).attempts) == (JobState.QUEUED, 0)
    assert left_overs(home) == []


def _of_id(home: FarmHome, number: int) -> Job:
    return next(job for job in home.jobs() if job.id == number)


def test_a_machine_that_is_told_to_leave_ends_what_it_has_and_goes(home: FarmHome) -> None:
    drop(home, 2)
    with running(home), lent(home, "gpu1", "gpu2", seconds=1.5) as (one, two):
        wait_for(lambda: len(painted_jobs(home)) == 2, seconds=WAIT_SECONDS, what="two at a time")
        with Ledger(home.path / "state" / "ledger.db") as ledger:
            ledger.requests.drain(["gpu1"])
        assert one.wait() == 0
        assert two.end() == 0
        wait_for_done(home, 2)
    assert_each_was_painted_once(home, 2)
    assert {(job.attempts, job.lost) for job in home.jobs()} == {(1, 0)}


def test_a_config_that_ends_the_farm_lets_jobs_in_hand_end_first(home: FarmHome) -> None:
    drop(home, 1)
    with running(home) as process, lent(home, "gpu1", seconds=1.5):
        wait_for(lambda: running_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        home.source.write_text(re.sub("listen: '.*?'", "listen: off", home.source.read_text()))
        hang_up(process)
        wait_for_done(home, 1)
        assert home.jobs()[0].seat == "gpu1/cpu"
        wait_for(lambda: scheduler_pids(home) == [], what="the end of the scheduler")
        wait_for(lambda: home.seats() == {} and home.codes() == [])
    assert_each_was_painted_once(home, 1)
