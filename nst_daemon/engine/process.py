"""The engine in a process of its own, seen from outside. Imports no torch.

A driver crash, an out-of-memory kill or a hung step costs one attempt and not the daemon; and ending the
process is the only way to give video memory back to the photo editor that runs beside us.
"""

import logging
import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any, Final

from nst_daemon.engine.child import serve
from nst_daemon.engine.messages import Died, Finished, Found, Leave, Loaded, Logged, Refused, Stepped, Stop
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import CancelledError, EngineError, JobError, MissingError
from nst_daemon.jobs import EngineFacts
from nst_daemon.recipe import Order, Painting, Progress

logger = logging.getLogger(__name__)

START_METHOD: Final = "spawn"  # a forked process cannot use CUDA
POLL_SECONDS = 0.05  # how soon a request to stop is passed on
STOP_SECONDS = 30.0  # a step on a slow machine may take this long; then the process is killed
SILENCE_SECONDS = 900.0  # without a word for this long the engine hangs
LEAVE_SECONDS = 5.0

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]
OnFacts = Callable[[EngineFacts], None]
Serve = Callable[[Connection, EngineSettings], None]


class EngineDiedError(EngineError):
    """The engine's process ended in the middle of a picture."""


class EngineProcess:
    """Starts the engine when it is needed, and again after it died. One thread uses it.

    `serve` is what runs in the process; tests give one without a network.
    """

    def __init__(
        self,
        settings: EngineSettings,
        *,
        on_facts: OnFacts = lambda _: None,
        silence_seconds: float = SILENCE_SECONDS,
        serve: Serve = serve,
    ) -> None:
        self.settings = settings
        self._on_facts = on_facts
        self._silence_seconds = silence_seconds
        self._serve = serve
        self._child: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._facts = EngineFacts(device=self._named_device, weights=settings.weights)

    @property
    def facts(self) -> EngineFacts:
        """What the engine is now."""
        return self._facts

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._child.pid if self._child else None

    @property
    def _named_device(self) -> str:
        """The device by name; empty while `auto` leaves it open."""
        return "" if self.settings.device == "auto" else self.settings.device

    @property
    def is_warm(self) -> bool:
        """Whether the network is loaded and the process lives."""
        return (
            self._child is not None and self._child.is_alive() and self._facts.state in ("warm", "painting")
        )

    def warm_up(self, should_stop: ShouldStop = lambda: False) -> EngineFacts:
        """Load the network unless it is loaded.

        Raises:
            MissingError: no such device, no weights, or the process ends or hangs before it has seen a photo.
            CancelledError: `should_stop` said so.
        """
        pipe = self._started()
        try:
            while not self.is_warm:
                self._receive(pipe, should_stop)
        except CancelledError:
            raise
        except JobError as error:  # no photo is at fault, and every photo would fail
            where = f" on {self._named_device}" if self._named_device else ""
            raise MissingError(
                f"The engine{where} cannot start: {error.message}",
                remedy="See `nst-daemon check` and the log.",
            ) from error
        return self._facts

    def paint(self, order: Order, *, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        """Return the painting that was ordered.

        Raises:
            JobError: there is none, and why; `CancelledError` if `should_stop` said so.
            DaemonError: the engine cannot start at all.
        """
        self.warm_up(should_stop)
        pipe = self._started()
        self._say(pipe, order)
        self._tell("painting")
        try:
            while True:
                match self._receive(pipe, should_stop):
                    case Stepped(job, progress) if job == order.job:
                        on_progress(progress)
                    case Finished(job, painting) if job == order.job:
                        return painting
                    case Refused(job, error) if job == order.job:
                        raise error
        finally:
            self._tell("warm" if self._child else "cold")

    def end(self) -> None:
        """End the process: politely if it listens, at once if not."""
        if self._child is None:
            return
        if self._pipe is not None and self._facts.state == "warm":
            self._say(self._pipe, Leave())
            self._child.join(LEAVE_SECONDS)
        self._kill()
        logger.info("the engine was unloaded")

    def _started(self) -> Connection:
        """Return the pipe of a living process."""
        if self._pipe is not None and self._child is not None and self._child.is_alive():
            return self._pipe
        self._kill()
        context = multiprocessing.get_context(START_METHOD)
        ours, theirs = context.Pipe()
        self._child = context.Process(
            target=self._serve, args=(theirs, self.settings), name="nst-engine", daemon=True
        )
        self._child.start()
        theirs.close()
        self._pipe = ours
        self._tell("starting")
        return ours

    def _say(self, pipe: Connection, message: object) -> None:
        try:
            pipe.send(message)
        except OSError as error:
            raise self._died() from error

    def _receive(self, pipe: Connection, should_stop: ShouldStop) -> object:
        """Return the next message; watch for a stop, for death and for silence meanwhile."""
        silent_since, stop_at = time.monotonic(), None
        while not pipe.poll(POLL_SECONDS):
            now = time.monotonic()
            if self._child is None or not self._child.is_alive():
                if not pipe.poll():
                    raise self._died()
                break
            if should_stop():
                stop_at = stop_at or self._ask_to_stop(pipe, now)
                if now > stop_at:
                    self._kill()
                    raise CancelledError("The painting was cancelled.")
            # A start may wait for a download, whatever a step may take.
            lease = self._silence_seconds if self._facts.state == "painting" else SILENCE_SECONDS
            if now - silent_since > lease:
                self._kill()
                raise EngineError(f"The engine did not answer for {lease:g} s and was ended.")
        return self._understood(pipe)

    def _ask_to_stop(self, pipe: Connection, now: float) -> float:
        self._say(pipe, Stop())
        # While it loads there is no step to finish, and nothing to lose.
        return now + (STOP_SECONDS if self._facts.state == "painting" else 0.0)

    def _understood(self, pipe: Connection) -> object:
        try:
            message = pipe.recv()
        except (EOFError, OSError) as error:
            raise self._died() from error
        match message:
            case Loaded(device, precision):
                self._tell("warm", device=device, precision=precision)
            case Found(others):
                self._tell(self._facts.state, others=others)
            case Logged(level, text):
                logger.log(level, "%s", text)
            case Died(reason):
                self._kill()
                raise reason
        return message

    def _died(self) -> EngineDiedError:
        code = None
        if self._child is not None:
            self._child.join(1.0)
            code = self._child.exitcode
        self._kill()
        return EngineDiedError(
            f"The engine's process ended in the middle of its work ({_how(code)}).",
            remedy="If this repeats, lower `size` or engine.memory_limit, or set engine.device to cpu.",
        )

    def _kill(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
            with suppress(ValueError):  # another thread that starts a process is just reaping it
                self._child.close()
        if self._pipe is not None:
            self._pipe.close()
        self._child = self._pipe = None
        self._tell("cold")

    def _tell(self, state: str, **news: Any) -> None:
        facts = replace(self._facts, state=state, **news)
        if facts != self._facts:
            self._facts = facts
            self._on_facts(facts)


def _how(code: int | None) -> str:
    """Return how a process ended, in words."""
    return f"exit code {code}" + (": killed, maybe by the system for its memory" if code == -9 else "")


def probe(settings: EngineSettings) -> EngineFacts:
    """Start an engine, return what it is, and end it.

    Raises:
        MissingError: no such device, no weights.
    """
    engine = EngineProcess(settings)
    try:
        return engine.warm_up()
    finally:
        engine.end()
