"""Statements over one row of the table `jobs`, inside a transaction that the caller holds."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.errors import ConditionError
from nst_daemon.ledger.columns import (
    UnreadableRowError,
    job_of_row,
    path_in,
    path_out,
    result_name,
    text_in,
)
from nst_daemon.ledger.jobs import ENDS, TRANSITIONS, JobState

UNREAD: Final = "waits to be read again"  # the error of a job that was retried before it ever had a style
AHEAD_SECONDS: Final = 600.0  # no job waits so long: the clock was set back
CLAIMABLE: Final = """
    SELECT * FROM jobs WHERE state = ? AND (not_before <= ? OR not_before > ?)
    AND (inbox IS NULL OR inbox NOT IN (SELECT path FROM foreign_inboxes))
    AND NOT EXISTS (
        SELECT 1 FROM blocked_outboxes AS blocked
        WHERE blocked.path = jobs.outbox AND (blocked.place IS NULL OR blocked.place IS jobs.place)
    )
"""  # jobs that may begin
NO_SKETCH: Final = "origin != 'sheet'"
UNDISPOSED: Final = "origin = 'inbox' AND is_disposed = 0 AND state IN (?, ?)"
WORK: Final = """
    SELECT 1 FROM jobs WHERE state IN (?, ?)
    AND (inbox IS NULL OR inbox NOT IN (SELECT path FROM foreign_inboxes))
    AND (state = 'running' OR NOT EXISTS (
        SELECT 1 FROM blocked_outboxes AS blocked
        WHERE blocked.path = jobs.outbox AND (blocked.place IS NULL OR blocked.place IS jobs.place)
    ))
"""  # jobs that run or will
FRESH: Final[dict[str, object]] = {
    "attempts": 0,
    "started": None,
    "finished": None,
    "seconds": None,
    "error": None,
    "cancel_requested": 0,
    "not_before": 0.0,
    "progress": None,
    "is_disposed": 0,
    "reached": None,
    "best": 0.0,
    "strikes": 0,
    "breaks": 0,
    "turn": 0,
    "seat": None,
    "lost": 0,
}  # what a job loses that begins anew


def but(jobs: Iterable[int]) -> str:
    """Return the condition that leaves jobs out, to be put behind others."""
    numbers = ", ".join(str(int(job)) for job in jobs)
    return f" AND id NOT IN ({numbers})" if numbers else ""


def state_of(row: sqlite3.Row) -> JobState | None:
    """Return where a job is; None: the row says no word that we know."""
    try:
        return JobState(row["state"])
    except ValueError:
        return None


def row_of(db: sqlite3.Connection, job: int) -> sqlite3.Row | None:
    """Return a job's row."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
    return row


def row_of_key(db: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    """Return the row of the job with a key."""
    row: sqlite3.Row | None = db.execute("SELECT * FROM jobs WHERE key = ?", (text_in(key),)).fetchone()
    return row


def readable_row_of_key(db: sqlite3.Connection, key: str) -> sqlite3.Row | None:
    """Return the row of the job with a key; one that no longer parses stays, and gives the key up."""
    row = row_of_key(db, key)
    if row is None:
        return None
    try:
        job_of_row(row)
    except UnreadableRowError:
        update(db, row["id"], {"key": f"{row['key']}:unreadable:{row['id']}"})
        return None
    return row


def update(db: sqlite3.Connection, job: int, columns: dict[str, object]) -> None:
    """Write columns of a job's row."""
    changes = ", ".join(f"{name} = ?" for name in columns)
    db.execute(f"UPDATE jobs SET {changes} WHERE id = ?", (*columns.values(), job))


def check_move(source: JobState, target: JobState) -> None:
    """Refuse a move that is not in TRANSITIONS.

    Raises:
        ValueError: no such move.
    """
    if target not in TRANSITIONS[source]:
        raise ValueError(f"A job never moves from {source} to {target}")


def transition_columns(row: sqlite3.Row, target: JobState, now: float) -> dict[str, object]:
    """Return what changes in any job that arrives in a state."""
    columns: dict[str, object] = {"state": target.value, "cancel_requested": 0}
    if target is not JobState.DONE:  # of a finished painting the last one tells the losses
        columns["progress"] = None
    columns["finished"] = now if target in ENDS else None
    if target is JobState.DONE:
        columns |= {"was_done": 1, "is_disposed": 0}
    elif target is JobState.FAILED:
        columns["is_disposed"] = 0
    if target in (JobState.FAILED, JobState.CANCELLED) and not row["was_done"]:
        columns |= {"result": None, "result_name": None}  # a name that was reserved and never used
    return columns


def begin_anew(db: sqlite3.Connection, row: sqlite3.Row) -> bool:
    """Put a job that has ended back to its begin; False if it has not ended."""
    state = state_of(row)
    target = JobState.HELD if row["recipe"] is None else JobState.QUEUED
    if state is None or state not in ENDS or target not in TRANSITIONS[state]:
        return False
    error = UNREAD if target is JobState.HELD else None
    turn = max(0, row["turn"])  # what stood back for the others does so again
    update(db, row["id"], FRESH | {"state": target.value, "error": error, "turn": turn})
    return True


def owner_of(db: sqlite3.Connection, target: Path) -> int | None:
    """Return the job whose result has a name; not if it is done and its result has been taken away."""
    row = db.execute(
        "SELECT id, state, result FROM jobs WHERE result_name = ?", (result_name(target),)
    ).fetchone()
    if row is None:
        return None
    result = path_out(row["result"])
    has_gone = row["state"] == JobState.DONE and result is not None and _is_gone(result)
    return None if has_gone else int(row["id"])


def _is_gone(result: Path) -> bool:
    """Return whether it is proven that a result was taken away."""
    try:
        return not disk.is_there(result)
    except ConditionError:
        return False


def own_result(db: sqlite3.Connection, job: int, target: Path) -> None:
    """Give a job the name of a result; a job whose result has been taken away loses it."""
    name = result_name(target)
    db.execute("UPDATE jobs SET result_name = NULL WHERE result_name = ?", (name,))
    update(db, job, {"result": path_in(target), "result_name": name})


def duplicate_of(other: int, job: int) -> str:
    """Return the error of a job that would do another's work again."""
    return f"duplicate of job {other}; `nst-daemon retry {job}` paints it again"
