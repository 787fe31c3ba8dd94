import errno
import multiprocessing
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path, PurePath

import pytest
from support import syncing
from support.clock import FakeClock
from support.faults import Faults
from support.new_jobs import PROGRESS, held_job, new_job

from nst_daemon.config.orders import EngineFacts
from nst_daemon.config.recipe import Optimizer
from nst_daemon.disk import Stamp
from nst_daemon.errors import ConditionError, MissingError
from nst_daemon.ledger import UNREAD, Added, Duplicate, Ledger, Seen, Verdict
from nst_daemon.ledger import file as ledger_file
from nst_daemon.ledger import schema as ledger_schema
from nst_daemon.ledger.jobs import TRANSITIONS, JobState, NewJob, Origin, Problem
from nst_daemon.system import machine


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "ledger.db"


@pytest.fixture
def ledger(path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(path, clock=clock) as opened:
        yield opened


def put(ledger: Ledger, key: str, state: JobState) -> int:
    """Bring a job to a state, by the moves that a daemon makes."""
    if state is JobState.HELD:
        return ledger.add(held_job(key)).job
    job = ledger.add(new_job(key)).job
    if state is JobState.QUEUED:
        return job
    while (claimed := ledger.queue.claim()) is not None and claimed.id != job:
        pass
    if state is not JobState.RUNNING:
        assert ledger.move(job, JobState.RUNNING, state)
    return job


# What comes in comes out.


def test_a_job_comes_back_as_it_was_added(ledger: Ledger) -> None:
    new = new_job(sidecar=Path("/inbox/trip/a.jpg.yaml"), origin=Origin.SUBMIT)
    outcome = ledger.add(new)
    job = ledger.jobs.get(outcome.job)
    assert isinstance(outcome, Added)
    assert job is not None
    for name in NewJob.__dataclass_fields__:
        assert getattr(job, name) == getattr(new, name)
    assert job.recipe is not None
    assert isinstance(job.recipe.optimizer, Optimizer)
    assert (job.attempts, job.started, job.result) == (0, None, None)


def test_a_job_survives_the_closing_of_the_ledger(path: Path) -> None:
    with Ledger(path) as ledger:
        job = ledger.add(new_job()).job
    with Ledger(path) as ledger:
        assert ledger.queue.claim() is not None
        assert ledger.jobs.get(job) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_names_that_are_no_utf8_come_back_whole(ledger: Ledger) -> None:
    odd = Path(os.fsdecode(b"/inbox/caf\xe9.jpg"))
    job = ledger.add(new_job(original=odd, copy=odd, path=PurePath(odd.name))).job
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.original == odd
    assert found.photo == "caf\\xe9.jpg"
    assert [each.id for each in ledger.jobs.of_photo(odd)] == [job]


def test_the_same_key_is_taken_in_once(ledger: Ledger) -> None:
    first = ledger.add(new_job("k"))
    assert ledger.add(new_job("k", path=PurePath("b.jpg"))) == Duplicate(first.job, JobState.QUEUED)
    assert len(ledger.jobs.all()) == 1


def test_a_duplicate_is_kept_as_cancelled_and_names_the_job_and_the_way_out(ledger: Ledger) -> None:
    first = ledger.add(new_job("k")).job
    again = ledger.add_duplicate(new_job("k:again"), of=first)
    assert ledger.add_duplicate(new_job("k:again"), of=first) == again
    job = ledger.jobs.get(again)
    assert job is not None
    assert job.state is JobState.CANCELLED
    assert job.error == f"duplicate of job {first}; `nst-daemon retry {again}` paints it again"
    assert ledger.retry(again)
    retried = ledger.jobs.get(again)
    assert retried is not None
    assert retried.state is JobState.QUEUED


# Moves.


@pytest.mark.parametrize("source", list(JobState))
@pytest.mark.parametrize("target", list(JobState))
def test_only_the_moves_of_the_table_are_made(ledger: Ledger, source: JobState, target: JobState) -> None:
    job = put(ledger, "k", source)
    if target in TRANSITIONS[source]:
        assert ledger.move(job, source, target)
    else:
        with pytest.raises(ValueError, match="never moves"):
            ledger.move(job, source, target)
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.state is (target if target in TRANSITIONS[source] else source)


def test_a_move_from_a_state_that_the_job_has_left_does_nothing(ledger: Ledger) -> None:
    job = put(ledger, "k", JobState.RUNNING)
    assert ledger.move(job, JobState.RUNNING, JobState.DONE, result=Path("/outbox/a.jpg"))
    assert not ledger.move(job, JobState.RUNNING, JobState.FAILED, error="late")
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.error) == (JobState.DONE, None)
    assert not ledger.move(4711, JobState.RUNNING, JobState.DONE)


