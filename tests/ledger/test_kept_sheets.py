"""Sheets in the ledger: kept over a restart, forgotten with their sketches once those have ended."""

from pathlib import Path

from support.clock import FakeClock
from support.new_jobs import new_job

from nst_daemon.ledger import Added, Ledger
from nst_daemon.ledger.jobs import JobState, Origin
from nst_daemon.ledger.sheets import Sheet, Sketch


def sheet_of(ledger: Ledger, key: str) -> Sheet:
    added = ledger.add(new_job(key, origin=Origin.SHEET, inbox=None), turn=1)
    assert isinstance(added, Added)
    sketches = [Sketch(style="mosaic", job=added.job, suits=0.83), Sketch(style="broken")]
    return ledger.sheets.add(ledger.sheets.new_name(), "trip/a.jpg", sketches)


def test_sheets_are_kept_over_a_restart_the_newest_first(tmp_path: Path, clock: FakeClock) -> None:
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        first = sheet_of(ledger, "a")
        clock.advance(1.0)
        second = sheet_of(ledger, "b")
    with Ledger(tmp_path / "ledger.db", clock=clock) as ledger:
        assert ledger.sheets.all() == [second, first]
        assert ledger.sheets.get(first.name) == first
        assert ledger.sheets.get("none") is None


def test_a_sheet_is_forgotten_with_its_jobs_once_they_have_ended(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        kept = ledger.add(new_job("kept"))
        assert isinstance(kept, Added)
        sheet = sheet_of(ledger, "a")
        sketch = sheet.sketches[0].job
        assert sketch is not None
        assert not ledger.sheets.forget(sheet)
        assert ledger.cancel(sketch) is JobState.CANCELLED
        assert ledger.sheets.forget(sheet)
        assert ledger.sheets.all() == []
        assert ledger.jobs.get(sketch) is None
        assert ledger.jobs.get(kept.job) is not None


def test_a_job_that_is_no_sketch_is_never_forgotten_with_a_sheet(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        added = ledger.add(new_job("real"))
        assert isinstance(added, Added)
        ledger.cancel(added.job)
        sheet = ledger.sheets.add("x", "a.jpg", [Sketch(style="mosaic", job=added.job)])
        assert ledger.sheets.forget(sheet)
        assert ledger.jobs.get(added.job) is not None


def test_what_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        sheet = sheet_of(ledger, "a")
        for name, text in (
            ("odd", "{"),
            ("old", '{"sketches": 3}'),
            ("new", '{"name": "n", "more": 1, "sketches": []}'),
        ):
            ledger.facts.remember(f"sheet {name}", text)
        assert ledger.sheets.all() == [sheet]


def test_the_copies_of_a_sheet_are_kept_when_its_sketches_are_done(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        photo, sketch = Path("/state/photos/photo.jpg"), Path("/state/photos/sheet.jpg")
        ledger.add(new_job("a", copy=photo))
        ledger.add(new_job("b", origin=Origin.SHEET, inbox=None, copy=sketch), turn=1)
        for _ in range(2):
            job = ledger.queue.claim()
            assert job is not None
            assert ledger.move(job.id, JobState.RUNNING, JobState.DONE)
        copies = set().union(*ledger.jobs.copies())
        assert sketch in copies  # a click may order the painting, for a week
        assert photo not in copies


def test_a_sketch_that_is_retried_stands_back_once_more(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        sketch = ledger.add(new_job("a", origin=Origin.SHEET, inbox=None), turn=1).job
        assert ledger.queue.claim() is not None
        ledger.move(sketch, JobState.RUNNING, JobState.FAILED, error="broken")
        photo = ledger.add(new_job("b")).job
        assert ledger.retry(sketch)
        assert [job.id for job in (ledger.queue.claim(), ledger.queue.claim()) if job] == [photo, sketch]
