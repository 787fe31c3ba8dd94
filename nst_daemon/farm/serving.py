"""A seat's process: the seat on an event loop, behind a Dask worker that tells the coordinator who is there.

The worker is nobody's child but ours: a nanny would forbid the engine its process, set OMP_NUM_THREADS, and
kill by memory. When the scheduler goes, the worker ends and another joins, in this process, beside the engine
that stays warm and goes on painting.
"""

import asyncio
import logging
import random
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from nst_daemon.engine.child import serve
from nst_daemon.engine.process import Serve
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.farm import wire
from nst_daemon.farm.answers import UnreachableError
from nst_daemon.farm.seat import CALLS, Seat
from nst_daemon.farm.wire import Wire
from nst_daemon.system.pauses import Pauses

if TYPE_CHECKING:
    from nst_daemon.farm.keys import Join

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0  # seconds between two tries to join
ASK_SECONDS: Final = 10.0  # for the scheduler's first answer
JOIN_SECONDS: Final = 60.0  # for all of joining
LOOK_SECONDS: Final = 0.2  # between two looks at what the driver says
GRACE_SECONDS: Final = 30.0  # for what is in hand, when the driver says to leave
LEFT: Final = 0  # the exit code of a seat that is not to be started again


@dataclass(frozen=True, slots=True, kw_only=True)
class SeatPlace:
    """What a seat's process is started with."""

    name: str  # the machine's and the device's
    join: "Join"
    settings: EngineSettings
    folder: Path
    port: int  # 0: any
    shared: tuple[Path, ...] = ()  # folders beside its own that it may read
    serve: Serve = serve  # what runs in the engine's process; tests give one without a network


@dataclass(frozen=True, slots=True)
class Said:
    """From a seat: a line for who looks on."""

    text: str


@dataclass(frozen=True, slots=True)
class LeaveSeat:
    """To a seat: end what is in hand, within the grace, and leave."""


def serve_seat(pipe: Connection, place: SeatPlace) -> None:
    """Lend one device until told to leave. Runs in the seat's process."""
    with suppress(ValueError, OSError):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it reaches the whole service; the driver decides
    package = logging.getLogger("nst_daemon")
    package.setLevel(logging.INFO)
    said = _Speaker(pipe)
    package.addHandler(_IntoSpeech(said))
    security = place.join.security()
    wire.prepare(is_encrypted=security is not None)
    seat = Seat(place.settings, place.folder, shared=place.shared, serve=place.serve, on_news=said)
    try:
        seat.prepare()
        asyncio.run(_Lending(place, seat, pipe, said, security).live())
    except ConditionError as error:  # its own folder
        said(str(error))
        raise SystemExit(1) from error


