"""What tests of a farm ask of its jobs."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nst_daemon.ledger.jobs import Job, JobState
from support.daemons import left_overs
from support.seats import FarmHome
from support.waiting import WAIT_SECONDS, wait_for


def drop(home: FarmHome, photos: int) -> None:
    for number in range(photos):
        home.drop(f"photo{number}.jpg", b"photo %d" % number)


def done(home: FarmHome) -> int:
    return sum(state is JobState.DONE for state in home.states().values()) if home.has_ledger() else 0


def running_jobs(home: FarmHome) -> list[Job]:
    found = [] if not home.has_ledger() else home.jobs()
    return [job for job in found if job.state is JobState.RUNNING and job.seat]


def painted_jobs(home: FarmHome) -> list[Job]:
    """Return the jobs whose seat has told of a first step."""
    return [job for job in running_jobs(home) if job.progress is not None]


def wait_for_done(home: FarmHome, photos: int) -> None:
    wait_for(lambda: done(home) == photos, seconds=WAIT_SECONDS, what=f"{photos} paintings")


def assert_each_was_painted_once(home: FarmHome, photos: int) -> None:
    jobs = home.jobs()
    assert len(jobs) == photos
    assert {job.state for job in jobs} == {JobState.DONE}
    for job in jobs:
        number = job.photo.removeprefix("photo").removesuffix(".jpg")
        assert job.result is not None
        assert job.result.read_bytes() == f"painting:{job.key}:photo {number}".encode()
    assert len(home.files("outbox")) == len(home.files("archive")) == photos
    assert home.files("inbox") == home.files("failed") == left_overs(home) == []


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, no_home: Path) -> Iterator[None]:
    """Show what daemon and machines said, where a test fails."""
    yield
    for log in (*tmp_path.rglob("nst-daemon.log"), *no_home.rglob("seats/*.log")):
        sys.stdout.write(f"── {log.name}\n{log.read_text()}\n")
