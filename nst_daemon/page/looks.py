"""What style pictures look like, in a gallery: read once, one after another, beside whoever asks.

A library may have a hundred museum scans, and to decode one takes its time: nobody waits for them all.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from nst_daemon.page.thumbs import Source, Thumbs

logger = logging.getLogger(__name__)

SIZE: Final = "320"  # of the picture that a gallery shows
PATIENCE_SECONDS: Final = 0.5  # for what is not known yet
AGAIN_SECONDS: Final = 30.0  # what could not be shown is tried no sooner: a disk may answer by then


@dataclass(frozen=True, slots=True)
class Look:
    """A style picture, as a gallery shows it."""

    width: int  # px, of the small picture
    height: int
    words: tuple[str, ...]  # what it is like


class Looks:
    """Finds out what style pictures look like. On the event loop."""

    def __init__(self, thumbs: Thumbs, *, now: Callable[[], float] = time.monotonic) -> None:
        self._thumbs = thumbs
        self._now = now
        self._known: dict[str, Look] = {}  # by the key of a picture
        self._refused: dict[str, float] = {}  # when it last could not be shown
        self._reading: asyncio.Task[None] | None = None

    async def of(self, pictures: Sequence[Source]) -> tuple[dict[str, Look], set[str]]:
        """Return what is known, by a picture's key, and the keys of what is still to be read.

        What is in neither cannot be shown. Waits a moment where something is to be read.
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while unread := [each for each in pictures if self._is_to_be_read(each.key)]:
                    if self._reading is None or self._reading.done():
                        self._reading = asyncio.create_task(self._read(unread))
                    await asyncio.wait([self._reading])
        except TimeoutError:
            logger.debug("%d styles are still to be read", len(unread))
        keys = {each.key for each in pictures}
        known = {key: look for key, look in self._known.items() if key in keys}
        return known, {key for key in keys if self._is_to_be_read(key)}

    async def close(self) -> None:
        """End."""
        if self._reading is not None:
            self._reading.cancel()
            with suppress(asyncio.CancelledError):
                await self._reading

    def _is_to_be_read(self, key: str) -> bool:
        refused = self._refused.get(key)
        return key not in self._known and (refused is None or self._now() - refused > AGAIN_SECONDS)

    async def _read(self, pictures: Iterable[Source]) -> None:
        for each in pictures:
            try:
                self._known[each.key] = await self._look(each)
            except Exception as error:  # noqa: BLE001  this picture's; the next one is read all the same
                logger.info("%s is not shown: %s", each.path.name, error)
                self._refused[each.key] = self._now()

    async def _look(self, picture: Source) -> Look:
        width, height = jpeg_size(await self._thumbs.jpeg(picture, SIZE))
        return Look(width, height, tuple(await self._thumbs.told(picture)))


def jpeg_size(data: bytes) -> tuple[int, int]:
    """Return width and height in px of a baseline JPEG of our own making."""
    place = 2
    while data[place + 1] not in (0xC0, 0xC1, 0xC2):  # the start of its frame
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    height, width = data[place + 5 : place + 7], data[place + 7 : place + 9]
    return int.from_bytes(width, "big"), int.from_bytes(height, "big")
