"""What becomes of originals once their jobs have ended, with one worker and with several."""

import errno
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.desk import Desk
from support.faults import ERRNOS, Faults, under
from support.waiting import comes_true

from nst_daemon import disk
from nst_daemon.config import Folder, Originals
from nst_daemon.errors import PhotoError
from nst_daemon.folders import originals
from nst_daemon.ledger import Ledger, Seen, Verdict
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.painting.disposal import CONDITION_SECONDS, PATIENCE_SECONDS, SWEEP_SECONDS, Disposal


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
        comes_true(lambda: len(moves) == 2, seconds=0.05)  # nobody else may come here meanwhile
        return real(job, folder, **how)

    monkeypatch.setattr(originals, "dispose_original", slowly)

    def end(job: int) -> None:
        desk.ledger.move(job, JobState.RUNNING, JobState.DONE)
        meet.wait(5)  # both are done: each finds that it is the last
        disposal.dispose(job)

    for _ in jobs:
        desk.ledger.queue.claim()
    threads = [threading.Thread(target=end, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moves) == 1
    assert desk.ledger.jobs.undisposed() == []
    assert not (desk.folder.inbox / "cat.jpg").exists()
    assert (desk.folder.archive / "cat.jpg").exists() == (policy is Originals.MOVE)


def test_a_sweep_does_not_wait_for_another_workers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job = desk.drop()
    desk.ledger.queue.claim()
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


def disposing(disposal: Disposal, job: int) -> threading.Thread:
    thread = threading.Thread(target=disposal.dispose, args=(job,))
    thread.start()
    return thread


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        ("trip/dog.jpg", False),
        ("cat2.jpg", False),
        ("cat.png", True),
        ("b/CAT.jpg", True),
        ("cat.2.jpg", True),
    ],
)
def test_an_original_waits_for_no_other_but_one_that_shares_its_name(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, other: str, waits: bool
) -> None:
    slow, fast = end(desk, "cat.jpg", other)
    real, may_go_on, has_begun = originals.dispose_original, threading.Event(), threading.Event()

    def slowly(job: Job, folder: Folder, **how: Any) -> Path | None:
        if job.id == slow:
            has_begun.set()
            assert may_go_on.wait(30)
        return real(job, folder, **how)

    monkeypatch.setattr(originals, "dispose_original", slowly)
    first = disposing(desk.worker.disposal, slow)
    assert has_begun.wait(30)
    desk.worker.disposal.sweep()  # nor does a sweep wait: it passes by what another is at
    assert desk.job(fast).is_disposed is not waits
    second = disposing(desk.worker.disposal, fast)
    may_go_on.set()
    for thread in (first, second):
        thread.join(30)
    assert desk.ledger.jobs.undisposed() == []
    assert not list(desk.folder.inbox.rglob("*.*g"))


def test_what_two_photos_share_goes_with_the_last_of_them_however_many_workers_there_are(desk: Desk) -> None:
    names = [f"{letter}.jpg" for letter in "abcdef"]
    jobs = end(desk, *names)
    for name in names:
        (desk.folder.inbox / f"{name}.yaml").write_text("style: dots\nmask: sky.png\n")
        with desk.ledger.file.write() as db:
            path = str(desk.folder.inbox / name)
            db.execute("UPDATE jobs SET sidecar = ? WHERE original = ?", (f"{path}.yaml", path))
    (desk.folder.inbox / "sky.png").write_bytes(b"sky")
    for thread in [disposing(desk.worker.disposal, job) for job in jobs]:
        thread.join(30)
    assert list(desk.folder.inbox.iterdir()) == []
    assert (desk.folder.archive / "sky.png").exists()


def seen_as_it_is(desk: Desk, job: int, sha256: str) -> Path:
    path = desk.job(job).original
    stamp = disk.stamp_of(path)
    assert stamp is not None
    desk.ledger.seen.mark(
        Seen(path=path, root=desk.folder.inbox, stamp=stamp, verdict=Verdict.JOB, photo_sha256=sha256)
    )
    return path


def was_read(faults: Faults) -> bool:
    return any(call == "read" for call, _ in faults.made)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED])
def test_what_is_as_the_intake_read_it_is_moved_without_being_read_again(
    desk: Desk, faults: Faults, state: JobState
) -> None:
    (job,) = end(desk, "a.jpg", state=state)
    path = seen_as_it_is(desk, job, desk.job(job).photo_sha256)
    faults.made.clear()
    desk.worker.disposal.dispose(job)
    assert not path.exists()
    assert not was_read(faults)


def test_what_was_written_since_the_intake_read_it_stays(desk: Desk) -> None:
    (job,) = end(desk, "a.jpg")
    path = seen_as_it_is(desk, job, desk.job(job).photo_sha256)
    path.write_bytes(b"another photo")
    desk.worker.disposal.dispose(job)
    assert path.read_bytes() == b"another photo"


