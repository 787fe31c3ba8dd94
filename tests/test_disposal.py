"""What becomes of originals once their jobs have ended, with one worker and with several."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from test_worker import Desk

from nst_daemon.jobs import JobState
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
