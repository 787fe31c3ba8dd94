"""Sheets in the ledger: jobs that stand back, are listed as one, cancelled as one and forgotten as one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.new_jobs import held_job, new_job

from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import JobState, Origin
from nst_daemon.ledger.words import sheet_json


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        yield ledger


def add(ledger: Ledger, sheet: str | None, *keys: str, **changes: object) -> list[int]:
    origin = Origin.INBOX if sheet is None else Origin.SHEET
    return [ledger.add(new_job(key, sheet=sheet, origin=origin, **changes)).job for key in keys]


def end(ledger: Ledger, job: int, state: JobState) -> None:
    claimed = ledger.queue.claim()
    assert claimed is not None
    assert claimed.id == job
    assert ledger.move(job, JobState.RUNNING, state, error="broken" if state is JobState.FAILED else None)


def test_a_sheet_stands_back_for_all_that_waits_and_comes_later(ledger: Ledger) -> None:
    first, second = add(ledger, "s", "a", "b")
    (photo,) = add(ledger, None, "c")
    assert ledger.queue.before(first) == 1
    end(ledger, photo, JobState.DONE)
    end(ledger, first, JobState.FAILED)
    (later,) = add(ledger, None, "d")
    ledger.retry(first)
    end(ledger, later, JobState.DONE)
    end(ledger, first, JobState.DONE)  # it stands back once more, and is the older one
    end(ledger, second, JobState.DONE)


def test_what_is_asked_for_next_goes_before_a_sheet(ledger: Ledger) -> None:
    add(ledger, "s", "a")
    one, other = add(ledger, None, "b", "c")
    assert ledger.queue.put_first(other)
    assert [claimed.id for _ in range(2) if (claimed := ledger.queue.claim())] == [other, one]


def test_lists_of_paintings_have_no_sketches(ledger: Ledger) -> None:
    (photo,) = add(ledger, None, "a")
    (sketch,) = add(ledger, "s", "b")
    assert [job.id for job in ledger.queue.next(9)] == [photo]
    end(ledger, photo, JobState.DONE)
    end(ledger, sketch, JobState.DONE)
    assert [job.id for job in ledger.jobs.latest(JobState.DONE, 9)] == [photo]
    assert [job.id for job in ledger.jobs.older(state=None, before=None, limit=9)] == [photo]
    assert [job.id for job in ledger.jobs.ended_since(0.0)] == [photo]
    assert ledger.jobs.styles_painted() == [(("starry_night",), 1)]
    assert {job.id for job in ledger.jobs.all()} == {photo, sketch}


def test_the_copies_of_a_sheet_are_kept_as_long_as_it_is(ledger: Ledger) -> None:
    (sketch,) = add(ledger, "s", "a", copy=Path("/state/photos/of_a_sheet.jpg"))
    end(ledger, sketch, JobState.DONE)
    assert Path("/state/photos/of_a_sheet.jpg") in ledger.jobs.copies()


def test_sheets_are_told_the_last_first_and_their_sketches_as_they_were_asked_for(ledger: Ledger) -> None:
    first = add(ledger, "s", "a", "b", suits=0.5)
    second = add(ledger, "t", "c")
    assert [[job.id for job in jobs] for jobs in ledger.sheets.latest(9)] == [second, first]
    assert [[job.id for job in jobs] for jobs in ledger.sheets.latest(1)] == [second]
    assert [job.id for job in ledger.sheets.get("s")] == first
    assert ledger.sheets.get("none") == []
    told = sheet_json(ledger.sheets.get("s"))
    assert (told["id"], told["photo"]) == ("s", "trip/a.jpg")
    tile = {"style": "starry_night", "job": first[0], "state": "queued", "suits": 0.5, "error": None}
    assert told["tiles"] == [tile, tile | {"job": first[1]}]


def test_a_sheet_is_cancelled_as_one(ledger: Ledger) -> None:
    done, running, queued = add(ledger, "s", "a", "b", "c")
    (other,) = add(ledger, "t", "d")
    end(ledger, done, JobState.DONE)
    assert ledger.queue.claim() is not None
    assert ledger.sheets.cancel("s") == 2
    assert ledger.jobs.is_cancelled(running)
    states = {job.id: job.state for job in ledger.jobs.all()}
    assert (states[done], states[queued], states[other]) == (
        JobState.DONE,
        JobState.CANCELLED,
        JobState.QUEUED,
    )
    assert ledger.sheets.cancel("s") == 1  # the running one has not stopped yet
    assert ledger.sheets.cancel("none") is None


def test_a_sheet_is_forgotten_once_all_of_it_has_ended(ledger: Ledger, clock: FakeClock) -> None:
    first, second = add(ledger, "s", "a", "b")
    end(ledger, first, JobState.DONE)
    clock.advance(100.0)
    assert ledger.sheets.ended_before(clock()) == []
    ledger.sheets.forget("s")
    assert len(ledger.sheets.get("s")) == 2  # the second waits yet
    end(ledger, second, JobState.DONE)
    assert ledger.sheets.ended_before(clock()) == []
    clock.advance(1.0)
    assert ledger.sheets.ended_before(clock()) == ["s"]
    (photo,) = add(ledger, None, "c")
    held = ledger.add(held_job())
    ledger.sheets.forget("s")
    assert {job.id for job in ledger.jobs.all()} == {photo, held.job}
