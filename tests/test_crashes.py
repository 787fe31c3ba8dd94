"""The process is killed at every point where something is on the disk and the next thing is not.

Intake, ledger, worker and outbox are the real ones; reading and painting are played.
"""

import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from place import STARRY, Place

from nst_daemon import outbox
from nst_daemon.config import Watch, WatchMode
from nst_daemon.crash import EXIT_CODE, VARIABLE, CrashPoint
from nst_daemon.jobs import EngineFacts, JobState
from nst_daemon.ledger import Ledger
from nst_daemon.recipe import Order, Painting, Progress
from nst_daemon.worker import Worker

DEADLINE = 60.0  # seconds for one run of the daemon


class PlayedEngine:
    """Paints by writing down what it was asked for."""

    facts = EngineFacts()
    is_warm = False

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        picture = order.result.with_name("painting.jpg")
        picture.write_bytes(b"painting:" + order.key.encode())
        return Painting(
            picture=picture,
            report=None,
            width=1,
            height=1,
            seconds=0.1,
            seconds_to_first_step=0.1,
            device="cpu",
            losses={},
        )

    def end(self) -> None:
        pass


def work_off(base: Path, crash_at: str) -> None:
    """Run intake and worker until all is done, as a daemon does from its start; or until the crash."""
    os.environ[VARIABLE] = crash_at
    (base / "state").mkdir(exist_ok=True)
    os.environ["TMPDIR"] = str(base / "state")  # a killed process leaves its lease there
    watch = Watch(settle_seconds=0.05, sidecar_seconds=0.0, rescan_seconds=0.2, mode=WatchMode.POLLING)
    place = Place(base, time.monotonic, watch)
    place.ledger.recover()
    outbox.sweep(place.outbox)
    outbox.sweep(place.base / "archive")
    worker = Worker(
        ledger=place.ledger,
        engine=PlayedEngine(),
        folders=place.config.folders,
        work_dir=base / "state" / "work",
        idle_seconds=60,
        should_stop=lambda: False,
    )
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        place.intake.tick()
        if worker.tick() or not place.intake.is_idle() or place.ledger.jobs(state=JobState.QUEUED):
            time.sleep(0.005)
            continue
        place.close()
        return
    raise TimeoutError


def run(base: Path, crash_at: str = "") -> int | None:
    process = multiprocessing.get_context("spawn").Process(target=work_off, args=(base, crash_at))
    process.start()
    process.join(2 * DEADLINE)
    code = process.exitcode
    process.close()
    return code


@pytest.mark.parametrize("point", list(CrashPoint))
def test_a_kill_at_any_point_costs_nothing_but_time(tmp_path: Path, point: CrashPoint) -> None:
    inbox = tmp_path / "inbox" / "trip"
    inbox.mkdir(parents=True)
    (inbox / "a.jpg").write_bytes(b"photo")
    assert run(tmp_path, point) == EXIT_CODE
    assert run(tmp_path) == 0
    assert run(tmp_path) == 0  # a start with nothing to do changes nothing
    with Ledger(tmp_path / "state" / "ledger.db") as ledger:
        (job,) = ledger.jobs()
        assert ledger.undisposed() == []
    results = [path for path in (tmp_path / "outbox").rglob("*") if path.is_file()]
    assert results == [tmp_path / "outbox" / "trip" / f"a.{STARRY}.jpg"]
    assert results[0].read_bytes() == f"painting:{job.key}".encode()
    assert (job.state, job.result) == (JobState.DONE, results[0])
    assert job.attempts <= 2
    archived = [path for path in (tmp_path / "archive").rglob("*") if path.is_file()]
    assert archived == [job.original] == [tmp_path / "archive" / "trip" / "a.jpg"]
    assert [path for path in (tmp_path / "inbox").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "state" / "photos").glob(".*")) == []