def test_of_two_threads_one_gets_the_job(path: Path) -> None:
    with Ledger(path) as ledger:
        for number in range(20):
            ledger.add(new_job(str(number)))
        claimed: list[int] = []

        def work() -> None:
            while (job := ledger.queue.claim()) is not None:
                claimed.append(job.id)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(claimed) == list(range(1, 21))


def test_the_oldest_job_is_claimed_first_and_its_attempt_counted(ledger: Ledger) -> None:
    first, _ = ledger.add(new_job("1")), ledger.add(new_job("2"))
    job = ledger.queue.claim()
    assert job is not None
    assert (job.id, job.state, job.attempts) == (first.job, JobState.RUNNING, 1)
    assert job.started is not None


def test_a_job_that_backs_off_is_passed_over_until_its_time(ledger: Ledger, clock: FakeClock) -> None:
    first, second = ledger.add(new_job("1")).job, ledger.add(new_job("2")).job
    ledger.queue.claim()
    ledger.move(first, JobState.RUNNING, JobState.QUEUED, error="engine died", not_before=clock() + 5)
    job = ledger.queue.claim()
    assert job is not None
    assert job.id == second
    assert ledger.queue.claim() is None
    clock.advance(5)
    job = ledger.queue.claim()
    assert job is not None
    assert (job.id, job.attempts, job.error) == (first, 2, None)


def test_a_postponed_photo_waits_and_pairing_it_anew_ends_the_wait(ledger: Ledger, clock: FakeClock) -> None:
    job = ledger.add(new_job()).job
    ledger.queue.postpone(Path("/inbox/trip/a.jpg"), 4.0)
    assert ledger.queue.claim() is None
    clock.advance(3.0)
    ledger.repair(job, new_job("other"))
    assert ledger.queue.claim() is not None


def test_a_condition_of_the_machine_costs_no_attempt(ledger: Ledger) -> None:
    job = put(ledger, "k", JobState.RUNNING)
    ledger.move(job, JobState.RUNNING, JobState.QUEUED, refund_attempt=True)
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.attempts == 0


def test_a_paused_ledger_gives_no_job_also_after_a_restart(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.add(new_job())
        ledger.requests.pause()
    with Ledger(path) as ledger:
        assert ledger.requests.is_paused()
        assert ledger.queue.claim() is None
        ledger.requests.resume()
        assert ledger.queue.claim() is not None


def _claim_and_hang(path: Path, ready: "multiprocessing.synchronize.Event") -> None:
    ledger = Ledger(path)
    assert ledger.queue.claim() is not None
    ready.set()
    signal.pause()


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_process_leaves_its_attempt_counted_and_the_job_comes_back(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with Ledger(path) as ledger:
        job = ledger.add(new_job()).job
        ready = context.Event()
        process = context.Process(target=_claim_and_hang, args=(path, ready))
        process.start()
        assert ready.wait(30)
        process.kill()
        process.join()
        process.close()
        assert ledger.attempts.recover() == [job]
        found = ledger.jobs.get(job)
        assert found is not None
        assert (found.state, found.attempts) == (JobState.QUEUED, 1)


def test_a_job_that_was_being_cancelled_when_the_daemon_died_is_cancelled(ledger: Ledger) -> None:
    job = put(ledger, "k", JobState.RUNNING)
    ledger.cancel(job)
    assert ledger.attempts.recover() == [job]
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.cancel_requested) == (JobState.CANCELLED, False)


# Requests.


@pytest.mark.parametrize("state", [JobState.HELD, JobState.QUEUED])
def test_a_waiting_job_is_cancelled_at_once(ledger: Ledger, state: JobState) -> None:
    job = put(ledger, "k", state)
    assert ledger.cancel(job, reason="the photo is gone") is JobState.CANCELLED
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.error, found.finished is not None) == ("the photo is gone", True)


