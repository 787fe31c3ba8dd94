"""Pictures as the page shows them: JPEGs of our own making, upright, in sRGB, without what a photo tells.

And words of what a style picture is like. Made in the process that reads photos, one after another, what is
looked at first: previews, then what was asked for last. Kept in the state folder by what they show and how
large; the oldest are swept.
"""

import asyncio
import itertools
import json
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from nst_daemon import disk
from nst_daemon.disk.files import written_whole
from nst_daemon.errors import ConditionError, NameRefusedError
from nst_daemon.images.likeness import words_of
from nst_daemon.intake.inspection import Inspection
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.page.answers import RefusedError

logger = logging.getLogger(__name__)

SIZES: Final = {"320": 320, "1280": 1280, "full": None}  # px, longer side
MAX_WAITING: Final = 500  # pictures that are to be made
MAX_BYTES: Final = 512_000_000  # of all that is kept
SWEEP_AFTER: Final = 200  # pictures that were made since the last sweep
GONE: Final = "The picture is not there any more."
TOLD: Final = "words-1"  # by these measures; others have another name
REST_SECONDS: Final = 31.0  # a little more than the reader waits for before it ends its process

T = TypeVar("T")
Make = Callable[[Path], bytes | None]  # of a picture; None: it is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One picture that may be shown: where it is, and what tells it from all others."""

    path: Path
    key: str  # of letters, digits and -, and another one when the picture changes
    is_link_fine: bool = False  # the user's own styles may be links
    is_passing: bool = False  # a preview: shown once, at once, and not kept


@dataclass(order=True)
class _Order:
    """What the reader is to do, in the order in which it does it."""

    turn: tuple[int, int]
    act: Callable[[], Any] = field(compare=False)
    done: "asyncio.Future[Any]" = field(compare=False)


class Thumbs:
    """Makes and keeps them. On the event loop; disks and the reader are asked on threads, one at a time."""

    def __init__(self, folder: Path, reader: PhotoReader, *, max_bytes: int = MAX_BYTES) -> None:
        self._folder = folder
        self._reader = reader
        self._max_bytes = max_bytes
        self._orders: asyncio.PriorityQueue[_Order] = asyncio.PriorityQueue()
        self._count = itertools.count()
        self._under_way: dict[str, asyncio.Future[bytes]] = {}
        self._working: asyncio.Task[None] | None = None
        self._since_sweep = SWEEP_AFTER  # the first one sweeps what an earlier run left

    async def jpeg(self, source: Source, size: str) -> bytes:
        """Return a picture. Raises: RefusedError: it is none, or not there; ConditionError."""

        def shrunk(path: Path) -> bytes | None:
            return self._reader.thumbnail(path, SIZES[size])

        return await self._known(source, f"{source.key}-{size}.jpg", shrunk)

    async def told(self, style: Source) -> list[str]:
        """Return in words what a style picture is like. Raises: as `jpeg`."""

        def described(path: Path) -> bytes | None:
            found = self._reader.descriptor(path)
            return None if found is None else json.dumps(words_of(found)).encode()

        words: list[str] = json.loads(await self._known(style, f"{style.key}-{TOLD}.json", described))
        return words

    async def inspect(self, path: Path) -> Inspection:
        """Return what a file is that somebody sent. Raises: FileNotFoundError, ConditionError."""
        return await self.asked(lambda reader: reader.inspect(path))

    async def asked(self, act: Callable[[PhotoReader], T]) -> T:
        """Return what somebody wants of the reader, before all pictures. Raises: what `act` raises."""
        found: T = await self._ordered(partial(act, self._reader), is_urgent=True)
        return found

    async def close(self) -> None:
        """End, and the process that reads."""
        await asyncio.to_thread(self._reader.close)
        if self._working is not None:
            self._working.cancel()
            with suppress(asyncio.CancelledError):
                await self._working

    async def _known(self, source: Source, name: str, make: Make) -> bytes:
        """Return what is kept under a name; made first where it is not."""
        if not source.is_passing:
            with suppress(FileNotFoundError, ConditionError):
                return await asyncio.to_thread(self._kept, name)
        made = self._under_way.get(name)
        if made is None:
            made = self._ordered(partial(self._made, source, name, make), is_urgent=source.is_passing)
            self._under_way[name] = made
            made.add_done_callback(lambda _: self._under_way.pop(name, None))
        return await asyncio.shield(made)

    def _ordered(self, act: Callable[[], Any], *, is_urgent: bool) -> "asyncio.Future[Any]":
        """Return what will be known once the reader has done it: soon, or before all that waits already."""
        if self._orders.qsize() >= MAX_WAITING:
            raise RefusedError(429, "Too many pictures are asked for.", "They come by and by.")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._orders.put_nowait(_Order((0 if is_urgent else 1, -next(self._count)), act, done))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return done

    async def _work(self) -> None:
        while True:
            try:
                async with asyncio.timeout(REST_SECONDS):
                    order = await self._orders.get()
            except TimeoutError:
                await asyncio.to_thread(self._reader.rest)
                if self._orders.empty():
                    return
                continue
            try:
                order.done.set_result(await asyncio.to_thread(order.act))
            except asyncio.CancelledError:
                order.done.cancel()
                raise
            except Exception as error:  # noqa: BLE001  this picture's; the next one is made all the same
                order.done.set_exception(error)
                order.done.exception()  # whoever asked may have left: then nobody has to hear of it

    def _made(self, source: Source, name: str, make: Make) -> bytes:
        """Make something of a picture, and keep it; or return what was made while somebody looked for it."""
        if not source.is_passing:
            with suppress(FileNotFoundError, ConditionError):
                return self._kept(name)
        try:
            if not disk.is_file(source.path, follow=source.is_link_fine):
                raise RefusedError(404, GONE)
            data = make(source.path)
        except FileNotFoundError as error:
            raise RefusedError(404, GONE) from error
        if data is None:
            raise RefusedError(404, "The picture cannot be shown.")
        if not source.is_passing:
            self._keep(name, data)
        return data

    def _kept(self, name: str) -> bytes:
        return disk.read_bytes(self._folder / name, follow=False)

    def _keep(self, name: str, data: bytes) -> None:
        try:
            disk.make_private(self._folder)
            self._since_sweep += 1
            if self._since_sweep >= SWEEP_AFTER:
                self._since_sweep = 0
                self._sweep()
            with written_whole(self._folder / name) as file:
                file.write(data)
        except (ConditionError, NameRefusedError) as error:  # it is made again
            logger.info("a picture of the page was not kept: %s", error)

    def _sweep(self) -> None:
        """Remove the oldest pictures until the others fit, with room for the next ones."""
        found = []
        for entry in disk.entries_of(self._folder):
            with suppress(ConditionError):
                if (facts := disk.facts_of(entry.path)) is not None:
                    found.append((facts.st_mtime_ns, facts.st_size, entry.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._max_bytes * 3 // 4:
                break
            with suppress(ConditionError):
                disk.remove(path)
                total -= size
