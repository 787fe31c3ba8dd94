"""Outboxes that take nothing: asked before, waited for, and no painting made twice for them."""

import errno
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.desk import Desk, FakeEngine
from support.faults import Faults, under

from nst_daemon.config.orders import Order
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState
from nst_daemon.painting.delivery import CONDITION_SECONDS, MANIFEST


@pytest.fixture
def desk(tmp_path: Path, clock: FakeClock) -> Iterator[Desk]:
    with Ledger(tmp_path / "state" / "ledger.db", clock=clock) as ledger:
        yield Desk(tmp_path, ledger, clock)


def codes(desk: Desk) -> list[str]:
    return [problem.code for problem in desk.ledger.snapshot(running=True).problems]


def work_on(desk: Desk, clock: FakeClock, seconds: float = CONDITION_SECONDS) -> None:
    clock.advance(seconds)
    while desk.worker.tick():
        pass


def restart(desk: Desk, clock: FakeClock) -> None:
    """Let the daemon end and begin anew."""
    desk.ledger.attempts.recover()
    desk.engine = FakeEngine()
    desk.worker = desk.make(clock)


@pytest.mark.parametrize(
    ("call", "number", "code"),
    [
        ("open", errno.EROFS, "read_only"),
        ("open", errno.EACCES, "read_only"),
        ("write", errno.ENOSPC, "disk_full"),
        ("fsync", errno.EDQUOT, "disk_full"),
        ("stat", errno.ESTALE, "outbox_unreachable"),
        ("stat", errno.EIO, "outbox_unreachable"),
        ("free", errno.EHOSTDOWN, "outbox_unreachable"),
    ],
)
def test_an_outbox_is_asked_before_the_painting_begins_and_named_while_it_takes_nothing(
    desk: Desk, clock: FakeClock, faults: Faults, call: str, number: int, code: str
) -> None:
    faults.fail_for_ever(call, number=number, at=under(desk.folder.outbox))
    job = desk.drop()
    for _ in range(4):
        work_on(desk, clock)
    assert desk.engine.orders == []
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    assert codes(desk) == [code]
    (problem,) = desk.ledger.snapshot(running=True).problems
    assert str(desk.folder.outbox) in problem.message
    faults.heal()
    work_on(desk, clock)
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.DONE, 1)
    assert codes(desk) == []


