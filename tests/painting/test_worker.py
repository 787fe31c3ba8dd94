"""The right half with a fake engine: what each ending of a painting means for the job and for the photo."""

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.desk import Desk
from support.faults import Faults
from support.progress import progress

from nst_daemon.config import Originals
from nst_daemon.config.orders import Order, Progress
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.disk.files import SUFFIX, TEMPORARY, file_sha256
from nst_daemon.errors import (
    CancelledError,
    ConditionError,
    CopyError,
    EngineError,
    MaskError,
    MissingError,
    NstError,
    PhotoError,
    SeatLostError,
    StyleError,
)
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState, NewJob, Origin
from nst_daemon.painting import worker as worker_module
from nst_daemon.painting.attempt import MAX_ATTEMPTS
from nst_daemon.painting.checkpoints import SWEEP_SECONDS


@pytest.fixture
def desk(tmp_path: Path, clock: Callable[[], float]) -> Iterator[Desk]:
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        yield Desk(tmp_path, ledger, clock)


def test_a_job_becomes_a_result_and_its_original_moves_to_the_archive(desk: Desk) -> None:
    job = desk.drop("trip/cat.jpg")
    assert desk.worker.tick()
    result = desk.folder.outbox / "trip" / "cat.dots.jpg"
    assert result.read_bytes() == b"painting of cat"
    assert (desk.folder.archive / "trip" / "cat.jpg").read_bytes() == b"cat"
    assert not (desk.folder.inbox / "trip" / "cat.jpg").exists()
    assert (desk.job(job).state, desk.job(job).result, desk.job(job).seconds) == (JobState.DONE, result, 1.5)
    assert not desk.worker.tick()


@pytest.mark.parametrize(
    "ending",
    [None, PhotoError("broken"), CancelledError("cancelled"), EngineError("killed"), ValueError("a bug")],
)
def test_a_preview_is_there_while_a_job_runs_and_gone_when_it_ends(
    desk: Desk, ending: Exception | None
) -> None:
    shown: list[Path] = []

    def show(order: Order) -> None:
        assert order.preview is not None
        order.preview.parent.mkdir()
        order.preview.write_bytes(b"half a painting")
        shown.append(order.preview)

    desk.engine.during = show
    desk.engine.answers = [] if ending is None else [ending]
    job = desk.drop()
    desk.worker.tick()
    assert shown == [desk.job(job).preview] == [desk.folder.outbox / ".preview" / f"{job}.jpg"]
    assert not shown[0].parent.exists()


def test_the_work_folder_is_empty_after_each_job(desk: Desk) -> None:
    desk.drop()
    desk.worker.tick()
    assert list((desk.state_dir / "work").iterdir()) == []


def _write_checkpoint(order: Order) -> None:
    assert order.checkpoint is not None
    order.checkpoint.parent.mkdir(parents=True, exist_ok=True)
    order.checkpoint.write_bytes(b"half a painting")


@pytest.mark.parametrize("answers", [[], [PhotoError("broken")]], ids=["done", "failed"])
def test_a_checkpoint_goes_when_its_job_has_ended(desk: Desk, answers: list[Exception]) -> None:
    desk.drop()
    desk.engine.during, desk.engine.answers = _write_checkpoint, answers
    desk.worker.tick()
    assert list(desk.worker.checkpoints.folder.iterdir()) == []


def test_a_checkpoint_stays_for_the_next_attempt_and_goes_when_the_waiting_job_is_cancelled(
    desk: Desk, clock: FakeClock
) -> None:
    job = desk.drop()
    desk.engine.during, desk.engine.answers = _write_checkpoint, [EngineError("the driver crashed")]
    desk.worker.tick()
    (path,) = desk.worker.checkpoints.folder.iterdir()
    assert desk.job(job).state is JobState.QUEUED
    (path.parent / "unknown.checkpoint").touch()  # of a ledger that was lost
    (path.parent / f"{TEMPORARY}nobody-0-0{SUFFIX}").touch()  # no process of ours
    os.utime(path.parent / f"{TEMPORARY}nobody-0-0{SUFFIX}", (0, 0))
    clock.advance(SWEEP_SECONDS)
    desk.worker.tick()
    assert list(path.parent.iterdir()) == [path]
    desk.ledger.cancel(job)
    clock.advance(SWEEP_SECONDS)
    desk.worker.tick()
    assert list(path.parent.iterdir()) == []


