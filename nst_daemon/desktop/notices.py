"""What is worth a notification, and when: a batch of paintings, each failure, each condition once.

Pure: snapshots and jobs come in, notices come out; the clock is handed in.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.config import Notify
from nst_daemon.errors import without_section
from nst_daemon.ledger.jobs import Job, JobState, Problem, Snapshot

QUIET_SECONDS: Final = 2.0  # the queue is empty for this long: the batch is complete
BATCH_SECONDS: Final = 600.0  # a long batch says so in between
AGAIN_SECONDS: Final = 3600.0  # a condition that comes and goes is said once in this time
SINGLE: Final = 3  # failures of one moment that are shown one by one


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notification. A click opens `folder`."""

    title: str
    text: str
    folder: Path | None = None
    is_urgent: bool = False  # stays until somebody has seen it


class Notices:
    """Makes notices of what it is shown, tick by tick."""

    def __init__(self, level: Notify, *, clock: Callable[[], float]) -> None:
        self.level = level
        self._clock = clock
        self._batch: list[Job] = []
        self._batch_since = 0.0
        self._busy_at = clock()
        self._held: set[int] | None = None  # None: those that are held when we begin are no news
        self._said: dict[str, float] = {}  # by code, when a problem was last there

    def look(self, snapshot: Snapshot, *, ended: Sequence[Job], held: Sequence[Job]) -> list[Notice]:
        """Return what there is to say now; `ended`: done or failed since the last look."""
        if self.level is Notify.OFF:
            return []
        notices = _failures([job for job in ended if job.state is JobState.FAILED])
        notices += self._newly_held(held)
        notices += [_condition(problem) for problem in self._new_problems(snapshot.alarms)]
        if self.level is Notify.ALL:
            notices += self._paintings([job for job in ended if job.state is JobState.DONE], snapshot)
        return notices

    def _paintings(self, done: Sequence[Job], snapshot: Snapshot) -> list[Notice]:
        """Collect what is done until the queue was empty for a moment, or for ten minutes."""
        now = self._clock()
        if done and not self._batch:
            self._batch_since = now
        self._batch += done
        may_go_on = snapshot.running and not snapshot.paused
        if done or snapshot.current or (may_go_on and snapshot.counts[JobState.QUEUED]):
            self._busy_at = now
        is_complete = now - self._busy_at >= QUIET_SECONDS or now - self._batch_since >= BATCH_SECONDS
        if not self._batch or not is_complete:
            return []
        batch, self._batch = self._batch, []
        return [_done(batch)]

    def _newly_held(self, held: Sequence[Job]) -> list[Notice]:
        known = self._held
        self._held = {job.id for job in held}
        news = [] if known is None else [job for job in held if job.id not in known]
        if not news:
            return []
        first = news[0]
        title = f"{first.photo} waits" if len(news) == 1 else f"{len(news)} photos wait"
        text = without_section(first.error or "Its style is not known.")
        return [Notice(title=title, text=text, folder=_home(first))]

    def _new_problems(self, problems: Sequence[Problem]) -> list[Problem]:
        """Return those whose kind was not there for an hour; their words may change all the time."""
        now = self._clock()
        self._said = {code: at for code, at in self._said.items() if now - at < AGAIN_SECONDS}
        news = {problem.code: problem for problem in problems if problem.code not in self._said}
        self._said |= {problem.code: now for problem in problems}
        return list(news.values())


def _done(batch: Sequence[Job]) -> Notice:
    folder = batch[-1].outbox if batch[-1].result is None else batch[-1].result.parent
    if len(batch) == 1:
        job = batch[0]
        return Notice(title=f"{job.photo} is painted", text=f"In {job.style}.", folder=folder)
    styles = sorted({job.style for job in batch})
    named = ", ".join(styles[:3]) + (" and others" if len(styles) > 3 else "")
    return Notice(title=f"{len(batch)} pictures are done", text=f"In {named}.", folder=folder)


def _failures(failed: Sequence[Job]) -> list[Notice]:
    if len(failed) <= SINGLE:
        return [
            Notice(
                title=f"{job.photo} failed",
                text=without_section(job.error or "The log says more."),
                folder=_home(job),
            )
            for job in failed
        ]
    first = failed[0]
    title = f"{len(failed)} photos failed"
    return [Notice(title=title, text=f"The first: {without_section(first.error or '')}", folder=_home(first))]


def _condition(problem: Problem) -> Notice:
    return Notice(title=problem.message, text=problem.remedy, is_urgent=True)


def _home(job: Job) -> Path:
    return job.original.parent