def test_a_running_job_is_asked_to_stop_and_never_goes_back_to_the_queue(ledger: Ledger) -> None:
    job = put(ledger, "k", JobState.RUNNING)
    assert ledger.cancel(job) is JobState.RUNNING
    assert ledger.jobs.is_cancelled(job)
    assert ledger.move(job, JobState.RUNNING, JobState.QUEUED)
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.state is JobState.CANCELLED


def test_what_has_ended_cannot_be_cancelled_and_what_is_unknown_is_none(ledger: Ledger) -> None:
    assert ledger.cancel(put(ledger, "k", JobState.DONE)) is JobState.DONE
    assert ledger.cancel(4711) is None
    assert not ledger.jobs.is_cancelled(4711)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.FAILED, JobState.CANCELLED])
def test_a_retried_job_is_as_good_as_new(ledger: Ledger, state: JobState) -> None:
    job = put(ledger, "k", state)
    assert ledger.retry(job)
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.attempts, found.error) == (JobState.QUEUED, 0, None)
    assert (found.started, found.finished) == (None, None)


@pytest.mark.parametrize("state", [JobState.HELD, JobState.QUEUED, JobState.RUNNING])
def test_what_has_not_ended_is_not_retried(ledger: Ledger, state: JobState) -> None:
    assert not ledger.retry(put(ledger, "k", state))
    assert not ledger.retry(4711)


def test_a_job_that_never_had_a_style_is_held_when_it_is_retried(ledger: Ledger) -> None:
    job = ledger.add(held_job(), is_disposed=True).job
    ledger.cancel(job)
    assert ledger.retry(job)
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.error) == (JobState.HELD, UNREAD)
    assert ledger.queue.claim() is None


def test_all_failed_jobs_are_retried_and_no_other(ledger: Ledger) -> None:
    failed = [put(ledger, key, JobState.FAILED) for key in ("1", "2")]
    cancelled = put(ledger, "3", JobState.CANCELLED)
    assert ledger.retry_failed() == 2
    assert {job.id for job in ledger.jobs.all(state=JobState.QUEUED)} == set(failed)
    assert [job.id for job in ledger.jobs.all(state=JobState.CANCELLED)] == [cancelled]


def test_a_sketch_that_failed_is_no_failed_job(ledger: Ledger) -> None:
    """It is shown on its sheet; in the queue again it would be painted for nobody who looks."""
    failed = put(ledger, "1", JobState.FAILED)
    sketch = put(ledger, "2", JobState.FAILED)
    with ledger.file.write() as db:
        db.execute("UPDATE jobs SET origin = ? WHERE id = ?", (Origin.SHEET.value, sketch))
    assert ledger.snapshot(running=True).counts[JobState.FAILED] == 1
    assert [job.id for job in ledger.jobs.latest(JobState.FAILED)] == [failed]
    assert [job.id for job in ledger.jobs.ended_since(0.0)] == [failed]
    assert ledger.retry_failed() == 1
    assert ledger.snapshot(running=True).counts[JobState.FAILED] == 0
    assert [job.id for job in ledger.jobs.all(state=JobState.FAILED)] == [sketch]
    assert ledger.retry_failed() == 0


# Pairing anew.


def test_a_held_job_gets_its_style(ledger: Ledger) -> None:
    job = ledger.add(held_job()).job
    assert ledger.repair(job, new_job("real"))
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.key, found.state, found.style, found.error) == (
        "real",
        JobState.QUEUED,
        "starry_night",
        None,
    )


def test_a_queued_job_may_be_held_again(ledger: Ledger) -> None:
    job = ledger.add(new_job()).job
    assert ledger.repair(job, held_job())
    assert [each.id for each in ledger.jobs.all(state=JobState.HELD)] == [job]


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DONE, JobState.CANCELLED])
def test_a_job_that_has_started_is_not_paired_anew(ledger: Ledger, state: JobState) -> None:
    job = put(ledger, "k", state)
    assert not ledger.repair(job, new_job("other"))
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.key == "k"


