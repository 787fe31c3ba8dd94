"""`run --once`: when all that can be done is done, and what is left then, and why. Reads; changes nothing.

A blocked intake is no idle one, and a held job is not done. A condition that lasts ends the run.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from nst_daemon.config import Config
from nst_daemon.errors import ExitCode, without_section
from nst_daemon.intake.left import LeftHalf
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import ENDS, Job, JobState, Problem
from nst_daemon.ledger.words import counts_text

PATIENCE_SECONDS: Final = 20.0  # with a condition, beside one settling and one reading of the inbox
MAX_RESCAN_SECONDS: Final = 15.0  # of the reading that is waited for
FEW: Final = 10  # jobs that are named
TICKS: Final = 3  # of the intake in which nothing happened: it does not just read a large photo
# What concerns one photo, or costs none: 1. Whatever else is in the way is a folder, a disk or a right: 3.
SOFT: Final = frozenset(
    {"read_only", "inbox_shared", "job_unreadable", "events_lost", "watch_limit", "restart_needed"}
    | {"engine_missing", "config_invalid", "name_refused", "bug", "state_dir_open", "state_dir_remote"}
)
HARMLESS: Final = frozenset(
    {"events_lost", "watch_limit", "restart_needed", "config_invalid", "state_dir_open", "state_dir_remote"}
    | {"inbox_shared", "engine_missing"}
)  # nothing is left because of these alone: the other daemon, or another engine, does it


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a single run leaves: words for stderr, and the exit code."""

    lines: tuple[str, ...]
    code: ExitCode


class Patience:
    """Waits for what a condition holds up, but not for ever. Lives on one thread."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        watch = config.watch
        self._seconds = (
            PATIENCE_SECONDS
            + watch.settle_seconds
            + watch.sidecar_seconds
            + min(watch.rescan_seconds, MAX_RESCAN_SECONDS)
        )
        self._clock = clock
        self._mark: object = None
        self._since = clock()
        self._ticks = 0

    def is_over(self, ledger: Ledger, left: LeftHalf) -> bool:
        """Return whether nothing has moved for so long, while something is in the way."""
        snapshot = ledger.snapshot(running=True)
        ended = [snapshot.counts[state] for state in ENDS]
        progress = [current.progress for current in snapshot.current if current.progress is not None]
        mark = ended, sum(snapshot.counts.values()), max((each.fraction for each in progress), default=0.0)
        if mark != self._mark:
            self._mark, self._since, self._ticks = mark, self._clock(), left.ticks
        has_waited = self._clock() - self._since >= self._seconds and left.ticks - self._ticks >= TICKS
        return has_waited and not snapshot.current and bool(_in_the_way(ledger, left))


def is_done(ledger: Ledger, left: LeftHalf) -> bool:
    """Return whether all that lies in the inboxes is known, and nothing more can be painted."""
    return left.is_idle() and (ledger.requests.is_paused() or not ledger.queue.has_work())


def verdict(ledger: Ledger, left: LeftHalf, *, begun: float) -> Verdict:
    """Return what became of it; `begun`: when the run did, in seconds since 1970."""
    problems = _in_the_way(ledger, left)
    failed = [job for job in ledger.jobs.ended_since(begun) if job.state is JobState.FAILED]
    held = list(ledger.jobs.each(state=JobState.HELD))
    queued = [*ledger.jobs.each(state=JobState.QUEUED), *ledger.jobs.each(state=JobState.RUNNING)]
    is_paused = ledger.requests.is_paused()
    lines = [f"{problem.message} {problem.remedy}".strip() for problem in problems]
    lines += _named(failed, "failed")
    lines += _named(held, "is held")
    if queued:
        why = ": paused (`nst-daemon resume` goes on)" if is_paused else ""
        lines.append(f"{counts_text({JobState.QUEUED: len(queued)})}{why}.")
    is_hard = any(problem.code not in SOFT and not problem.code.startswith("photo_") for problem in problems)
    if is_hard or (queued and not is_paused and problems):
        return Verdict(tuple(lines), ExitCode.MISSING)
    is_left = failed or held or queued or any(problem.code not in HARMLESS for problem in problems)
    return Verdict(tuple(lines), ExitCode.JOB_FAILED if is_left else ExitCode.FINE)


def _in_the_way(ledger: Ledger, left: LeftHalf) -> list[Problem]:
    """Return the problems of both halves, each once, without those that are no alarm."""
    shown = ledger.snapshot(running=True).problems
    known = {(problem.code, problem.message): problem for problem in (*left.unfinished(), *shown)}
    return [problem for problem in known.values() if not problem.is_quiet]


def _named(jobs: Iterable[Job], what: str) -> list[str]:
    found = list(jobs)
    lines = [
        f"{job.photo} {what}: {without_section(job.error or 'the log says more')}" for job in found[:FEW]
    ]
    if len(found) > FEW:
        lines.append(f"And {len(found) - FEW} more jobs: `nst-daemon jobs` lists them.")
    return lines
