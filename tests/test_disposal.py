"""What becomes of originals once their jobs have ended, with one worker and with several."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_worker import Desk

from nst_daemon import originals
from nst_daemon.config import Folder, Originals
from nst_daemon.disposal import Disposal
from nst_daemon.jobs import Job, JobState
from nst_daemon.ledger import Ledger


@pytest.fixture
def desk(tmp_path: Path, clock: Callable[[], float]) -> Iterator[Desk]:
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        yield Desk(tmp_path, ledger, clock)


def test_an_original_in_the_archive_is_still_there_after_its_job_was_done_again(desk: Desk) -> None:
    job = desk.drop("trip/cat.jpg")
    desk.worker.tick()
    archived = desk.folder.archive / "trip" / "cat.jpg"
    assert desk.job(job).original == archived
    desk.ledger.retry(job)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert desk.job(job).original == archived
    assert archived.read_bytes() == b"cat"


def test_an_archived_original_is_not_deleted_by_a_policy_that_came_later(
    desk: Desk, clock: Callable[[], float]
) -> None:
    job = desk.drop()
    desk.worker.tick()
    desk.worker = desk.make(clock, originals=Originals.DELETE)
    desk.ledger.retry(job)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert (desk.folder.archive / "cat.jpg").read_bytes() == b"cat"


@pytest.mark.parametrize("policy", [Originals.MOVE, Originals.DELETE])
def test_two_workers_that_end_the_last_jobs_of_a_photo_move_it_once(
    desk: Desk, clock: Callable[[], float], policy: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [desk.drop(style=style) for style in ("dots", "waves")]
    disposal = Disposal(desk.ledger, (replace(desk.folder, originals=policy),), clock=clock)
    meet, moves = threading.Barrier(2), []
    real = originals.dispose_original

    def slowly(job: Job, folder: Folder, **how: Any) -> Path | None:
        moves.append(job.id)
        time.sleep(0.05)
        return real(job, folder, **how)

    monkeypatch.setattr(originals, "dispose_original", slowly)

    def end(job: int) -> None:
        desk.ledger.move(job, JobState.RUNNING, JobState.DONE)
        meet.wait(5)  # both are done: each finds that it is the last
        disposal.dispose(job)

    for _ in jobs:
        desk.ledger.claim()
    threads = [threading.Thread(target=end, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moves) == 1
    assert desk.ledger.undisposed() == []
    assert not (desk.folder.inbox / "cat.jpg").exists()
    assert (desk.folder.archive / "cat.jpg").exists() == (policy is Originals.MOVE)


def test_a_sweep_does_not_wait_for_another_workers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = desk.drop()
    desk.ledger.claim()
    desk.ledger.move(job, JobState.RUNNING, JobState.DONE)
    disposal = desk.worker.disposal
    real = originals.dispose_original
    calls = []

    def sweep_meanwhile(job: Job, folder: Folder, **how: Any) -> Path | None:
        calls.append(job.id)
        disposal._due = float("-inf")
        disposal.sweep()
        return real(job, folder, **how)

    monkeypatch.setattr(originals, "dispose_original", sweep_meanwhile)
    disposal.sweep()
    assert calls == [job]
    assert (desk.folder.archive / "cat.jpg").exists()
