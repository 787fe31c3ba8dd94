"""A device that this machine lends: one parcel in hand, an engine that stays warm, and what is kept for both.

Lives on the event loop of its process; painting and files are on other threads of it. A coordinator calls the
methods that `CALLS` names. The parcel in hand goes by a token: whoever has another one is refused.
"""

import asyncio
import hashlib
import logging
import platform
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nst_daemon import __version__, disk
from nst_daemon.config.orders import Painting, Progress
from nst_daemon.disk.files import Digests
from nst_daemon.engine.child import serve
from nst_daemon.engine.process import EngineProcess, Serve
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import CancelledError, ConditionError, EngineError, NstError, WeightsError
from nst_daemon.farm.answers import (
    BEGUN,
    BUSY,
    CHECKPOINT,
    LACKING,
    LEAVING,
    Hello,
    Peek,
    Sight,
    StrangerError,
)
from nst_daemon.farm.parcel import (
    CHUNK,
    Blob,
    EngineWishes,
    PackedPainting,
    Parcel,
    packed_painting,
    plain,
    unpacked,
)
from nst_daemon.farm.store import Store

logger = logging.getLogger(__name__)

CALLS: Final = frozenset(
    {"hello", "lacks", "put", "borrow", "drop", "begin", "peek", "stop", "fetch", "forget", "rest", "drain"}
)
CHECKPOINT_SECONDS: Final = 30 * 24 * 3600.0  # then nobody comes back for it


@dataclass(slots=True)
class Hand:
    """The parcel in hand. The thread that paints writes, the event loop reads."""

    token: str
    parcel: Parcel
    scratch: Path
    checkpoint: Path
    over: asyncio.Event = field(default_factory=asyncio.Event)
    asked: float = field(default_factory=time.monotonic)  # when the coordinator last did
    is_told_to_stop: bool = False
    is_given_up: bool = False  # nobody asks for it any more
    progress: Progress | None = None
    painting: PackedPainting | None = None
    error: NstError | None = None

    def should_stop(self) -> bool:
        """Return whether to leave off: told so, or nobody asks for it any more."""
        return self.is_told_to_stop or time.monotonic() - self.asked > self.parcel.silence_seconds

    def note(self, progress: Progress) -> None:
        """Remember how far it is."""
        self.progress = progress


