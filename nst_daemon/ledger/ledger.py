"""The ledger as the rest of the program knows it: its parts, and jobs added and moved.

Every method is one transaction: once it has returned, a crash does not undo it. Moves between states
are those of `jobs.TRANSITIONS` and happen only if the job still is where the caller believes it to be.
"""

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from nst_daemon.config.orders import busiest
from nst_daemon.ledger.attempts import Attempts, refund
from nst_daemon.ledger.columns import engines_out, job_columns, path_in, seats_out, text_in
from nst_daemon.ledger.facts import Facts
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import (
    ENDS,
    PENDING,
    TRANSITIONS,
    Current,
    JobState,
    NewJob,
    Problem,
    Snapshot,
)
from nst_daemon.ledger.presence import PAGE, Presence
from nst_daemon.ledger.problems import Problems
from nst_daemon.ledger.queue import Queue
from nst_daemon.ledger.requests import PAUSED, Requests
from nst_daemon.ledger.rows import (
    FRESH,
    NO_SKETCH,
    begin_anew,
    check_move,
    duplicate_of,
    own_result,
    owner_of,
    readable_row_of_key,
    row_of,
    row_of_key,
    state_of,
    transition_columns,
    update,
)
from nst_daemon.ledger.seen import SeenFiles
from nst_daemon.ledger.sheets import Sheets
from nst_daemon.ledger.table import JobTable
from nst_daemon.ledger.tickets import Tickets
from nst_daemon.system.crash import CrashPoint, crash_at


