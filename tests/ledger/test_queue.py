"""The order of the queue: by turn and by age; what is asked for next goes before all others, for good."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.new_jobs import held_job, new_job

from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import JobState, Origin


def added_job(ledger: Ledger, key: str) -> int:
    added = ledger.add(new_job(key))
    assert isinstance(added, Added)
    return added.job


def three(ledger: Ledger) -> list[int]:
    return [added_job(ledger, f"k{number}") for number in range(3)]


def order(ledger: Ledger) -> list[int]:
    return [job.id for job in ledger.queue.next(10)]


def test_what_is_asked_for_next_begins_first_also_after_a_restart(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, second, third = three(ledger)
        assert order(ledger) == [first, second, third]
        assert ledger.queue.put_first(third)
        assert ledger.queue.put_first(second)  # the last word counts
        assert [ledger.queue.before(job) for job in (second, third, first)] == [0, 1, 2]
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert order(ledger) == [second, third, first]
        assert [ledger.queue.claim().id for _ in range(3)] == [second, third, first]  # type: ignore[union-attr]


def test_a_job_is_put_behind_any_other_also_after_a_restart(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        jobs = [*three(ledger), *(added_job(ledger, f"more {number}") for number in range(3))]
        sketch = ledger.add(new_job("sketch", origin=Origin.SHEET, inbox=None), turn=1)
        assert isinstance(sketch, Added)
        for moved, behind in itertools.permutations(range(len(jobs)), 2):
            assert ledger.queue.put_behind(jobs[moved], jobs[behind])
            expected = [job for job in jobs if job != jobs[moved]]
            expected.insert(expected.index(jobs[behind]) + 1, jobs[moved])
            jobs = expected
            assert order(ledger) == jobs
        assert ledger.queue.before(sketch.job) == len(jobs)  # a sketch stands back for all of them
        late = added_job(ledger, "late")
    with Ledger(tmp_path / "ledger.db") as ledger:
        assert order(ledger) == [*jobs, late]
        assert [ledger.queue.claim().id for _ in jobs] == jobs  # type: ignore[union-attr]


def test_a_job_that_has_begun_keeps_its_place_for_those_that_are_put_behind_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, second, third = three(ledger)
        assert ledger.queue.claim() is not None
        assert ledger.queue.put_behind(third, first)
        assert order(ledger) == [third, second]
        ledger.cancel(third)
        fourth, fifth = added_job(ledger, "fourth"), added_job(ledger, "fifth")
        assert ledger.queue.put_behind(fifth, third)
        assert order(ledger) == [fifth, second, fourth]


def test_only_what_waits_is_put_behind_another_and_only_behind_one_that_there_is(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, second, third = three(ledger)
        assert ledger.queue.claim() is not None
        assert not ledger.queue.put_behind(first, second)
        assert not ledger.queue.put_behind(99, second)
        with pytest.raises(KeyError):
            ledger.queue.put_behind(third, 99)
        assert ledger.queue.put_behind(second, second)
        assert order(ledger) == [second, third]


def test_only_what_waits_can_be_next(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, *_ = three(ledger)
        held = ledger.add(held_job())
        assert ledger.queue.claim() is not None
        assert isinstance(held, Added)
        assert not ledger.queue.put_first(first)
        assert not ledger.queue.put_first(held.job)
        assert not ledger.queue.put_first(99)


def test_a_job_that_begins_anew_stands_where_its_age_puts_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, second, third = three(ledger)
        ledger.queue.put_first(third)
        assert ledger.queue.claim() is not None
        ledger.move(third, JobState.RUNNING, JobState.FAILED, error="broken")
        ledger.retry(third)
        assert order(ledger) == [first, second, third]


def test_a_job_that_was_stopped_keeps_its_place(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        first, second, third = three(ledger)
        ledger.queue.put_first(third)
        assert ledger.queue.claim() is not None
        assert ledger.move(third, JobState.RUNNING, JobState.QUEUED, refund_attempt=True)
        assert order(ledger) == [third, first, second]


def test_a_sketch_of_a_sheet_stands_back_for_all_others_and_no_view_lists_it(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        sketch = ledger.add(new_job("sketch", origin=Origin.SHEET, inbox=None), turn=1)
        assert isinstance(sketch, Added)
        first, second, third = three(ledger)
        assert order(ledger) == [first, second, third]
        claimed = [ledger.queue.claim() for _ in range(4)]
        assert [job.id for job in claimed if job is not None] == [first, second, third, sketch.job]
        for job in (sketch.job, first):
            ledger.move(job, JobState.RUNNING, JobState.DONE, result=tmp_path / f"{job}.jpg", seconds=1.0)
        ledger.move(second, JobState.RUNNING, JobState.QUEUED)
        assert [job.id for job in ledger.jobs.latest(JobState.DONE)] == [first]
        assert [job.id for job in ledger.jobs.older(state=JobState.DONE, before=None, limit=9)] == [first]
        assert [job.id for job in ledger.jobs.ended_since(0.0)] == [first]
        assert ledger.jobs.get(sketch.job) is not None  # who knows its number finds it


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db") as made:
        yield made


def test_it_is_short_while_no_more_jobs_may_begin_than_are_painted(ledger: Ledger) -> None:
    assert ledger.queue.is_short()
    for name in "abc":
        ledger.add(new_job(name))
    assert not ledger.queue.is_short()
    ledger.queue.claim()
    assert not ledger.queue.is_short()  # two wait, one is painted
    ledger.queue.claim()
    assert ledger.queue.is_short()
    ledger.requests.pause()
    assert not ledger.queue.is_short()


def test_jobs_that_another_daemon_has_or_whose_outbox_takes_nothing_are_no_stock(ledger: Ledger) -> None:
    ledger.add(new_job("a"))
    assert not ledger.queue.is_short()
    ledger.queue.set_foreign([Path("/inbox")])
    assert ledger.queue.is_short()
    ledger.queue.set_foreign([])
    ledger.queue.set_blocked([(Path("/outbox"), None)])
    assert ledger.queue.is_short()