def test_the_report_is_published_beside_the_result(desk: Desk) -> None:
    desk.engine.report = True
    desk.drop()
    desk.worker.tick()
    assert sorted(path.name for path in desk.folder.outbox.iterdir()) == [
        "cat.dots.jpg",
        "cat.dots.report.png",
    ]


def test_originals_are_kept_or_deleted_as_the_config_says(desk: Desk, clock: Callable[[], float]) -> None:
    desk.worker = desk.make(clock, originals=Originals.KEEP)
    desk.drop("kept.jpg", content=b"1")
    desk.worker.tick()
    assert (desk.folder.inbox / "kept.jpg").exists()
    desk.worker = desk.make(clock, originals=Originals.DELETE)
    desk.drop("gone.jpg", content=b"2")
    desk.worker.tick()
    assert not (desk.folder.inbox / "gone.jpg").exists()
    assert not desk.folder.archive.exists()


def test_a_photo_in_two_styles_leaves_the_inbox_after_the_second(desk: Desk) -> None:
    desk.drop(style="dots")
    desk.drop(style="waves")
    desk.worker.tick()
    assert (desk.folder.inbox / "cat.jpg").exists()
    desk.worker.tick()
    assert not (desk.folder.inbox / "cat.jpg").exists()
    assert (desk.folder.archive / "cat.jpg").exists()
    assert {path.name for path in desk.folder.outbox.iterdir()} == {"cat.dots.jpg", "cat.waves.jpg"}


def test_a_bad_photo_fails_at_once_and_says_why_beside_itself(desk: Desk) -> None:
    job = desk.drop()
    desk.engine.answers = [PhotoError("cat.jpg is no picture.", remedy="Export it again.")]
    desk.worker.tick()
    assert desk.job(job).state is JobState.FAILED
    assert (desk.folder.failed / "cat.jpg").read_bytes() == b"cat"
    reason = (desk.folder.failed / "cat.jpg.error.txt").read_text()
    assert "cat.jpg is no picture. Export it again." in reason
    assert list(desk.folder.outbox.iterdir()) == []


def test_a_broken_engine_is_tried_three_times_with_growing_pauses(desk: Desk, clock: FakeClock) -> None:
    job = desk.drop()
    desk.engine.answers = [EngineError("died") for _ in range(MAX_ATTEMPTS)]
    begun = []
    for attempt in range(1, MAX_ATTEMPTS + 1):
        while not desk.worker.tick():
            clock.advance(0.5)
        assert desk.job(job).attempts == attempt
        begun.append(clock())
    assert desk.job(job).state is JobState.FAILED
    assert 0 < begun[1] - begun[0] < begun[2] - begun[1]


def test_a_failing_job_does_not_hold_up_the_next(desk: Desk) -> None:
    desk.drop("bad.jpg", content=b"1")
    good = desk.drop("good.jpg", content=b"2")
    desk.engine.answers = [EngineError("died")]
    desk.worker.tick()
    desk.worker.tick()
    assert desk.job(good).state is JobState.DONE


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConditionError("full", code="disk_full"), "disk_full"),
        (MissingError("no weights"), "engine_missing"),
    ],
)
def test_a_condition_costs_no_attempt_shows_and_ends_by_itself(
    desk: Desk, clock: FakeClock, error: NstError, code: str
) -> None:
    job = desk.drop()
    desk.engine.answers = [error]
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    assert [problem.code for problem in desk.ledger.snapshot(running=True).problems] == [code]
    clock.advance(worker_module.CONDITION_SECONDS)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert desk.ledger.snapshot(running=True).problems == ()


def test_a_missing_outbox_is_waited_for_and_never_made(desk: Desk, clock: FakeClock) -> None:
    job = desk.drop()
    desk.folder.outbox.rmdir()
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    assert not desk.folder.outbox.exists()
    assert (desk.folder.inbox / "cat.jpg").exists()
    desk.folder.outbox.mkdir()
    clock.advance(worker_module.CONDITION_SECONDS)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE


