"""The table of jobs, read. What no longer parses is passed over, remembered and shown; all others go on."""

import logging
import os
import sqlite3
import sys
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final

from nst_daemon.ledger.columns import UnreadableRowError, copies_of_row, job_of_row, path_in, text_in
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import PENDING, UNFINISHED, Job, JobState, Problem
from nst_daemon.ledger.rows import UNDISPOSED, owner_of, row_of

logger = logging.getLogger(__name__)

PAGE: Final = 200  # jobs that are read at once
MANY: Final = 2000  # rows of which little is read, or all in one go
STOP_SECONDS: Final = 0.1  # so old at most is what workers know of jobs that are asked to stop
ODD: Final = "length(key) != 64 AND recipe IS NOT NULL"  # as in the schema; without a recipe none is painted


class JobTable:
    """All jobs, for whoever asks. Changes nothing. Safe on any thread."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file
        self._to_stop: frozenset[int] = frozenset()  # running jobs that are asked to stop,
        self._looked = float("-inf")  # as they were at this moment
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
        order = f"ORDER BY id {'DESC' if newest_first else 'ASC'} LIMIT {-1 if limit is None else int(limit)}"
        if state is None:
            return self._select(f"TRUE {order}")
        return self._select(f"state = ? {order}", state)

    def each(self, *, state: JobState | None = None) -> Iterator[Job]:
        """Yield the jobs of one state or of all, the newest first, read as far as they are asked for."""
        below = sys.maxsize
        while True:
            of_state, values = ("", ()) if state is None else ("state = ? AND", (state,))
            with self._file.long_read() as db:
                rows = db.execute(
                    f"SELECT * FROM jobs WHERE {of_state} id < ? ORDER BY id DESC LIMIT ?",
                    (*values, below, PAGE),
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

    def keyed_otherwise(self, network: str) -> Iterator[list[Job]]:
        """Yield the queued jobs whose keys nobody has found right for a program and network, in pages."""
        others = "INDEXED BY jobs_by_network WHERE state = 'queued' AND keyed_for IS NOT ?"
        with self._file.long_read() as db:
            numbers = sorted(row["id"] for row in db.execute(f"SELECT id FROM jobs {others}", (network,)))
        for begin in range(0, len(numbers), PAGE):
            some = numbers[begin : begin + PAGE]
            with self._file.long_read() as db:
                rows = db.execute(
                    f"SELECT * FROM jobs WHERE id IN ({_marks(some)}) AND +state = 'queued'",
                    some,
                ).fetchall()
            yield [job for job in map(self.job_of, rows) if job is not None]

    def pending_originals(self, inbox: Path) -> Iterator[str]:
        """Yield the paths, as text, of the photos of held and queued jobs of one inbox, read in pages."""
        for state in PENDING:
            above = 0
            while True:
                with self._file.long_read() as db:
                    rows = db.execute(
                        "SELECT id, original FROM jobs WHERE state = ? AND id > ? AND inbox = ? "
                        "ORDER BY id LIMIT ?",
                        (state, above, path_in(inbox), MANY),
                    ).fetchall()
                yield from (os.fsdecode(row["original"]) for row in rows if _is_path(row["original"]))
                if len(rows) < MANY:
                    break
                above = rows[-1]["id"]

    def pending_below(self, folder: Path) -> list[Path]:
        """Return the photos of held and queued jobs that lie in a folder, or below it."""
        first = os.fspath(folder / "x")[:-1]  # with the separator behind it
        last = f"{first[:-1]}{chr(ord(first[-1]) + 1)}"
        with self._file.long_read() as db:
            # As text, and as bytes, where names are no UTF-8.
            bounds = [(first, last)] if _is_text(first) else []
            bounds += [(os.fsencode(first), os.fsencode(last))]  # type: ignore[list-item]
            rows = [
                row
                for bound in bounds
                for row in db.execute(
                    "SELECT original FROM jobs WHERE original >= ? AND original < ? AND +state IN (?, ?)",
                    (*bound, *PENDING),
                )
            ]
        return list(dict.fromkeys(Path(os.fsdecode(row["original"])) for row in rows))

    def broken_in(self, inbox: Path) -> list[Job]:
        """Return the failed jobs of one inbox that stand for files which were no whole pictures."""
        return self._select(
            "key >= 'unreadable:' AND key < 'unreadable;' AND inbox = ? AND +state = ? ORDER BY id",
            *(path_in(inbox), JobState.FAILED),
        )

    def ended_since(self, moment: float) -> list[Job]:
        """Return the jobs that were done or failed after a moment in seconds since 1970, oldest first."""
        return self._select(
            "state IN (?, ?) AND finished > ? ORDER BY finished", JobState.DONE, JobState.FAILED, moment
        )

    def undisposed(self) -> list[int]:
        """Return the numbers of the jobs that have ended, and whose original may still have to go away."""
        with self._file.read() as db:
            rows = db.execute(
                f"SELECT id FROM jobs WHERE {UNDISPOSED} ORDER BY id", (JobState.DONE, JobState.FAILED)
            )
            return [row["id"] for row in rows]

    def copies(self) -> Iterator[set[Path]]:
        """Yield the private copies that jobs may still need, of all but those that are done; in pages."""
        above = 0
        while True:
            with self._file.long_read() as db:
                rows = db.execute(
                    "SELECT id, copy, styles, areas FROM jobs WHERE id > ? AND +state != ? "
                    "ORDER BY id LIMIT ?",
                    (above, JobState.DONE, MANY),
                ).fetchall()
            yield {path for row in rows for path in copies_of_row(row)}
            if len(rows) < MANY:
                return
            above = rows[-1]["id"]

    def unfinished_keys(self, plain: Collection[str]) -> set[str]:
        """Return the keys of jobs that have not ended: which of some plain hashes, and all that are none."""
        return self._keys(plain, UNFINISHED)

    def struck_keys(self, plain: Collection[str]) -> set[str]:
        """Return the keys of the jobs that failed because their attempts ended badly: they may be retried.

        Which of some plain hashes, and all that are none.
        """
        return self._keys(plain, (JobState.FAILED,), "AND strikes + breaks > 0")

    def is_cancelled(self, job: int) -> bool:
        """Return whether a running job is asked to stop."""
        with self._file.read() as db:
            row = db.execute("SELECT cancel_requested FROM jobs WHERE id = ?", (job,)).fetchone()
        return row is not None and bool(row["cancel_requested"])

    def is_to_stop(self, job: int) -> bool:
        """Return what `is_cancelled` did a moment ago: for many who ask many times a second, one looks."""
        if time.monotonic() >= self._looked + STOP_SECONDS:
            with self._file.read() as db:
                rows = db.execute(
                    "SELECT id FROM jobs WHERE state = ? AND cancel_requested = 1", (JobState.RUNNING,)
                )
                self._to_stop = frozenset(row["id"] for row in rows)
            self._looked = time.monotonic()
        return job in self._to_stop

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

    def _keys(self, plain: Collection[str], states: Sequence[JobState], more: str = "") -> set[str]:
        names, of_states = list(plain), f"IN ({_marks(states)}) {more}"
        with self._file.read() as db:
            odd = f"SELECT key FROM jobs INDEXED BY jobs_of_odd_keys WHERE {ODD} AND state {of_states}"
            found = {row["key"] for row in db.execute(odd, states)}
            for begin in range(0, len(names), PAGE):
                some = names[begin : begin + PAGE]
                named = f"SELECT key FROM jobs WHERE key IN ({_marks(some)}) AND +state {of_states}"
                found |= {row["key"] for row in db.execute(named, (*some, *states))}
        return found


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _is_path(value: object) -> bool:
    return isinstance(value, str | bytes)  # else the row is damaged


def _is_text(path: str) -> bool:
    return isinstance(path_in(Path(path)), str)
