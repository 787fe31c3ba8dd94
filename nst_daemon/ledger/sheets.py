"""Sheets: one photo in many styles, each a job. A sheet is its jobs, and nothing beside them."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from nst_daemon.ledger.columns import UnreadableRowError, job_of_row
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import UNFINISHED, Job
from nst_daemon.ledger.rows import cancelled

IS_CANCELLED: Final = "its sheet was cancelled"


class Sheets:
    """The sketches of each sheet, in the order in which they were asked for. Safe on any thread."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def get(self, sheet: str) -> list[Job]:
        """Return a sheet's jobs; none: there is no such sheet."""
        with self._file.read() as db:
            return _jobs_of(db, sheet)

    def latest(self, count: int) -> list[list[Job]]:
        """Return the jobs of the sheets that were asked for last, the last one first."""
        with self._file.read() as db:
            rows = db.execute(
                "SELECT sheet FROM jobs WHERE sheet IS NOT NULL GROUP BY sheet ORDER BY max(id) DESC LIMIT ?",
                (count,),
            ).fetchall()
            found = [_jobs_of(db, row["sheet"]) for row in rows]
        return [jobs for jobs in found if jobs]

    def cancel(self, sheet: str) -> int | None:
        """Cancel all that a sheet waits for, as one; return how many jobs; None: there is no such sheet."""
        with self._file.write() as db:
            rows = db.execute("SELECT * FROM jobs WHERE sheet = ? ORDER BY id", (sheet,)).fetchall()
            if not rows:
                return None
            open_rows = [row for row in rows if row["state"] in UNFINISHED]
            for row in open_rows:
                cancelled(db, row, IS_CANCELLED, self._file.clock())
            return len(open_rows)

    def ended_before(self, moment: float) -> list[str]:
        """Return the sheets all of whose jobs ended before a moment in seconds since 1970."""
        with self._file.read() as db:
            rows = db.execute(
                "SELECT sheet FROM jobs WHERE sheet IS NOT NULL GROUP BY sheet "
                "HAVING max(coalesce(finished, ?)) < ?",
                (moment, moment),
            ).fetchall()
        return [row["sheet"] for row in rows]

    def forget(self, sheet: str) -> None:
        """Forget a sheet whose jobs have all ended."""
        with self._file.write() as db:
            marks = ", ".join("?" * len(UNFINISHED))
            db.execute(
                f"DELETE FROM jobs WHERE sheet = ? AND NOT EXISTS ("
                f"SELECT 1 FROM jobs AS other WHERE other.sheet = ? AND other.state IN ({marks}))",
                (sheet, sheet, *UNFINISHED),
            )


def _jobs_of(db: sqlite3.Connection, sheet: str) -> list[Job]:
    return list(_readable(db.execute("SELECT * FROM jobs WHERE sheet = ? ORDER BY id", (sheet,)).fetchall()))


def _readable(rows: Iterable[sqlite3.Row]) -> Iterable[Job]:
    for row in rows:
        try:
            yield job_of_row(row)
        except UnreadableRowError:  # `JobTable.look_through` tells of it
            continue