def test_a_cancel_during_the_painting_ends_the_job_without_a_result(desk: Desk) -> None:
    job = desk.drop()

    def cancel(order: Order) -> None:
        desk.ledger.cancel(order.job)

    desk.engine.during = cancel
    desk.worker.tick()
    assert desk.job(job).state is JobState.CANCELLED
    assert list(desk.folder.outbox.iterdir()) == []
    assert (desk.folder.inbox / "cat.jpg").exists()


def test_a_stop_during_the_painting_hands_the_job_back_unspent(desk: Desk) -> None:
    job = desk.drop()

    def stop(_: Order) -> None:
        desk.stop = True

    desk.engine.during = stop
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)


def test_a_bug_in_the_engine_ends_the_job_and_not_the_worker(desk: Desk) -> None:
    job = desk.drop()
    desk.engine.answers = [ZeroDivisionError("a bug")]
    desk.worker.tick()
    assert desk.job(job).state is JobState.FAILED
    assert "ZeroDivisionError" in (desk.job(job).error or "")


def test_results_of_one_name_never_overwrite_each_other(desk: Desk) -> None:
    desk.drop("x.jpg", content=b"1")
    desk.drop("x.png", content=b"2")
    desk.worker.tick()
    desk.worker.tick()
    contents = {path.name: path.read_bytes() for path in desk.folder.outbox.iterdir()}
    assert contents == {"x.dots.jpg": b"painting of 1", "x.dots.2.jpg": b"painting of 2"}


def test_a_foreign_file_in_the_outbox_is_never_overwritten(desk: Desk) -> None:
    (desk.folder.outbox / "cat.dots.jpg").write_bytes(b"somebody's")
    desk.drop()
    desk.worker.tick()
    assert (desk.folder.outbox / "cat.dots.jpg").read_bytes() == b"somebody's"
    assert (desk.folder.outbox / "cat.dots.2.jpg").exists()


def test_a_repeated_job_replaces_its_own_result(desk: Desk) -> None:
    job = desk.drop()
    desk.worker.tick()
    assert desk.ledger.retry(job)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert [path.name for path in desk.folder.outbox.iterdir()] == ["cat.dots.jpg"]


def test_an_idle_engine_is_ended_after_its_time_and_not_before(desk: Desk, clock: FakeClock) -> None:
    desk.drop()
    desk.worker.tick()
    clock.advance(59)
    desk.worker.tick()
    assert desk.engine.ended == 0
    clock.advance(1)
    desk.worker.tick()
    assert desk.engine.ended == 1


def test_an_original_left_behind_by_a_crash_is_moved_at_the_next_tick(desk: Desk) -> None:
    job = desk.drop()
    desk.ledger.queue.claim()
    desk.ledger.move(job, JobState.RUNNING, JobState.DONE)
    assert (desk.folder.inbox / "cat.jpg").exists()
    desk.worker.tick()
    assert (desk.folder.archive / "cat.jpg").exists()


def test_a_submitted_photo_stays_where_it_is(desk: Desk, tmp_path: Path) -> None:
    photo = tmp_path / "elsewhere.jpg"
    photo.write_bytes(b"mine")
    desk.ledger.add(
        NewJob(
            key="submitted",
            path=photo,
            original=photo,
            copy=photo,
            photo_sha256=file_sha256(photo),
            inbox=None,
            outbox=desk.folder.outbox,
            origin=Origin.SUBMIT,
            styles=(Style(name="dots", path=photo, sha256="s"),),
            recipe=resolve({}),
        )
    )
    desk.worker.tick()
    assert photo.read_bytes() == b"mine"
    assert (desk.folder.outbox / "elsewhere.dots.jpg").exists()