def test_a_held_job_whose_work_is_another_jobs_ends_as_its_duplicate(ledger: Ledger) -> None:
    other = ledger.add(new_job("real")).job
    job = ledger.add(held_job()).job
    assert ledger.repair(job, new_job("real"))
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.state is JobState.CANCELLED
    assert found.error is not None
    assert found.error.startswith(f"duplicate of job {other};")
    assert ledger.retry(job)


def test_a_photo_that_comes_once_more_takes_its_failed_job_up_again(ledger: Ledger) -> None:
    job = put(ledger, "k", JobState.FAILED)
    moved = new_job("k", original=Path("/inbox/b.jpg"))
    assert ledger.revive(job, moved)
    assert not ledger.revive(job, moved)
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.attempts, found.original) == (JobState.QUEUED, 0, Path("/inbox/b.jpg"))


# Results and originals.


def test_a_reserved_name_belongs_to_one_job_whatever_its_case(ledger: Ledger, tmp_path: Path) -> None:
    first, second = put(ledger, "1", JobState.RUNNING), put(ledger, "2", JobState.RUNNING)
    target = tmp_path / "Caf\u00e9.jpg"
    twin = tmp_path / "cafe\u0301.JPG"
    assert ledger.reserve_result(first, target)
    assert not ledger.reserve_result(second, twin)
    assert ledger.reserve_result(first, target)
    assert ledger.jobs.owner_of(twin) == first
    found = ledger.jobs.get(first)
    assert found is not None
    assert found.result == target


def test_a_reserved_name_survives_a_crash_and_is_given_back_by_a_failure(
    ledger: Ledger, tmp_path: Path
) -> None:
    target = tmp_path / "a.jpg"
    job = put(ledger, "1", JobState.RUNNING)
    ledger.reserve_result(job, target)
    ledger.attempts.recover()
    claimed = ledger.queue.claim()
    assert claimed is not None
    assert claimed.result == target
    ledger.move(job, JobState.RUNNING, JobState.FAILED, error="no")
    assert ledger.jobs.owner_of(target) is None


def test_a_done_job_whose_result_was_taken_away_no_longer_owns_the_name(
    ledger: Ledger, tmp_path: Path
) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"painting")
    first = put(ledger, "1", JobState.RUNNING)
    ledger.move(first, JobState.RUNNING, JobState.DONE, result=target)
    assert ledger.jobs.owner_of(target) == first
    target.unlink()
    assert ledger.jobs.owner_of(target) is None
    second = put(ledger, "2", JobState.RUNNING)
    assert ledger.reserve_result(second, target)
    assert ledger.jobs.owner_of(target) == second


def test_a_retried_job_that_fails_keeps_the_result_it_had(ledger: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "a.jpg"
    target.write_bytes(b"painting")
    job = put(ledger, "1", JobState.RUNNING)
    ledger.move(job, JobState.RUNNING, JobState.DONE, result=target)
    ledger.retry(job)
    ledger.queue.claim()
    ledger.move(job, JobState.RUNNING, JobState.FAILED, error="no")
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.result == target


def test_an_original_is_owed_a_place_from_the_end_of_its_job_until_it_is_there(ledger: Ledger) -> None:
    job = put(ledger, "1", JobState.DONE)
    put(ledger, "2", JobState.CANCELLED)
    assert ledger.jobs.undisposed() == [job]
    ledger.mark_disposed(job, Path("/archive/trip/a.jpg"))
    assert ledger.jobs.undisposed() == []
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.original == Path("/archive/trip/a.jpg")


@pytest.mark.parametrize(
    ("place", "is_known"), [(Path("/inbox/trip/a.jpg"), True), (Path("/archive/a.jpg"), False), (None, False)]
)
def test_what_was_seen_is_forgotten_when_the_original_leaves(
    ledger: Ledger, place: Path | None, is_known: bool
) -> None:
    job = put(ledger, "1", JobState.DONE)
    ledger.seen.mark(seen("/inbox/trip/a.jpg"))
    ledger.mark_disposed(job, place)
    assert (ledger.seen.get(Path("/inbox/trip/a.jpg")) is not None) == is_known


def test_a_failure_that_the_intake_has_put_away_is_not_owed_a_place(ledger: Ledger) -> None:
    ledger.add(new_job(state=JobState.FAILED, error="no picture"), is_disposed=True)
    assert ledger.jobs.undisposed() == []


def test_a_result_found_in_the_outbox_makes_a_job_that_is_done(ledger: Ledger, tmp_path: Path) -> None:
    result = tmp_path / "a.jpg"
    result.write_bytes(b"painting")
    job = ledger.add(new_job(state=JobState.DONE), result=result).job
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.result) == (JobState.DONE, result)
    assert ledger.jobs.owner_of(result) == job


