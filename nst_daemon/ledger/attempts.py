"""Attempts at jobs in the ledger: taken, begun, given back; and whose fault it was that they ended badly.

An end counts against a photo only when the engine had that photo, and came no further than at an attempt
before. Kills while the engine starts, power cuts and stops count for nothing.
"""

import sqlite3
from collections.abc import Collection
from pathlib import Path, PurePath
from typing import Final

from nst_daemon.config.orders import Progress
from nst_daemon.ledger.facts import Facts
from nst_daemon.ledger.jobs import UNFINISHED, Job, JobState
from nst_daemon.ledger.rows import AHEAD_SECONDS, CLAIMABLE, but, row_of, transition_columns, update
from nst_daemon.ledger.schema import job_of_row, path_in, progress_in
from nst_daemon.system import machine
from nst_daemon.system.crash import CrashPoint, crash_at

BOOT: Final = "boot"  # the fact that names the run of the machine in which jobs were claimed
STRIKES: Final = "strikes"  # ends of the daemon, which are seldom a photo's fault
BREAKS: Final = "breaks"  # ends of the engine
PAINTED: Final = 2.0  # the progress of what has only to be published; while it is painted: 0 to 1


class Attempts(Facts):
    """Jobs taken and given back. Safe on any thread, and beside other processes that hold the same file."""

    def claim(self) -> Job | None:
        """Take the oldest job that may begin; None if there is none, or the daemon is paused.

        The attempt is counted and on the disk when this returns. Not those whose outbox takes no result now.
        """
        with self.file.read() as db:  # several times a second: a look takes no lock
            if self._claimable(db) is None:
                return None
        with self.file.write() as db:
            row = self._claimable(db)
            if row is None:  # another was faster
                return None
            db.execute(
                "UPDATE jobs SET state = ?, attempts = attempts + 1, started = ?, finished = NULL, "
                "seconds = NULL, error = NULL, progress = NULL, reached = NULL WHERE id = ?",
                (JobState.RUNNING, self._clock(), row["id"]),
            )
            claimed = row_of(db, row["id"])
        crash_at(CrashPoint.CLAIMED)
        return None if claimed is None else job_of_row(claimed)

    def _claimable(self, db: sqlite3.Connection) -> sqlite3.Row | None:
        """Return the row of the oldest job that may begin, and that can be read."""
        if db.execute("SELECT 1 FROM facts WHERE name = 'paused'").fetchone():
            return None
        now = self._clock()
        while True:
            query = f"{CLAIMABLE} {but(self.unreadable)} ORDER BY id LIMIT 1"
            row: sqlite3.Row | None = db.execute(
                query, (JobState.QUEUED, now, now + AHEAD_SECONDS)
            ).fetchone()
            if row is None or self._job_of(row) is not None:
                return row

    def begin(self, job: int) -> None:
        """Record that the engine gets the photo of a claimed job now: an end may be that photo's fault.

        It is on the disk when this returns, so that a photo which kills the process is found out.
        """
        with self.file.write() as db:
            db.execute("UPDATE jobs SET reached = 0 WHERE id = ? AND state = ?", (job, JobState.RUNNING))

    def excuse(self, job: int) -> None:
        """Record that a running job is asked to stop: however it ends now is not the photo's fault."""
        with self.file.write(durable=False) as db:
            db.execute("UPDATE jobs SET reached = NULL WHERE id = ? AND state = ?", (job, JobState.RUNNING))

    def report_painted(self, job: int) -> None:
        """Record that a running job has only to be published."""
        with self.file.write(durable=False) as db:
            db.execute(
                "UPDATE jobs SET reached = ? WHERE id = ? AND state = ?", (PAINTED, job, JobState.RUNNING)
            )

    def report_progress(self, job: int, progress: Progress, *, is_safe: bool = False) -> None:
        """Keep how far a running job is: for the views, and as evidence should it end badly.

        `is_safe`: the next attempt begins further on than this one did.
        """
        evidence = "max(reached, ?, best + 1e-9)" if is_safe else "max(reached, ?)"  # of NULL: NULL
        with self.file.write(durable=False) as db:
            db.execute(
                f"UPDATE jobs SET progress = ?, reached = {evidence} WHERE id = ? AND state = ?",
                (progress_in(progress), progress.fraction, job, JobState.RUNNING),
            )

    def strike(self, job: int) -> int:
        """Record that the engine broke at a running job; return how often it did, and came no further."""
        with self.file.write() as db:
            row = row_of(db, job)
            if row is None:
                return 0
            verdict = verdict_on(row, BREAKS)
            update(db, job, verdict)
            return int(str(verdict.get(BREAKS, row[BREAKS])))

    def recover(self) -> list[int]:
        """Give back what a daemon was painting when it died; return those jobs.

        Call it at the start of a daemon, under its lock. A job that was being cancelled is CANCELLED.
        """
        boot = machine.boot_mark()
        has_died = self.recall(BOOT) == boot  # else the machine went down, and the daemon with it
        with self.file.write() as db:
            rows = db.execute("SELECT * FROM jobs WHERE state = ?", (JobState.RUNNING,)).fetchall()
            for row in rows:
                target = JobState.CANCELLED if row["cancel_requested"] else JobState.QUEUED
                verdict = verdict_on(row, STRIKES) if has_died else {"reached": None}
                update(db, row["id"], transition_columns(row, target, self._clock()) | verdict)
        if not has_died:
            self.remember(BOOT, boot)
        self.set_blocked(())
        return [row["id"] for row in rows]

    def set_blocked(self, places: Collection[tuple[Path, PurePath | None]]) -> None:
        """Replace what takes no result at the moment, outboxes or sub-folders of them: their jobs wait."""
        rows = {
            (path_in(outbox), None if place is None else path_in(Path(place))) for outbox, place in places
        }
        with self.file.read() as db:
            if {(row["path"], row["place"]) for row in db.execute("SELECT * FROM blocked_outboxes")} == rows:
                return  # said every tick, written once
        with self.file.write(durable=False) as db:
            db.execute("DELETE FROM blocked_outboxes")
            db.executemany("INSERT INTO blocked_outboxes VALUES (?, ?)", list(rows))

    def unfinished_keys(self) -> set[str]:
        """Return the keys of all jobs that have not ended."""
        return self._keys("state IN (?, ?, ?)", *UNFINISHED)

    def struck_keys(self) -> set[str]:
        """Return the keys of the jobs that failed because their attempts ended badly: they may be retried."""
        return self._keys("state = ? AND strikes + breaks > 0", JobState.FAILED)

    def _keys(self, condition: str, *values: object) -> set[str]:
        with self.file.read() as db:
            return {row["key"] for row in db.execute(f"SELECT key FROM jobs WHERE {condition}", values)}


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
