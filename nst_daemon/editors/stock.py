"""The list of styles in the exchange folder, and a small picture of each, for plug-ins to choose from.

It follows the library for as long as the daemon runs. Decodes nothing itself: pictures are asked for.
"""

import hashlib
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.disk.files import written_whole
from nst_daemon.errors import ConditionError
from nst_daemon.folders.exchange import Exchange
from nst_daemon.folders.library import Entry
from nst_daemon.intake.reader import Reader

logger = logging.getLogger(__name__)

LOOK_SECONDS: Final = 5.0  # between two looks at the library
PLAIN: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")  # names that every disk and every plug-in can spell


class Stock:
    """Keeps the list of styles. Lives on one thread, which is its reader's."""

    def __init__(
        self,
        exchange: Exchange,
        entries: Callable[[], tuple[Entry, ...]],
        reader: Reader,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._entries = entries
        self._reader = reader
        self._clock = clock
        self._due = float("-inf")
        self._refused: dict[Path, disk.Stamp | None] = {}  # styles that are no picture, as they were then

    def look(self) -> None:
        """Bring the list up to date where that is due, and at most one small picture.

        Raises:
            ConditionError: the exchange folder cannot be read or written now.
        """
        if self._clock() < self._due:
            return
        self._due = self._clock() + LOOK_SECONDS
        entries = [entry for entry in self._entries() if entry.name.isprintable()]
        self._write("".join(f"{entry.name}\t{self._shown(entry)}\n" for entry in entries).encode())
        for entry in entries:
            if self._is_due(entry):
                self._draw(entry)
                self._due = self._clock()  # there may be more: at the next tick, which answers first
                return

    def fill(self) -> None:
        """Bring the list up to date, and every small picture. Raises: ConditionError: as `look`."""
        for _ in range(len(self._entries()) + 2):
            self._due = float("-inf")
            self.look()

    def _write(self, text: bytes) -> None:
        try:
            is_same = disk.read_bytes(self._exchange.styles, follow=False) == text
        except FileNotFoundError:
            is_same = False
        if not is_same:
            with written_whole(self._exchange.styles) as file:
                file.write(text)

    def _shown(self, entry: Entry) -> str:
        """Return where a style's small picture is; nothing where there is none."""
        thumb = self._thumb_of(entry)
        return self._exchange.relative(thumb) if disk.is_file(thumb) else ""

    def _thumb_of(self, entry: Entry) -> Path:
        name = entry.name
        if not PLAIN.fullmatch(name):
            name = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()[:16]
        return self._exchange.thumbs / f"{name}.jpg"

    def _is_due(self, entry: Entry) -> bool:
        thumb, style = disk.facts_of(self._thumb_of(entry)), disk.facts_of(entry.path, follow=True)
        if style is None or self._refused.get(entry.path, entry) == disk.stamp_of(entry.path, follow=True):
            return False
        return thumb is None or thumb.st_mtime < style.st_mtime

    def _draw(self, entry: Entry) -> None:
        try:
            stamp = disk.stamp_of(entry.path, follow=True)
            picture = self._reader.thumbnail(entry.path)
        except (FileNotFoundError, ConditionError) as error:
            logger.debug("No small picture of %s: %s", entry.path, error)
            self._refused[entry.path] = None
            return
        if picture is None:
            self._refused[entry.path] = stamp
            return
        with written_whole(self._thumb_of(entry)) as file:
            file.write(picture)
