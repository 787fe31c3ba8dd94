"""One scheduler's process, and the event loop on which it and the seats are spoken to."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final, Protocol

from nst_daemon.errors import ConditionError, NstError
from nst_daemon.farm import troubles, wire
from nst_daemon.farm.answers import Hello, UnreachableError
from nst_daemon.farm.scheduler import CannotListen, TurnedAway, serve_scheduler
from nst_daemon.ledger.jobs import Problem
from nst_daemon.system.child import Child, EndedError
from nst_daemon.system.pauses import Pauses

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.5  # between two looks at who is there
ASK_SECONDS: Final = 5.0  # for a short answer
REJOIN_SECONDS: Final = 30.0  # a new scheduler is given so long to hear of those who were there before
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a scheduler is started again
REFUSED_SECONDS: Final = 60.0  # so long it is told of who was turned away; a seat tries each few seconds
STEADY_SECONDS: Final = 60.0  # one that answered for so long did not end because it cannot begin


class Company(Protocol):
    """Who keeps the seats in mind. `members.Farm` does."""

    def see(self, there: Mapping[str, str]) -> list[tuple[str, str]]:
        """Take in who is there, addresses by name; return those that are to be greeted."""
        ...

    def greet(self, name: str, hello: Hello | None, problem: Problem | None, state: str) -> None:
        """Take in what a seat said of itself, or why it gets no job."""
        ...

    def addresses(self) -> dict[str, str]:
        """Return who was there the last time, addresses by name."""
        ...


class Link:
    """Made by the main thread, which tends and closes it; any other may ask. It has a thread of its own."""

    def __init__(self, company: Company, address: str, security: Any) -> None:
        wire.prepare(is_encrypted=security is not None)
        self._company = company
        self._address = address
        self._security = security
        self._child = Child(serve_scheduler, name="nst-farm", words="The farm's scheduler")
        self._reason = ""  # why it cannot listen
        self._refused: dict[Problem, float] = {}  # who was turned away, and when last
        self._due = float("-inf")
        self._pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE)
        self._up_since: float | None = None  # since when the scheduler answers; None: it does not
        self._scheduler = ""  # which one answers: another knows nobody
        self._expected: dict[str, str] = {}  # who was there before it began, and may come back
        self._loop = asyncio.new_event_loop()
        self._soon = asyncio.Event()
        self._is_closed = False
        self._wire: wire.Wire | None = None
        self._thread = threading.Thread(target=self._live, name="nst-farm", daemon=True)
        self._thread.start()

    # The main thread.

    def tend(self) -> list[Problem]:
        """Have the scheduler's process run; return why it does not."""
        try:
            while self._child.is_alive() and self._child.poll(0):
                self._hear(self._child.receive())
        except EndedError as error:
            logger.warning("the farm's scheduler has ended (%s)", error)
        up_since = self._up_since
        if up_since is not None and time.monotonic() - up_since > STEADY_SECONDS:
            self._pauses.reset()
        if not self._child.is_alive() and time.monotonic() >= self._due:
            self._due = time.monotonic() + self._pauses.next()
            try:
                self._child.start(self._address, self._security)
            except ConditionError as error:
                self._reason = error.message
            self.look_soon()
        now = time.monotonic()
        self._refused = {each: at for each, at in self._refused.items() if now - at < REFUSED_SECONDS}
        down = [] if up_since is not None else [troubles.down(self._address, self._reason)]
        return [*down, *self._refused]

    def _hear(self, said: object) -> None:
        """Take in what the scheduler says."""
        if isinstance(said, TurnedAway):
            problem = troubles.refused(said.host, is_plain=said.is_plain)
            if problem not in self._refused:
                logger.warning("%s %s", problem.message, problem.remedy)
            self._refused[problem] = time.monotonic()
        else:
            self._reason = said.reason if isinstance(said, CannotListen) else ""

    def close(self) -> None:
        """End loop and process."""
        self._is_closed = True
        self.look_soon()
        self._thread.join(2 * ASK_SECONDS)
        self._child.end()

    # Any thread.

    @property
    def pid(self) -> int | None:
        """The scheduler's process, while it lives."""
        return self._child.pid

    def would_know(self, name: str) -> bool:
        """Return whether a seat that is not there is gone: the scheduler answers, and expects it no more."""
        return self._up_since is not None and name not in self._expected

    def look_soon(self) -> None:
        """Look at who is there at once."""
        with suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._soon.set)

    def ask(
        self, address: str, what: str, seconds: float, words: dict[str, Any], heard: Callable[[], None]
    ) -> Future[Any]:
        """Begin to ask a seat something."""

        async def asked() -> Any:
            if self._wire is None:
                raise UnreachableError("the farm is just beginning")
            answer = await self._wire.ask(address, what, seconds=seconds, words=words)
            heard()
            return answer

        coroutine = asked()
        try:
            return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        except RuntimeError as error:  # the loop has ended
            coroutine.close()
            return failed(UnreachableError(str(error)))

    # The event loop.

    def _live(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._watch())

    async def _watch(self) -> None:
        self._wire = await wire.Wire(self._security).start()
        greetings: dict[str, asyncio.Task[None]] = {}
        while not self._is_closed:
            there = await self._look()
            if there is not None:
                for name, address in self._company.see(there):
                    if name not in greetings or greetings[name].done():
                        greetings[name] = asyncio.create_task(self._greet(name, address))
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._soon.wait()
            self._soon.clear()
        await self._wire.close()

    async def _look(self) -> dict[str, str] | None:
        """Return who is there, addresses by name; None: the scheduler does not answer."""
        assert self._wire is not None
        try:
            answer = await self._wire.call(self._address, "identity", seconds=ASK_SECONDS)
        except (UnreachableError, NstError) as error:
            if self._up_since is not None:
                logger.warning("the farm's scheduler does not answer: %s", error)
            self._up_since = None
            return None
        if answer["id"] != self._scheduler:  # another by now: it may have begun between two looks
            if self._scheduler:
                self._expected = self._company.addresses()
            self._scheduler, self._up_since = answer["id"], None
        self._up_since = self._up_since or time.monotonic()
        known = {str(each["name"]): str(address) for address, each in answer["workers"].items()}
        is_young = time.monotonic() - self._up_since < REJOIN_SECONDS
        # Whoever was there before, and is not back yet, may come, and paints meanwhile.
        self._expected = {
            name: address for name, address in self._expected.items() if is_young and name not in known
        }
        return self._expected | known

    async def _greet(self, name: str, address: str) -> None:
        """Speak to a seat for the first time."""
        assert self._wire is not None
        try:
            hello = await self._wire.ask(address, "hello", seconds=ASK_SECONDS, words={})
        except (UnreachableError, NstError) as error:
            problem = troubles.unreachable(name, address, str(error))
            self._company.greet(name, None, problem, "unreachable")
            return
        problem_of_it = troubles.difference(name, hello)
        state = "refused" if problem_of_it else "leaving" if hello.is_leaving else ""
        self._company.greet(name, hello, problem_of_it, state)


def failed(error: Exception) -> Future[Any]:
    """Return a future that has ended with an error."""
    future: Future[Any] = Future()
    future.set_exception(error)
    return future
