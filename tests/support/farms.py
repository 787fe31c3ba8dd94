"""What tests of a farm ask of its jobs."""

import sys
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nst_daemon.images.labels import read_provenance
from nst_daemon.ledger.jobs import Job, JobState
from support.daemons import left_overs
from support.seats import FarmHome
from support.waiting import WAIT_SECONDS, wait_for


def words(number: int) -> bytes:
    """Return what a photo holds where no engine looks at it."""
    return b"photo %d" % number


def small_jpeg(number: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a picture that is one, for machines that paint; no two numbers have the same."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    wave = 127 + 120 * np.sin((x * (1 + number % 37) + y * (1 + number // 37)) / 50)
    file = BytesIO()
    Image.fromarray(np.stack([wave, 255 - wave, x + y], axis=-1).astype(np.uint8)).save(
        file, "JPEG", comment=words(number)
    )
    return file.getvalue()


def drop(home: FarmHome, photos: int, content: Callable[[int], bytes] = words) -> None:
    for number in range(photos):
        home.drop(f"photo{number}.jpg", content(number))


def done(home: FarmHome) -> int:
    return home.snapshot().counts[JobState.DONE] if home.has_ledger() else 0


def running_jobs(home: FarmHome) -> list[Job]:
    found = [] if not home.has_ledger() else home.jobs()
    return [job for job in found if job.state is JobState.RUNNING and job.seat]


def painted_jobs(home: FarmHome) -> list[Job]:
    """Return the jobs whose seat has told of a first step."""
    return [job for job in running_jobs(home) if job.progress is not None]


def wait_for_done(home: FarmHome, photos: int) -> None:
    wait_for(lambda: done(home) == photos, seconds=WAIT_SECONDS, what=f"{photos} paintings")


def assert_each_was_painted_once(
    home: FarmHome,
    photos: int,
    content: Callable[[int], bytes] = words,
    *,
    painters: Collection[str] = (),
) -> None:
    """Fail unless each photo has one whole result: at the seats of `painters` by the real engine."""
    jobs = home.jobs()
    assert len(jobs) == photos
    assert {job.state for job in jobs} == {JobState.DONE}
    for job in jobs:
        number = int(job.photo.removeprefix("photo").removesuffix(".jpg"))
        assert job.result is not None
        if job.seat in painters:
            _assert_is_whole(job, job.result)
        else:
            assert job.result.read_bytes() == b"painting:%s:" % job.key.encode() + content(number)
    assert len(home.files("outbox")) == len(home.files("archive")) == photos
    assert home.files("inbox") == home.files("failed") == left_overs(home) == []


def _assert_is_whole(job: Job, result: Path) -> None:
    with Image.open(result) as picture:
        picture.load()
        assert picture.size == (64, 48)
    assert (read_provenance(result) or {}).get("job_key") == job.key


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, no_home: Path) -> Iterator[None]:
    """Show what daemon and machines said, where a test fails."""
    yield
    for log in (*tmp_path.rglob("nst-daemon.log"), *no_home.rglob("seats/*.log")):
        sys.stdout.write(f"── {log.name}\n{log.read_text()}\n")
