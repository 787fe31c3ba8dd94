"""Builds all parts, starts and stops them in order: the only threads, the only signal handlers."""

import logging
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from types import FrameType
from typing import Final

from nst_daemon import __version__, crash, halves, locks, logs, outbox
from nst_daemon.config import Config
from nst_daemon.desktop.process import DesktopKeeper
from nst_daemon.easel import Easel, MakeEngine
from nst_daemon.errors import ConditionError, ExitCode, MissingError
from nst_daemon.halves import LeftHalf, MakeReader, RightHalf
from nst_daemon.inbox import watching
from nst_daemon.jobs import JobState, Snapshot
from nst_daemon.ledger import Ledger, Wish
from nst_daemon.pulse import Pulse
from nst_daemon.reloading import ConfigWatch
from nst_daemon.supervision import Supervision

logger = logging.getLogger(__name__)

INTAKE_SECONDS: Final = 0.2  # between two ticks of the intake, where nothing is due before
WORKER_SECONDS: Final = 0.2  # between two looks of a worker for a job, unless it is woken
LEAST_SECONDS: Final = 0.01  # of rest for the intake
BEAT_SECONDS: Final = 1.0  # between two heartbeats and two snapshots
GRACE_SECONDS: Final = 30.0  # for a thread to come to its end
FIRST_LOOK_SECONDS: Final = 30.0  # the worker waits so long for the intake to see which jobs lost their photo

OnChange = Callable[[Snapshot], None]