class _Speaker:
    """Says a line to the driver, from any thread; each once in a row."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._last = ""

    def __call__(self, text: str) -> None:
        if text != self._last:
            self._last = text
            with suppress(OSError):
                self._pipe.send(Said(text))


class _IntoSpeech(logging.Handler):
    """Hands our log on to the driver: what is more than news."""

    def __init__(self, said: _Speaker) -> None:
        super().__init__(logging.WARNING)
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said(self.format(record))


class _Lending:
    """Joins, stays, and joins again for ever. Lives on the event loop."""

    def __init__(
        self, place: SeatPlace, seat: Seat, pipe: Connection, said: Callable[[str], None], security: Any
    ) -> None:
        self._place = place
        self._seat = seat
        self._pipe = pipe
        self._say = said
        self._security = security
        self._leaving = asyncio.Event()

    async def live(self) -> None:
        """Lend the device until it is to leave."""
        listening = asyncio.create_task(self._listen())
        pauses = Pauses(FIRST_PAUSE, LONGEST_PAUSE)
        try:
            while not self._leaving.is_set():
                if await self._join_once():
                    pauses.reset()
                with suppress(TimeoutError):
                    async with asyncio.timeout(pauses.next() * random.uniform(0.8, 1.2)):
                        await self._leaving.wait()
        finally:
            listening.cancel()
            await self._seat.close()

    async def _listen(self) -> None:
        """Hear what the driver says, and see whether a drained seat has nothing in hand any more."""
        deadline = float("inf")
        loop = asyncio.get_running_loop()
        while not self._leaving.is_set():
            if self._pipe.poll(0) and isinstance(self._pipe.recv(), LeaveSeat):
                self._seat.is_leaving = True
                deadline = loop.time() + GRACE_SECONDS
            if self._seat.is_leaving and (self._seat.hand is None or loop.time() > deadline):
                self._leaving.set()
            await asyncio.sleep(LOOK_SECONDS)

    async def _join_once(self) -> bool:
        """Be a member until that ends; return whether we were one."""
        address = self._place.join.address
        try:
            await self._unless_leaving(self._ask(address))
            async with asyncio.timeout(JOIN_SECONDS):
                worker = await self._unless_leaving(self._worker(address))
        except asyncio.CancelledError:
            if self._leaving.is_set():
                return False
            raise
        except UnreachableError as error:
            self._say(f"cannot join {address}: {error}")
            return False
        except (OSError, ValueError, RuntimeError, TimeoutError) as error:
            self._say(f"not let in at {address}: {error}")
            return False
        self._say(f"joined {address}, listens at {worker.contact_address}")
        leaving = asyncio.create_task(self._leaving.wait())
        finished = asyncio.create_task(worker.finished())
        await asyncio.wait((leaving, finished), return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not finished.done():
            if self._seat.hand is not None:  # beyond the grace: hand it back while we can be heard
                self._seat.hand.is_told_to_stop = True
                with suppress(TimeoutError):
                    async with asyncio.timeout(ASK_SECONDS):
                        await self._seat.has_let_go.wait()
            await worker.close(nanny=False, reason="leaving")
        with suppress(Exception):
            await finished
        if not self._leaving.is_set():
            self._say(f"lost {address}")
        return True

    async def _unless_leaving(self, step: Coroutine[Any, Any, T]) -> T:
        """Return what a step returns; cancelled as soon as we are to leave. Raises: CancelledError."""
        task, leaving = asyncio.create_task(step), asyncio.create_task(self._leaving.wait())
        try:
            await asyncio.wait((task, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not task.done():
                task.cancel()
        return await task

    async def _ask(self, address: str) -> None:
        """Make sure that there is a scheduler which lets us in, in plain words. Raises: UnreachableError."""
        line = await Wire(self._security).start()
        try:
            await line.call(address, "identity", seconds=ASK_SECONDS, n_workers=0)
        except (UnreachableError, NstError) as error:
            raise UnreachableError(f"{_in_words(str(error))} ({error})") from error
        finally:
            await line.close()

    async def _worker(self, address: str) -> Any:
        from distributed.utils import get_ip

        parts = urlsplit(address)
        worker = _worker_class()(
            address,
            seat=self._seat,
            name=self._place.name,
            nthreads=1,
            memory_limit=0,
            dashboard=False,
            # The one address by which we reach the coordinator: never all of them.
            host=get_ip(parts.hostname, parts.port),  # type: ignore[no-untyped-call]
            port=self._place.port or None,
            security=self._security,
            local_directory=str(self._place.folder),
            death_timeout=JOIN_SECONDS,
        )
        return await worker


def _in_words(error: str) -> str:
    """Return what a failure to join means, and what to do."""
    if "TLS" in error or "SSL" in error:
        return "it is of another farm, or has other keys by now: copy its join file anew"
    if "Fatal" in error or "reset" in error or "require" in error:
        return "one of us speaks TLS, and the other does not: compare farm.listen with the join file"
    return "is its daemon running, with farm.listen set to this, and its port open?"


def _worker_class() -> Any:
    from distributed import Worker

    class SeatWorker(Worker):
        """A Dask worker that is asked for our seat, and for no task."""

        def __init__(self, *arguments: Any, seat: Seat, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self._our_seat = seat
            self.handlers["nst"] = self._answer

        def start_http_server(self, *_: Any, **__: Any) -> None:
            """Listen nowhere else: Dask would serve a page to everybody."""

        async def _answer(self, call: str, words: dict[str, Any]) -> Any:
            if call not in CALLS:
                raise ValueError(f"{call!r} is no call")
            return wire.packed(await getattr(self._our_seat, call)(**words))

    return SeatWorker