@dataclass(frozen=True, slots=True)
class Added:
    """The job is new, and safe."""

    job: int


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The ledger has a job of this key already."""

    job: int
    state: JobState


class Ledger:
    """One file, its parts, and the moves of jobs from state to state.

    Safe on any thread, and beside other processes that hold the same file.
    """

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time, is_view: bool = False) -> None:
        self.file = LedgerFile(path, clock=clock, is_view=is_view)
        self.facts = Facts(self.file)
        self.requests = Requests(self.facts)
        self.presence = Presence(self.file, self.facts)
        self.tickets = Tickets(self.file)
        self.sheets = Sheets(self.file)
        self.problems = Problems(self.file)
        self.seen = SeenFiles(self.file)
        self.jobs = JobTable(self.file)
        self.queue = Queue(self.file, self.jobs)
        self.attempts = Attempts(self.file, self.facts)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The left half: intake and `submit`.

    def add(
        self, new: NewJob, *, result: Path | None = None, is_disposed: bool = False, turn: int = 0
    ) -> Added | Duplicate:
        """Take a job in, in whatever state it comes; the key is unique.

        `result`: the job is DONE already, a painting of it was found in the outbox. `is_disposed`: the
        worker has not to care for the original. `turn`: above 0 it stands back for the others.
        """
        with self.file.write() as db:
            if known := readable_row_of_key(db, new.key):
                return Duplicate(known["id"], JobState(known["state"]))
            job = self._insert(db, new, result)
            update(db, job, {"is_disposed": int(is_disposed), "turn": turn})
        self.queue.additions.tell()
        return Added(job)

    def add_duplicate(self, new: NewJob, of: int) -> int:
        """Take in, as CANCELLED, what would do the work of another job again; `retry` does it anyway.

        The caller makes the key unique; a second call with the same key returns the same job.
        """
        with self.file.write() as db:
            if known := row_of_key(db, new.key):
                return int(known["id"])
            job = self._insert(db, replace(new, state=JobState.CANCELLED))
            db.execute("UPDATE jobs SET error = ? WHERE id = ?", (duplicate_of(of, job), job))
            return job

    def repair(self, job: int, new: NewJob) -> bool:
        """Give a job that has not started new styles, settings, key and state; False if it has.

        Where another job has the new key, this one ends as CANCELLED, as a duplicate of that.
        """
        with self.file.write() as db:
            row = row_of(db, job)
            if row is None or row["state"] not in PENDING:
                return False
            columns = job_columns(new)
            other = row_of_key(db, new.key)
            if other is not None and other["id"] != job:
                columns |= {"key": f"{new.key}:{job}", "error": duplicate_of(other["id"], job)}
                columns["state"] = JobState.CANCELLED.value
            if columns["state"] != row["state"]:
                check_move(JobState(row["state"]), JobState(str(columns["state"])))
            columns["finished"] = self.file.clock() if columns["state"] in ENDS else None
            update(db, job, columns | {"not_before": 0.0})
        self.queue.additions.tell()  # it may be painted now
        return True

    def mark_keyed(self, jobs: Sequence[tuple[int, str]], network: str) -> None:
        """Record that jobs have the right keys for a program and network, unless they have others by now."""
        with self.file.write(durable=False) as db:
            db.executemany(
                "UPDATE jobs SET keyed_for = ? WHERE id = ? AND key = ?",
                [(network, job, text_in(key)) for job, key in jobs],
            )

    def revive(self, job: int, new: NewJob) -> bool:
        """Take a FAILED or CANCELLED job up again because its photo has come once more, maybe elsewhere.

        False if it is in another state by now.
        """
        with self.file.write() as db:
            row = row_of(db, job)
            if row is None or row["state"] not in (JobState.FAILED, JobState.CANCELLED):
                return False
            check_move(JobState(row["state"]), new.state)
            columns = job_columns(new) | FRESH
            update(db, job, columns | {"error": text_in(new.error)})
            return True

    def _insert(self, db: sqlite3.Connection, new: NewJob, result: Path | None = None) -> int:
        now = self.file.clock()
        columns = job_columns(new) | {"created": now, "finished": now if new.state in ENDS else None}
        columns["was_done"] = int(new.state is JobState.DONE)
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        cursor = db.execute(f"INSERT INTO jobs ({names}) VALUES ({marks})", tuple(columns.values()))
        assert cursor.lastrowid is not None
        if result is not None:
            own_result(db, cursor.lastrowid, result)
        return cursor.lastrowid

    # The right half: the worker.

    def move(
        self,
        job: int,
        source: JobState,
        target: JobState,
        *,
        result: Path | None = None,
        error: str | None = None,
        seconds: float | None = None,
        not_before: float | None = None,
        refund_attempt: bool = False,
    ) -> bool:
        """Move a job from one state to another; False, and nothing happens, if it is not there any more.

        A running job that goes back to wait after somebody has cancelled it is CANCELLED instead.
        Why it was cancelled stays its error. `refund_attempt`: the machine was at fault, not the photo (a
        full disk, a shutdown).

        Raises:
            ValueError: no such move in TRANSITIONS.
        """
        check_move(source, target)
        with self.file.write() as db:
            row = row_of(db, job)
            if row is None or row["state"] != source:
                return False
            if source is JobState.RUNNING and row["cancel_requested"] and target not in ENDS:
                target = JobState.CANCELLED
            columns = transition_columns(row, target, self.file.clock()) | {
                "seconds": seconds,
                "not_before": not_before or 0.0,
            }
            is_said = row["cancel_requested"] and target is JobState.CANCELLED and row["error"]
            if not is_said and (error is not None or target not in (JobState.CANCELLED, JobState.QUEUED)):
                columns["error"] = text_in(error)
            if refund_attempt:
                columns |= refund(row)
            update(db, job, columns)
            if result is not None:
                own_result(db, job, result)
        if target is JobState.DONE:
            crash_at(CrashPoint.DONE)
        return True

    def reserve_result(self, job: int, target: Path) -> bool:
        """Give a job the name of its result before it is published; False if another job has that name.

        A crash between publishing and DONE then paints over the job's own file and not beside it: a
        later run finds the name in `Job.result`.
        """
        with self.file.write() as db:
            owner = owner_of(db, target)
            if owner not in (None, job):
                return False
            own_result(db, job, target)
        crash_at(CrashPoint.RESERVED)
        return True

    def mark_disposed(self, job: int, original: Path | None) -> None:
        """Record that a finished job's original is where it belongs: where that is, or None if deleted.

        Holds for all jobs of that photo. What was seen at the old place is forgotten: a file that comes
        there again is a new arrival.
        """
        with self.file.write() as db:
            row = row_of(db, job)
            if row is None:
                return
            old, new = row["original"], path_in(original)
            same_photo = (old, row["photo_sha256"])
            db.execute("UPDATE jobs SET is_disposed = 1 WHERE original = ? AND photo_sha256 = ?", same_photo)
            if new == old:
                return
            db.execute("DELETE FROM seen WHERE path = ?", (old,))
            if new is not None:
                db.execute(
                    "UPDATE jobs SET original = ? WHERE original = ? AND photo_sha256 = ?", (new, *same_photo)
                )

    # Requests of the user.

    def cancel(self, job: int, *, reason: str = "cancelled") -> JobState | None:
        """Cancel what waits at once, and ask a running job to stop; return its state; None: no such job."""
        with self.file.write() as db:
            row = row_of(db, job)
            if row is None:
                return None
            state = state_of(row)
            if state is None:
                return None
            if state is JobState.RUNNING:
                update(db, job, {"cancel_requested": 1, "error": text_in(reason)})
            elif JobState.CANCELLED in TRANSITIONS[state]:
                columns = transition_columns(row, JobState.CANCELLED, self.file.clock())
                update(db, job, columns | {"error": text_in(reason)})
                state = JobState.CANCELLED
            return state

    def retry(self, job: int) -> bool:
        """Put a job that has ended into the queue again, as good as new; False if it has not ended."""
        with self.file.write() as db:
            row = row_of(db, job)
            return row is not None and begin_anew(db, row)

    def retry_failed(self) -> int:
        """Retry all failed jobs; return how many. No sketches of sheets: a sheet is ordered again."""
        with self.file.write() as db:
            rows = db.execute(
                f"SELECT * FROM jobs WHERE state = ? AND {NO_SKETCH}", (JobState.FAILED,)
            ).fetchall()
            return sum(begin_anew(db, row) for row in rows)

    def prune(self, before: float) -> int:
        """Forget the jobs that ended before a moment in seconds since 1970; return how many.

        Kept is what failed, what still owes its original a place, and every job of a photo that lies in an
        inbox: without it the photo would be painted again.
        """
        with self.file.write() as db:
            return db.execute(
                "DELETE FROM jobs WHERE finished < ? AND (state = ? OR (state = ? AND is_disposed = 1)) "
                "AND original NOT IN (SELECT path FROM seen) "
                "AND photo_sha256 NOT IN (SELECT photo_sha256 FROM seen)",
                (before, JobState.CANCELLED, JobState.DONE),
            ).rowcount

    def snapshot(self, *, running: bool) -> Snapshot:
        """Return all that the views show, of one moment; what a dead daemon left behind is not shown."""
        with self.file.read() as db:
            facts = {row["name"]: row["value"] for row in db.execute("SELECT * FROM facts")}
            counts = dict(db.execute("SELECT state, count FROM counts").fetchall())
            if counts.get(JobState.FAILED):  # a sketch that failed is shown on its sheet, and asks for nobody
                counts[JobState.FAILED] = db.execute(
                    f"SELECT count(*) FROM jobs WHERE state = ? AND {NO_SKETCH}", (JobState.FAILED,)
                ).fetchone()[0]
            painting = db.execute(
                "SELECT * FROM jobs WHERE state = ? ORDER BY id", (JobState.RUNNING,)
            ).fetchall()
            problems = db.execute(
                "SELECT code, message, remedy FROM problems ORDER BY source, position"
            ).fetchall()
        pid = facts.get("pid")
        engines = engines_out(facts.get("engines") if running else None)
        return Snapshot(
            running=running,
            pid=int(pid) if running and pid and pid.isdecimal() else None,
            paused=PAUSED in facts,
            version=facts.get("version", ""),
            engine=busiest(engines),
            counts={state: counts.get(state, 0) for state in JobState},
            current=self._currents(painting) if running else (),
            # What two engines say in the same words is one problem.
            problems=tuple(dict.fromkeys(Problem(**dict(row)) for row in problems)) if running else (),
            engines=engines,
            page=facts.get(PAGE, "") if running else "",
            seats=seats_out(facts.get("seats") if running else None),
        )

    def _currents(self, rows: list[sqlite3.Row]) -> tuple[Current, ...]:
        jobs = [job for job in map(self.jobs.job_of, rows) if job is not None]
        return tuple(
            Current(job=job.id, photo=job.photo, style=job.style, progress=job.progress) for job in jobs
        )
