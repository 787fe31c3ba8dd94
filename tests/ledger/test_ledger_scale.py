"""What the ledger answers must not cost what the number of its jobs is; and the answers stay exact."""

import os
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.clock import FakeClock
from support.new_jobs import held_job, new_job

from nst_daemon.disk import Stamp
from nst_daemon.errors import ConditionError
from nst_daemon.ledger import Ledger, Seen, Verdict
from nst_daemon.ledger import file as ledger_file
from nst_daemon.ledger import table as ledger_table
from nst_daemon.ledger.jobs import TRANSITIONS, JobState
from nst_daemon.ledger.seen import place_of

ODD = os.fsdecode(b"caf\xe9")


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Iterator[Ledger]:
    with Ledger(tmp_path / "state" / "ledger.db", clock=clock) as opened:
        yield opened


def seen(path: str, root: str = "/inbox", sidecar: str = "") -> Seen:
    stamp = Stamp(1, 2, 3)
    return Seen(path=Path(path), root=Path(root), stamp=stamp, verdict=Verdict.JOB, sidecar=sidecar)


# ── counts ──────────────────────────────────────────────────────────────────────────────────────────────


def counted(ledger: Ledger) -> dict[JobState, int]:
    with ledger.file.read() as db:
        found = dict(db.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall())
    return {state: found.get(state, 0) for state in JobState}


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(JobState)), max_size=25))
def test_the_counts_are_those_of_the_jobs_whatever_becomes_of_them(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[int, JobState]]
) -> None:
    with Ledger(tmp_path_factory.mktemp("counts") / "ledger.db") as ledger:
        for number in range(3):
            ledger.add(new_job(f"k{number}"))
            ledger.add(held_job(f"held:{number}"))
        for number, target in moves:
            job = ledger.jobs.get(number + 1)
            if job is not None and target in TRANSITIONS[job.state]:
                ledger.move(job.id, job.state, target)
            elif job is not None:
                ledger.cancel(job.id)
                ledger.retry(job.id)
            assert ledger.snapshot(running=True).counts == counted(ledger)
        ledger.prune(float("inf"))
        assert ledger.snapshot(running=True).counts == counted(ledger)


def test_a_move_that_is_rolled_back_counts_for_nothing(ledger: Ledger) -> None:
    job = ledger.add(new_job()).job
    with pytest.raises(ZeroDivisionError), ledger.file.write() as db:
        db.execute("UPDATE jobs SET state = 'done' WHERE id = ?", (job,))
        raise ZeroDivisionError
    assert ledger.snapshot(running=True).counts[JobState.QUEUED] == 1


# ── asked by part ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "folder", ["/inbox/a", "/inbox", f"/inbox/{ODD}", "/"], ids=["sub", "inbox", "no UTF-8", "root"]
)
def test_the_waiting_photos_of_a_folder_are_those_below_it(ledger: Ledger, folder: str) -> None:
    paths = ["/inbox/a/1.jpg", "/inbox/a/b/2.jpg", "/inbox/ab/3.jpg", "/inbox/a.jpg", "/inbox/a0/4.jpg"]
    paths += [f"/inbox/{ODD}/5.jpg", f"/inbox/a/{ODD}.jpg", f"/inbox/{ODD}x/6.jpg", "/elsewhere/a/7.jpg"]
    for path in paths:
        ledger.add(new_job(path, original=Path(path)))
        ledger.add(new_job(f"{path} again", original=Path(path)))
    gone = ledger.add(new_job("gone", original=Path("/inbox/a/gone.jpg"))).job
    ledger.cancel(gone)
    expected = {Path(path) for path in paths if Path(path).is_relative_to(folder)}
    found = ledger.jobs.pending_below(Path(folder))
    assert set(found) == expected
    assert len(found) == len(expected)


def test_the_waiting_photos_of_an_inbox_come_in_pages(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_table, "MANY", 2)
    names = [f"/inbox/{ODD}{number}.jpg" for number in range(5)]
    for name in names:
        ledger.add(new_job(name, original=Path(name)))
    ledger.add(held_job(original=Path("/inbox/held.jpg")))
    ledger.add(new_job("other", original=Path("/other/1.jpg"), inbox=Path("/other")))
    assert list(ledger.jobs.pending_originals(Path("/inbox"))) == ["/inbox/held.jpg", *names]


