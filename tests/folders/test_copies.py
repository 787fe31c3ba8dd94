"""What is painted is what was read: our copy of a photo or, where that is damaged, the photo itself."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.desk import Desk
from support.faults import Faults

from nst_daemon.errors import FileConditionError, InputError, MaskError, PhotoError, StyleError
from nst_daemon.folders import copies
from nst_daemon.folders.copies import private_copy, source_of, sweep_copies
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with Ledger(tmp_path / "state" / "ledger.db", clock=clock) as ledger:
        yield Desk(tmp_path, ledger, clock)


@pytest.fixture
def job(desk: Desk) -> Job:
    return desk.job(desk.drop())


def test_the_copy_is_painted_whatever_became_of_the_original(job: Job) -> None:
    job.original.write_bytes(b"a dog")
    assert source_of(job) == job.copy


def test_a_copy_that_is_gone_or_damaged_is_replaced_by_the_unchanged_original(job: Job) -> None:
    job.copy.write_bytes(b"c")
    assert source_of(job) == job.original
    job.copy.unlink()
    assert source_of(job) == job.original
    job.original.write_bytes(b"a dog")
    with pytest.raises(PhotoError, match="the photo is gone"):
        source_of(job)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("call", ["lstat", "open", "read"])
def test_a_copy_that_cannot_be_read_is_no_reason_to_fail(
    job: Job, faults: Faults, call: str, number: int
) -> None:
    faults.fail_for_ever(call, number=number, at=job.copy)
    assert source_of(job) == job.original
    job.original.unlink()
    with pytest.raises(FileConditionError):
        source_of(job)
    faults.heal()
    assert source_of(job) == job.copy


@pytest.mark.parametrize("kind", [StyleError, MaskError])
def test_a_job_whose_style_or_mask_is_not_whole_is_held_and_its_photo_stays(
    desk: Desk, job: Job, kind: type[InputError]
) -> None:
    desk.engine.answers = [kind("It is not whole.")]
    desk.worker.tick()
    held = desk.job(job.id)
    assert (held.state, held.attempts, held.original) == (JobState.HELD, 0, job.original)
    assert job.original.exists()
    assert "not whole" in (held.error or "")


def test_the_engine_is_told_what_the_photo_has_to_be(desk: Desk, job: Job) -> None:
    desk.worker.tick()
    (order,) = desk.engine.orders
    assert order.photo_sha256 == job.photo_sha256


def test_a_copy_that_is_there_is_not_replaced_under_the_engine_that_reads_it(tmp_path: Path) -> None:
    photo, again = tmp_path / "a.jpg", tmp_path / "b.jpg"
    photo.write_bytes(b"photo")
    again.write_bytes(b"photo")
    copy, _ = private_copy(photo, tmp_path / "copies")
    before = copy.stat().st_ino
    os.utime(copy, (0, 0))
    assert private_copy(again, tmp_path / "copies")[0] == copy
    assert copy.stat().st_ino == before
    assert copy.stat().st_mtime > 0  # as good as new


def test_a_copy_that_was_damaged_is_made_anew(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"photo")
    copy, _ = private_copy(photo, tmp_path / "copies")
    copy.write_bytes(b"phot0")
    private_copy(photo, tmp_path / "copies")
    assert copy.read_bytes() == b"photo"


@pytest.fixture
def old_copies(tmp_path: Path) -> list[Path]:
    """Return copies of the day before yesterday."""
    found = [tmp_path / "photos" / f"{number}.jpg" for number in range(5)]
    found[0].parent.mkdir()
    for path in found:
        path.write_bytes(b"copy")
        os.utime(path, (0, 0))
    return found


def test_a_sweep_takes_old_copies_that_no_job_needs_a_step_at_a_time(
    old_copies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "STEP", 2)
    needed, young = old_copies[1], old_copies[3]
    os.utime(young)
    left_over = young.with_name(".nst-00000000-1-abc.tmp")
    left_over.write_bytes(b"half")
    os.utime(left_over, (0, 0))
    asked = []

    def parts() -> Iterator[set[Path]]:
        asked.append(1)
        yield {needed, Path("/elsewhere/0.jpg")}
        yield set()

    steps = list(sweep_copies(needed.parent, parts))
    assert sorted(path.name for path in needed.parent.iterdir()) == ["1.jpg", "3.jpg"]
    assert (len(steps), sum(steps), asked) == (4, 4, [1])


def test_a_sweep_leaves_what_became_young_while_it_looked(old_copies: list[Path]) -> None:
    def parts() -> Iterator[set[Path]]:
        os.utime(old_copies[0])  # it is given to a new job at this moment
        yield set()

    assert sum(sweep_copies(old_copies[0].parent, parts)) == 4
    assert old_copies[0].exists()


def test_a_sweep_asks_nobody_where_nothing_is_old(tmp_path: Path) -> None:
    (tmp_path / "0.jpg").write_bytes(b"copy")

    asked: list[set[Path]] = []

    def parts() -> list[set[Path]]:
        asked.append(set())
        return asked

    assert sum(sweep_copies(tmp_path, parts)) == 0
    assert sum(sweep_copies(tmp_path / "nowhere", parts)) == 0
    assert asked == []