# Facts.


def seen(path: str, root: str = "/inbox") -> Seen:
    return Seen(
        path=Path(path),
        root=Path(root),
        stamp=Stamp(7, 2**62, 2**100),  # Windows has 128 bits of an inode
        verdict=Verdict.JOB,
        photo_sha256="a" * 64,
        keywords=("nst|starry_night", "caf\u00e9"),
        sidecar="a.yaml:1:2:3",
    )


def test_seen_files_are_kept_by_inbox(ledger: Ledger) -> None:
    one, other = seen("/inbox/a.jpg"), seen("/second/a.jpg", "/second")
    ledger.seen.mark(one)
    ledger.seen.mark(other)
    ledger.seen.mark(other)
    assert ledger.seen.get(one.path) == one
    assert ledger.seen.under(Path("/second")) == {other.path: other}
    ledger.seen.forget(one.path)
    assert ledger.seen.get(one.path) is None


def test_problems_are_replaced_by_source(ledger: Ledger) -> None:
    full = Problem(code="disk_full", message="full", remedy="free")
    gone = Problem(code="inbox_missing", message="gone", remedy="mount")
    ledger.problems.set("intake", [gone, full])
    ledger.problems.set("worker", [full])
    assert ledger.snapshot(running=True).problems == (gone, full)  # said twice, shown once
    ledger.problems.set("intake", [])
    assert ledger.snapshot(running=True).problems == (full,)
    ledger.problems.clear()
    assert ledger.snapshot(running=True).problems == ()


def test_a_snapshot_shows_counts_and_what_is_being_painted(ledger: Ledger) -> None:
    put(ledger, "1", JobState.DONE)
    job = put(ledger, "2", JobState.RUNNING)
    ledger.attempts.report_progress(job, PROGRESS)
    ledger.presence.set_engines([EngineFacts(), EngineFacts(state="warm", device="cpu", weights="original")])
    ledger.presence.set_daemon(4711, "0.1.0")
    snapshot = ledger.snapshot(running=True)
    assert snapshot.counts == {state: int(state in (JobState.DONE, JobState.RUNNING)) for state in JobState}
    assert (snapshot.pid, snapshot.version, snapshot.engine.device) == (4711, "0.1.0", "cpu")
    assert [(each.job, each.progress) for each in snapshot.current] == [(job, PROGRESS)]


def test_a_snapshot_of_a_dead_daemon_shows_nothing_as_alive(ledger: Ledger) -> None:
    put(ledger, "1", JobState.RUNNING)
    ledger.presence.set_daemon(4711, "0.1.0")
    ledger.presence.set_engines([EngineFacts(state="warm")])
    ledger.problems.set("intake", [Problem(code="c", message="m", remedy="r")])
    snapshot = ledger.snapshot(running=False)
    assert (snapshot.pid, snapshot.current, snapshot.problems) == (None, (), ())
    assert snapshot.engine == EngineFacts()


def test_progress_of_a_job_that_has_ended_is_not_kept(ledger: Ledger) -> None:
    job = put(ledger, "1", JobState.DONE)
    ledger.attempts.report_progress(job, PROGRESS)
    ledger.retry(job)
    ledger.queue.claim()
    assert ledger.snapshot(running=True).current[0].progress is None


def test_a_heartbeat_is_the_time_of_the_last_beat(ledger: Ledger, clock: FakeClock) -> None:
    assert ledger.presence.heartbeat() is None
    ledger.presence.beat()
    clock.advance(3)
    ledger.presence.beat()
    assert ledger.presence.heartbeat() == clock()


def test_a_ledger_has_a_name_of_its_own_for_life(path: Path, tmp_path: Path) -> None:
    with Ledger(path) as one, Ledger(tmp_path / "other.db") as other:
        name = one.facts.identity
        assert name != other.facts.identity
    with Ledger(path) as again:
        assert again.facts.identity == name


