"""The table of jobs, read. What no longer parses is passed over, remembered and shown; all others go on."""

import logging
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nst_daemon.ledger.columns import (
    UnreadableRowError,
    copies_of_row,
    job_of_row,
    path_in,
    style_names,
    text_in,
)
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import PENDING, UNFINISHED, Job, JobState, Problem
from nst_daemon.ledger.rows import NO_SKETCH, UNDISPOSED, owner_of, row_of

logger = logging.getLogger(__name__)

PAGE: Final = 200  # jobs that are read at once


class JobTable:
    """All jobs, for whoever asks. Changes nothing. Safe on any thread."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self.unreadable: dict[int, str] = {}  # jobs whose rows were found to say nothing any more, and why

    def get(self, job: int) -> Job | None:
        """Return one job."""
        with self._file.read() as db:
            row = row_of(db, job)
        return None if row is None else self.job_of(row)

    def all(
        self, *, state: JobState | None = None, limit: int | None = None, newest_first: bool = True
    ) -> list[Job]:
        """Return the jobs of one state or of all."""
        order = f"ORDER BY id {'DESC' if newest_first else 'ASC'} LIMIT {_at_most(limit)}"
        return self._select(f"(? IS NULL OR state = ?) {order}", state, state)

    def latest(self, state: JobState, limit: int | None = None) -> list[Job]:
        """Return the jobs of one state that ended last, the last one first; no sketches of sheets."""
        return self._select(
            f"state = ? AND {NO_SKETCH} ORDER BY finished DESC LIMIT {_at_most(limit)}", state
        )

    def older(self, *, state: JobState | None, before: int | None, limit: int) -> list[Job]:
        """Return the jobs of one state or of all below a number, newest first; no sketches of sheets."""
        below = sys.maxsize if before is None else before
        return self._select(
            f"id < ? AND (? IS NULL OR state = ?) AND {NO_SKETCH} ORDER BY id DESC LIMIT {int(limit)}",
            below,
            state,
            state,
        )

    def styles_painted(self) -> list[tuple[tuple[str, ...], int]]:
        """Return how many jobs are done in each style or blend, by the names of its pictures."""
        with self._file.read() as db:
            rows = db.execute(
                "SELECT styles, count(*) AS count FROM jobs WHERE state = ? GROUP BY styles", (JobState.DONE,)
            ).fetchall()
        return [(style_names(row["styles"]), row["count"]) for row in rows]

    def each(self, *, state: JobState | None = None) -> Iterator[Job]:
        """Yield the jobs of one state or of all, the newest first, read as far as they are asked for."""
        below = sys.maxsize
        while True:
            with self._file.read() as db:
                rows = db.execute(
                    "SELECT * FROM jobs WHERE id < ? AND (? IS NULL OR state = ?) ORDER BY id DESC LIMIT ?",
                    (below, state, state, PAGE),
                ).fetchall()
            yield from (job for job in map(self.job_of, rows) if job is not None)
            if len(rows) < PAGE:
                return
            below = rows[-1]["id"]

    def of_key(self, key: str) -> Job | None:
        """Return the job that does the work of a key."""
        return next(iter(self._select("key = ?", text_in(key))), None)

    def of_photo(self, original: Path) -> list[Job]:
        """Return the jobs of one photo, oldest first."""
        return self._select("original = ? ORDER BY id", path_in(original))

    def pending_in(self, inbox: Path) -> list[Job]:
        """Return the held and queued jobs of one inbox, oldest first."""
        return self._select("inbox = ? AND state IN (?, ?) ORDER BY id", path_in(inbox), *PENDING)

    def broken_in(self, inbox: Path) -> list[Job]:
        """Return the failed jobs of one inbox that stand for files which were no whole pictures."""
        return self._select(
            "inbox = ? AND state = ? AND key LIKE 'unreadable:%' ORDER BY id", path_in(inbox), JobState.FAILED
        )

    def ended_since(self, moment: float) -> list[Job]:
        """Return the jobs that were done or failed after a moment in seconds since 1970, oldest first.

        No sketches of sheets.
        """
        return self._select(
            f"state IN (?, ?) AND finished > ? AND {NO_SKETCH} ORDER BY finished",
            *(JobState.DONE, JobState.FAILED, moment),
        )

    def undisposed(self) -> list[int]:
        """Return the numbers of the jobs that have ended, and whose original may still have to go away."""
        with self._file.read() as db:
            rows = db.execute(
                f"SELECT id FROM jobs WHERE {UNDISPOSED} ORDER BY id", (JobState.DONE, JobState.FAILED)
            )
            return [row["id"] for row in rows]

    def copies(self) -> set[Path]:
        """Return the private copies that jobs may still need: of all that are not done, and of sheets."""
        with self._file.read() as db:
            rows = db.execute(
                f"SELECT copy, styles, areas FROM jobs WHERE state != ? OR NOT {NO_SKETCH}", (JobState.DONE,)
            ).fetchall()
        return {path for row in rows for path in copies_of_row(row)}

    def unfinished_keys(self) -> set[str]:
        """Return the keys of all jobs that have not ended."""
        return self._keys("state IN (?, ?, ?)", *UNFINISHED)

    def struck_keys(self) -> set[str]:
        """Return the keys of the jobs that failed because their attempts ended badly: they may be retried."""
        return self._keys("state = ? AND strikes + breaks > 0", JobState.FAILED)

    def is_cancelled(self, job: int) -> bool:
        """Return whether a running job is asked to stop."""
        with self._file.read() as db:
            row = row_of(db, job)
            return row is not None and bool(row["cancel_requested"])

    def owner_of(self, target: Path) -> int | None:
        """Return the job that owns a result's path: it reserved it, or published it and it is still there."""
        with self._file.read() as db:
            return owner_of(db, target)

    def job_of(self, row: sqlite3.Row) -> Job | None:
        """Return the job of a row; None, and it is remembered, where there is none in it."""
        try:
            job = job_of_row(row)
        except UnreadableRowError as error:
            if row["id"] not in self.unreadable:
                logger.warning("job %s cannot be read in the ledger: %s", row["id"], error)
                self.unreadable[row["id"]] = str(error)
            return None
        self.unreadable.pop(job.id, None)
        return job

    def look_through(self) -> None:
        """Find the rows that can no longer be read, for `problems`."""
        for _ in self.each():
            pass

    def problems(self) -> list[Problem]:
        """Return each row that was found to be unreadable: it is left alone, and all others go on."""
        return [
            Problem(
                code="job_unreadable",
                message=f"Job {job} cannot be read in the ledger ({why}).",
                remedy="It is left as it is. Its photo is painted once it comes into the inbox anew.",
            )
            for job, why in sorted(self.unreadable.items())
        ]

    def _select(self, condition: str, *values: object) -> list[Job]:
        with self._file.read() as db:
            rows = db.execute(f"SELECT * FROM jobs WHERE {condition}", values).fetchall()
        return [job for job in map(self.job_of, rows) if job is not None]

    def _keys(self, condition: str, *values: object) -> set[str]:
        with self._file.read() as db:
            return {row["key"] for row in db.execute(f"SELECT key FROM jobs WHERE {condition}", values)}


def _at_most(limit: int | None) -> int:
    """Return a limit as SQLite has it: -1 is none."""
    return -1 if limit is None else int(limit)
