"""One attempt at a job: what the engine is asked for, and the evidence of how far it came.

What becomes of the job is the worker's to say, and knows nothing of originals and outboxes.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

from nst_daemon import disk
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.config.recipe import Recipe
from nst_daemon.errors import CancelledError, ConditionError, JobError
from nst_daemon.folders.copies import source_of
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job
from nst_daemon.painting import checkpoints
from nst_daemon.system.crash import CrashPoint, crash_at

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 3  # of a photo that broke the engine each time, and came no further
# … and of one during which the daemon was killed: the engine has a process of its own, so that the photo has
# seldom anything to do with it.
MAX_INTERRUPTIONS: Final = 10
PROGRESS_SECONDS: Final = 0.5  # between two entries of the progress in the ledger


class Engine(Protocol):
    """Makes paintings. `engine.process.EngineProcess` is one."""

    @property
    def facts(self) -> EngineFacts:
        """What the engine is now."""
        ...

    @property
    def is_warm(self) -> bool:
        """Whether the network is loaded."""
        ...

    def warm_up(self, should_stop: Callable[[], bool]) -> object:
        """Load the network unless it is loaded, or raise CancelledError or DaemonError."""
        ...

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        """Return the painting, or raise JobError or DaemonError."""
        ...

    def end(self) -> None:
        """Give back all memory."""
        ...


class Attempt:
    """Has a claimed job painted. Lives on a worker's thread."""

    def __init__(self, job: Job, ledger: Ledger, engine: Engine, *, should_stop: Callable[[], bool]) -> None:
        self._job = job
        self._ledger = ledger
        self._engine = engine
        self._is_told_to_stop = should_stop
        self._is_excused = False

    def paint(self, scratch: Path, *, checkpoint: Path) -> Painting:
        """Return a painting, whose files are in `scratch`.

        Once the engine has the photo, a bad end may be that photo's fault.

        Raises:
            JobError, DaemonError, ConditionError: there is none.
        """
        job = self._job
        order = self._order(_recipe_of(job), scratch, checkpoint)
        disk.remove_tree(scratch)
        disk.make_folder(scratch)
        logger.info("job %d: painting %s in %s", job.id, job.photo, job.style)
        self._engine.warm_up(self._should_stop)
        self._ledger.attempts.begin(job.id)
        painting = self._engine.paint(
            order, on_progress=_seldom(self._reporter(checkpoint)), should_stop=self._should_stop
        )
        with suppress(ConditionError):
            self._ledger.attempts.report_painted(job.id)
        if self._is_cancelled():
            raise CancelledError(f"{job.photo}: cancelled.")
        crash_at(CrashPoint.PAINTED)
        return painting

    def _order(self, recipe: Recipe, scratch: Path, checkpoint: Path) -> Order:
        job = self._job
        return Order(
            job=job.id,
            photo=source_of(job),
            photo_name=job.photo,
            photo_sha256=job.photo_sha256,
            styles=job.styles,
            recipe=recipe,
            result=scratch / "painting",
            key=job.key,
            original=job.original,
            areas=job.areas,
            checkpoint=checkpoint,
            preview=job.preview,
        )

    def _should_stop(self) -> bool:
        if not self._is_told_to_stop():
            with suppress(ConditionError):
                return self._ledger.jobs.is_to_stop(self._job.id)
            return False
        if not self._is_excused:
            with suppress(ConditionError):
                # Should we be killed before it stops: not its fault.
                self._ledger.attempts.excuse(self._job.id)
            self._is_excused = True
        return True

    def _is_cancelled(self) -> bool:
        with suppress(ConditionError):
            return self._ledger.jobs.is_cancelled(self._job.id)
        return False

    def _reporter(self, checkpoint: Path) -> Callable[[Progress], None]:
        """Return what keeps a painting's progress, and whether it would go on further than it began."""
        at_first = checkpoints.stamp_of(checkpoint)

        def report(progress: Progress) -> None:
            is_safe = checkpoints.stamp_of(checkpoint) not in (None, at_first)
            with suppress(ConditionError):  # hours of painting are not thrown away for a line of progress
                self._ledger.attempts.report_progress(self._job.id, progress, is_safe=is_safe)

        return report


def _recipe_of(job: Job) -> Recipe:
    """Return what a job is to be painted by; refuse one that has none, or broke too much."""
    if job.recipe is None or not job.styles:
        raise JobError(f"{job.photo}: the job has no style.", remedy="Hand the photo over again.")
    if job.strikes >= MAX_INTERRUPTIONS:
        raise JobError(
            f"{job.photo}: the daemon ended {job.strikes} times while it was painted, and came no further.",
            remedy="Lower `size` or engine.memory_limit, and try again.",
            code="engine_failed",
        )
    return job.recipe


def _seldom(report: Callable[[Progress], None]) -> Callable[[Progress], None]:
    """Pass progress on at most every PROGRESS_SECONDS, and the last one always."""
    last = float("-inf")

    def pass_on(progress: Progress) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= PROGRESS_SECONDS or progress.fraction >= 1:
            last = now
            report(progress)

    return pass_on
