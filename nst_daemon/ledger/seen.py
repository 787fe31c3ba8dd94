"""Files of the inboxes that have been dealt with, and by what they are known again."""

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Final

from nst_daemon.disk import Stamp
from nst_daemon.ledger.columns import NO_MEANING, columns_of, fields_of, path_in
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)

PAGE: Final = 5000  # rows that are read at once
Place = tuple[bool, str | bytes]  # where a path stands in the ledger's order


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


def place_of(path: Path) -> Place:
    """Return where a path stands in the order of `SeenFiles.marks`: names that are no UTF-8 are behind."""
    value = path_in(path)
    assert value is not None
    return isinstance(value, bytes), value


@dataclass(frozen=True, slots=True)
class Mark:
    """By what a file that was seen is known again, and no more: there may be a million."""

    value: str | bytes  # its path, as the ledger keeps it
    stamp: str
    verdict: str
    keywords: str

    @property
    def place(self) -> Place:
        """Where it stands in the order of all."""
        return isinstance(self.value, bytes), self.value

    @property
    def path(self) -> Path:
        """The file's path."""
        return Path(os.fsdecode(self.value))

    @property
    def is_readable(self) -> bool:
        """Whether its row says something; else the file is looked at anew."""
        return _is_stamp(self.stamp) and _is_said(self.verdict, self.keywords)


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

    def marks(self, root: Path) -> Iterator[Mark]:
        """Yield the marks of all that was seen in one inbox, by `place_of` their paths, read in pages."""
        behind: str | bytes = ""
        while True:
            with self._file.long_read() as db:
                rows = db.execute(
                    "SELECT path, stamp, verdict, keywords FROM seen WHERE root = ? AND path > ? "
                    "ORDER BY path LIMIT ?",
                    (path_in(root), behind, PAGE),
                ).fetchall()
            yield from (Mark(*row) for row in rows)
            if len(rows) < PAGE:
                return
            behind = rows[-1]["path"]

    def with_sidecar(self, root: Path) -> set[str]:
        """Return the paths, as text, of all that was paired with a sidecar in one inbox."""
        with self._file.long_read() as db:
            rows = db.execute(
                "SELECT path FROM seen WHERE root = ? AND path > '' AND sidecar != ''", (path_in(root),)
            )
            return {os.fsdecode(row["path"]) for row in rows}

    def has_any(self, root: Path) -> bool:
        """Return whether anything was seen in one inbox."""
        with self._file.read() as db:
            found = db.execute("SELECT 1 FROM seen WHERE root = ? LIMIT 1", (path_in(root),)).fetchone()
        return found is not None

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


@lru_cache(maxsize=1024)
def _is_said(verdict: str, keywords: str) -> bool:
    try:
        return Verdict(verdict) is not None and isinstance(tuple(json.loads(keywords)), tuple)
    except NO_MEANING:
        return False


def _is_stamp(text: str) -> bool:
    try:
        return Stamp.parse(text) is not None
    except NO_MEANING:
        return False
