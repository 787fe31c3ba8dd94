"""The left half on disks that answer with errors: nothing is gone, broken or painted twice because of one."""

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.faults import ERRNOS, Faults, under
from support.place import SCREAM, Place

from nst_daemon.folders.sidecars import fingerprint, sidecars_beside
from nst_daemon.intake import awaiting
from nst_daemon.ledger.jobs import JobState


@pytest.fixture
def place(tmp_path: Path, clock: FakeClock, faults: Faults) -> Iterator[Place]:
    made = Place(tmp_path, clock)
    yield made
    faults.heal()
    made.close()


@pytest.mark.parametrize(
    ("call", "number"),
    [*(("stat", number) for number in ERRNOS), ("scandir", errno.EIO), ("scandir", errno.EACCES)],
    ids=lambda each: each if isinstance(each, str) else errno.errorcode[each],
)
def test_an_inbox_that_does_not_answer_shows_and_costs_nothing(
    place: Place, faults: Faults, call: str, number: int
) -> None:
    place.drop("a.jpg")
    place.run()
    place.drop("trip/b.jpg", b"another photo")
    faults.fail_for_ever(call, number=number, at=place.inbox)
    place.run(130, step=2)
    shown = place.ledger.snapshot(running=True).problems
    assert shown
    assert all(problem.remedy and str(place.inbox) in problem.message for problem in shown)
    assert place.states()[:1] == [JobState.QUEUED]
    faults.heal()
    place.run(130, step=2)
    assert place.codes() == []
    assert place.states() == [JobState.QUEUED, JobState.QUEUED]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE, errno.EIO], ids=["EACCES", "ESTALE", "EIO"])
@pytest.mark.parametrize("is_running", [False, True], ids=["queued", "running"])
def test_a_job_is_not_cancelled_because_its_folder_cannot_be_searched(
    place: Place, faults: Faults, number: int, is_running: bool
) -> None:
    photo = place.drop("trip/a.jpg")
    place.run()
    if is_running:
        place.ledger.queue.claim()
    faults.fail_for_ever("lstat", "stat", "open", number=number, at=under(photo.parent))
    photo.touch()  # an event, too, must not be misread
    place.run(130, step=2)
    job = place.only_job()
    assert (job.state, job.cancel_requested) == (JobState.RUNNING if is_running else JobState.QUEUED, False)
    assert {"folder_unreadable", "inbox_unreachable"} & set(place.codes())
    faults.heal()
    place.run(130, step=2)
    assert len(place.jobs()) == 1
    assert place.codes() == []


def _comes_to_rest(place: Place) -> bool:
    """Return whether `run --once` would end some time."""
    for _ in range(100):
        place.run(1, step=1)
        if place.intake.is_idle():
            return True
    return False


def test_a_share_that_denies_what_its_folder_lists_cancels_nothing(place: Place, faults: Faults) -> None:
    photo = place.drop("a.jpg")
    place.run()
    faults.fail_for_ever("lstat", "stat", number=errno.ENOENT, at=photo)
    place.intake._departures.gone(place.inboxes.all[0], photo)
    assert place.states() == [JobState.QUEUED]


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE], ids=["EIO", "EMFILE"])
@pytest.mark.parametrize("call", ["open", "read", "lstat"])
@pytest.mark.parametrize("first", [1, 2, 3, 5])
def test_one_error_on_a_good_photo_costs_it_some_seconds(
    place: Place, faults: Faults, call: str, number: int, first: int
) -> None:
    photo = place.inbox / "a.jpg"
    faults.fail(call, number, at=photo, first=first)
    place.drop("a.jpg")
    place.drop("b.jpg", b"another photo")
    place.run(130, step=2)
    assert place.states() == [JobState.QUEUED, JobState.QUEUED]
    assert place.codes() == []
    assert photo.exists()


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.EMFILE], ids=["EIO", "EACCES", "EMFILE"])
@pytest.mark.parametrize("content", [b"photo", b"text", b"half"])
def test_a_photo_that_cannot_be_read_for_half_a_day_is_taken_in_when_it_can(
    place: Place, faults: Faults, content: bytes, number: int
) -> None:
    photo = place.drop("a.jpg", content)
    faults.fail_for_ever("open", number=number, at=photo)
    place.drop("b.jpg", b"another photo")
    place.run(40_000, step=200)
    assert [job.photo for job in place.jobs()] == ["b.jpg"]
    (problem,) = place.ledger.snapshot(running=True).problems
    assert problem.code in ("photo_forbidden", "inbox_unreachable", "system_busy")
    assert _comes_to_rest(place)
    faults.heal()
    photo.write_bytes(b"photo")
    place.run(130, step=2)
    assert place.states() == [JobState.QUEUED, JobState.QUEUED]
    assert place.codes() == []


