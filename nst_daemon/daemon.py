"""Builds all parts, starts and stops them in order: the only threads, the only signal handlers."""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final

from nst_daemon import __version__, locks, logs, outbox
from nst_daemon.config import Config
from nst_daemon.engine.process import EngineProcess
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConditionError, ExitCode, MissingError
from nst_daemon.inbox import Inbox
from nst_daemon.inspector import Inspector
from nst_daemon.intake import Intake
from nst_daemon.jobs import JobState, Snapshot
from nst_daemon.ledger import Ledger
from nst_daemon.library import Library
from nst_daemon.worker import Worker

logger = logging.getLogger(__name__)

INTAKE_SECONDS: Final = 0.2  # between two ticks of the intake
WORKER_SECONDS: Final = 0.2  # between two looks for a job
BEAT_SECONDS: Final = 1.0  # between two heartbeats and two snapshots
GRACE_SECONDS: Final = 30.0  # for a thread to come to its end

OnChange = Callable[[Snapshot], None]


class Daemon:
    """One config, one state folder, one run."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    def run(self, *, once: bool = False, on_change: OnChange | None = None) -> ExitCode:
        """Watch and paint until told to stop; with `once`, until everything that is there is done.

        Raises:
            AlreadyRunningError: another daemon holds the lock.
            MissingError: with `once`, something on this machine is missing.
        """
        with ExitStack() as stack:
            stack.enter_context(locks.held(self.config.state_dir))
            stack.enter_context(logs.logging_to(self.config.state_dir))
            stack.enter_context(self._signals())
            ledger = stack.enter_context(Ledger(self.config.state_dir / "ledger.db"))
            begun = self._begin(ledger)
            stack.callback(ledger.set_daemon, None, __version__)
            engine = EngineProcess(engine_settings(self.config), on_facts=ledger.set_engine)
            stack.callback(engine.end)
            intake, worker = self._parts(ledger, engine, stack)
            threads = [
                self._thread("intake", lambda: self._repeat(intake.tick, INTAKE_SECONDS)),
                self._thread("worker", lambda: self._repeat(worker.tick, WORKER_SECONDS)),
            ]
            stack.callback(self._join, threads)
            self._watch(ledger, intake, worker, once=once, on_change=on_change)
        if self._failure is not None:
            raise self._failure
        return self._verdict(begun)

    def stop(self) -> None:
        """Ask a running daemon to end; safe from any thread and from a signal handler."""
        self._stop.set()

    def _begin(self, ledger: Ledger) -> float:
        """Give back what a crash left, and say that we are here; return the time."""
        ledger.clear_problems()
        ledger.set_daemon(os.getpid(), __version__)
        for job in ledger.recover():
            logger.info("job %d was interrupted and is queued again", job)
        for folder in self.config.folders:
            try:
                outbox.sweep(folder.outbox)
            except ConditionError as error:
                logger.warning("%s", error)
        logger.info("nst-daemon %s watches %s", __version__, _inboxes(self.config))
        return time.time()

    def _parts(self, ledger: Ledger, engine: EngineProcess, stack: ExitStack) -> tuple[Intake, Worker]:
        config = self.config
        inspector = stack.enter_context(Inspector(max_megapixels=config.max_megapixels))
        inbox = stack.enter_context(Inbox(config.folders, config.watch))
        intake = Intake(
            config=config,
            inbox=inbox,
            inspector=inspector,
            ledger=ledger,
            library=Library(config.styles),
        )
        worker = Worker(
            ledger=ledger,
            engine=engine,
            folders=config.folders,
            work_dir=config.state_dir / "work",
            idle_seconds=config.engine.idle_seconds,
            should_stop=self._stop.is_set,
        )
        return intake, worker

    def _watch(
        self, ledger: Ledger, intake: Intake, worker: Worker, *, once: bool, on_change: OnChange | None
    ) -> None:
        """Wait in the main thread: beat, show, and see whether there is an end."""
        while not self._stop.wait(BEAT_SECONDS if not on_change else BEAT_SECONDS / 4):
            ledger.beat()
            if on_change:
                on_change(ledger.snapshot(running=True))
            if once and isinstance(worker.blocked, MissingError):
                self._failure = worker.blocked
                self._stop.set()
            if once and _is_idle(ledger, intake):
                self._stop.set()
        if on_change:
            on_change(ledger.snapshot(running=True))

    def _repeat(self, tick: Callable[[], object], pause: float) -> None:
        """Call `tick` until the stop; a true answer means: again at once."""
        while not self._stop.is_set():
            if not tick():
                self._stop.wait(pause)

    def _thread(self, name: str, target: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                target()
            except BaseException as error:  # a bug in a loop ends the daemon, and does not hide
                logger.exception("the %s broke", name)
                self._failure = error
                self._stop.set()

        thread = threading.Thread(target=run, name=f"nst-{name}")
        thread.start()
        return thread

    def _join(self, threads: list[threading.Thread]) -> None:
        self._stop.set()
        for thread in threads:
            thread.join(GRACE_SECONDS)

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGTERM and Ctrl-C stop the daemon; a second one means now."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _: FrameType | None) -> None:
            if self._stop.is_set():
                os._exit(128 + number)
            self._stop.set()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _verdict(self, begun: float) -> ExitCode:
        """Return whether a job failed in this run."""
        with Ledger(self.config.state_dir / "ledger.db") as ledger:
            failed = ledger.jobs(state=JobState.FAILED)
        recent = [job for job in failed if job.finished and job.finished.timestamp() >= begun]
        return ExitCode.JOB_FAILED if recent else ExitCode.FINE


def engine_settings(config: Config) -> EngineSettings:
    """Return what the config says of the engine."""
    return EngineSettings(
        weights=config.engine.weights,
        device=config.engine.device,
        memory_limit=config.engine.memory_bytes,
        cache_dir=config.state_dir / "weights",
        max_megapixels=config.max_megapixels,
    )


def _is_idle(ledger: Ledger, intake: Intake) -> bool:
    """Whether nothing is left to do without a person: all that lies in the inbox is known, and done."""
    if not intake.is_idle():
        return False
    counts = ledger.snapshot(running=True).counts
    return ledger.is_paused() or not (counts[JobState.QUEUED] or counts[JobState.RUNNING])


def _inboxes(config: Config) -> str:
    return ", ".join(str(folder.inbox) for folder in config.folders)