class Seat:
    """Answers one coordinator. All but `_paint` runs on the event loop."""

    def __init__(
        self,
        settings: EngineSettings,
        folder: Path,
        *,
        shared: Sequence[Path] = (),
        serve: Serve = serve,
        on_news: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.run = uuid.uuid4().hex
        self.hand: Hand | None = None
        self.is_leaving = False
        self.has_let_go = asyncio.Event()  # the parcel in hand was fetched or given up
        self._settings = settings
        self._serve = serve
        self._engine = EngineProcess(settings, serve=serve)
        self._on_news = on_news  # a line for who looks on
        self._store, self._work = Store(folder / "files", shared), folder / "work"
        self._checkpoints = folder / "checkpoints"
        self._digests = Digests()
        self._painting: asyncio.Task[None] | None = None

    def prepare(self) -> None:
        """Make the folders, empty of what an earlier process left. Raises: ConditionError."""
        disk.remove_tree(self._work)
        for folder in (self._work, self._checkpoints):
            disk.make_private(folder)
        for entry in disk.entries_of(self._checkpoints):
            facts = disk.facts_of(entry.path)
            if facts is not None and time.time() - facts.st_mtime > CHECKPOINT_SECONDS:
                disk.remove(entry.path)
        self._store.prepare()

    async def close(self) -> None:
        """Leave off what is in hand, and end the engine."""
        if self.hand is not None:
            self.hand.is_told_to_stop = True
        if self._painting is not None:
            await self._painting
        self._drop()
        await asyncio.to_thread(self._engine.end)

    # What a coordinator calls.

    async def hello(self) -> Hello:
        """Say what this seat is."""
        return Hello(
            run=self.run,
            version=__version__,
            python=f"{sys.version_info.major}.{sys.version_info.minor}",
            system=platform.system(),
            device=self._settings.device,
            is_leaving=self.is_leaving,
        )

    async def lacks(self, blobs: tuple[Blob, ...]) -> tuple[Blob, ...]:
        """Return which files are not here; the others will be for the next parcel."""
        return await self._store.lacks(blobs)

    async def put(self, blob: Blob, offset: int, data: bytes, is_last: bool) -> bool:
        """Take the next bytes of a file; False: they are not what they should be, all has to come anew."""
        return await self._store.put(blob, offset, data, is_last)

    async def borrow(self, blob: Blob, root: str, parts: tuple[str, ...], size: int) -> Sight:
        """Take a file from a folder that both see, if that may be read and has it."""
        return await self._store.borrow(blob, root, parts, size)

    async def drop(self, blobs: tuple[Blob, ...]) -> None:
        """Forget files that were sent for a painting which another seat has; not those of the one in hand."""
        needed = self.hand.parcel.order.blobs if self.hand and self.hand.parcel.order else ()
        self._store.drop(blob for blob in blobs if blob not in needed)

    async def begin(self, token: str, parcel: Parcel) -> str:
        """Take a parcel in hand: BEGUN, or what is in the way."""
        if self.hand is not None and self.hand.token == token:
            return BEGUN  # the answer got lost
        if self.is_leaving:
            return LEAVING
        if self.hand is not None and not self.hand.over.is_set():
            self._give_up(self.hand)  # its coordinator is no more, or has lost it
            return BUSY
        self._drop()
        if parcel.order is not None and await self.lacks(parcel.order.blobs):
            return LACKING  # they went with what was in hand before
        key = parcel.order.key if parcel.order else ""
        name = f"{hashlib.sha256(key.encode(errors='replace')).hexdigest()}.checkpoint"
        self.hand = Hand(token, parcel, self._work / plain(token), self._checkpoints / name)
        self.has_let_go.clear()
        self._painting = asyncio.create_task(self._attend(self.hand))
        return BEGUN

    async def peek(self, token: str, preview_mark: str, wait: float) -> Peek:
        """Say how far the parcel in hand is: at once when it is over, else after so many seconds."""
        hand = self._own(token)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await hand.over.wait()
        hand.asked = time.monotonic()
        mark, preview = await asyncio.to_thread(self._preview, hand, preview_mark)
        return Peek(
            facts=self._engine.facts,
            is_leaving=self.is_leaving,
            progress=hand.progress,
            preview=preview,
            preview_mark=mark,
            checkpoint_mark=_mark_of(hand.checkpoint),
            painting=hand.painting,
            error=hand.error,
            is_over=hand.over.is_set(),
        )

    async def stop(self, token: str) -> None:
        """Leave off the parcel in hand at the next step."""
        self._own(token).is_told_to_stop = True

    async def fetch(self, token: str, name: str, offset: int, mark: str = "") -> bytes:
        """Return the next bytes of a finished file, or of the checkpoint; none: that was all.

        `mark`: of the checkpoint that is fetched; of a later one there is nothing.
        """
        hand = self._own(token)
        hand.asked = time.monotonic()
        if name != CHECKPOINT:
            return await asyncio.to_thread(_read_at, hand.scratch / plain(name), offset)
        data = await asyncio.to_thread(_read_at, hand.checkpoint, offset)
        return data if _mark_of(hand.checkpoint) == mark else b""

    async def forget(self, token: str) -> None:
        """Let go of the parcel: it has come home, or nobody wants it."""
        if self.hand is not None and self.hand.token == token:
            self._give_up(self.hand)
            if self.hand.over.is_set():
                if self.hand.painting is not None:
                    disk.remove(self.hand.checkpoint)
                self._drop()

    async def rest(self) -> None:
        """Give the engine's memory back, unless it paints."""
        if self.hand is None or self.hand.over.is_set():
            await asyncio.to_thread(self._engine.end)

    async def drain(self) -> None:
        """Take no further parcel, and leave once there is none in hand."""
        self.is_leaving = True

    # How it is painted.

    async def _attend(self, hand: Hand) -> None:
        order = hand.parcel.order
        if order is not None:
            self._on_news(f"painting {order.photo_name}")
        await asyncio.to_thread(self._paint, hand)
        if hand.error is not None and not isinstance(hand.error, CancelledError):
            self._on_news(f"refused: {hand.error}")
        elif order is not None:
            self._on_news("left off" if hand.error else f"painted {order.photo_name}")
        hand.over.set()
        if hand.is_given_up:
            self._drop()

    def _paint(self, hand: Hand) -> None:
        """Paint what is in hand; on a thread of its own."""
        try:
            engine = self._engine_for(hand.parcel.wishes)
            engine.warm_up(hand.should_stop)
            if hand.parcel.order is not None:
                hand.painting = packed_painting(self._painted(engine, hand))
        except NstError as error:
            hand.error = error
        except Exception as error:
            logger.exception("a parcel broke the seat")
            hand.error = EngineError(f"{type(error).__name__}: {error}")

    def _painted(self, engine: EngineProcess, hand: Hand) -> Painting:
        assert hand.parcel.order is not None
        disk.make_private(hand.scratch)
        if (reached := hand.parcel.order.checkpoint) is not None:
            disk.replace(self._store.path_of(reached), hand.checkpoint)
        order = unpacked(
            hand.parcel.order, blobs=self._store.folder, scratch=hand.scratch, checkpoint=hand.checkpoint
        )
        return engine.paint(order, on_progress=hand.note, should_stop=hand.should_stop)

    def _engine_for(self, wishes: EngineWishes) -> EngineProcess:
        """Return the engine that a parcel asks for: the one that is there, or one begun anew."""
        settings = wishes.over(self._settings)
        if wishes.weights_sha256:
            self._check_weights(Path(wishes.weights), wishes.weights_sha256)
        if settings != self._engine.settings:
            self._engine.end()
            self._engine = EngineProcess(settings, serve=self._serve)
        return self._engine

    def _check_weights(self, path: Path, sha256: str) -> None:
        """Make sure that this machine has the weights that a parcel asks for. Raises: WeightsError."""
        try:
            is_same = self._digests.of(path) == sha256
        except FileNotFoundError:
            is_same = False
        if not is_same:
            raise WeightsError(
                f"This machine lacks the weights {path}, or has others under that name.",
                remedy="Put the coordinator's file there, under the same path.",
            )

    # What is kept.

    def _own(self, token: str) -> Hand:
        if self.hand is None or self.hand.token != token:
            raise StrangerError("Another painting is in hand at this seat, or none.")
        return self.hand

    def _give_up(self, hand: Hand) -> None:
        hand.is_told_to_stop = hand.is_given_up = True

    def _drop(self) -> None:
        """Forget what was in hand, and the files that nobody else needs."""
        hand, self.hand = self.hand, None
        self.has_let_go.set()
        if hand is None:
            return
        with suppress(ConditionError):  # the next start empties it
            disk.remove_tree(hand.scratch)
            self._store.drop(hand.parcel.order.passing if hand.parcel.order else ())

    def _preview(self, hand: Hand, known: str) -> tuple[str, bytes | None]:
        """Return the preview, if there is one that is not known, and its mark."""
        path = hand.scratch / "previews" / "preview.jpg"
        mark = _mark_of(path)
        if not mark or mark == known:
            return mark, None
        with suppress(FileNotFoundError, ConditionError):
            return mark, disk.read_bytes(path)
        return known, None


def _read_at(path: Path, offset: int) -> bytes:
    """Return the next bytes of a file. Raises: FileNotFoundError, ConditionError."""
    with disk.opened(path) as file:
        file.seek(offset)
        return file.read(CHUNK)


def _mark_of(path: Path) -> str:
    try:
        stamp = disk.stamp_of(path)
    except ConditionError:
        return ""
    return "" if stamp is None else str(stamp)
