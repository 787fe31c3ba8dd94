"""An engine at a seat, behind the same protocol as the one in a process beside the daemon.

One hand-over has one token: whatever a machine that was frozen or cut off still says of an earlier one is
refused. A seat that has gone, or is silent for too long, is a `SeatLostError`; a scheduler that has gone is
nothing, since the seats paint on and are found again.
"""

import hashlib
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.disk.files import discard, file_sha256, written_whole
from nst_daemon.engine.process import OnFacts, OnProgress, ShouldStop
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import CancelledError, ConditionError, MissingError, NstError, SeatLostError
from nst_daemon.farm.answers import BEGUN, BUSY, CHECKPOINT, LEAVING, Peek, StrangerError, UnreachableError
from nst_daemon.farm.contact import Seats
from nst_daemon.farm.parcel import (
    CHUNK,
    Blob,
    PackedFile,
    PackedOrder,
    PackedPainting,
    Parcel,
    packed,
    plain,
    spoilt,
    unpacked_painting,
    wishes_of,
)

logger = logging.getLogger(__name__)

PULL_SECONDS: Final = 60.0  # between two looks at a checkpoint: so much of a long painting may be lost
PEEK_SECONDS: Final = 0.5  # a seat answers at once when it is done, else after so long
CALL_SECONDS: Final = 10.0  # beyond that, for one answer; then it is asked again
SEND_SECONDS: Final = 60.0  # for a chunk of a file, on a slow link
SLICE_SECONDS: Final = 0.2  # between two looks whether to stop
STOP_SECONDS: Final = 1.5  # a stop is waited for so long, and is on its way then
BUSY_SECONDS: Final = 0.1  # between two tries at a seat that leaves off another painting
TRIES: Final = 3  # of a file that arrives damaged


@dataclass(slots=True)
class _Watch:
    """What is known of the painting in hand."""

    token: str
    heard: float  # when the seat last answered, on the monotonic clock
    preview_mark: str = ""
    checkpoint_mark: str = ""  # of the one that was fetched last
    pulled: float = field(default_factory=time.monotonic)  # when that was


