"""One row of the ledger that no longer parses: it is tolerated alone, shown, and never deleted."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest
from support.clock import FakeClock
from support.new_jobs import PROGRESS, held_job, new_job
from typer.testing import CliRunner

from nst_daemon.cli.app import app
from nst_daemon.disk import Stamp
from nst_daemon.ledger import Added, Ledger, Seen, Verdict
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.ledger.table import JobTable

DAMAGES = (
    ("styles", "[{"),
    ("styles", "7"),
    ("recipe", '{"size": "huge'),
    ("recipe", '{"optimizer": "of another version"}'),
    ("recipe", "[1, 2]"),
    ("areas", "{}"),
    ("origin", "the moon"),
    ("created", "yesterday"),
    ("created", 1e300),
    ("original", 7),
)


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state" / "ledger.db", clock=clock) as opened:
        yield opened


def damage(ledger: Ledger, job: int, column: str, value: object) -> dict[str, Any]:
    """Write something into a row; return the whole of it."""
    with ledger.file.write() as db:
        db.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (value, job))
    return row_of(ledger, job)


def row_of(ledger: Ledger, job: int) -> dict[str, Any]:
    with ledger.file.read() as db:
        return dict(db.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone())


@pytest.mark.parametrize(("column", "value"), DAMAGES)
def test_a_queued_row_that_says_nothing_is_passed_over_and_shown(
    ledger: Ledger, column: str, value: object
) -> None:
    bad, good = (ledger.add(new_job(key)).job for key in "ab")
    before = damage(ledger, bad, column, value)
    claimed = ledger.queue.claim()
    assert claimed is not None
    assert claimed.id == good
    ledger.move(good, JobState.RUNNING, JobState.DONE)
    assert ledger.queue.claim() is None
    assert not ledger.queue.has_work()
    assert [job.id for job in ledger.jobs.all()] == [good]
    assert [job.id for job in ledger.jobs.each()] == [good]
    assert ledger.jobs.undisposed() == [good]
    assert ledger.jobs.get(bad) is None
    assert ledger.snapshot(running=True).counts[JobState.QUEUED] == 1
    (problem,) = ledger.jobs.problems()
    assert problem.code == "job_unreadable"
    assert f"Job {bad} " in problem.message
    assert row_of(ledger, bad) == before


@pytest.mark.parametrize(("column", "value"), [*DAMAGES, ("state", "of another version")])
def test_every_view_and_request_goes_on_beside_it(ledger: Ledger, column: str, value: object) -> None:
    bad, good = (ledger.add(new_job(key)).job for key in "ab")
    for job in (bad, good):
        ledger.queue.claim()
        ledger.attempts.report_progress(job, PROGRESS)
    held = ledger.add(held_job()).job
    before = damage(ledger, bad, column, value)
    snapshot = ledger.snapshot(running=True)
    assert [current.job for current in snapshot.current] == [good]
    ledger.jobs.look_through()
    assert len(ledger.jobs.problems()) == 1
    assert list(ledger.jobs.copies())
    ledger.jobs.of_photo(Path("/inbox/trip/a.jpg"))
    list(ledger.jobs.pending_originals(Path("/inbox")))
    ledger.jobs.pending_below(Path("/inbox"))
    list(ledger.jobs.keyed_otherwise("another network"))
    ledger.jobs.ended_since(0.0)
    assert row_of(ledger, bad) == before
    ledger.attempts.recover()
    assert [job.state for job in ledger.jobs.all()] == [JobState.HELD, JobState.QUEUED]
    ledger.cancel(bad)
    ledger.retry(bad)
    ledger.retry_failed()
    assert ledger.cancel(held) is JobState.CANCELLED
    assert row_of(ledger, bad)[column] in (before[column], *JobState, None)


def test_a_progress_that_says_nothing_is_none(ledger: Ledger) -> None:
    job = ledger.add(new_job()).job
    damage(ledger, job, "progress", '{"scale": 1}')
    claimed = ledger.queue.claim()
    assert claimed is not None
    damage(ledger, job, "progress", "{")
    (current,) = ledger.snapshot(running=True).current
    assert (current.job, current.progress) == (job, None)
    assert ledger.jobs.problems() == []


def test_its_photo_becomes_a_new_job_when_it_comes_again(ledger: Ledger) -> None:
    bad = ledger.add(new_job("k")).job
    damage(ledger, bad, "recipe", "{")
    again = ledger.add(new_job("k"))
    assert isinstance(again, Added)
    assert again.job != bad
    assert ledger.jobs.of_key("k") is not None
    assert row_of(ledger, bad)["recipe"] == "{"


def test_the_copies_of_a_row_that_says_nothing_are_kept(ledger: Ledger) -> None:
    bad = ledger.add(new_job()).job
    areas = json.dumps({"mask": {"path": '/state/photos/mask "1".png', "name": 7}, "regions": []})
    damage(ledger, bad, "areas", areas[:-3])
    assert {Path("/state/photos/a.jpg"), Path('/state/photos/mask "1".png')} <= set().union(
        *ledger.jobs.copies()
    )


def test_what_was_seen_and_can_no_longer_be_read_is_looked_at_anew(ledger: Ledger) -> None:
    about = {"root": Path("/inbox"), "stamp": Stamp(1, 2, 3), "verdict": Verdict.JOB}
    for name in "ab":
        ledger.seen.mark(Seen(path=Path(f"/inbox/{name}"), **about))  # type: ignore[arg-type]
    with ledger.file.write() as db:
        db.execute("UPDATE seen SET verdict = 'of another version' WHERE path = '/inbox/a'")
    assert ledger.seen.get(Path("/inbox/a")) is None
    assert set(ledger.seen.under(Path("/inbox"))) == {Path("/inbox/b")}


def test_facts_that_say_nothing_hide_no_view(ledger: Ledger) -> None:
    for name in ("pid", "engines", "heartbeat", "ready"):
        ledger.facts.remember(name, "of another version")
    snapshot = ledger.snapshot(running=True)
    assert (snapshot.pid, snapshot.engines) == (None, ())
    assert (ledger.presence.heartbeat(), ledger.presence.ready_pid()) == (None, None)


def test_the_last_jobs_are_read_and_no_others(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(450):
        ledger.add(new_job(f"k{number}", path=PurePath(f"trip/{number}.jpg")))
    jobs = ledger.jobs.each()
    assert next(jobs).photo == "trip/449.jpg"
    assert [job.id for job in ledger.jobs.each()] == list(range(450, 0, -1))
    read: list[int] = []
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.yaml").write_text("inbox: inbox\noutbox: outbox\nstate_dir: state\n")
    each = JobTable.job_of

    def count(self: JobTable, row: sqlite3.Row) -> Job | None:
        read.append(row["id"])
        return each(self, row)

    monkeypatch.setattr(JobTable, "job_of", count)
    words = ["jobs", "--last", "3", "--photo", "trip/*5.jpg", "--config", str(tmp_path / "config.yaml")]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()[1:]] == ["446", "436", "426"]
    assert len(read) < 100


def test_commands_name_a_job_that_cannot_be_read(tmp_path: Path, ledger: Ledger) -> None:
    bad = ledger.add(new_job()).job
    damage(ledger, bad, "styles", "{")
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.yaml").write_text("inbox: inbox\noutbox: outbox\nstate_dir: state\n")
    config = ["--config", str(tmp_path / "config.yaml")]
    listed = CliRunner().invoke(app, ["jobs", *config])
    assert listed.exit_code == 0
    assert f"Job {bad} cannot be read" in listed.stderr
    shown = CliRunner().invoke(app, ["show", str(bad), *config])
    assert shown.exit_code == 2
    assert f"Job {bad} cannot be read" in shown.stderr


def test_an_idle_worker_takes_no_lock_for_its_look(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: bool) -> None:
        raise AssertionError("the write lock was taken")

    monkeypatch.setattr(ledger.file, "write", refuse)
    assert ledger.queue.claim() is None