def test_keys_are_asked_for_by_name_and_those_that_are_no_hashes_always_come(ledger: Ledger) -> None:
    hashes = [f"{number:064x}" for number in range(700)]
    for key in hashes[:650]:
        ledger.add(new_job(key))
    ledger.add(new_job(f"{hashes[0]}@/other/outbox"))
    ledger.add(held_job(f"held:{hashes[0]}"))  # never painted: nothing of it is anywhere
    odd = {f"{hashes[0]}@/other/outbox"}
    assert ledger.jobs.unfinished_keys(hashes) == {*hashes[:650], *odd}
    assert ledger.jobs.unfinished_keys(hashes[648:660]) == {*hashes[648:650], *odd}
    assert ledger.jobs.unfinished_keys([]) == odd
    assert ledger.jobs.struck_keys(hashes) == set()
    claimed = ledger.queue.claim()
    assert claimed is not None
    ledger.attempts.begin(claimed.id)
    ledger.attempts.strike(claimed.id)
    ledger.move(claimed.id, JobState.RUNNING, JobState.FAILED)
    assert ledger.jobs.struck_keys(hashes) == {claimed.key}
    assert claimed.key not in ledger.jobs.unfinished_keys(hashes)


def numbers(ledger: Ledger, network: str) -> list[int]:
    return [job.id for jobs in ledger.jobs.keyed_otherwise(network) for job in jobs]


def test_a_job_is_looked_at_for_a_network_until_its_key_was_found_right(ledger: Ledger) -> None:
    first, second, held = (ledger.add(each).job for each in (new_job("a"), new_job("b"), held_job("held:c")))
    assert numbers(ledger, "1:vgg") == [first, second]
    ledger.mark_keyed([(first, "a"), (second, "another by now")], "1:vgg")
    assert numbers(ledger, "1:vgg") == [second]
    assert numbers(ledger, "2:vgg") == [first, second]
    ledger.repair(first, new_job("a"))  # written anew: it counts as another
    assert numbers(ledger, "1:vgg") == [first, second]
    ledger.repair(held, new_job("c"))
    assert numbers(ledger, "1:vgg") == [first, second, held]


def test_a_job_that_was_painted_for_another_network_is_found_when_it_is_retried(ledger: Ledger) -> None:
    job = ledger.add(new_job("a")).job
    ledger.mark_keyed([(job, "a")], "1:vgg")
    ledger.queue.claim()
    ledger.move(job, JobState.RUNNING, JobState.DONE)
    assert numbers(ledger, "2:vgg") == []
    ledger.retry(job)
    assert numbers(ledger, "2:vgg") == [job]