def test_jobs_are_listed_by_state_newest_first_and_limited(ledger: Ledger) -> None:
    numbers = [ledger.add(new_job(str(key))).job for key in range(5)]
    assert [job.id for job in ledger.jobs.all(limit=2)] == numbers[:-3:-1]
    assert [job.id for job in ledger.jobs.all(newest_first=False)] == numbers
    assert ledger.jobs.all(state=JobState.DONE) == []
    assert ledger.jobs.of_key("3") == ledger.jobs.get(numbers[3])
    assert ledger.jobs.of_key("nobody") is None


def test_copies_of_done_jobs_are_not_needed(ledger: Ledger) -> None:
    done = put(ledger, "1", JobState.DONE)
    other = ledger.jobs.get(ledger.add(new_job("2", copy=Path("/state/photos/b.jpg"))).job)
    assert other is not None
    assert set().union(*ledger.jobs.copies()) == {other.copy, *(style.path for style in other.styles)}
    ledger.retry(done)
    assert len(set().union(*ledger.jobs.copies())) == 3


# The file.


@pytest.mark.parametrize("content", [b"this is no database" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_corrupt_ledger_is_put_aside_and_a_new_one_begun(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with Ledger(path) as ledger:
        assert ledger.file.put_aside is not None
        assert ledger.file.put_aside.name.startswith("ledger.corrupt-")
        assert ledger.file.put_aside.read_bytes() == content
        assert isinstance(ledger.add(new_job()), Added)
    with Ledger(path) as ledger:
        assert ledger.file.put_aside is None
        assert len(ledger.jobs.all()) == 1


def test_a_ledger_with_damage_in_its_middle_is_put_aside(path: Path) -> None:
    with Ledger(path) as ledger:
        for number in range(200):
            ledger.add(new_job(str(number)))
    content = bytearray(path.read_bytes())
    content[8192:40960] = b"\xa5" * (40960 - 8192)
    path.write_bytes(content)
    with Ledger(path) as ledger:
        assert ledger.file.put_aside is not None
        assert ledger.jobs.all() == []


def test_two_corrupt_ledgers_of_one_second_are_both_kept(path: Path, clock: FakeClock) -> None:
    path.parent.mkdir()
    for _ in range(2):
        path.write_bytes(b"no database" * 100)
        Ledger(path, clock=clock).close()
        path.unlink()
    assert len(list(path.parent.glob("ledger.corrupt-*.db"))) == 2


def test_an_older_ledger_is_migrated_behind_a_backup(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ledger(path) as ledger:
        job = ledger.add(new_job()).job
    more = (*ledger_schema.MIGRATIONS, ("ALTER TABLE jobs ADD COLUMN mood TEXT DEFAULT 'good'",))
    monkeypatch.setattr(ledger_file, "MIGRATIONS", more)
    with Ledger(path) as ledger:
        assert ledger.jobs.get(job) is not None
        with ledger.file.read() as db:
            assert db.execute("SELECT mood FROM jobs").fetchone()[0] == "good"
    before = len(ledger_schema.MIGRATIONS)
    backup = sqlite3.connect(path.with_name(f"ledger.schema-{before}.db"))
    assert backup.execute("SELECT count(*) FROM jobs").fetchone()[0] == 1
    assert backup.execute("PRAGMA user_version").fetchone()[0] == before
    backup.close()


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(path).close()
    broken = (*ledger_schema.MIGRATIONS, ("ALTER TABLE jobs ADD COLUMN mood TEXT", "NO SUCH STATEMENT"))
    with monkeypatch.context() as patch:
        patch.setattr(ledger_file, "MIGRATIONS", broken)
        with pytest.raises(MissingError, match="cannot be opened"):
            Ledger(path)
    with Ledger(path) as ledger:
        assert isinstance(ledger.add(new_job()), Added)


def test_a_ledger_of_a_newer_version_is_refused_and_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger(path).close()
    monkeypatch.setattr(ledger_file, "MIGRATIONS", ())
    with pytest.raises(MissingError, match="newer nst-daemon"):
        Ledger(path)
    assert path.exists()


def test_a_state_folder_that_is_a_file_is_refused_with_a_remedy(tmp_path: Path) -> None:
    blocker = tmp_path / "state"
    blocker.write_bytes(b"")
    with pytest.raises(MissingError, match="state_dir"):
        Ledger(blocker / "ledger.db")


def test_a_full_disk_is_a_condition_and_undoes_the_whole_move(ledger: Ledger) -> None:
    ledger.add(new_job())
    with ledger.file.read() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    ledger.file._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(ConditionError) as caught:
        for number in range(1000):
            ledger.add(new_job(str(number), error="x" * 2000))
    assert caught.value.code == "disk_full"
    ledger.file._db.execute("PRAGMA max_page_count = 100000")
    assert isinstance(ledger.add(new_job("after")), Added)


def test_moves_are_on_the_disk_and_progress_spares_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncing.sync_ledgers(monkeypatch.setattr)
    with Ledger(path) as ledger:
        with ledger.file.write() as db:
            assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
            assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        with ledger.file.write(durable=False) as db:
            assert db.execute("PRAGMA synchronous").fetchone()[0] == 1  # NORMAL


def _open_and_add(path: Path, number: int) -> None:
    with Ledger(path) as ledger:
        for each in range(10):
            ledger.add(new_job(f"{number}-{each}"))


def test_processes_that_make_a_ledger_at_the_same_moment_share_it(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_open_and_add, args=(path, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
        process.close()
    with Ledger(path) as ledger:
        assert len(ledger.jobs.all()) == 30


# ── news ────────────────────────────────────────────────────────────────────────────────────────────────


def test_who_waits_for_a_job_is_woken_by_a_new_one_and_not_by_one_that_is_known(ledger: Ledger) -> None:
    known = ledger.queue.additions.count
    waiting = threading.Thread(target=ledger.queue.additions.wait, args=(known, 3600.0))
    waiting.start()
    ledger.add(new_job("a"))
    waiting.join(20)
    assert not waiting.is_alive()
    assert ledger.queue.additions.count == known + 1
    ledger.add(new_job("a"))
    assert ledger.queue.additions.count == known + 1


def test_news_that_came_before_the_waiting_is_not_lost(ledger: Ledger) -> None:
    known = ledger.queue.additions.count
    ledger.add(new_job("a"))
    ledger.queue.additions.wait(known, 3600.0)


# Whose fault a bad end is.


def ends_badly(ledger: Ledger, job: int, *progress: float, begun: bool = True) -> int:
    """Let the daemon die in an attempt that came so far; return how many ended no further."""
    claimed = ledger.queue.claim()
    assert claimed is not None
    if begun:
        ledger.attempts.begin(job)
    for fraction in progress:
        ledger.attempts.report_progress(job, replace(PROGRESS, step=round(100 * fraction), steps=100))
    assert ledger.attempts.recover() == [job]
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.state is JobState.QUEUED
    return found.strikes


def test_an_end_before_the_engine_had_the_photo_counts_for_nothing(ledger: Ledger) -> None:
    ledger.attempts.recover()
    job = put(ledger, "1", JobState.QUEUED)
    assert [ends_badly(ledger, job, begun=False) for _ in range(6)] == [0] * 6


def test_an_end_counts_against_a_photo_that_came_no_further_than_before(ledger: Ledger) -> None:
    ledger.attempts.recover()
    job = put(ledger, "1", JobState.QUEUED)
    assert ends_badly(ledger, job) == 1
    assert ends_badly(ledger, job) == 2
    assert ends_badly(ledger, job, 0.1, 0.2) == 1
    assert ends_badly(ledger, job, 0.2) == 2
    assert ends_badly(ledger, job, 0.2, 0.3) == 1


def test_ends_of_the_engine_and_of_the_daemon_are_counted_apart(ledger: Ledger) -> None:
    ledger.attempts.recover()
    job = put(ledger, "1", JobState.QUEUED)
    assert [ends_badly(ledger, job) for _ in range(4)] == [1, 2, 3, 4]
    for count in (1, 2):
        assert ledger.queue.claim() is not None
        ledger.attempts.begin(job)
        assert ledger.attempts.strike(job) == count
        ledger.move(job, JobState.RUNNING, JobState.QUEUED)
    assert ends_badly(ledger, job, 0.5) == 1
    assert ledger.queue.claim() is not None
    ledger.attempts.begin(job)
    assert ledger.attempts.strike(job) == 1


def test_an_attempt_that_left_a_place_to_go_on_from_has_advanced(ledger: Ledger) -> None:
    ledger.attempts.recover()
    job = put(ledger, "1", JobState.QUEUED)
    assert ends_badly(ledger, job, 0.5) == 1
    assert ends_badly(ledger, job, 0.5) == 2
    ledger.queue.claim()
    ledger.attempts.begin(job)
    ledger.attempts.report_progress(job, replace(PROGRESS, step=40, steps=100), is_safe=True)
    ledger.attempts.recover()
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.strikes == 1


def test_a_stop_and_a_power_cut_count_for_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.attempts.recover()
    job = put(ledger, "1", JobState.QUEUED)
    ledger.queue.claim()
    ledger.attempts.begin(job)
    ledger.attempts.excuse(job)  # it was told to stop, and killed before it did
    ledger.attempts.report_progress(job, PROGRESS)
    assert ledger.attempts.recover() == [job]
    monkeypatch.setattr(machine, "boot_mark", lambda: "another run of the machine")
    assert ends_badly(ledger, job) == 0
    assert ends_badly(ledger, job) == 1


def test_a_job_that_is_retried_has_a_clean_sheet(ledger: Ledger) -> None:
    ledger.attempts.recover()
    job = put(ledger, "1", JobState.QUEUED)
    assert ends_badly(ledger, job) == 1
    ledger.queue.claim()
    ledger.move(job, JobState.RUNNING, JobState.FAILED)
    ledger.retry(job)
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.strikes == 0


def test_jobs_of_a_blocked_outbox_wait_and_others_are_claimed(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.add(new_job(str(number), outbox=Path(f"/outbox{number}")))
    ledger.queue.set_blocked([(Path("/outbox1"), None), (Path("/outbox2"), PurePath("another"))])
    claimed = ledger.queue.claim()
    assert claimed is not None
    assert claimed.outbox == Path("/outbox2")
    ledger.move(claimed.id, JobState.RUNNING, JobState.DONE)
    assert ledger.queue.claim() is None
    assert not ledger.queue.has_work()
    ledger.queue.set_blocked([(Path("/outbox1"), PurePath("trip"))])
    assert ledger.queue.claim() is None
    ledger.queue.set_blocked([])
    assert ledger.queue.has_work()
    assert ledger.queue.claim() is not None


# Where a photo lies, and why it was cancelled.


@pytest.mark.skipif(sys.platform == "win32", reason="names are Unicode there")
def test_a_photos_folder_is_kept_byte_by_byte_wherever_the_photo_goes(ledger: Ledger) -> None:
    folder = os.fsdecode(b"Urlaub\xfc")
    new = new_job(original=Path("/inbox") / folder / "a.jpg", path=PurePath(folder) / "a.jpg")
    job = ledger.add(new).job
    assert ledger.queue.claim() is not None
    ledger.move(job, JobState.RUNNING, JobState.FAILED, error="x")
    ledger.mark_disposed(job, Path("/failed/Urlaub/a.2.jpg"))
    assert ledger.revive(job, replace(new, original=Path("/failed/Urlaub/a.2.jpg")))
    found = ledger.jobs.get(job)
    assert found is not None
    assert found.place == PurePath(folder)


@pytest.mark.parametrize("target", [JobState.CANCELLED, JobState.QUEUED, JobState.HELD])
def test_a_running_job_that_was_cancelled_says_why(ledger: Ledger, target: JobState) -> None:
    job = put(ledger, "1", JobState.RUNNING)
    ledger.cancel(job, reason="the photo is gone")
    ledger.move(job, JobState.RUNNING, target, error="another reason")
    found = ledger.jobs.get(job)
    assert found is not None
    assert (found.state, found.error) == (JobState.CANCELLED, "the photo is gone")


def test_a_result_that_cannot_be_looked_for_keeps_its_name(
    ledger: Ledger, tmp_path: Path, faults: Faults
) -> None:
    job = put(ledger, "1", JobState.RUNNING)
    result = tmp_path / "a.jpg"
    ledger.move(job, JobState.RUNNING, JobState.DONE, result=result)
    faults.fail("lstat", errno.ESTALE, at=result)
    assert ledger.jobs.owner_of(result) == job
    assert ledger.jobs.owner_of(result) is None  # it is proven to be gone