def test_a_job_whose_copy_was_swept_is_painted_from_its_unchanged_original(desk: Desk) -> None:
    first, second = desk.drop("same.jpg", content=b"1"), desk.drop("other.jpg", content=b"2")
    for job in (first, second):
        desk.job(job).copy.unlink()
    (desk.folder.inbox / "other.jpg").write_bytes(b"changed")
    desk.worker.tick()
    desk.worker.tick()
    assert desk.job(first).state is JobState.DONE
    assert desk.job(second).state is JobState.FAILED
    assert "the photo is gone" in (desk.job(second).error or "")
    assert (desk.folder.inbox / "other.jpg").read_bytes() == b"changed"


# Whose fault an end is.


def test_a_job_whose_photo_was_replaced_while_it_was_painted_says_so(desk: Desk) -> None:
    job = desk.drop()

    def replace_photo(order: Order) -> None:
        desk.ledger.cancel(order.job, reason="the photo was replaced")

    desk.engine.during = replace_photo
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).error) == (JobState.CANCELLED, "the photo was replaced")


@pytest.mark.parametrize("error", [StyleError("dots is half."), MaskError("The mask is gone.")])
def test_a_job_whose_input_is_at_fault_is_held_and_costs_nothing(desk: Desk, error: NstError) -> None:
    job = desk.drop()
    desk.engine.answers = [error]
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.HELD, 0)
    assert desk.job(job).error == str(error)
    assert (desk.folder.inbox / "cat.jpg").exists()


def test_a_copy_of_ours_that_is_damaged_is_thrown_away_and_the_original_painted(
    desk: Desk, clock: FakeClock
) -> None:
    job = desk.drop()
    desk.job(job).copy.write_bytes(b"damaged")
    desk.engine.answers = [CopyError("The copy is another.")]
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    clock.advance(worker_module.BACK_OFF_SECONDS)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert (desk.folder.outbox / "cat.dots.jpg").read_bytes() == b"painting of cat"


def test_the_evidence_is_on_the_disk_before_the_engine_has_the_photo(desk: Desk) -> None:
    desk.ledger.attempts.recover()
    job = desk.drop()
    found: list[int] = []

    def die(order: Order) -> None:
        with Ledger(desk.root / "ledger.db") as ledger:
            ledger.attempts.recover()
            again = ledger.jobs.get(order.job)
            assert again is not None
            found.append(again.strikes)

    desk.engine.during = die
    desk.worker.tick()
    assert found == [1]
    assert desk.job(job).state is JobState.QUEUED or desk.job(job).strikes == 1


def test_a_stop_that_ends_in_a_kill_is_not_the_photos_fault(desk: Desk) -> None:
    desk.ledger.attempts.recover()
    job = desk.drop()

    def stop_and_be_killed(order: Order) -> None:
        desk.stop = True

    def kill(*_: object, **__: object) -> bool:
        raise KeyboardInterrupt

    desk.engine.during = stop_and_be_killed
    desk.ledger.move = kill  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        desk.worker.tick()
    assert desk.ledger.attempts.recover() == [job]
    assert desk.job(job).strikes == 0


def at(fraction: float) -> Progress:
    return progress(step=round(100 * fraction), steps=100, fraction=fraction)


def test_an_engine_that_gets_further_each_time_is_tried_for_as_long_as_it_does(
    desk: Desk, clock: FakeClock
) -> None:
    job = desk.drop()
    for number in range(1, 3 * MAX_ATTEMPTS):
        desk.engine.answers = [EngineError("the driver crashed")]
        desk.engine.steps = [at(number / 20)]
        clock.advance(60)
        desk.worker.tick()
        assert desk.job(job).state is JobState.QUEUED
    for _ in range(MAX_ATTEMPTS - 1):
        desk.engine.answers, desk.engine.steps = [EngineError("the driver crashed")], [at(0.05)]
        clock.advance(60)
        desk.worker.tick()
    assert desk.job(job).state is JobState.FAILED


def test_the_checkpoint_of_what_the_engine_failed_waits_for_a_retry_and_for_no_longer_than_a_month(
    desk: Desk, clock: FakeClock
) -> None:
    job = desk.drop()
    desk.engine.during = _write_checkpoint
    for _ in range(MAX_ATTEMPTS):
        desk.engine.answers = [EngineError("the driver crashed")]
        clock.advance(60)
        desk.worker.tick()
    assert desk.job(job).state is JobState.FAILED
    clock.advance(60)
    desk.worker.tick()
    (path,) = desk.worker.checkpoints.folder.iterdir()
    os.utime(path, (0, 0))
    clock.advance(60)
    desk.worker.tick()
    assert list(desk.worker.checkpoints.folder.iterdir()) == []


