"""An engine at a seat, behind the same protocol as the one in a process beside the daemon.

A seat that has gone, or is silent for too long, is a `SeatLostError`; a scheduler that has gone is nothing,
since the seats paint on and are found again.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from nst_daemon import disk
from nst_daemon.config import FarmConfig
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.disk.files import written_whole
from nst_daemon.engine.process import OnFacts, OnProgress, ShouldStop
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import CancelledError, ConditionError, MissingError, NstError, SeatLostError
from nst_daemon.farm.ahead import Ahead
from nst_daemon.farm.answers import BEGUN, BUSY, CHECKPOINT, LEAVING, Peek, UnreachableError
from nst_daemon.farm.contact import Seats
from nst_daemon.farm.freight import Freight
from nst_daemon.farm.parcel import PackedOrder, PackedPainting, Parcel, packed, wishes_of
from nst_daemon.farm.talk import Talk

logger = logging.getLogger(__name__)

PEEK_SECONDS: Final = 0.5  # a seat answers at once when it is done, else after so long
BRISK_SECONDS: Final = 0.05  # or after so long, where there is something to do for the next painting
BUSY_SECONDS: Final = 0.1  # between two tries at a seat that leaves off another painting


class FarmEngine:
    """The engine at one seat. One worker's thread uses it, but `facts` and `is_warm`."""

    def __init__(
        self,
        settings: EngineSettings,
        seat: str,
        seats: Seats,
        *,
        on_facts: OnFacts = lambda _: None,
        terms: Callable[[], FarmConfig],
    ) -> None:
        self.seat = seat
        self._settings = settings
        self._seats = seats
        self._on_facts = on_facts
        self._terms = terms  # asked anew: a config may change
        self._facts = EngineFacts(device=settings.device)
        self._ahead: Ahead | None = None  # what was sent during the painting before

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
            with self._in_hand(should_stop) as talk:
                self._begin(talk, None)
                self._followed(talk)
        return self._facts

    def paint(self, order: Order, *, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        """Return the painting that was ordered, its files where the order wants them.

        Raises:
            JobError: there is none, and why; `SeatLostError` where the seat has gone.
            ConditionError: this machine is at fault.
            DaemonError: the seat cannot paint at all.
        """
        with self._in_hand(should_stop, order.job) as talk:
            freight = Freight(talk, self._terms().shared)
            # A seat that had it the last time has a later one itself.
            packing, files = packed(order, has_checkpoint=self._seats.last_seat_of(order.key) != self.seat)
            self._seats.set_last_seat(order.key, self.seat)
            if self._ahead is not None:
                self._ahead.end(talk, packing.blobs)
            styles = {style.sha256 for style in order.styles}
            self._ahead = Ahead(talk, lambda: self._seats.look_ahead(self.seat, styles))
            freight.send(packing, files, order.original)
            while not self._begin(talk, packing):
                freight.send(packing, files, order.original)
            made = self._followed(talk, _Onlooker(order, freight, self._ahead), on_progress)
            assert made is not None  # an order that is over without an error has a painting
            painting = freight.bring_home(made, order.result.parent)
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
    def _in_hand(self, should_stop: ShouldStop, job: int | None = None) -> Iterator[Talk]:
        """Have one thing in hand at the seat, and let go of it, however it ends."""
        talk = Talk(self._seats, self.seat, lambda: self._terms().silence_seconds, should_stop)
        self._seats.use(1)
        self._seats.note(self.seat, job=job)
        try:
            yield talk
        except SeatLostError:
            self._ahead = None
            self._seats.count_lost(self.seat)
            self._tell(EngineFacts(device=self._settings.device))
            raise
        finally:
            talk.tell("forget", token=talk.token)
            self._seats.note(self.seat, job=None)
            self._seats.use(-1)

    def _begin(self, talk: Talk, packing: PackedOrder | None) -> bool:
        """Hand a parcel over, after whatever the seat still has in hand; False: it lacks files by now."""
        parcel = Parcel(
            wishes=wishes_of(self._settings), silence_seconds=self._terms().silence_seconds, order=packing
        )
        while True:
            answer = talk.ask("begin", token=talk.token, parcel=parcel)
            if answer == LEAVING:
                self._seats.note(self.seat, state="leaving")
                raise CancelledError(f"{self.seat} is leaving.")
            if answer != BUSY:
                return bool(answer == BEGUN)
            talk.pause(BUSY_SECONDS)

    def _followed(
        self, talk: Talk, onlooker: "_Onlooker | None" = None, on_progress: OnProgress = lambda _: None
    ) -> PackedPainting | None:
        """Wait for the end of what is in hand; return what came of it."""
        last: Progress | None = None
        while True:
            mark, wait = "", PEEK_SECONDS
            if onlooker is not None:
                mark, wait = onlooker.preview_mark, onlooker.patience()
            peek: Peek = talk.ask(
                "peek", is_stopped_there=True, token=talk.token, preview_mark=mark, wait=wait
            )
            self._tell(peek.facts)
            if peek.is_leaving:
                self._seats.note(self.seat, state="leaving")
            if onlooker is not None:
                onlooker.look(peek)
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

    def _tell(self, facts: EngineFacts) -> None:
        """Take note of what the engine is there."""
        if facts != self._facts:
            self._facts = facts
            self._seats.note(self.seat, facts=facts)
            self._on_facts(facts)


class _Onlooker:
    """What is seen here of a painting that grows there, and done for the next one."""

    def __init__(self, order: Order, freight: Freight, ahead: Ahead) -> None:
        self._ahead = ahead
        self.preview_mark = ""  # of the preview that was shown last
        self._order = order
        self._freight = freight

    def patience(self) -> float:
        """Send the next bytes that will be needed; return for how long the seat may keep us waiting now."""
        self._ahead.go_on()
        return BRISK_SECONDS if self._ahead.is_sending else PEEK_SECONDS

    def look(self, peek: Peek) -> None:
        """Show how far it is, and keep what another seat could go on from."""
        self._show(peek)
        if self._order.checkpoint is not None and not peek.is_over:
            draft = self._order.result.with_name(CHECKPOINT)
            self._freight.pull(peek.checkpoint_mark, self._order.checkpoint, draft)

    def _show(self, peek: Peek) -> None:
        """Show the preview here, as an engine beside us does; missed by nobody but who looks."""
        self.preview_mark, target = peek.preview_mark, self._order.preview
        if peek.preview is None or target is None:
            return
        try:
            if disk.is_folder(target.parent.parent):  # the outbox is never made
                disk.make_folder(target.parent)
                with written_whole(target) as file:
                    file.write(peek.preview)
        except (NstError, OSError) as error:
            logger.debug("no preview was written: %s", error)