class Daemon:
    """One config file, one state folder, one run."""

    def __init__(
        self,
        config: Config,
        *,
        make_engine: MakeEngine = halves.make_engine,
        make_reader: MakeReader = halves.make_reader,
        keeps_tray: bool = False,  # the command line has the last word on the tray
    ) -> None:
        self.config = config
        self._keeps_tray = keeps_tray
        self._make_engine = make_engine
        self._make_reader = make_reader
        self._stop = threading.Event()
        self._reload = threading.Event()
        self._failure: BaseException | None = None
        self._pulse = Pulse("intake")
        self._threads: list[threading.Thread] = []
        self._is_ready = threading.Event()

    def run(self, *, once: bool = False, on_change: OnChange | None = None) -> ExitCode:
        """Watch and paint until told to stop; with `once`, until everything that is there is done.

        Raises:
            AlreadyRunningError: another daemon holds the lock.
            MissingError: with `once`, something on this machine is missing.
        """
        crash.check_variable()
        with ExitStack() as stack:
            stack.enter_context(locks.held(self.config.state_dir))
            stack.enter_context(logs.logging_to(self.config.state_dir))
            stack.enter_context(self._signals())
            ledger = stack.enter_context(Ledger(self.config.state_dir / "ledger.db"))
            begun = self._begin(ledger)
            stack.callback(self._leave, ledger)
            desktop = None if once else stack.enter_context(DesktopKeeper(self.config))
            left = stack.enter_context(LeftHalf(self.config, ledger, self._make_reader))
            right = stack.enter_context(
                RightHalf(self.config, ledger, self._make_engine, should_stop=self._should_stop)
            )
            stack.callback(self._join, ledger)
            self._thread("intake", lambda: self._take_in(left))
            self._watch(ledger, left, right, desktop, once=once, on_change=on_change)
        if self._failure is not None:
            raise self._failure
        # A daemon that was told to stop has done its work, whatever became of single photos.
        return self._verdict(begun) if once else ExitCode.FINE

    def stop(self) -> None:
        """Ask a running daemon to end; safe from any thread and from a signal handler."""
        self._stop.set()

    def _begin(self, ledger: Ledger) -> float:
        """Give back what a crash left, and say that we are here; return the time."""
        ledger.clear_problems()
        ledger.set_ready(None)
        for wish in Wish:
            ledger.take(wish)
        ledger.set_daemon(os.getpid(), __version__)
        for job in ledger.recover():
            logger.info("job %d was interrupted and is queued again", job)
        self._sweep()
        logger.info("nst-daemon %s watches %s", __version__, _inboxes(self.config))
        return time.time()

    def _sweep(self) -> None:
        """Remove what a crash left half done."""
        shutil.rmtree(self.config.state_dir / "work", ignore_errors=True)
        for folder in self.config.folders:
            try:
                watching.sweep(folder.inbox)
                for place in (folder.outbox, folder.archive, folder.failed):
                    outbox.sweep(place)
            except OSError as error:
                logger.warning("%s", error)

    def _watch(
        self,
        ledger: Ledger,
        left: LeftHalf,
        right: RightHalf,
        desktop: DesktopKeeper | None,
        *,
        once: bool,
        on_change: OnChange | None,
    ) -> None:
        """Wait in the main thread: beat, show, and see whether there is an end."""
        supervision = Supervision(self._pulse)
        edits = ConfigWatch(self.config, keeps_tray=self._keeps_tray)
        self._tend(right, ledger)
        while not self._stop.wait(BEAT_SECONDS if not on_change else BEAT_SECONDS / 4):
            with suppress(ConditionError):  # a full disk is intake's and worker's to report
                ledger.beat()
                if ledger.take(Wish.QUIT):
                    self._stop.set()
                if ledger.take(Wish.UNLOAD):
                    right.unload()
                if self._is_ready.is_set():
                    self._speak(ledger, supervision)
                if on_change:
                    on_change(ledger.snapshot(running=True))
                if once and _is_idle(ledger, left):
                    self._stop.set()
                self._follow(edits, ledger, left, right, desktop)
            self._tend(right, ledger)
            if desktop is not None:
                desktop.tend()
            if once and isinstance(right.missing, MissingError):
                self._failure = right.missing
                self._stop.set()
        supervision.stopping()
        if on_change:
            with suppress(ConditionError):
                on_change(ledger.snapshot(running=True))

    def _follow(
        self,
        edits: ConfigWatch,
        ledger: Ledger,
        left: LeftHalf,
        right: RightHalf,
        desktop: DesktopKeeper | None,
    ) -> None:
        """Take on an edit of config.yaml, or show why not."""
        was_asked = self._reload.is_set()
        self._reload.clear()
        config = edits.look(at_once=was_asked)
        if config is not None:
            self.config = config
            left.follow(config)
            right.follow(config)
            if desktop is not None:
                desktop.follow(config)
        ledger.set_problems("config", edits.problems)

    def _speak(self, ledger: Ledger, supervision: Supervision) -> None:
        """Tell `start` and systemd that the daemon is ready, and systemd that it lives."""
        if ledger.ready_pid() != os.getpid():
            ledger.set_ready(os.getpid())
        supervision.tell(ledger.snapshot(running=True))

    def _tend(self, right: RightHalf, ledger: Ledger) -> None:
        """Begin a thread for each easel that is new."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        for easel in right.tend():
            self._thread(easel.name, partial(self._work, easel, ledger))

    def _take_in(self, left: LeftHalf) -> None:
        """Take photos in, each at the moment at which it has settled."""
        while not self._stop.is_set():
            is_more = left.tick()
            self._pulse.beat("intake")
            self._is_ready.set()  # the inboxes are watched, and were read once
            if not is_more:
                self._stop.wait(min(max(left.due_in(), LEAST_SECONDS), INTAKE_SECONDS))

    def _work(self, easel: Easel, ledger: Ledger) -> None:
        """Paint, once the intake has seen which photos have gone and which inboxes are another daemon's."""
        deadline = time.monotonic() + FIRST_LOOK_SECONDS
        while not (self._is_ready.wait(WORKER_SECONDS) or self._stop.is_set()):
            self._pulse.beat(easel.name)
            if time.monotonic() > deadline:
                break
        try:
            while not (self._stop.is_set() or easel.is_leaving):
                known = ledger.additions.count
                had_job = easel.tick()
                self._pulse.beat(easel.name)
                if not had_job:
                    ledger.additions.wait(known, WORKER_SECONDS)
        finally:
            self._pulse.forget(easel.name)
            easel.leave()

    def _should_stop(self, name: str) -> bool:
        """Return whether a worker is to stop; it asks many times a second while its engine paints."""
        self._pulse.beat(name)
        return self._stop.is_set()

    def _leave(self, ledger: Ledger) -> None:
        with suppress(ConditionError):
            ledger.set_ready(None)
            ledger.set_daemon(None, __version__)

    def _thread(self, name: str, target: Callable[[], None]) -> None:
        def run() -> None:
            try:
                target()
            except BaseException as error:  # a bug in a loop ends the daemon, and does not hide
                logger.exception("the %s broke", name)
                self._failure = error
                self._stop.set()

        thread = threading.Thread(target=run, name=f"nst-{name.replace(' ', '-')}")
        self._threads.append(thread)
        thread.start()

    def _join(self, ledger: Ledger) -> None:
        self._stop.set()
        ledger.additions.tell()  # a worker that rests
        deadline = time.monotonic() + GRACE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let SIGTERM and Ctrl-C stop the daemon; a second one means now. SIGHUP reads the config anew."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def on_signal(number: int, _: FrameType | None) -> None:
            if self._stop.is_set():
                os._exit(128 + number)
            self._stop.set()

        before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
        # In a terminal SIGHUP says that it was closed, and under nohup it says nothing.
        is_ours = hasattr(signal, "SIGHUP") and not sys.stderr.isatty()
        if is_ours and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self._reload.set())
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


def _is_idle(ledger: Ledger, left: LeftHalf) -> bool:
    """Whether nothing is left to do without a person: all that lies in the inbox is known, and done."""
    return left.is_idle() and (ledger.is_paused() or not ledger.has_work())


def _inboxes(config: Config) -> str:
    return ", ".join(str(folder.inbox) for folder in config.folders)