def test_what_is_deleted_is_read_first_whatever_its_stamp_says(
    desk: Desk, clock: Callable[[], float], faults: Faults
) -> None:
    (job,) = end(desk, "a.jpg")
    path = seen_as_it_is(desk, job, desk.job(job).photo_sha256)
    facts = path.stat()
    path.write_bytes(b"b.jpg")  # as long, and at the same time
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    desk.worker = desk.make(clock, originals=Originals.DELETE)
    faults.made.clear()
    desk.worker.disposal.dispose(job)
    assert was_read(faults)
    assert path.read_bytes() == b"b.jpg"


# What the disks do meanwhile.


def end(desk: Desk, *names: str, state: JobState = JobState.DONE) -> list[int]:
    """Return jobs that have ended and whose originals are still in the inbox."""
    jobs = [desk.drop(name, content=name.encode()) for name in names]
    for job in jobs:
        desk.ledger.queue.claim()
        desk.ledger.move(job, JobState.RUNNING, state, error="it broke" if state is JobState.FAILED else None)
    return jobs


def problems(desk: Desk) -> list[str]:
    return [problem.message for problem in desk.ledger.snapshot(running=True).problems]


def sweep(desk: Desk, clock: FakeClock, seconds: float = CONDITION_SECONDS) -> None:
    clock.advance(seconds)
    desk.worker.disposal.sweep()


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED])
@pytest.mark.parametrize("call", ["lstat", "open", "read", "scandir", "unlink", "link"])
@pytest.mark.parametrize("number", ERRNOS)
def test_an_original_that_its_disk_does_not_answer_for_waits_and_is_moved_in_the_end(
    desk: Desk, clock: FakeClock, faults: Faults, state: JobState, call: str, number: int
) -> None:
    (job,) = end(desk, "a.jpg", state=state)
    faults.fail_for_ever(call, number=number, at=under(desk.folder.inbox))
    for _ in range(3):
        sweep(desk, clock)
    place = desk.folder.archive if state is JobState.DONE else desk.folder.failed
    assert desk.job(job).is_disposed == (desk.job(job).original == place / "a.jpg")
    if faults.struck and call not in ("link",):  # a link that cannot be is a copy
        assert (desk.folder.inbox / "a.jpg").exists()
        assert problems(desk)
    faults.heal()
    sweep(desk, clock, 60)
    assert (place / "a.jpg").read_bytes() == b"a.jpg"
    assert not (desk.folder.inbox / "a.jpg").exists()
    assert desk.job(job).is_disposed
    assert problems(desk) == []
    assert len([path for path in place.iterdir() if path.suffix == ".jpg"]) == 1


