"""Builds all parts, starts and stops them in order: the only threads, the only signal handlers."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from types import FrameType
from typing import Final, TypeVar

from nst_daemon import __version__, disk
from nst_daemon.config import Config
from nst_daemon.daemon import state_dir
from nst_daemon.daemon.heartbeat import Pulse, Supervision, status_line
from nst_daemon.daemon.once import Patience, Verdict, is_done
from nst_daemon.daemon.once import verdict as judged
from nst_daemon.daemon.reloading import ConfigWatch
from nst_daemon.desktop.process import DesktopKeeper
from nst_daemon.disk import locks, logs
from nst_daemon.editors.part import Editors
from nst_daemon.errors import ConditionError, ExitCode, MissingError
from nst_daemon.farm.members import Farm
from nst_daemon.folders import inbox, outbox
from nst_daemon.intake.left import LeftHalf, MakeReader, make_reader
from nst_daemon.ledger import Ledger, Request
from nst_daemon.ledger.jobs import Problem, Snapshot
from nst_daemon.page.process import PageKeeper
from nst_daemon.painting.pool import MakeEngine, RightHalf, make_engine
from nst_daemon.painting.worker import Worker
from nst_daemon.system import crash

logger = logging.getLogger(__name__)

INTAKE_SECONDS: Final = 0.2  # between two ticks of the intake, where nothing is due before
WORKER_SECONDS: Final = 0.2  # between two looks of a worker for a job, unless it is woken
LEAST_SECONDS: Final = 0.01  # of rest for the intake
BEAT_SECONDS: Final = 1.0  # between two heartbeats and two snapshots
GRACE_SECONDS: Final = 40.0  # for a thread to come to its end; a step of a painting may take 30
FIRST_LOOK_SECONDS: Final = 60.0  # the worker waits so long for the intake to see which jobs lost their photo

WAIT_SECONDS: Final = 15.0  # between two tries of a beginning that the machine does not let happen
SWEEPER: Final = "sweeper"
NO_THREADS: Final = Problem(
    code="system_busy",
    message="The system gives no further thread.",
    remedy="It goes on by itself; if it stays, close other programs, or raise the limit (`ulimit -u`).",
)

T = TypeVar("T")
OnChange = Callable[[Snapshot], None]


class Daemon:
    """One config file, one state folder, one run."""

    def __init__(
        self,
        config: Config,
        *,
        make_engine: MakeEngine = make_engine,
        make_reader: MakeReader = make_reader,
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
        self._to_begin: list[tuple[str, Callable[[], None]]] = []  # threads
        self._is_ready = threading.Event()

    def run(
        self,
        *,
        once: bool = False,
        on_change: OnChange | None = None,
        on_words: Callable[[str], None] = lambda text: None,
    ) -> ExitCode:
        """Watch and paint until told to stop; with `once`, until all that can be done is done.

        `on_words` gets what a single run leaves undone, and why.

        Raises:
            AlreadyRunningError: another daemon holds the lock.
            MissingError: the state folder cannot be used; with `once`, there is no engine.
            ConditionError: with `once`, the ledger cannot be written.
        """
        crash.check_variable()
        verdict: Verdict | None = None
        with ExitStack() as stack:
            hold = stack.enter_context(locks.held(self.config.state_dir))
            stack.enter_context(logs.logging_to(self.config.state_dir))
            stack.enter_context(self._signals())
            supervision = Supervision(self._pulse)
            ledger = self._patiently(self._opened, supervision, once=once)
            if ledger is None:
                return ExitCode.FINE
            stack.enter_context(ledger)
            begun = self._patiently(lambda: self._begin(ledger), supervision, once=once)
            if begun is None:
                return ExitCode.FINE
            stack.callback(self._leave, ledger)
            parts = self._parts(stack, ledger, supervision, once=once)
            stack.callback(self._join, parts, hold)
            self._watch(parts, once=once, on_change=on_change)
            if once and self._failure is None:
                verdict = judged(ledger, parts.left, begun=begun)
        if self._failure is not None:
            raise self._failure
        # A daemon that was told to stop has done its work, whatever became of single photos.
        for line in verdict.lines if verdict else ():
            on_words(line)
        return verdict.code if verdict else ExitCode.FINE

    def stop(self) -> None:
        """Ask a running daemon to end; safe from any thread and from a signal handler."""
        self._stop.set()

    def _opened(self) -> Ledger:
        return Ledger(self.config.state_dir / "ledger.db")

    def _patiently(self, act: Callable[[], T], supervision: Supervision, *, once: bool) -> T | None:
        """Return what a step of the beginning returns, once the machine lets it; None: we are to stop.

        A disk that is full or read-only for a while must not end what a service began.
        """
        said = ""
        while not self._stop.is_set():
            try:
                return act()
            except ConditionError as error:
                if once:
                    raise
                if error.message != said:
                    logger.warning("The daemon waits: %s", error)
                said = error.message
                supervision.not_ready(said, WAIT_SECONDS)
                self._stop.wait(WAIT_SECONDS)
        return None

    def _parts(self, stack: ExitStack, ledger: Ledger, supervision: Supervision, *, once: bool) -> "Parts":
        """Build what the daemon consists of; the stack ends it."""
        views: tuple[DesktopKeeper | PageKeeper, ...] = ()
        if not once:
            desktop = stack.enter_context(DesktopKeeper(self.config))
            views = desktop, stack.enter_context(PageKeeper(self.config, ledger))
        left = stack.enter_context(LeftHalf(self.config, ledger, self._make_reader))
        left.keeps_unfinished = once
        farm = stack.enter_context(Farm(self.config, ledger))
        right = stack.enter_context(
            RightHalf(self.config, ledger, self._make_engine, should_stop=self._should_stop, seats=farm)
        )
        plug_ins = None
        if not once:
            plug_ins = stack.enter_context(Editors(self.config, ledger, self._make_reader))
        return Parts(ledger, left, right, farm, plug_ins, views, supervision)

    def _begin(self, ledger: Ledger) -> float:
        """Give back what a crash left, and say that we are here; return the time."""
        ledger.problems.clear()
        ledger.presence.set_ready(None)
        for request in Request:
            ledger.requests.take(request)
        ledger.presence.set_daemon(os.getpid(), __version__)
        for job in ledger.attempts.recover():
            logger.info("job %d was interrupted and is queued again", job)
        disk.remove_tree(self.config.state_dir / "work")
        logger.info("nst-daemon %s watches %s", __version__, _inboxes(self.config))
        return time.time()

    def _sweep(self, ledger: Ledger) -> None:
        """Remove what a crash left half done, and look at our own folder; on a thread of its own.

        A large outbox on a sleeping share must not keep photos waiting.
        """
        disk.close_tree(self.config.state_dir)
        with suppress(ConditionError):
            ledger.jobs.look_through()
            ledger.problems.set("state", state_dir.problems(ledger.file))
        for folder in self.config.folders:
            places = (folder.outbox, folder.archive, folder.failed)
            sweeps = [(inbox.sweep, folder.inbox), *((outbox.sweep, place) for place in places)]
            for sweep, place in sweeps:
                if self._stop.is_set():
                    return
                try:
                    sweep(place)
                except (OSError, ConditionError) as error:  # the next start tries again
                    logger.info("%s", error)

    def _watch(self, parts: "Parts", *, once: bool, on_change: OnChange | None) -> None:
        """Wait in the main thread: beat, show, and see whether there is an end."""
        edits = ConfigWatch(self.config, keeps_tray=self._keeps_tray)
        patience = Patience(self.config)
        ledger, left, right = parts.ledger, parts.left, parts.right
        self._to_begin = [
            ("intake", lambda: self._take_in(left)),
            (SWEEPER, lambda: self._sweep(ledger)),
        ]
        if (plug_ins := parts.editors) is not None:
            self._to_begin.append(("editors", lambda: self._serve(plug_ins)))
        self._tend(parts)
        while not self._stop.wait(BEAT_SECONDS if not on_change else BEAT_SECONDS / 4):
            self._speak(parts)
            with suppress(ConditionError):
                if on_change:
                    on_change(ledger.snapshot(running=True))
                if once and (is_done(ledger, left) or patience.is_over(ledger, left)):
                    self._stop.set()
            with suppress(ConditionError):
                self._follow(edits, parts)
            self._tend(parts)
            for view in parts.views:
                with suppress(ConditionError):
                    view.tend()
            if once and isinstance(right.missing, MissingError):
                self._failure = right.missing
                self._stop.set()
        parts.supervision.stopping()
        if on_change:
            with suppress(ConditionError):
                on_change(ledger.snapshot(running=True))

    def _speak(self, parts: "Parts") -> None:
        """Say that we live and what we do: to the ledger if it can be written, to systemd anyway."""
        ledger = parts.ledger
        try:
            if ledger.requests.take(Request.QUIT):
                self._stop.set()
            if ledger.requests.take(Request.UNLOAD):
                parts.right.unload()
            ledger.presence.beat()
            if self._is_ready.is_set() and ledger.presence.ready_pid() != os.getpid():
                ledger.presence.set_ready(os.getpid())
            ledger.problems.set("ledger rows", ledger.jobs.problems())
            status = status_line(ledger.snapshot(running=True))
        except ConditionError as error:  # a full disk is intake's and worker's to report
            status = error.message
        if self._is_ready.is_set():
            parts.supervision.tell(status)

    def _follow(self, edits: ConfigWatch, parts: "Parts") -> None:
        """Take on an edit of config.yaml, or show why not."""
        was_asked = self._reload.is_set()
        self._reload.clear()
        config = edits.look(at_once=was_asked)
        if config is not None:
            self.config = config
            parts.left.follow(config)
            parts.right.follow(config)
            parts.farm.follow(config)
            if parts.editors is not None:
                parts.editors.follow(config)
            for view in parts.views:
                view.follow(config)
        parts.ledger.problems.set("config", edits.problems)

    def _tend(self, parts: "Parts") -> None:
        """Begin the threads that are wanted and not there: one for each worker that is new."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        with suppress(ConditionError):
            parts.farm.tend()
        for worker in parts.right.tend():
            self._to_begin.append((worker.name, partial(self._work, worker, parts.ledger)))
        while self._to_begin and self._thread(*self._to_begin[0]):
            self._to_begin.pop(0)
        problems = [NO_THREADS] if self._to_begin else []
        with suppress(ConditionError):
            parts.ledger.problems.set("threads", problems)

    def _take_in(self, left: LeftHalf) -> None:
        """Take photos in, each at the moment at which it has settled."""
        while not self._stop.is_set():
            is_more = left.tick()
            self._pulse.beat("intake")
            if left.ticks:
                self._is_ready.set()  # the inboxes are watched, and were read once
            if not is_more:
                self._stop.wait(min(max(left.due_in(), LEAST_SECONDS), INTAKE_SECONDS))

    def _serve(self, plug_ins: Editors) -> None:
        """Answer editors' plug-ins. Not watched by the pulse: a dead share there is nobody else's trouble."""
        while not self._stop.is_set():
            self._stop.wait(plug_ins.tick())

    def _work(self, worker: Worker, ledger: Ledger) -> None:
        """Paint, once the intake has seen which photos have gone and which inboxes are another daemon's."""
        deadline = time.monotonic() + FIRST_LOOK_SECONDS
        while not (self._is_ready.wait(WORKER_SECONDS) or self._stop.is_set()):
            self._pulse.beat(worker.name)
            if time.monotonic() > deadline:
                break
        try:
            while not (self._stop.is_set() or worker.is_leaving):
                known = ledger.queue.additions.count
                had_job = worker.tick()
                self._pulse.beat(worker.name)
                if not had_job:
                    ledger.queue.additions.wait(known, WORKER_SECONDS)
        finally:
            self._pulse.forget(worker.name)
            worker.leave()

    def _should_stop(self, name: str) -> bool:
        """Return whether a worker is to stop; it asks many times a second while its engine paints."""
        self._pulse.beat(name)
        return self._stop.is_set()

    def _leave(self, ledger: Ledger) -> None:
        with suppress(ConditionError):
            ledger.presence.set_ready(None)
            ledger.presence.set_daemon(None, __version__)

    def _thread(self, name: str, target: Callable[[], None]) -> bool:
        """Begin a thread; False: the machine has none to give, and it is to be tried again."""

        def run() -> None:
            try:
                target()
            except BaseException as error:  # a bug in a loop ends the daemon, and does not hide
                logger.exception("the %s broke", name)
                self._failure = error
                self._stop.set()

        # Of the interpreter's "daemon" kind: one that hangs on a dead disk must not keep us from our end.
        thread = threading.Thread(target=run, name=f"nst-{name.replace(' ', '-')}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            logger.warning("the %s cannot begin: %s", name, error)
            return False
        self._threads.append(thread)
        return True

    def _join(self, parts: "Parts", hold: locks.Hold) -> None:
        """Wait for all threads; where one does not end, our lock is kept until this process does."""
        self._stop.set()
        parts.left.interrupt()
        if parts.editors is not None:
            parts.editors.interrupt()
        parts.ledger.queue.additions.tell()  # a worker that rests
        deadline = time.monotonic() + GRACE_SECONDS
        for thread in self._threads:
            has_work = not thread.name.endswith(SWEEPER)
            thread.join(max(0.0, deadline - time.monotonic()) if has_work else 1.0)
            if has_work and thread.is_alive():
                logger.warning("%s did not end in time: a disk or a driver holds it", thread.name)
                hold.keep()

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


@dataclass(frozen=True, slots=True)
class Parts:
    """What a running daemon consists of."""

    ledger: Ledger
    left: LeftHalf
    right: RightHalf
    farm: Farm
    editors: Editors | None
    views: tuple[DesktopKeeper | PageKeeper, ...]
    supervision: Supervision


def _inboxes(config: Config) -> str:
    return ", ".join(str(folder.inbox) for folder in config.folders)
