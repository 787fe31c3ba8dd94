"""Sheets, each one photo in many styles: which jobs paint its sketches. Kept until nobody looks any more."""

import json
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Final

from nst_daemon.ledger.columns import NO_MEANING
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import UNFINISHED, JobState, Origin

_NAME: Final = "sheet "  # of the fact, and behind it the sheet's


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketch:
    """One style on a sheet."""

    style: str
    job: int | None = None  # None: the style cannot be had
    suits: float | None = None  # how well it suits the photo, 0 to 1; None: nobody can say


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One photo in many styles."""

    name: str
    photo: str  # in words
    created: float  # seconds since 1970
    sketches: tuple[Sketch, ...]


class Sheets:
    """Safe on any thread, and beside other processes that hold the same file."""

    def __init__(self, file: LedgerFile) -> None:
        self._file = file

    @staticmethod
    def new_name() -> str:
        """Return a name that no other sheet has."""
        return uuid.uuid4().hex

    def add(self, name: str, photo: str, sketches: Sequence[Sketch]) -> Sheet:
        """Keep a sheet whose jobs are in the ledger."""
        sheet = Sheet(name=name, photo=photo, created=self._file.clock(), sketches=tuple(sketches))
        text = json.dumps(asdict(sheet))
        with self._file.write() as db:
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (_NAME + name, text))
        return sheet

    def all(self) -> list[Sheet]:
        """Return all sheets, the newest first."""
        with self._file.read() as db:
            rows = db.execute(
                "SELECT value FROM facts WHERE substr(name, 1, ?) = ?", (len(_NAME), _NAME)
            ).fetchall()
        found = [sheet for row in rows if (sheet := _read(row["value"])) is not None]
        return sorted(found, key=lambda sheet: -sheet.created)

    def get(self, name: str) -> Sheet | None:
        """Return one sheet."""
        return next((sheet for sheet in self.all() if sheet.name == name), None)

    def counts(self) -> dict[JobState, int]:
        """Return how many sketches there are of each state, of all sheets."""
        jobs = [sketch.job for sheet in self.all() for sketch in sheet.sketches if sketch.job is not None]
        with self._file.read() as db:
            rows = db.execute(
                "SELECT state, count(*) AS count FROM jobs WHERE id IN (SELECT value FROM json_each(?)) "
                "AND origin = ? GROUP BY state",
                (json.dumps(jobs), Origin.SHEET.value),
            ).fetchall()
        found = {row["state"]: row["count"] for row in rows}
        return {state: found.get(state, 0) for state in JobState}

    def forget(self, sheet: Sheet) -> bool:
        """Forget a sheet and the jobs of its sketches; False: one of them waits or is painted."""
        jobs = [sketch.job for sketch in sheet.sketches if sketch.job is not None]
        marks = ", ".join("?" * len(jobs))
        with self._file.write() as db:
            if db.execute(
                f"SELECT 1 FROM jobs WHERE id IN ({marks}) AND state IN (?, ?, ?)", (*jobs, *UNFINISHED)
            ).fetchone():
                return False
            db.execute(f"DELETE FROM jobs WHERE id IN ({marks}) AND origin = ?", (*jobs, Origin.SHEET.value))
            db.execute("DELETE FROM facts WHERE name = ?", (_NAME + sheet.name,))
        return True


def _read(text: str) -> Sheet | None:
    with suppress(*NO_MEANING):  # of another version: nobody looks at it any more
        known = json.loads(text)
        return Sheet(**{**known, "sketches": tuple(Sketch(**sketch) for sketch in known["sketches"])})
    return None
