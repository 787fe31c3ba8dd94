"""A job's states and the moves between them, and the values that the views show.

    HELD ◀─▶ QUEUED ──▶ RUNNING ──▶ DONE
     ▲         ▲  ▲        ├──────▶ FAILED ──┐
     │         │  └────────┼──────▶ CANCELLED│
     │         └───────────┼─────────────────┘
     └─────────────────────┘

The ledger refuses every move that is not in `TRANSITIONS`. Pure values.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from pathlib import Path, PurePath
from typing import Final

from nst_daemon.config.orders import EngineFacts, Progress, SeatFacts
from nst_daemon.config.recipe import EVERYWHERE, Areas, Recipe, Style, blend_name
from nst_daemon.errors import NstError

PREVIEWS: Final = ".preview"  # the folder in the outbox; hidden: no inbox, no indexer looks into it


class JobState(StrEnum):
    """Where a job stands."""

    HELD = "held"  # waits for a style or a sidecar that is not there yet
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


TRANSITIONS: Final[Mapping[JobState, frozenset[JobState]]] = {
    JobState.HELD: frozenset({JobState.QUEUED, JobState.CANCELLED, JobState.FAILED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELLED, JobState.HELD}),
    # Held once more: its style went, or was replaced, while it waited or was painted.
    JobState.RUNNING: frozenset(
        {JobState.DONE, JobState.FAILED, JobState.CANCELLED, JobState.QUEUED, JobState.HELD}
    ),
    JobState.DONE: frozenset({JobState.QUEUED}),  # the user asks for it again
    # Asked for again. Held where no style was ever paired: the photo has to be read anew first.
    JobState.FAILED: frozenset({JobState.QUEUED, JobState.HELD}),
    JobState.CANCELLED: frozenset({JobState.QUEUED, JobState.HELD}),
}


PENDING: Final = (JobState.HELD, JobState.QUEUED)
UNFINISHED: Final = (*PENDING, JobState.RUNNING)
ENDS: Final = tuple(state for state in JobState if state not in UNFINISHED)


class Origin(StrEnum):
    """How a photo came to us."""

    INBOX = "inbox"
    SUBMIT = "submit"  # by command: the original stays where it is
    SHEET = "sheet"  # a sketch of a sheet: it is looked at and not kept, and no view lists it


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Which photo is to be painted how, and where to: of a new job, and of one in the ledger."""

    key: str  # recipe.job_key, or "held:…" while no style is known
    path: PurePath  # where the photo came, relative to its inbox; absolute for a submitted one
    original: Path  # the file itself, wherever it is now
    copy: Path  # the private copy that is painted
    photo_sha256: str
    inbox: Path | None  # None for a submitted photo
    outbox: Path
    origin: Origin = Origin.INBOX
    styles: tuple[Style, ...] = ()  # empty while held
    recipe: Recipe | None = None  # None while held
    sidecar: Path | None = None
    state: JobState = JobState.QUEUED
    error: str | None = None  # why it is held, or how it ended
    areas: Areas = EVERYWHERE

    @property
    def photo(self) -> str:
        """The photo's path in words: for people, and never to be read as a path again."""
        return shown(self.path)

    @property
    def place(self) -> PurePath:
        """The photo's folder below its inbox, which its result gets in the outbox; empty if submitted."""
        if self.inbox is None:
            return PurePath()
        return PurePath(
            *(part for part in self.path.parent.parts if part != ".." and not PurePath(part).anchor)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob(Assignment):
    """A job as intake or `submit` hands it to the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Assignment):
    """One row of the ledger. Times are UTC."""

    id: int
    attempts: int
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    seconds: float | None = None  # spent painting, in the last attempt
    result: Path | None = None
    cancel_requested: bool = False
    is_disposed: bool = False  # the original is where it belongs
    progress: Progress | None = None  # while it runs, and at the end of what is done
    strikes: int = 0  # attempts in a row that ended with the daemon, and came no further than one before
    seat: str | None = None  # of a farm: where it is painted, or was the last time
    lost: int = 0  # how often it lost its seat in the middle

    def as_new(self) -> NewJob:
        """Return what was handed to the ledger, as it is now."""
        return NewJob(**{each.name: getattr(self, each.name) for each in fields(NewJob)})

    @property
    def style(self) -> str:
        """The name of the style or blend; empty while held."""
        return blend_name(self.styles)

    @property
    def preview(self) -> Path:
        """Where a picture of the painting so far is, while the job runs."""
        return self.outbox / PREVIEWS / f"{self.id}.jpg"


LEFT_ALONE: Final = "left_alone"
QUIET: Final = frozenset({LEFT_ALONE})  # codes of what a user may like to know, and need not mend


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A condition that a user can mend; listed in `status` while it lasts."""

    code: str  # e.g. "inbox_missing"; names a section of docs/errors.md
    message: str
    remedy: str

    @property
    def is_quiet(self) -> bool:
        """Whether it is no alarm: no red icon, no notification, no exit code."""
        return self.code in QUIET


def problem_of(error: NstError, *, more: int = 0) -> Problem:
    """Return an error as a problem; `more`: how many others there are of its kind."""
    message = f"{error.message.removesuffix('.')}, and {more} more." if more else error.message
    return Problem(code=error.code, message=message, remedy=error.remedy)


def shown(path: PurePath) -> str:
    """Return a path in words, with `/`: bytes that are no UTF-8 and control characters are spelt out."""
    text = os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Current:
    """A job that is being painted."""

    job: int
    photo: str
    style: str
    progress: Progress | None  # None before the first step


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All that the views show, read in one moment."""

    running: bool
    pid: int | None
    paused: bool
    version: str
    engine: EngineFacts  # the busiest one
    counts: Mapping[JobState, int]
    current: tuple[Current, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    engines: tuple[EngineFacts, ...] = ()  # all of them
    page: str = ""  # the address of the page for a browser, while there is one
    seats: tuple[SeatFacts, ...] = ()  # of the farm

    @property
    def alarms(self) -> tuple[Problem, ...]:
        """The problems that a user should mend."""
        return tuple(problem for problem in self.problems if not problem.is_quiet)