def test_a_job_with_a_small_disk_waits_for_the_room_that_its_photo_has(
    desk: Desk, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_daemon.disk.free_bytes", lambda folder: 100_000)
    large = desk.drop("large.jpg", content=bytes(200_000))
    small = desk.drop("small.jpg", content=b"small")
    work_on(desk, clock)
    assert (desk.job(large).state, desk.job(small).state) == (JobState.QUEUED, JobState.DONE)
    assert codes(desk) == ["disk_full"]
    monkeypatch.undo()
    work_on(desk, clock)
    assert desk.job(large).state is JobState.DONE
    assert codes(desk) == []


def test_jobs_of_another_outbox_go_on_and_one_look_is_made_for_all_that_wait(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    other = desk.root / "other"
    other.mkdir()
    desk.folder.outbox.rmdir()
    stuck = [desk.drop(f"{number}.jpg", content=b"%d" % number) for number in range(20)]
    desk.folder = replace(desk.folder, outbox=other)
    well = desk.drop("well.jpg", content=b"well")
    faults.made.clear()
    work_on(desk, clock)
    assert desk.job(well).state is JobState.DONE
    assert {desk.job(job).state for job in stuck} == {JobState.QUEUED}
    assert {desk.job(job).error for job in stuck[1:]} == {None}  # nobody claimed them
    assert codes(desk) == ["outbox_missing"]
    assert not desk.ledger.queue.has_work()


def test_a_sub_folder_that_takes_nothing_holds_only_its_own_jobs(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    (desk.folder.outbox / "shut").mkdir()
    stuck = [desk.drop(f"shut/{number}.jpg", content=b"%d" % number) for number in range(5)]
    well = desk.drop("open/a.jpg", content=b"a")
    faults.fail_for_ever("open", number=errno.EACCES, at=under(desk.folder.outbox / "shut"))
    work_on(desk, clock)
    assert desk.job(well).state is JobState.DONE
    assert [desk.job(job).error is None for job in stuck] == [False, True, True, True, True]
    assert codes(desk) == ["read_only"]
    assert len(desk.engine.orders) == 1
    faults.heal()
    work_on(desk, clock)
    assert {desk.job(job).state for job in stuck} == {JobState.DONE}
    assert codes(desk) == []


def lose_outbox(desk: Desk) -> Callable[[Order], None]:
    """Return what takes the outbox away in the middle of a painting."""
    return lambda order: desk.folder.outbox.rmdir()


def test_a_finished_painting_is_kept_until_it_can_be_published_and_is_never_made_again(
    desk: Desk, clock: FakeClock
) -> None:
    desk.engine.report = True
    desk.engine.during = lose_outbox(desk)
    job, other = desk.drop(), desk.drop("other.jpg", content=b"other")
    for _ in range(3):
        work_on(desk, clock)
    assert len(desk.engine.orders) == 1
    assert codes(desk) == ["outbox_missing"]
    assert {desk.job(each).state for each in (job, other)} == {JobState.QUEUED}
    desk.engine.during = lambda order: None
    desk.folder.outbox.mkdir()
    work_on(desk, clock)
    assert {desk.job(each).state for each in (job, other)} == {JobState.DONE}
    assert [order.job for order in desk.engine.orders] == [job, other]
    assert desk.job(job).attempts == 1
    assert desk.job(job).seconds == 1.5
    assert (desk.folder.outbox / "cat.dots.jpg").read_bytes() == b"painting of cat"
    assert (desk.folder.outbox / "cat.dots.report.png").read_bytes() == b"report"
    assert list(desk.worker.delivery.finished.iterdir()) == []


def test_a_painting_that_was_kept_is_published_after_a_restart_without_an_engine(
    desk: Desk, clock: FakeClock
) -> None:
    desk.engine.during = lose_outbox(desk)
    job = desk.drop()
    work_on(desk, clock)
    restart(desk, clock)
    desk.folder.outbox.mkdir()
    work_on(desk, clock)
    assert desk.engine.orders == []
    assert desk.job(job).state is JobState.DONE
    assert (desk.folder.outbox / "cat.dots.jpg").read_bytes() == b"painting of cat"


@pytest.mark.parametrize("harm", ["cut", "changed", "gone", "manifest", "no manifest"])
def test_a_kept_painting_that_is_not_whole_is_made_anew(desk: Desk, clock: FakeClock, harm: str) -> None:
    desk.engine.during = lose_outbox(desk)
    job = desk.drop()
    work_on(desk, clock)
    (kept,) = desk.worker.delivery.finished.iterdir()
    picture, manifest = kept / "painting.jpg", kept / MANIFEST
    match harm:
        case "cut":
            picture.write_bytes(picture.read_bytes()[:-1])
        case "changed":
            picture.write_bytes(picture.read_bytes()[::-1])
        case "gone":
            picture.unlink()
        case "manifest":
            manifest.write_bytes(b"{")
        case _:
            manifest.unlink()
    restart(desk, clock)
    desk.folder.outbox.mkdir()
    work_on(desk, clock)
    assert [order.job for order in desk.engine.orders] == [job]
    assert (desk.folder.outbox / "cat.dots.jpg").read_bytes() == b"painting of cat"
    assert list(desk.worker.delivery.finished.iterdir()) == []


def test_a_kept_painting_goes_when_its_job_is_cancelled(desk: Desk, clock: FakeClock) -> None:
    desk.engine.during = lose_outbox(desk)
    job = desk.drop()
    work_on(desk, clock)
    assert len(list(desk.worker.delivery.finished.iterdir())) == 1
    desk.ledger.cancel(job)
    work_on(desk, clock)
    assert list(desk.worker.delivery.finished.iterdir()) == []


def test_a_painting_that_cannot_be_kept_is_published_all_the_same(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    faults.fail("open", errno.ENOSPC, at=lambda path: path.is_relative_to(desk.worker.work_dir), first=2)
    faults.fail("replace", errno.ENOSPC, at=under(desk.worker.delivery.finished))
    job = desk.drop()
    work_on(desk, clock)
    assert desk.job(job).state is JobState.DONE
    assert (desk.folder.outbox / "cat.dots.jpg").exists()


def test_a_painting_that_cannot_even_be_read_again_is_not_made_again(
    desk: Desk, clock: FakeClock, faults: Faults
) -> None:
    is_painting = under(desk.worker.work_dir)
    desk.engine.during = lambda order: faults.fail_for_ever("open", number=errno.EIO, at=is_painting)
    job = desk.drop()
    for _ in range(3):
        work_on(desk, clock)
    assert desk.job(job).state is JobState.QUEUED
    faults.heal()
    work_on(desk, clock, 600)
    assert desk.job(job).state is JobState.DONE
    assert len(desk.engine.orders) == 1


@pytest.mark.parametrize("call", ["open", "write", "fsync", "link", "replace"])
def test_any_trouble_at_publishing_keeps_the_painting(
    desk: Desk, clock: FakeClock, faults: Faults, call: str
) -> None:
    desk.engine.during = lambda order: faults.fail_for_ever(
        call, number=errno.EIO, at=under(desk.folder.outbox)
    )
    job = desk.drop()
    for _ in range(3):
        work_on(desk, clock)
    assert (desk.job(job).state, desk.job(job).attempts) in [(JobState.QUEUED, 0), (JobState.DONE, 1)]
    faults.heal()
    work_on(desk, clock, 600)
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.DONE, 1)
    assert len(desk.engine.orders) == 1
    assert [path.name for path in desk.folder.outbox.iterdir()] == ["cat.dots.jpg"]


# Names.


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOENT, errno.EILSEQ])
def test_a_result_and_its_folders_get_names_that_the_disk_takes(
    desk: Desk, clock: FakeClock, faults: Faults, number: int
) -> None:
    odd = frozenset(':?*"<>|')

    def is_refused(path: Path) -> bool:
        inside = path.relative_to(desk.folder.outbox) if path.is_relative_to(desk.folder.outbox) else Path()
        return bool(odd & set(str(inside)))

    for call in ("mkdir", "open", "replace", "link", "lstat", "stat"):
        faults.fail_for_ever(call, number=number, at=is_refused)
    desk.drop("Rome: day 1/a.jpg", content=b"1")
    desk.drop("b?.jpg", content=b"2")
    work_on(desk, clock)
    found = sorted(str(path.relative_to(desk.folder.outbox)) for path in desk.folder.outbox.rglob("*.jpg"))
    assert found == ["Rome_ day 1/a.dots.jpg", "b_.dots.jpg"]
    assert {job.state for job in desk.ledger.jobs.all()} == {JobState.DONE}
    assert codes(desk) == []
    assert len(desk.engine.orders) == 2


def test_a_plain_name_is_kept_where_the_disk_takes_it(desk: Desk, clock: FakeClock) -> None:
    desk.drop("Rome: day 1./CON.jpg")
    work_on(desk, clock)
    assert (desk.folder.outbox / "Rome: day 1." / "CON.dots.jpg").exists()


@pytest.mark.parametrize("name", ["CON.jpg", "日本.jpg", f"{'x' * 200}.jpg"])
def test_a_name_that_is_refused_after_the_painting_never_fails_the_photo(
    desk: Desk, clock: FakeClock, faults: Faults, name: str
) -> None:
    stem = Path(name).stem
    faults.fail_for_ever(
        "replace",
        number=errno.EINVAL,
        at=lambda path: path.is_relative_to(desk.folder.outbox) and path.name.startswith(stem[:150]),
    )
    job = desk.drop(name)
    work_on(desk, clock)
    assert desk.job(job).state is JobState.DONE
    assert len(desk.engine.orders) == 1
    assert len(list(desk.folder.outbox.iterdir())) == 1