class FarmEngine:
    """The engine at one seat. One worker's thread uses it, but `facts` and `is_warm`."""

    def __init__(
        self,
        settings: EngineSettings,
        seat: str,
        seats: Seats,
        *,
        on_facts: OnFacts = lambda _: None,
        silence_seconds: Callable[[], float],
    ) -> None:
        self.seat = seat
        self._settings = settings
        self._seats = seats
        self._on_facts = on_facts
        self._silence_seconds = silence_seconds  # asked anew: a config may change
        self._facts = EngineFacts(device=settings.device)

    @property
    def facts(self) -> EngineFacts:
        """What the engine is now."""
        return self._facts

    @property
    def is_warm(self) -> bool:
        """Whether the network is loaded, as far as is known."""
        return self._facts.state in ("warm", "painting")

    def warm_up(self, should_stop: ShouldStop) -> EngineFacts:
        """Have the network loaded there unless it is.

        Raises:
            MissingError: the seat has no device or no weights, or is in no state to paint.
            SeatLostError: it has gone.
            CancelledError: `should_stop` said so.
        """
        if not self.is_warm:
            with self._in_hand() as watch:
                self._begin(watch, None, should_stop)
                self._followed(watch, should_stop)
        return self._facts

    def paint(self, order: Order, *, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        """Return the painting that was ordered, its files where the order wants them.

        Raises:
            JobError: there is none, and why; `SeatLostError` where the seat has gone.
            ConditionError: this machine is at fault.
            DaemonError: the seat cannot paint at all.
        """
        with self._in_hand(order.job) as watch:
            # A seat that had it the last time has a later one itself.
            packing, files = packed(order, has_checkpoint=self._seats.last_seat_of(order.key) != self.seat)
            self._seats.set_last_seat(order.key, self.seat)
            self._send(watch, packing, files, should_stop)
            while not self._begin(watch, packing, should_stop):
                self._send(watch, packing, files, should_stop)
            made = self._followed(watch, should_stop, order, on_progress)
            assert made is not None  # an order that is over without an error has a painting
            painting = self._fetched(watch, made, order.result.parent, should_stop)
        self._seats.count_painted(self.seat)
        self._seats.set_last_seat(order.key, None)
        return painting

    def end(self) -> None:
        """Have the engine's memory given back there, if anybody hears it."""
        if self.is_warm:
            with suppress(UnreachableError, NstError):
                self._seats.ask(self.seat, "rest").result()
        self._tell(EngineFacts(device=self._settings.device))

    # One hand-over.

    @contextmanager
    def _in_hand(self, job: int | None = None) -> Iterator[_Watch]:
        """Have one thing in hand at the seat, and let go of it, however it ends."""
        watch = _Watch(uuid.uuid4().hex, time.monotonic())
        self._seats.use(1)
        self._seats.note(self.seat, job=job)
        try:
            yield watch
        except SeatLostError:
            self._seats.count_lost(self.seat)
            self._tell(EngineFacts(device=self._settings.device))
            raise
        finally:
            with suppress(UnreachableError, NstError, TimeoutError):
                self._seats.ask(self.seat, "forget", seconds=STOP_SECONDS, token=watch.token).result()
            self._seats.note(self.seat, job=None)
            self._seats.use(-1)

    def _begin(self, watch: _Watch, packing: PackedOrder | None, should_stop: ShouldStop) -> bool:
        """Hand a parcel over, after whatever the seat still has in hand; False: it lacks files by now."""
        parcel = Parcel(
            wishes=wishes_of(self._settings), silence_seconds=self._silence_seconds(), order=packing
        )
        while True:
            answer = self._asked(watch, "begin", should_stop, token=watch.token, parcel=parcel)
            if answer == LEAVING:
                self._seats.note(self.seat, state="leaving")
                raise CancelledError(f"{self.seat} is leaving.")
            if answer != BUSY:
                return bool(answer == BEGUN)
            self._seats.wait_for_news(BUSY_SECONDS)

    def _followed(
        self,
        watch: _Watch,
        should_stop: ShouldStop,
        order: Order | None = None,
        on_progress: OnProgress = lambda _: None,
    ) -> PackedPainting | None:
        """Wait for the end of what is in hand; return what came of it."""
        last: Progress | None = None
        while True:
            peek: Peek = self._asked(
                watch,
                "peek",
                should_stop,
                is_stopped_there=True,
                token=watch.token,
                preview_mark=watch.preview_mark,
                wait=PEEK_SECONDS,
            )
            self._tell(peek.facts)
            if peek.is_leaving:
                self._seats.note(self.seat, state="leaving")
            if order is not None:
                self._show(watch, peek, order)
                self._pull(watch, peek, order, should_stop)
            if peek.progress is not None and peek.progress != last:
                last = peek.progress
                on_progress(last)
            if peek.error is not None:
                raise self._judged(peek.error)
            if peek.is_over:
                return peek.painting

    def _judged(self, error: NstError) -> NstError:
        """Return what a seat's refusal means here: a full disk there is none here, and no photo's fault."""
        if isinstance(error, ConditionError | MissingError):
            return MissingError(f"{self.seat}: {error.message}", remedy=error.remedy, code=error.code)
        return error

    def _show(self, watch: _Watch, peek: Peek, order: Order) -> None:
        """Show the preview here, as an engine beside us does; missed by nobody but who looks."""
        watch.preview_mark = peek.preview_mark
        if peek.preview is None or order.preview is None:
            return
        try:
            if disk.is_folder(order.preview.parent.parent):  # the outbox is never made
                disk.make_folder(order.preview.parent)
                with written_whole(order.preview) as file:
                    file.write(peek.preview)
        except (NstError, OSError) as error:
            logger.debug("no preview was written: %s", error)

    def _pull(self, watch: _Watch, peek: Peek, order: Order, should_stop: ShouldStop) -> None:
        """Fetch the checkpoint now and then, so that another seat can go on from there."""
        mark = peek.checkpoint_mark
        is_due = time.monotonic() - watch.pulled >= PULL_SECONDS
        if not is_due or peek.is_over or order.checkpoint is None or mark in ("", watch.checkpoint_mark):
            return
        watch.pulled = time.monotonic()
        draft = order.result.with_name(CHECKPOINT)
        discard(draft)
        try:
            with disk.created(draft) as file:
                offset = 0
                while data := self._asked(
                    watch, "fetch", should_stop, token=watch.token, name=CHECKPOINT, offset=offset, mark=mark
                ):
                    file.write(data)
                    offset += len(data)
            if offset == disk.Stamp.parse(mark).size:  # else it was written anew meanwhile
                disk.make_folder(order.checkpoint.parent)
                disk.replace(draft, order.checkpoint)
                watch.checkpoint_mark = mark
        except (ConditionError, FileNotFoundError) as error:  # the spare wheel: nothing fails by it
            logger.info("no checkpoint was fetched from %s: %s", self.seat, error)
        finally:
            discard(draft)

    # Files.

    def _send(
        self, watch: _Watch, packing: PackedOrder, files: dict[Blob, Path], should_stop: ShouldStop
    ) -> None:
        """Have every file at the seat that it lacks; a file that is at fault here is no seat's."""
        lacking = self._asked(watch, "lacks", should_stop, blobs=tuple(files))
        for blob in lacking:
            for _ in range(TRIES):
                try:
                    if self._sent(watch, blob, files[blob], should_stop):
                        break
                    is_sound = file_sha256(files[blob]) == blob.sha256
                except FileNotFoundError as error:
                    raise spoilt(packing, blob) from error
                if not is_sound:
                    raise spoilt(packing, blob)
                logger.warning("%s: %s arrived damaged, once more", self.seat, files[blob].name)
            else:
                raise SeatLostError(
                    f"{self.seat}: what is sent there arrives damaged.",
                    remedy="Look at its network and disk.",
                )

    def _sent(self, watch: _Watch, blob: Blob, path: Path, should_stop: ShouldStop) -> bool:
        """Send a file; False: it is not there what it is here."""
        facts = disk.facts_of(path)
        size, offset = 0 if facts is None else facts.st_size, 0
        with disk.opened(path) as file:
            while True:
                data = file.read(CHUNK)
                is_last = offset + len(data) >= size
                words: dict[str, Any] = {"blob": blob, "offset": offset, "data": data, "is_last": is_last}
                if not self._asked(watch, "put", should_stop, seconds=SEND_SECONDS, **words):
                    return False
                offset += len(data)
                if is_last or not data:
                    return True

    def _fetched(
        self, watch: _Watch, made: PackedPainting, folder: Path, should_stop: ShouldStop
    ) -> Painting:
        """Bring the finished files home, each whole."""
        for packing in filter(None, (made.picture, made.report)):
            target = folder / plain(packing.name)
            for _ in range(TRIES):
                if self._is_fetched(watch, packing, target, should_stop):
                    break
                logger.warning("%s: %s came back damaged, once more", self.seat, packing.name)
            else:
                raise SeatLostError(
                    f"{self.seat}: what it sends arrives damaged.", remedy="Look at its network and disk."
                )
        return unpacked_painting(made, folder)

    def _is_fetched(self, watch: _Watch, packing: PackedFile, target: Path, should_stop: ShouldStop) -> bool:
        digest, offset = hashlib.sha256(), 0
        discard(target)
        with disk.created(target) as file:
            while offset < packing.size:
                words: dict[str, Any] = {"token": watch.token, "name": packing.name, "offset": offset}
                data = self._asked(watch, "fetch", should_stop, seconds=SEND_SECONDS, **words)
                if not data:
                    return False
                file.write(data)
                digest.update(data)
                offset += len(data)
        return digest.hexdigest() == packing.sha256

    # Calls.

    def _asked(
        self,
        watch: _Watch,
        what: str,
        should_stop: ShouldStop,
        *,
        seconds: float = CALL_SECONDS,
        is_stopped_there: bool = False,
        **words: Any,
    ) -> Any:
        """Return what the seat answers; asked again until it does, or is lost, or we are to stop.

        `is_stopped_there`: it paints by now, and has to hear of a stop.
        """
        seconds = min(seconds, self._silence_seconds())
        while True:
            try:
                if should_stop():
                    raise CancelledError("The painting was cancelled.")
                answer = self._awaited(
                    self._seats.ask(self.seat, what, seconds=seconds, **words), should_stop
                )
            except CancelledError:
                if is_stopped_there:
                    self._stop(watch)
                raise
            except StrangerError as error:
                raise self._lost(f"{self.seat} was started anew in the middle of it.") from error
            except UnreachableError as error:
                if self._seats.is_gone(self.seat):
                    raise self._lost(f"{self.seat} has gone.") from error
                silence = time.monotonic() - watch.heard
                if silence > self._silence_seconds():
                    raise self._lost(f"{self.seat} has not answered for {silence:.0f} s.") from error
                self._seats.wait_for_news(SLICE_SECONDS)
            else:
                watch.heard = time.monotonic()
                return answer

    def _awaited(self, future: Future[Any], should_stop: ShouldStop) -> Any:
        """Return a call's answer; look whether to stop meanwhile."""
        while True:
            try:
                return future.result(SLICE_SECONDS)
            except TimeoutError as error:
                if future.done():
                    raise UnreachableError(str(error)) from error
                if should_stop():
                    future.cancel()
                    raise CancelledError("The painting was cancelled.") from error

    def _stop(self, watch: _Watch) -> None:
        with suppress(UnreachableError, NstError, TimeoutError):
            self._seats.ask(self.seat, "stop", seconds=STOP_SECONDS, token=watch.token).result()

    def _lost(self, message: str) -> SeatLostError:
        return SeatLostError(message, remedy="It is painted elsewhere; look at that machine.")

    def _tell(self, facts: EngineFacts) -> None:
        """Take note of what the engine is there."""
        if facts != self._facts:
            self._facts = facts
            self._seats.note(self.seat, facts=facts)
            self._on_facts(facts)
