"""What the ledger keeps beside the jobs: requests to the daemon, its problems and heartbeat, seen files.

The views read these; only the daemon writes them, but for `pause` and `resume`. Not durable where a
new daemon would write them anew anyway.
"""

import logging
import sqlite3
import time
import uuid
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Self

from nst_daemon.config.orders import EngineFacts
from nst_daemon.errors import ConditionError, NameRefusedError
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import Job, JobState, Problem
from nst_daemon.ledger.news import News
from nst_daemon.ledger.rows import WORK, but
from nst_daemon.ledger.schema import (
    NO_MEANING,
    Seen,
    UnreadableRowError,
    engines_in,
    job_of_row,
    path_in,
    seen_columns,
    seen_of_row,
    text_in,
)
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)


class Request(StrEnum):
    """What the daemon is asked to do at once; forgotten when it starts anew."""

    QUIT = "quit"
    UNLOAD = "unload the model"  # give the engine's memory back; the next job loads it again


class Facts:
    """The ledger's file and all that is not about one job. Safe on any thread."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.file = LedgerFile(path, clock=clock)
        self._clock = clock
        self.unreadable: dict[int, str] = {}  # jobs whose rows were found to say nothing any more, and why
        self.additions = News()  # jobs that this process adds; those of others are found by looking
        if self.recall("identity") is None:
            self.remember("identity", uuid.uuid4().hex)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def put_aside(self) -> Path | None:
        """Where a corrupt ledger was moved to when this one was opened; None if all was well."""
        return self.file.put_aside

    @property
    def identity(self) -> str:
        """A name that no other ledger has; the same for as long as this file lives."""
        return self.recall("identity") or ""

    def remember(self, name: str, value: str | None, *, durable: bool = True) -> None:
        """Keep a fact under a name; None forgets it."""
        with self.file.write(durable=durable) as db:
            if value is None:
                db.execute("DELETE FROM facts WHERE name = ?", (text_in(name),))
            else:
                db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (text_in(name), text_in(value)))

    def recall(self, name: str) -> str | None:
        """Return the fact under a name."""
        with self.file.read() as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (text_in(name),)).fetchone()
        return None if row is None else str(row["value"])

    def pause(self) -> None:
        """Ask the daemon to begin no further job; survives a restart."""
        self.remember("paused", "yes")

    def resume(self) -> None:
        """Take `pause` back."""
        self.remember("paused", None)

    def is_paused(self) -> bool:
        """Return whether no further job is to be begun."""
        return self.recall("paused") is not None

    def ask(self, request: Request) -> None:
        """Ask the daemon for something that is done at once, or not at all."""
        self.remember(f"asked to {request}", "yes", durable=False)

    def take(self, request: Request) -> bool:
        """Return whether a request is open, which it is no longer then."""
        if self.recall(f"asked to {request}") is None:
            return False  # asked several times a second: a look costs no lock
        self.remember(f"asked to {request}", None, durable=False)
        return True

    def set_ready(self, pid: int | None) -> None:
        """Keep that a daemon holds its lock and has read its inboxes once; None: it does not."""
        self.remember("ready", None if pid is None else str(pid), durable=False)

    def unreadable_problems(self) -> list[Problem]:
        """Return each row that was found to be unreadable: it is left alone, and all others go on."""
        return [
            Problem(
                code="job_unreadable",
                message=f"Job {job} cannot be read in the ledger ({why}).",
                remedy="It is left as it is. Its photo is painted once it comes into the inbox anew.",
            )
            for job, why in sorted(self.unreadable.items())
        ]

    def _job_of(self, row: sqlite3.Row) -> Job | None:
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

    def ready_pid(self) -> int | None:
        """Return the process of the daemon that is ready; only meant while the lock is held."""
        text = self.recall("ready")
        return int(text) if text is not None and text.isdecimal() else None

    def set_problems(self, source: str, problems: Sequence[Problem]) -> None:
        """Replace all problems of one source, e.g. "intake"; an empty list says that all is well."""
        rows = [
            (source, position, problem.code, text_in(problem.message), text_in(problem.remedy))
            for position, problem in enumerate(problems)
        ]
        with self.file.read() as db:
            known = db.execute("SELECT * FROM problems WHERE source = ? ORDER BY position", (source,))
            if [tuple(row) for row in known] == rows:
                return  # said every tick, written once
        with self.file.write(durable=False) as db:
            db.execute("DELETE FROM problems WHERE source = ?", (source,))
            db.executemany("INSERT INTO problems VALUES (?, ?, ?, ?, ?)", rows)

    def set_foreign(self, inboxes: Collection[Path]) -> None:
        """Replace the inboxes that another daemon works on: their jobs wait, for it may be painting them."""
        rows = {path_in(inbox) for inbox in inboxes}
        with self.file.read() as db:
            if {row["path"] for row in db.execute("SELECT path FROM foreign_inboxes")} == rows:
                return  # said every tick, written once
        with self.file.write(durable=False) as db:
            db.execute("DELETE FROM foreign_inboxes")
            db.executemany("INSERT INTO foreign_inboxes VALUES (?)", [(path,) for path in rows])

    def has_work(self) -> bool:
        """Return whether a job is running, or will be; not those of another daemon's inbox."""
        with self.file.read() as db:
            work = f"{WORK} {but(self.unreadable)} LIMIT 1"
            return db.execute(work, (JobState.QUEUED, JobState.RUNNING)).fetchone() is not None

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

    def clear_problems(self) -> None:
        """Forget the problems of all sources: those of a daemon that has ended."""
        with self.file.write(durable=False) as db:
            db.execute("DELETE FROM problems")

    def set_engines(self, engines: Sequence[EngineFacts]) -> None:
        """Keep what the engines are, for the views."""
        text = engines_in(engines)
        if self.recall("engines") != text:
            self.remember("engines", text, durable=False)

    def set_daemon(self, pid: int | None, version: str) -> None:
        """Keep who works on this ledger; None when the daemon leaves."""
        self.remember("pid", None if pid is None else str(pid), durable=False)
        self.remember("version", version, durable=False)
        self.beat()

    def beat(self) -> None:
        """Say that the daemon lives."""
        with suppress(ConditionError, NameRefusedError, FileNotFoundError, FileExistsError):
            self.file.keep_reserve()
        self.remember("heartbeat", repr(self._clock()), durable=False)

    def heartbeat(self) -> float | None:
        """Return when the daemon last said that it lives, in seconds since 1970."""
        text = self.recall("heartbeat")
        with suppress(ValueError):
            return None if text is None else float(text)
        return None

    def seen(self, path: Path) -> Seen | None:
        """Return what became of a file of an inbox."""
        with self.file.read() as db:
            row = db.execute("SELECT * FROM seen WHERE path = ?", (path_in(path),)).fetchone()
        return None if row is None else _seen_of(row)

    def mark_seen(self, seen: Seen) -> None:
        """Keep what became of a file of an inbox."""
        with self.file.write() as db:
            db.execute("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", seen_columns(seen))
        crash_at(CrashPoint.SEEN)

    def seen_under(self, root: Path) -> dict[Path, Seen]:
        """Return all that was seen in one inbox."""
        with self.file.read() as db:
            rows = db.execute("SELECT * FROM seen WHERE root = ?", (path_in(root),)).fetchall()
        return {seen.path: seen for seen in map(_seen_of, rows) if seen is not None}

    def forget_seen(self, path: Path) -> None:
        """Forget a file that has left its inbox; one that comes in its place is a new arrival."""
        with self.file.write() as db:
            db.execute("DELETE FROM seen WHERE path = ?", (path_in(path),))


def _seen_of(row: sqlite3.Row) -> Seen | None:
    """Return what a row says; None: nothing any more, so that its file is looked at anew."""
    try:
        return seen_of_row(row)
    except NO_MEANING as error:
        logger.debug("a row of what was seen cannot be read: %s", error)
        return None
