"""Attempts at claimed jobs: begun, followed, given back; and whose fault it was that they ended badly.

An end counts against a photo only when the engine had that photo, and came no further than at an attempt
before. Kills while the engine starts, power cuts and stops count for nothing.
"""

import sqlite3
from typing import Final

from nst_daemon.config.orders import Progress
from nst_daemon.ledger.columns import progress_in
from nst_daemon.ledger.facts import Facts
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import JobState
from nst_daemon.ledger.rows import row_of, transition_columns, update
from nst_daemon.system import machine

BOOT: Final = "boot"  # the fact that names the run of the machine in which jobs were claimed
STRIKES: Final = "strikes"  # ends of the daemon, which are seldom a photo's fault
BREAKS: Final = "breaks"  # ends of the engine
PAINTED: Final = 2.0  # the progress of what has only to be published; while it is painted: 0 to 1


class Attempts:
    """How far the attempts in hand have come, and how they end. Safe on any thread, and for many workers."""

    def __init__(self, file: LedgerFile, facts: Facts) -> None:
        self._file = file
        self._facts = facts

    def begin(self, job: int) -> None:
        """Record that the engine gets the photo of a claimed job now: an end may be that photo's fault.

        It is on the disk when this returns, so that a photo which kills the process is found out.
        """
        with self._file.write() as db:
            db.execute("UPDATE jobs SET reached = 0 WHERE id = ? AND state = ?", (job, JobState.RUNNING))

    def excuse(self, job: int) -> None:
        """Record that a running job is asked to stop: however it ends now is not the photo's fault."""
        with self._file.write(durable=False) as db:
            db.execute("UPDATE jobs SET reached = NULL WHERE id = ? AND state = ?", (job, JobState.RUNNING))

    def report_painted(self, job: int) -> None:
        """Record that a running job has only to be published."""
        with self._file.write(durable=False) as db:
            db.execute(
                "UPDATE jobs SET reached = ? WHERE id = ? AND state = ?", (PAINTED, job, JobState.RUNNING)
            )

    def report_progress(self, job: int, progress: Progress, *, is_safe: bool = False) -> None:
        """Keep how far a running job is: for the views, and as evidence should it end badly.

        The evidence is its steps: what share of the time they are is learned anew in each attempt.

        `is_safe`: the next attempt begins further on than this one did.
        """
        evidence = "max(reached, ?, best + 1e-9)" if is_safe else "max(reached, ?)"  # of NULL: NULL
        with self._file.write(durable=False) as db:
            db.execute(
                f"UPDATE jobs SET progress = ?, reached = {evidence} WHERE id = ? AND state = ?",
                (progress_in(progress), progress.step / progress.steps, job, JobState.RUNNING),
            )

    def strike(self, job: int) -> int:
        """Record that the engine broke at a running job; return how often it did, and came no further."""
        with self._file.write() as db:
            row = row_of(db, job)
            if row is None:
                return 0
            verdict = verdict_on(row, BREAKS)
            if verdict:
                update(db, job, verdict)
            return int(str(verdict.get(BREAKS, row[BREAKS])))

    def take_seat(self, job: int, seat: str | None) -> None:
        """Record at which seat of a farm a running job is painted; None: at none, but here."""
        with self._file.write(durable=False) as db:
            db.execute("UPDATE jobs SET seat = ? WHERE id = ? AND state = ?", (seat, job, JobState.RUNNING))

    def lose_seat(self, job: int) -> int:
        """Record that a running job lost the seat that painted it; return how often it has.

        A seat that went before it had the photo counts for nothing.
        """
        with self._file.write() as db:
            db.execute("UPDATE jobs SET lost = lost + (reached IS NOT NULL) WHERE id = ?", (job,))
            row = row_of(db, job)
        return 0 if row is None else int(row["lost"])

    def recover(self) -> list[int]:
        """Give back what a daemon was painting when it died; return those jobs.

        Call it at the start of a daemon, under its lock. A job that was being cancelled is CANCELLED.
        """
        boot = machine.boot_mark()
        has_died = self._facts.recall(BOOT) == boot  # else the machine went down, and the daemon with it
        with self._file.write() as db:
            db.execute("DELETE FROM blocked_outboxes")  # each is asked anew
            rows = db.execute("SELECT * FROM jobs WHERE state = ?", (JobState.RUNNING,)).fetchall()
            for row in rows:
                target = JobState.CANCELLED if row["cancel_requested"] else JobState.QUEUED
                verdict = verdict_on(row, STRIKES) if has_died else {"reached": None}
                update(db, row["id"], transition_columns(row, target, self._file.clock()) | verdict)
        if not has_died:
            self._facts.remember(BOOT, boot)
        return [row["id"] for row in rows]


def refund(row: sqlite3.Row) -> dict[str, object]:
    """Return what changes in a job whose attempt counts for nothing."""
    return {"attempts": max(0, row["attempts"] - 1), "reached": None}


def verdict_on(row: sqlite3.Row, count: str) -> dict[str, object]:
    """Return what changes in a job whose attempt ended badly; `count`: the column of the ends of its kind."""
    if row["reached"] is None:
        return {}  # the engine never had the photo, or was told to stop
    if row["reached"] > row["best"]:  # the counts begin anew
        return {STRIKES: 0, BREAKS: 0} | {count: 1, "best": row["reached"], "reached": None}
    return {count: row[count] + 1, "reached": None}
