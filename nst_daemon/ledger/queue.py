"""Which job begins next, and which have to wait: for a moment, a folder, another daemon, or the user."""

import sqlite3
from collections.abc import Collection
from pathlib import Path, PurePath
from typing import Final

from nst_daemon.ledger.columns import job_of_row, path_in
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import Job, JobState
from nst_daemon.ledger.news import News
from nst_daemon.ledger.requests import PAUSED
from nst_daemon.ledger.rows import AHEAD_SECONDS, CLAIMABLE, NO_SKETCH, WORK, but, row_of
from nst_daemon.ledger.table import JobTable
from nst_daemon.system.crash import CrashPoint, crash_at

FEW: Final = 32  # jobs that are looked through for a style
PASSED: Final = 16  # times that others go before the first one


class Queue:
    """The jobs that may begin. Safe on any thread, and beside other processes that hold the same file."""

    def __init__(self, file: LedgerFile, jobs: JobTable) -> None:
        self._file = file
        self._jobs = jobs
        self._passed = 0, 0  # the first job that may begin, and how often another went before it
        self.additions = News()  # jobs that this process adds; those of others are found by looking

    def claim(self, *, styles: Collection[str] = (), ahead: int | None = None) -> Job | None:
        """Take the first job that may begin, by turn and age; None if there is none, or the daemon is paused.

        The attempt is counted and on the disk when this returns. Not those whose outbox takes no result now.
        Of the first few of the same turn that which was looked at ahead goes first, then one in a style of
        these hashes, but the first of all is passed over so often only as PASSED says.
        """
        with self._file.read() as db:  # several times a second: a look takes no lock
            if self._claimable(db) is None:
                return None
        with self._file.write() as db:
            row = self._claimable(db)
            if row is None:  # another was faster
                return None
            row = self._preferred(db, row, styles, ahead)
            db.execute(
                "UPDATE jobs SET state = ?, attempts = attempts + 1, started = ?, finished = NULL, "
                "seconds = NULL, error = NULL, progress = NULL, reached = NULL WHERE id = ?",
                (JobState.RUNNING, self._file.clock(), row["id"]),
            )
            claimed = row_of(db, row["id"])
        crash_at(CrashPoint.CLAIMED)
        return None if claimed is None else job_of_row(claimed)

    def _claimable(self, db: sqlite3.Connection) -> sqlite3.Row | None:
        """Return the row of the first job that may begin, and that can be read."""
        if db.execute("SELECT 1 FROM facts WHERE name = ?", (PAUSED,)).fetchone():
            return None
        now = self._file.clock()
        while True:
            query = f"{CLAIMABLE} {but(self._jobs.unreadable)} ORDER BY turn, id LIMIT 1"
            row: sqlite3.Row | None = db.execute(
                query, (JobState.QUEUED, now, now + AHEAD_SECONDS)
            ).fetchone()
            if row is None or self._jobs.job_of(row) is not None:
                return row

    def look_ahead(self, *, styles: Collection[str] = (), others: Collection[int] = ()) -> Job | None:
        """Return the job that a claim would probably take next, and none of `others`. Claims nothing."""
        with self._file.read() as db:
            first = self._claimable(db)
            rows = [] if first is None else [row for row in self._few(db, first) if row["id"] not in others]
        liked = [row for row in rows if _is_in(row, styles)]
        return next(filter(None, map(self._jobs.job_of, (*liked, *rows))), None)

    def _few(self, db: sqlite3.Connection, first: sqlite3.Row) -> list[sqlite3.Row]:
        """Return the rows of the first few of the same turn."""
        now = self._file.clock()
        query = f"{CLAIMABLE} {but(self._jobs.unreadable)} AND turn = ? ORDER BY id LIMIT {FEW}"
        return db.execute(query, (JobState.QUEUED, now, now + AHEAD_SECONDS, first["turn"])).fetchall()

    def _preferred(
        self, db: sqlite3.Connection, first: sqlite3.Row, styles: Collection[str], ahead: int | None
    ) -> sqlite3.Row:
        """Return of the first few rows that was looked at ahead, else one in these styles, else the first."""
        times = self._passed[1] if self._passed[0] == first["id"] else 0
        if not (styles or ahead) or times >= PASSED:
            return first
        rows = self._few(db, first)
        liked = [row for row in rows if row["id"] == ahead] or [row for row in rows if _is_in(row, styles)]
        for row in liked:
            if self._jobs.job_of(row) is not None:
                if row["id"] != first["id"]:
                    self._passed = first["id"], times + 1
                return row
        return first

    def has_work(self) -> bool:
        """Return whether a job is running, or will be; not those of another daemon's inbox."""
        with self._file.read() as db:
            work = f"{WORK} {but(self._jobs.unreadable)} LIMIT 1"
            return db.execute(work, (JobState.QUEUED, JobState.RUNNING)).fetchone() is not None

    def is_short(self) -> bool:
        """Return whether no more jobs may begin than are being painted: a painter may soon have none.

        Not while the daemon is paused.
        """
        with self._file.read() as db:
            if db.execute("SELECT 1 FROM facts WHERE name = ?", (PAUSED,)).fetchone():
                return False
            running = db.execute("SELECT count FROM counts WHERE state = ?", (JobState.RUNNING,)).fetchone()
            now = self._file.clock()
            query = f"{CLAIMABLE} ORDER BY turn, id LIMIT 1 OFFSET ?"
            further = (JobState.QUEUED, now, now + AHEAD_SECONDS, running["count"] if running else 0)
            return db.execute(query, further).fetchone() is None

    def next(self, count: int) -> list[Job]:
        """Return the jobs that wait, in the order in which they are painted; no sketches of sheets."""
        with self._file.read() as db:
            rows = db.execute(
                f"SELECT * FROM jobs WHERE state = ? AND {NO_SKETCH} ORDER BY turn, id LIMIT ?",
                (JobState.QUEUED, count),
            ).fetchall()
        return [job for job in map(self._jobs.job_of, rows) if job is not None]

    def put_first(self, job: int) -> bool:
        """Let a queued job begin before all others, also after a restart; False: it does not wait."""
        with self._file.write() as db:
            return bool(
                db.execute(
                    "UPDATE jobs SET turn = (SELECT min(turn) FROM jobs WHERE state = ?) - 1 "
                    "WHERE id = ? AND state = ?",
                    (JobState.QUEUED, job, JobState.QUEUED),
                ).rowcount
            )

    def put_behind(self, job: int, other: int) -> bool:
        """Let a queued job begin right behind another, also after a restart; False: it does not wait.

        The other may have begun or ended meanwhile, and has its place all the same. What stands before the
        gap moves up, and makes room for this one. Raises: KeyError: there is no such other job.
        """
        with self._file.write() as db:
            place = db.execute("SELECT turn, id FROM jobs WHERE id = ?", (other,)).fetchone()
            if place is None:
                raise KeyError(other)
            query = "SELECT 1 FROM jobs WHERE id = ? AND state = ?"
            if db.execute(query, (job, JobState.QUEUED)).fetchone() is None:
                return False
            if job == other:
                return True
            following = db.execute(
                "SELECT turn FROM jobs WHERE state = ? AND id != ? AND (turn, id) > (?, ?) "
                "ORDER BY turn, id LIMIT 1",
                (JobState.QUEUED, job, *place),
            ).fetchone()
            turn = place["turn"] if following is None else following["turn"] - 1
            db.execute(
                "UPDATE jobs SET turn = turn - 2 WHERE state = ? AND id != ? AND (turn, id) <= (?, ?)",
                (JobState.QUEUED, job, *place),
            )
            db.execute("UPDATE jobs SET turn = ? WHERE id = ?", (turn, job))
        return True

    def before(self, job: int) -> int:
        """Return how many jobs wait that will be painted before this one."""
        with self._file.read() as db:
            row = db.execute(
                "SELECT count(*) AS count FROM jobs AS other, jobs AS mine WHERE mine.id = ? "
                "AND other.state = ? AND (other.turn, other.id) < (mine.turn, mine.id)",
                (job, JobState.QUEUED),
            ).fetchone()
        return int(row["count"])

    def postpone(self, original: Path, seconds: float) -> None:
        """Let the queued jobs of a photo wait: its sidecar is just being written."""
        with self._file.write(durable=False) as db:
            db.execute(
                "UPDATE jobs SET not_before = max(not_before, ?) WHERE original = ? AND state = ?",
                (self._file.clock() + seconds, path_in(original), JobState.QUEUED),
            )

    def release(self, original: Path) -> None:
        """Let the queued jobs of a photo begin that only `postpone` kept waiting: none has been tried."""
        with self._file.write(durable=False) as db:
            db.execute(
                "UPDATE jobs SET not_before = 0 WHERE original = ? AND state = ? AND attempts = 0",
                (path_in(original), JobState.QUEUED),
            )
        self.additions.tell()

    def set_foreign(self, inboxes: Collection[Path]) -> None:
        """Replace the inboxes that another daemon works on: their jobs wait, for it may be painting them."""
        rows = {path_in(inbox) for inbox in inboxes}
        with self._file.read() as db:
            if {row["path"] for row in db.execute("SELECT path FROM foreign_inboxes")} == rows:
                return  # said every tick, written once
        with self._file.write(durable=False) as db:
            db.execute("DELETE FROM foreign_inboxes")
            db.executemany("INSERT INTO foreign_inboxes VALUES (?)", [(path,) for path in rows])

    def set_blocked(self, places: Collection[tuple[Path, PurePath | None]]) -> None:
        """Replace what takes no result at the moment, outboxes or sub-folders of them: their jobs wait."""
        rows = {(path_in(outbox), path_in(place)) for outbox, place in places}
        with self._file.read() as db:
            if {(row["path"], row["place"]) for row in db.execute("SELECT * FROM blocked_outboxes")} == rows:
                return  # said every tick, written once
        with self._file.write(durable=False) as db:
            db.execute("DELETE FROM blocked_outboxes")
            db.executemany("INSERT INTO blocked_outboxes VALUES (?, ?)", list(rows))


def _is_in(row: sqlite3.Row, styles: Collection[str]) -> bool:
    return any(sha256 in row["styles"] for sha256 in styles)