def test_what_was_seen_comes_in_the_order_of_its_paths_with_odd_names_last(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nst_daemon.ledger.seen.PAGE", 2)
    names = ["b/1.jpg", "a.jpg", "Ä.jpg", "\U0001f408.jpg", f"{ODD}.jpg", f"a/{ODD}.jpg", "a/2.jpg"]
    for name in names:
        ledger.seen.mark(seen(f"/inbox/{name}"))
    ledger.seen.mark(seen("/other/1.jpg", root="/other"))
    marks = list(ledger.seen.marks(Path("/inbox")))
    assert [mark.path for mark in marks] == sorted((Path("/inbox", name) for name in names), key=place_of)
    assert {mark.path.name for mark in marks[-2:]} == {f"{ODD}.jpg"}
    assert all(mark.is_readable and mark.stamp == str(Stamp(1, 2, 3)) for mark in marks)


def test_it_is_known_what_was_paired_with_a_sidecar_and_whether_anything_was_seen(ledger: Ledger) -> None:
    assert not ledger.seen.has_any(Path("/inbox"))
    ledger.seen.mark(seen("/inbox/plain.jpg"))
    ledger.seen.mark(seen(f"/inbox/{ODD}.jpg", sidecar="'a.yaml':1:2:3"))
    ledger.seen.mark(seen("/other/1.jpg", root="/other", sidecar="'a.yaml':1:2:3"))
    assert ledger.seen.with_sidecar(Path("/inbox")) == {f"/inbox/{ODD}.jpg"}
    assert ledger.seen.has_any(Path("/inbox"))


# ── asked all the time ──────────────────────────────────────────────────────────────────────────────────


def test_many_who_ask_whether_to_stop_cost_one_look(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_table, "STOP_SECONDS", float("inf"))
    job = ledger.add(new_job()).job
    ledger.queue.claim()
    assert not ledger.jobs.is_to_stop(job)
    ledger.cancel(job)
    assert not ledger.jobs.is_to_stop(job)  # as it was a moment ago
    assert ledger.jobs.is_cancelled(job)
    monkeypatch.setattr(ledger_table, "STOP_SECONDS", 0.0)
    assert ledger.jobs.is_to_stop(job)
    assert not ledger.jobs.is_to_stop(job + 1)


def plan_of(ledger: Ledger, query: str, *values: object) -> str:
    with ledger.file.read() as db:
        return " ".join(row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {query}", values))


def test_no_question_that_is_asked_all_the_time_looks_at_every_job(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, tuple[object, ...]]] = []

    class Listening(sqlite3.Connection):
        def execute(self, query: str, values: tuple[object, ...] = (), /) -> sqlite3.Cursor:  # type: ignore[override]
            asked.append((query, values))
            return super().execute(query, values)

    monkeypatch.setattr(sqlite3, "connect", lambda *args, **how: Listening(*args, **how))
    with Ledger(ledger.file.path) as listened:
        monkeypatch.undo()
        asked.clear()
        listened.snapshot(running=True)
        listened.jobs.all(state=JobState.HELD)
        next(listened.jobs.each(state=JobState.DONE), None)
        listened.jobs.undisposed()
        listened.jobs.is_cancelled(1)
        listened.jobs.is_to_stop(1)
        listened.jobs.unfinished_keys(["a" * 64])
        listened.jobs.broken_in(Path("/inbox"))
        listened.jobs.pending_below(Path("/inbox/a"))
        listened.queue.claim()
        listened.queue.has_work()
    questions = [each for each in asked if each[0].lstrip().startswith("SELECT") and "jobs" in each[0]]
    assert len(questions) >= 10
    for query, values in questions:
        plan = plan_of(ledger, query, *values)
        assert "SCAN jobs" not in plan or "INDEX jobs_of_odd_keys" in plan, query


# ── two connections ─────────────────────────────────────────────────────────────────────────────────────


def test_a_long_look_keeps_nobody_waiting_and_sees_one_moment(ledger: Ledger) -> None:
    ledger.add(new_job("a"))
    with ledger.file.long_read() as db:
        before = db.execute("SELECT count(*) FROM jobs").fetchone()[0]
        writer = threading.Thread(target=lambda: ledger.add(new_job("b")))
        writer.start()
        writer.join(30)
        assert not writer.is_alive()
        assert db.execute("SELECT count(*) FROM jobs").fetchone()[0] == before == 1
    with ledger.file.long_read() as db:
        assert db.execute("SELECT count(*) FROM jobs").fetchone()[0] == 2


def test_a_long_look_writes_nothing(ledger: Ledger) -> None:
    with pytest.raises(ConditionError), ledger.file.long_read() as db:
        db.execute("DELETE FROM jobs")


def test_whoever_looks_for_long_is_refused_after_the_end(ledger: Ledger) -> None:
    pages = ledger.jobs.each()
    ledger.close()
    with pytest.raises(ConditionError, match="closed"):
        next(pages)


def test_a_ledger_that_is_opened_anew_is_looked_at_anew(ledger: Ledger) -> None:
    ledger.add(new_job())
    assert len(list(ledger.jobs.each())) == 1
    ledger.file._is_suspect = True
    assert len(list(ledger.jobs.each())) == 1
    assert not ledger.file._is_suspect


def test_a_large_ledger_is_checked_by_the_daemon_and_not_by_each_command(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[object] = []
    monkeypatch.setattr(ledger_file.LedgerFile, "_check", lambda *args: checks.append(args))
    monkeypatch.setattr(ledger_file, "CHECKED_BYTES", 1)
    with Ledger(ledger.file.path, is_view=True) as view:
        assert checks == []
        view.file._is_suspect = True
        assert view.jobs.all() == []  # once it seems damaged, it is looked at by all means
    assert len(checks) == 1
    with Ledger(ledger.file.path):
        assert len(checks) == 2
    monkeypatch.setattr(ledger_file, "CHECKED_BYTES", 1 << 30)
    with Ledger(ledger.file.path, is_view=True):
        assert len(checks) == 3


def test_a_job_is_the_same_whether_it_shares_its_settings_or_not(ledger: Ledger) -> None:
    recipe = new_job().recipe
    assert recipe is not None
    for number in range(4):
        ledger.add(new_job(f"k{number}", recipe=replace(recipe, size=64 + number % 2)))
    found = [job.recipe for job in ledger.jobs.all(newest_first=False)]
    assert [each.size for each in found if each] == [64, 65, 64, 65]
    assert found[0] == recipe