def test_one_original_that_cannot_be_moved_stops_no_other_and_has_its_own_pause(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    end(desk, "a.jpg", "b.jpg", "c.jpg")
    faults.fail_for_ever("unlink", number=errno.EPERM, at=desk.folder.inbox / "a.jpg")
    sweep(desk, clock)
    assert [path.name for path in desk.folder.inbox.iterdir()] == ["a.jpg"]
    end(desk, "d.jpg")
    sweep(desk, clock, SWEEP_SECONDS)
    assert [path.name for path in desk.folder.inbox.iterdir()] == ["a.jpg"]


def test_what_is_said_names_the_inbox_and_not_the_archive(
    desk: Desk, clock: FakeClock, faults: Faults, caplog: pytest.LogCaptureFixture
) -> None:
    end(desk, "a.jpg", "b.jpg", "c.jpg")
    faults.fail_for_ever("unlink", number=errno.EROFS, at=under(desk.folder.inbox))
    faults.fail_for_ever("link", number=errno.EXDEV, at=under(desk.folder.archive))
    for _ in range(5):
        sweep(desk, clock)
    (problem,) = desk.ledger.snapshot(running=True).problems
    said = f"a.jpg cannot be taken out of the inbox {desk.folder.inbox}: Read-only file system, and 2 more."
    assert (problem.code, problem.message) == ("read_only", said)
    assert problem.remedy == "Set `originals: keep`, or make the inbox writable; it goes on by itself."
    assert len(caplog.records) == 1
    assert sorted(path.name for path in desk.folder.archive.iterdir()) == ["a.jpg", "b.jpg", "c.jpg"]


def test_a_photo_that_stays_is_read_once_and_not_at_every_look(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    end(desk, "a.jpg")
    faults.fail_for_ever("unlink", number=errno.EROFS, at=under(desk.folder.inbox))
    faults.fail_for_ever("link", number=errno.EXDEV, at=under(desk.folder.archive))
    for _ in range(2):
        sweep(desk, clock)
    faults.made.clear()
    for _ in range(5):
        sweep(desk, clock)
    assert [call for call, path in faults.made if call in ("read", "write")] == []


def test_a_failed_photo_in_an_inbox_that_is_read_only_has_its_reason_beside_its_copy(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    (job,) = end(desk, "a.jpg", state=JobState.FAILED)
    faults.fail_for_ever("unlink", number=errno.EROFS, at=under(desk.folder.inbox))
    for _ in range(3):
        sweep(desk, clock)
    assert sorted(path.name for path in desk.folder.failed.iterdir()) == ["a.jpg", "a.jpg.error.txt"]
    (problem,) = desk.ledger.snapshot(running=True).problems
    assert problem.message.startswith("a.jpg cannot be taken out of the inbox")
    assert "keep" not in problem.remedy
    faults.heal()
    sweep(desk, clock)
    assert desk.job(job).original == desk.folder.failed / "a.jpg"
    assert problems(desk) == []


def test_an_original_is_not_gone_because_its_inbox_is(desk: Desk, clock: FakeClock) -> None:
    (job,) = end(desk, "a.jpg")
    away = desk.root / "away"
    desk.folder.inbox.rename(away)
    for _ in range(2):
        sweep(desk, clock)
    assert not desk.job(job).is_disposed
    assert [problem.code for problem in desk.ledger.snapshot(running=True).problems] == ["inbox_missing"]
    away.rename(desk.folder.inbox)
    sweep(desk, clock)
    assert (desk.folder.archive / "a.jpg").exists()
    assert desk.job(job).is_disposed


def test_an_original_that_is_proven_to_be_gone_is_done_with(desk: Desk, clock: FakeClock) -> None:
    (job,) = end(desk, "trip/a.jpg")
    (desk.folder.inbox / "trip" / "a.jpg").unlink()
    (desk.folder.inbox / "trip").rmdir()
    sweep(desk, clock)
    assert desk.job(job).is_disposed
    assert problems(desk) == []


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells who writes")
def test_an_original_is_not_taken_from_its_writer(desk: Desk, clock: FakeClock) -> None:
    (job,) = end(desk, "a.jpg")
    with (desk.folder.inbox / "a.jpg").open("r+b") as writer:
        sweep(desk, clock)
        assert not desk.job(job).is_disposed
        assert problems(desk) == []
        sweep(desk, clock, PATIENCE_SECONDS)
        assert [problem.code for problem in desk.ledger.snapshot(running=True).problems] == ["system_busy"]
        writer.write(b"more")
    sweep(desk, clock)
    assert (desk.folder.inbox / "a.jpg").exists()  # it is another photo now
    assert problems(desk) == []


def test_a_bug_over_one_original_stops_neither_the_worker_nor_the_others(
    desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = end(desk, "a.jpg", "b.jpg")
    real = originals.dispose_original

    def break_down(job: Job, folder: Folder, **how: Any) -> Path | None:
        if job.id == first:
            raise ZeroDivisionError("a bug")
        return real(job, folder, **how)

    monkeypatch.setattr(originals, "dispose_original", break_down)
    sweep(desk, clock)
    assert desk.job(second).is_disposed
    assert "ZeroDivisionError" in problems(desk)[0]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT])
@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED])
def test_an_original_gets_a_name_that_the_disk_of_its_place_takes(
    desk: Desk, clock: FakeClock, faults: Faults, state: JobState, number: int
) -> None:
    place = desk.folder.archive if state is JobState.DONE else desk.folder.failed
    place.mkdir()

    def is_refused(path: Path) -> bool:
        return path.is_relative_to(place) and any(each in str(path.relative_to(place)) for each in ':?*"')

    for call in ("mkdir", "open", "replace", "link", "lstat", "stat", "scandir"):
        faults.fail_for_ever(call, number=number, at=is_refused)
    jobs = end(desk, "Rome: day 1/a?.jpg", "b.jpg", state=state)
    (desk.folder.inbox / "Rome: day 1" / "a?.yaml").write_bytes(b"style: dots")
    sweep(desk, clock)
    found = {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()}
    notes = {"Rome_ day 1/a_.jpg.error.txt", "b.jpg.error.txt"} if state is JobState.FAILED else set()
    assert found == {"Rome_ day 1/a_.jpg", "Rome_ day 1/a_.yaml", "b.jpg"} | notes
    assert all(desk.job(job).is_disposed for job in jobs)
    assert problems(desk) == []


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_photo_from_a_folder_of_any_bytes_comes_back_to_its_own_when_it_is_retried(
    desk: Desk, clock: FakeClock
) -> None:
    folder = os.fsdecode(b"Urlaub\xfc")
    job = desk.drop(f"{folder}/a.jpg")
    desk.engine.answers = [PhotoError("it broke")]
    desk.worker.tick()
    assert desk.job(job).original == desk.folder.failed / folder / "a.jpg"
    desk.ledger.retry(job)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert desk.job(job).result == desk.folder.outbox / folder / "a.dots.jpg"
    assert desk.job(job).original == desk.folder.archive / folder / "a.jpg"
