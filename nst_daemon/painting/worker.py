"""Claim a job, have it painted, publish it: the work at one easel.

One thread calls `tick`; other workers may be at other easels meanwhile. The worker alone decides what a
failure means: whose fault it is, and whether trying again can help.
"""

import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config.orders import Painting
from nst_daemon.disk import logs
from nst_daemon.errors import (
    CancelledError,
    ConditionError,
    CopyError,
    DaemonError,
    EngineError,
    FileConditionError,
    InputError,
    JobError,
    NstError,
    SeatLostError,
    with_section,
)
from nst_daemon.folders import outbox
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import Job, JobState, Problem
from nst_daemon.painting.attempt import MAX_ATTEMPTS, Attempt
from nst_daemon.painting.checkpoints import Checkpoints
from nst_daemon.painting.delivery import Delivery
from nst_daemon.painting.disposal import Disposal
from nst_daemon.painting.easel import Easel
from nst_daemon.painting.moments import lies_ahead

logger = logging.getLogger(__name__)

BACK_OFF_SECONDS: Final = 5.0  # before the second attempt; doubles, with jitter
CONDITION_SECONDS: Final = 15.0  # between looks at a full disk or a missing folder


class Worker:
    """Takes jobs from the ledger to the outbox, one at a time. Lives on one thread."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        easel: Easel,
        disposal: Disposal,
        state_dir: Path,
        should_stop: Callable[[], bool],
        may_claim: Callable[[], bool] = lambda: True,
        delivery: Delivery | None = None,
        name: str = "worker 1",
        seat: str | None = None,
        ahead: Callable[[], int | None] = lambda: None,
        lost_limit: int = 3,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.ledger = ledger
        self.easel = easel
        self.disposal = disposal
        self.delivery = delivery or Delivery(ledger, state_dir, clock=clock)
        self.state_dir = state_dir
        self.work_dir = state_dir / "work"  # of one attempt: swept at the start
        self.checkpoints = Checkpoints(ledger.jobs, state_dir / "checkpoints", clock=clock)  # outlive a crash
        self.should_stop = should_stop
        self.may_claim = may_claim
        self.name = name  # of the source of its own problems
        self.seat = seat  # of a farm, if its engine is at one
        self.ahead = ahead  # the job for which the seat has got files already
        self.lost_limit = lost_limit  # how often a job may lose its seat at no cost
        self.clock = clock
        self.blocked: ConditionError | None = None  # why nothing can be painted at the moment
        self.is_leaving = False  # it ends after the job in hand
        self.has_left = False
        self._rests_until = float("-inf")  # the ledger cannot be written
        self._styles_there: frozenset[str] = frozenset()  # what the seat has painted last, and has at hand
        self._in_hand: int | None = None  # a claimed job whose end is not in the ledger yet

    @property
    def is_free(self) -> bool:
        """Whether it would take a job at once: nothing in hand, and nothing in its way. For any thread."""
        return self._in_hand is None and self.blocked is None and self.easel.missing is None

    @property
    def is_ready(self) -> bool:
        """Whether it would begin to paint at once. For any thread."""
        return self.is_free and not self.is_leaving and self.easel.facts.state == "warm"

    def tick(self) -> bool:
        """Work off one job; return whether there was one."""
        if self.easel.renew():
            self._forget_missing()
        if lies_ahead(self._rests_until, self.clock(), at_most=CONDITION_SECONDS):
            return False
        try:
            self._put_back()
            self.disposal.sweep()
            self.delivery.look()
            was_working = self._work()
            self._unblock_if_over()
            return was_working
        except ConditionError as error:  # the ledger's own disk
            self._rests_until = self.clock() + CONDITION_SECONDS
            with suppress(ConditionError):
                self._block(error, "The worker waits")
            return False

    def leave(self) -> None:
        """End the engine, and what was said of it: nobody will tick any more."""
        try:
            self.easel.engine.end()
            self._forget_missing()
            with suppress(ConditionError):  # the next start looks again
                self.checkpoints.sweep(at_once=True)
        finally:
            self.has_left = True

    def _work(self) -> bool:
        may_claim = self.may_claim() and self.easel.may_paint()
        job = self.ledger.queue.claim(styles=self._styles_there, ahead=self.ahead()) if may_claim else None
        if job is None:
            self.checkpoints.sweep()
            self.easel.rest()
            return False
        self._in_hand = job.id
        with logs.job_in_log(job.id):
            self._attempt(job)
        self._in_hand = None
        if self.seat is not None:
            self._styles_there = frozenset(style.sha256 for style in job.styles)
        self.easel.was_used()
        self.checkpoints.sweep()
        return True

    def _put_back(self) -> None:
        """Give back a job whose end could not be written: it is painted again, over its own result."""
        if self._in_hand is not None:
            self.ledger.move(self._in_hand, JobState.RUNNING, JobState.QUEUED, refund_attempt=True)
            self._in_hand = None

    def _attempt(self, job: Job) -> None:
        """Paint and publish a claimed job, and record how it ended."""
        scratch = self.work_dir / f"{job.id} {self.name}"  # given back, it may be another worker's at once
        try:
            painting = self.delivery.kept(job) or self._painted(job, scratch)
            result = self.delivery.deliver(job, painting)
        except CancelledError:
            self._hand_back(job)
        except FileConditionError as error:
            self._wait(job, error)
        except ConditionError as error:
            self._wait_for_the_machine(job, error)
        except DaemonError as error:
            self._wait_for_the_engine(job, error)
        except InputError as error:
            self._hold(job, error)
        except CopyError as error:
            self._take_original(job, error)
        except SeatLostError as error:
            self._lost(job, error)
        except JobError as error:
            self._failed(job, error)
        except Exception as error:  # a bug
            logger.exception("job %d met a bug", job.id)
            self._failed(job, JobError(f"{job.photo}: {type(error).__name__}: {error}"))
        else:
            self._done(job, painting, result)
        finally:
            outbox.end_preview(job)
            if not self.delivery.is_unkept(job):
                disk.remove_tree(scratch)

    def _painted(self, job: Job, scratch: Path) -> Painting:
        """Return a new painting of a job whose outbox would take it."""
        self.delivery.ask(job)
        if self.seat != job.seat:
            self.ledger.attempts.take_seat(job.id, self.seat)
        attempt = Attempt(job, self.ledger, self.easel.engine, should_stop=self.should_stop)
        painting = attempt.paint(scratch, checkpoint=self.checkpoints.path_of(job))
        return self.delivery.keep(job, painting, scratch)

    def _done(self, job: Job, painting: Painting, result: Path) -> None:
        self.ledger.move(
            job.id, JobState.RUNNING, JobState.DONE, result=result, seconds=round(painting.seconds, 3)
        )
        logger.info("job %d: done in %.1f s: %s", job.id, painting.seconds, result.name)
        for note in painting.notes:
            logger.info("job %d: %s", job.id, note)
        self.delivery.forget(job)
        self._forget_missing()
        self._unblock()
        self.delivery.is_over(job)
        self.disposal.dispose(job.id)

    def _hand_back(self, job: Job) -> None:
        """A stop gives the job back unspent; whoever asked for its end has said why."""
        if self.ledger.jobs.is_cancelled(job.id):
            self.ledger.move(job.id, JobState.RUNNING, JobState.CANCELLED)
            ended = self.ledger.jobs.get(job.id)
            logger.info("job %d was cancelled: %s", job.id, ended.error if ended else "it is gone")
        else:
            self.ledger.move(job.id, JobState.RUNNING, JobState.QUEUED, refund_attempt=True)
            logger.info("job %d: handed back, it goes on at the next start", job.id)

    def _hold(self, job: Job, error: InputError) -> None:
        """Its style or a mask is at fault, and not the photo: it waits until that is mended."""
        self.ledger.move(job.id, JobState.RUNNING, JobState.HELD, error=str(error), refund_attempt=True)
        logger.warning("job %d is held: %s", job.id, error)

    def _take_original(self, job: Job, error: CopyError) -> None:
        """Our copy is at fault, and not the photo: the next attempt takes the original, if unchanged."""
        if job.copy.is_relative_to(self.state_dir):
            disk.remove(job.copy)
        self.ledger.move(
            job.id,
            JobState.RUNNING,
            JobState.QUEUED,
            error=str(error),
            not_before=self.clock() + BACK_OFF_SECONDS,
            refund_attempt=True,
        )
        logger.warning("job %d begins anew, from the original: %s", job.id, error)

    def _wait(self, job: Job, error: FileConditionError) -> None:
        """Wait for what is at a path: alone, or with all that go to the same outbox; ours stops all."""
        if error.path.is_relative_to(self.state_dir) and not error.path.is_relative_to(job.outbox):
            self._wait_for_the_machine(job, error if error.is_named else error.named("state_dir"))
        else:
            self.delivery.wait(job, error)

    def _wait_for_the_machine(self, job: Job, condition: ConditionError) -> None:
        """Nobody's fault: the job keeps its attempts, and the condition shows until it is over."""
        self.ledger.move(
            job.id,
            JobState.RUNNING,
            JobState.QUEUED,
            error=str(condition),
            not_before=self.clock() + CONDITION_SECONDS,
            refund_attempt=True,
        )
        self._block(condition, f"job {job.id} waits")

    def _wait_for_the_engine(self, job: Job, error: DaemonError) -> None:
        """Leave the job to an engine that can start; this one is tried again later."""
        self.ledger.move(job.id, JobState.RUNNING, JobState.QUEUED, error=str(error), refund_attempt=True)
        if self.easel.miss(error):
            logger.warning("%s has no engine: %s", self.name, error)
        self._show(self.name, error, "engine_missing")

    def _lost(self, job: Job, error: SeatLostError) -> None:
        """Give the job back unspent: the machine went, not the engine. Not for ever: a photo may be why."""
        lost = self.ledger.attempts.lose_seat(job.id)
        if lost > self.lost_limit:
            self._failed(job, error)
            return
        self.ledger.move(job.id, JobState.RUNNING, JobState.QUEUED, error=str(error), refund_attempt=True)
        self.ledger.queue.additions.tell()
        logger.warning("job %d is queued again, unspent: %s", job.id, error)

    def _failed(self, job: Job, error: JobError) -> None:
        """Try again where that can help; else the job ends, and says why."""
        breaks = MAX_ATTEMPTS
        if isinstance(error, EngineError):
            breaks = self.ledger.attempts.strike(job.id)
        if breaks < MAX_ATTEMPTS:
            pause = BACK_OFF_SECONDS * 2 ** max(0, breaks - 1) * random.uniform(0.8, 1.2)
            logger.warning(
                "job %d: attempt %d failed, next in %.0f s: %s", job.id, job.attempts, pause, error
            )
            self.ledger.move(
                job.id,
                JobState.RUNNING,
                JobState.QUEUED,
                error=str(error),
                not_before=self.clock() + pause,
            )
            return
        said = with_section(str(error), error.code)
        self.ledger.move(job.id, JobState.RUNNING, JobState.FAILED, error=said)
        logger.warning("job %d failed: %s", job.id, error)
        if self.easel.engine.is_warm:
            self._forget_missing()
        self.disposal.dispose(job.id)

    def _unblock_if_over(self) -> None:
        """End a condition that no job is left to end: the ledger's own, or a cancelled job's."""
        was_ledgers, self._rests_until = self._rests_until > float("-inf"), float("-inf")
        if self.blocked and (was_ledgers or not self.ledger.queue.has_work()):
            self._unblock()

    def _block(self, condition: ConditionError, words: str) -> None:
        """Show a condition until it is over: once, however many workers meet it."""
        if self.blocked is None or self.blocked.message != condition.message:
            logger.warning("%s: %s", words, condition)
        self.blocked = condition
        self._show("worker", condition, condition.code)

    def _unblock(self) -> None:
        self.blocked = None
        self.ledger.problems.set("worker", [])  # another worker's too: what went well here, goes well there

    def _forget_missing(self) -> None:
        if self.easel.missing is not None:
            with suppress(ConditionError):  # a full disk: it is forgotten after the next painting
                self.ledger.problems.set(self.name, [])
                self.easel.missing = None

    def _show(self, source: str, error: NstError, code: str) -> None:
        self.ledger.problems.set(source, [Problem(code=code, message=error.message, remedy=error.remedy)])
