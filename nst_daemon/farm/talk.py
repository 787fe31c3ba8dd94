"""One hand-over as a talk with a seat: what gets lost is asked for again, and a seat that is lost is told of.

One token for each: whatever a machine that was frozen or cut off still says of an earlier one is refused.
"""

import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Final

from nst_daemon.engine.process import ShouldStop
from nst_daemon.errors import CancelledError, NstError, SeatLostError
from nst_daemon.farm.answers import StrangerError, UnreachableError
from nst_daemon.farm.contact import Seats

CALL_SECONDS: Final = 10.0  # for one answer; then it is asked again
SEND_SECONDS: Final = 60.0  # for one with a chunk of a file, on a slow link
SLICE_SECONDS: Final = 0.2  # between two looks whether to stop
STOP_SECONDS: Final = 1.5  # a stop is waited for so long, and is on its way then


class Talk:
    """Asks one seat, until it is over. Lives on a worker's thread."""

    def __init__(
        self, seats: Seats, seat: str, silence_seconds: Callable[[], float], should_stop: ShouldStop
    ) -> None:
        self.seat = seat
        self.token = uuid.uuid4().hex
        self._seats = seats
        self._silence_seconds = silence_seconds  # asked anew: a config may change
        self._should_stop = should_stop
        self._heard = time.monotonic()  # when the seat last answered

    def ask(
        self, what: str, *, seconds: float = CALL_SECONDS, is_stopped_there: bool = False, **words: Any
    ) -> Any:
        """Return what the seat answers; asked again until it does, or is lost, or we are to stop.

        `is_stopped_there`: it paints by now, and has to hear of a stop.

        Raises:
            CancelledError: we are to stop.
            SeatLostError: it has gone, or is silent for too long.
            NstError: as the seat raised it.
        """
        seconds = min(seconds, self._silence_seconds())
        while True:
            try:
                answer = self.ask_once(what, seconds=seconds, **words)
            except CancelledError:
                if is_stopped_there:
                    self.tell("stop", token=self.token)
                raise
            except StrangerError as error:
                raise self._lost(f"{self.seat} was started anew in the middle of it.") from error
            except UnreachableError as error:
                if self._seats.is_gone(self.seat):
                    raise self._lost(f"{self.seat} has gone.") from error
                silence = time.monotonic() - self._heard
                if silence > self._silence_seconds():
                    raise self._lost(f"{self.seat} has not answered for {silence:.0f} s.") from error
                self.pause(SLICE_SECONDS)
            else:
                self._heard = time.monotonic()
                return answer

    def ask_once(self, what: str, *, seconds: float, **words: Any) -> Any:
        """Return what the seat answers.

        Raises:
            UnreachableError: it does not, in so many seconds.
            CancelledError: we are to stop.
            NstError: as the seat raised it.
        """
        if self._should_stop():
            raise CancelledError("The painting was cancelled.")
        return self.awaited(self.begin_to_ask(what, seconds=seconds, **words))

    def begin_to_ask(self, what: str, *, seconds: float, **words: Any) -> Future[Any]:
        """Return what the seat will answer, in so many seconds."""
        return self._seats.ask(self.seat, what, seconds=seconds, **words)

    def awaited(self, future: Future[Any]) -> Any:
        """Return an answer; look whether to stop meanwhile. Raises: as `ask_once`."""
        while True:
            try:
                return future.result(SLICE_SECONDS)
            except TimeoutError as error:
                if future.done():
                    raise UnreachableError(str(error)) from error
                if self._should_stop():
                    future.cancel()
                    raise CancelledError("The painting was cancelled.") from error

    def tell(self, what: str, **words: Any) -> None:
        """Have the seat hear something, if it does so at once."""
        with suppress(UnreachableError, NstError, TimeoutError):
            self._seats.ask(self.seat, what, seconds=STOP_SECONDS, **words).result()

    def pause(self, seconds: float) -> None:
        """Wait until somebody comes or goes, at most so long."""
        self._seats.wait_for_news(seconds)

    def _lost(self, message: str) -> SeatLostError:
        return SeatLostError(message, remedy="It is painted elsewhere; look at that machine.")
