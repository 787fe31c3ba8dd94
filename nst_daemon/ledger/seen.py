"""Files of the inboxes that have been dealt with, and by what they are known again."""

import logging
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nst_daemon.disk import Stamp
from nst_daemon.ledger.columns import NO_MEANING, columns_of, fields_of, path_in
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)


class Verdict(StrEnum):
    """What became of a file of the inbox."""

    JOB = "job"  # it has jobs of its own
    DUPLICATE = "duplicate"  # the same work was done or is waiting already
    PAINTING = "painting"  # a result of ours: never painted again
    UNREADABLE = "unreadable"  # recorded as a failed job
    MASK = "mask"  # of another photo, by the word of a sidecar


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A file of an inbox that has been dealt with, and by what it is known again."""

    path: Path
    root: Path  # the inbox
    stamp: Stamp
    verdict: Verdict
    photo_sha256: str = ""
    keywords: tuple[str, ...] = ()
    sidecar: str = ""  # fingerprint of the sidecar that was paired; empty: none


class SeenFiles:
    """What was seen in the inboxes. Safe on any thread."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    def get(self, path: Path) -> Seen | None:
        """Return what became of a file of an inbox."""
        with self._file.read() as db:
            row = db.execute("SELECT * FROM seen WHERE path = ?", (path_in(path),)).fetchone()
        return None if row is None else _seen_of(row)

    def mark(self, seen: Seen) -> None:
        """Keep what became of a file of an inbox."""
        columns = columns_of(seen, Seen)
        names, marks = ", ".join(columns), ", ".join("?" * len(columns))
        with self._file.write() as db:
            db.execute(f"INSERT OR REPLACE INTO seen ({names}) VALUES ({marks})", tuple(columns.values()))
        crash_at(CrashPoint.SEEN)

    def under(self, root: Path) -> dict[Path, Seen]:
        """Return all that was seen in one inbox."""
        with self._file.read() as db:
            rows = db.execute("SELECT * FROM seen WHERE root = ?", (path_in(root),)).fetchall()
        return {seen.path: seen for seen in map(_seen_of, rows) if seen is not None}

    def forget(self, path: Path) -> None:
        """Forget a file that has left its inbox; one that comes in its place is a new arrival."""
        with self._file.write() as db:
            db.execute("DELETE FROM seen WHERE path = ?", (path_in(path),))


def _seen_of(row: sqlite3.Row) -> Seen | None:
    """Return what a row says; None: nothing any more, so that its file is looked at anew."""
    try:
        return Seen(**fields_of(row, Seen))
    except NO_MEANING as error:
        logger.debug("a row of what was seen cannot be read: %s", error)
        return None