def test_the_checkpoint_of_a_duplicate_has_a_name_that_is_no_path(desk: Desk) -> None:
    job = desk.drop()
    found = desk.job(job)
    name = desk.worker.checkpoints.path_of(replace(found, key="a:/inbox/cat.jpg:1:2"))
    assert name.parent == desk.worker.checkpoints.folder
    assert desk.worker.checkpoints.path_of(replace(found, key="a" * 64)).stem == "a" * 64


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
def test_an_original_that_cannot_be_read_now_is_not_gone(
    desk: Desk, clock: FakeClock, faults: Faults, number: int
) -> None:
    job, other = desk.drop(), desk.drop("other.jpg", content=b"other")
    desk.job(job).copy.unlink()
    faults.fail_for_ever("open", number=number, at=desk.job(job).original)
    desk.worker.tick()
    desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.QUEUED, 0)
    assert desk.job(other).state is JobState.DONE
    assert len(desk.ledger.snapshot(running=True).problems) == 1
    faults.heal()
    clock.advance(worker_module.CONDITION_SECONDS)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
    assert desk.ledger.snapshot(running=True).problems == ()


def test_a_photo_is_not_gone_because_its_inbox_is(desk: Desk, clock: FakeClock) -> None:
    job = desk.drop()
    desk.job(job).copy.unlink()
    desk.folder.inbox.rename(desk.root / "away")
    desk.worker.tick()
    assert desk.job(job).state is JobState.QUEUED
    (desk.root / "away").rename(desk.folder.inbox)
    clock.advance(worker_module.CONDITION_SECONDS)
    desk.worker.tick()
    assert desk.job(job).state is JobState.DONE


def test_a_job_that_loses_its_seat_is_queued_again_unspent_and_counts_it(desk: Desk) -> None:
    desk.engine.answers = [SeatLostError("gpu1/cuda:0 has gone.")] * 2
    job = desk.drop()
    for lost in (1, 2):
        assert desk.worker.tick()
        assert (desk.job(job).state, desk.job(job).attempts, desk.job(job).lost) == (JobState.QUEUED, 0, lost)
        assert "has gone" in str(desk.job(job).error)
    assert desk.worker.tick()  # at once, without a pause
    assert (desk.job(job).state, desk.job(job).attempts) == (JobState.DONE, 1)


def test_a_photo_that_takes_its_seats_down_fails_in_the_end_and_the_queue_goes_on(
    desk: Desk, clock: FakeClock
) -> None:
    desk.engine.answers = [SeatLostError("gpu1/cuda:0 has gone.")] * (3 + MAX_ATTEMPTS)
    bad, good = desk.drop("bad.jpg"), desk.drop("good.jpg")
    for _ in range(3 + MAX_ATTEMPTS):
        desk.worker.tick()
        clock.advance(120.0)
    desk.worker.tick()
    assert (desk.job(bad).state, desk.job(bad).lost) == (JobState.FAILED, 3 + MAX_ATTEMPTS)
    assert desk.job(bad).attempts == MAX_ATTEMPTS
    assert "docs/errors.md#seat_lost" in str(desk.job(bad).error)
    assert desk.job(good).state is JobState.DONE
    assert desk.ledger.retry(bad)
    assert desk.job(bad).lost == 0


def test_a_seat_that_goes_before_it_has_the_photo_counts_for_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(should_stop: Callable[[], bool]) -> None:
        raise SeatLostError("gpu1/cuda:0 has gone.")

    job = desk.drop()
    with monkeypatch.context() as patch:
        patch.setattr(desk.engine, "warm_up", gone)
        for _ in range(5):
            desk.worker.tick()
    assert (desk.job(job).state, desk.job(job).attempts, desk.job(job).lost) == (JobState.QUEUED, 0, 0)
    assert desk.worker.tick()
    assert desk.job(job).state is JobState.DONE
