"""The engine in a process of its own, seen from outside. Imports no torch.

A driver crash, an out-of-memory kill or a hung step costs one attempt and not the daemon; and ending the
process is the only way to give video memory back to the photo editor that runs beside us.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Final

from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.engine.child import serve
from nst_daemon.engine.messages import Died, Finished, Found, Leave, Loaded, Logged, Refused, Stepped, Stop
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import CancelledError, EngineError, JobError, MissingError, NstError, OutOfMemoryError
from nst_daemon.system.child import Child, EndedError

logger = logging.getLogger(__name__)

START_METHOD: Final = "spawn"  # a forked process cannot use CUDA
POLL_SECONDS = 0.05  # how soon a request to stop is passed on
STOP_SECONDS = 30.0  # a step on a slow machine may take this long; then the process is killed
SILENCE_SECONDS = 900.0  # without a word for this long the engine hangs
LEAVE_SECONDS = 5.0  # an idle engine that was told to leave has nothing to finish; then it is killed

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]
OnFacts = Callable[[EngineFacts], None]
Serve = Callable[[Connection, EngineSettings], None]


class EngineDiedError(EngineError):
    """The engine's process ended in the middle of a picture."""


class EngineProcess:
    """Starts the engine when it is needed, and again after it died or erred. One thread uses it, but `end`.

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
        self._child = Child(serve, name="nst-engine", words="The engine's process", method=START_METHOD)
        self._facts = EngineFacts(device=self._named_device, weights=settings.weights)

    @property
    def facts(self) -> EngineFacts:
        """What the engine is now."""
        return self._facts

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._child.pid

    @property
    def _named_device(self) -> str:
        """The device by name; empty while `auto` leaves it open."""
        return "" if self.settings.device == "auto" else self.settings.device

    @property
    def is_warm(self) -> bool:
        """Whether the network is loaded and the process lives."""
        return self._facts.state in ("warm", "painting") and self._child.is_alive()

    def warm_up(self, should_stop: ShouldStop = lambda: False) -> EngineFacts:
        """Load the network unless it is loaded.

        Raises:
            MissingError: no such device, no weights, or the process ends or hangs before it has seen a photo.
            ConditionError: the machine is too short of something to start a process.
            CancelledError: `should_stop` said so.
        """
        try:
            self._start(should_stop)
            while not self.is_warm:
                self._receive(should_stop)
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

        After an error of the engine its process is ended: one of a driver sticks to the process, and would
        meet every photo that comes after. Where memory ran out, a fresh one tries once more.

        Raises:
            JobError: there is none, and why; `CancelledError` if `should_stop` said so.
            ConditionError: the machine is at fault, and no photo.
            DaemonError: the engine cannot start at all.
        """
        try:
            return self._painted(order, on_progress, should_stop)
        except OutOfMemoryError as error:
            logger.warning("%s Once more, in a fresh process.", error.message)
        return self._painted(order, on_progress, should_stop)

    def end(self) -> None:
        """End the process: politely if it listens, at once if not. Any thread may."""
        if not self._child.has_begun:
            return
        is_listening = self._facts.state == "warm"
        self._child.end(seconds=LEAVE_SECONDS if is_listening else 0.0, farewell=Leave())
        self._tell("cold")
        logger.info("the engine was unloaded")

    def _painted(self, order: Order, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        self.warm_up(should_stop)
        self._say(order, should_stop)
        self._tell("painting")
        try:
            while True:
                match self._receive(should_stop):
                    case Stepped(job, progress) if job == order.job:
                        on_progress(progress)
                    case Finished(job, painting) if job == order.job:
                        return painting
                    case Refused(job, error) if job == order.job:
                        raise self._judged(error)
        finally:
            self._tell("warm" if self._child.is_alive() else "cold")

    def _judged(self, error: NstError) -> NstError:
        """Return a refusal; where the engine itself erred, its process is not used again."""
        if isinstance(error, EngineError):
            self._kill()
        return error

    def _start(self, should_stop: ShouldStop) -> None:
        """Have a living process."""
        if self._child.is_alive():
            return
        self._kill()
        if should_stop():  # the daemon ends: nothing is started any more
            raise CancelledError("The painting was cancelled.")
        self._child.start(self.settings)
        self._tell("starting")

    def _say(self, message: object, should_stop: ShouldStop) -> None:
        try:
            self._child.send(message)
        except EndedError as error:
            raise self._died(error, should_stop) from error

    def _receive(self, should_stop: ShouldStop) -> object:
        """Return the next message; watch for a stop, for death and for silence meanwhile."""
        silent_since, stop_at = time.monotonic(), None
        try:
            while not self._child.poll(POLL_SECONDS):
                now = time.monotonic()
                if should_stop():
                    stop_at = stop_at or self._ask_to_stop(now)
                    if now > stop_at:
                        self._kill()
                        raise CancelledError("The painting was cancelled.")
                # A start may wait for a download, whatever a step may take.
                lease = self._silence_seconds if self._facts.state == "painting" else SILENCE_SECONDS
                if now - silent_since > lease:
                    self._kill()
                    raise EngineError(f"The engine did not answer for {lease:g} s and was ended.")
            return self._understood(self._child.receive())
        except EndedError as error:
            raise self._died(error, should_stop) from error

    def _ask_to_stop(self, now: float) -> float:
        self._child.send(Stop())
        # While it loads there is no step to finish, and nothing to lose.
        return now + (STOP_SECONDS if self._facts.state == "painting" else 0.0)

    def _understood(self, message: object) -> object:
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

    def _died(self, ended: EndedError, should_stop: ShouldStop) -> JobError:
        """Return what the end of the process means: nothing, where we end ourselves."""
        self._kill()
        if should_stop():
            return CancelledError("The painting was cancelled.")
        return EngineDiedError(
            f"The engine's process ended in the middle of its work ({_how(ended.code)}).",
            remedy="If this repeats, lower `size` or engine.memory_limit, or set engine.device to cpu.",
        )

    def _kill(self) -> None:
        self._child.end()
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