@pytest.mark.parametrize("content", [b"text", b"half a picture"])
def test_a_broken_photo_that_cannot_be_moved_away_hinders_no_other(
    place: Place, faults: Faults, content: bytes
) -> None:
    faults.fail_for_ever("mkdir", "link", "open", number=errno.EROFS, at=under(place.base / "failed"))
    faults.fail_for_ever("unlink", number=errno.EROFS, at=under(place.inbox))
    place.drop("aaa.jpg", content)
    place.run(700, step=5)
    place.drop("b.jpg", b"a good one")
    place.drop("trip/c.jpg", b"another good one")
    place.run(130, step=2)
    assert [job.photo for job in place.jobs(JobState.QUEUED)] == ["b.jpg", "trip/c.jpg"]
    assert len(place.codes()) == 1
    faults.heal()
    place.run(130, step=2)
    assert (place.base / "failed" / "aaa.jpg.error.txt").exists()
    assert place.codes() == []


def test_a_sidecar_that_is_rewritten_at_the_wrong_moment_counts(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, looks = fingerprint, iter([True])

    def racy(photo: Path) -> str:
        found = real(photo)
        if next(looks, False):
            for sidecar in sidecars_beside(photo):
                sidecar.unlink()  # an editor that writes it anew
        return found

    monkeypatch.setattr(awaiting, "fingerprint", racy)
    place.drop("a.jpg")
    place.drop("a.jpg.yaml", f"style: {SCREAM}".encode())
    place.run(4)
    place.drop("a.jpg.yaml", f"style: {SCREAM}".encode())
    place.run(70)
    job = place.only_job()
    assert (job.state, job.style) == (JobState.QUEUED, SCREAM)
    assert place.codes() == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES], ids=["EIO", "ESTALE", "EACCES"])
def test_a_sidecar_that_cannot_be_read_is_not_taken_for_none(
    place: Place, faults: Faults, number: int
) -> None:
    place.drop("a.jpg")
    sidecar = place.drop("a.jpg.yaml", f"style: {SCREAM}".encode())
    faults.fail_for_ever("open", "read", number=number, at=sidecar)
    place.run(130, step=2)
    assert place.jobs(JobState.QUEUED) == []
    assert place.codes()
    faults.heal()
    place.run(130, step=2)
    assert (place.only_job().state, place.only_job().style) == (JobState.QUEUED, SCREAM)
    assert place.codes() == []


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=["EIO", "ENOSPC", "EROFS"])
def test_our_own_folder_that_cannot_be_written_stops_the_intake_and_blames_no_photo(
    place: Place, faults: Faults, number: int
) -> None:
    faults.fail_for_ever("write", "mkdir", number=number, at=under(place.base / "state"))
    faults.fail_for_ever("open", number=number, at=under(place.base / "state" / "photos"))
    place.drop("a.jpg")
    place.run(60, step=2)
    assert place.jobs() == []
    (problem,) = place.ledger.snapshot(running=True).problems
    assert str(place.base / "state") in problem.message
    faults.heal()
    place.run(60, step=2)
    assert place.states() == [JobState.QUEUED]
    assert place.codes() == []


@pytest.mark.parametrize("number", [errno.EACCES, errno.ESTALE], ids=["EACCES", "ESTALE"])
def test_an_outbox_that_does_not_answer_is_named_and_nothing_is_painted_twice(
    place: Place, faults: Faults, number: int
) -> None:
    faults.fail_for_ever("lstat", "stat", number=number, at=under(place.outbox))
    place.drop("a.jpg")
    place.run(60, step=2)
    assert place.codes() == ["outbox_unreadable" if number == errno.EACCES else "outbox_unreachable"]
    faults.heal()
    place.run(70)
    assert place.states() == [JobState.QUEUED]
    assert place.codes() == []


def test_a_lease_that_cannot_be_looked_at_shows_while_no_photo_is_taken_in(
    place: Place, faults: Faults
) -> None:
    faults.fail_for_ever("lstat", number=errno.ESTALE, at=place.inbox / ".nst-lease")
    place.drop("a.jpg")
    place.run(30)
    assert place.jobs() == []
    assert place.codes() == ["inbox_unreachable"]
    faults.heal()
    place.run(70)
    assert place.states() == [JobState.QUEUED]
    assert place.codes() == []
