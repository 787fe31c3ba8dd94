"""Settled photos that are being read and copied: which of them are, and how many at once.

One at a time where that suffices: on a desktop whose processors paint, a second reader would only be in the
way. More while painters take photos faster than one reader gives them, and beside a photo that does not end.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.disk import Stamp
from nst_daemon.disk.files import discard, temporary_in
from nst_daemon.intake.inspection import Taken
from nst_daemon.intake.reader import ENOUGH_BYTES, IntakeReader, bytes_left
from nst_daemon.ledger import Ledger
from nst_daemon.system.machine import processors

# At once. Two feed 85 GPUs that take 8 s for a JPEG (benchmarks/intake.py), a coordinator is meant for 100,
# and a huge picture may take a gigabyte in each.
MOST: Final = 4
LEAST_MOST: Final = 2  # on whatever machine: one photo waits for its disk, or never ends
SHORT_SECONDS: Final = 2.0  # that painters have to be short of photos: at first they are for a moment, always
LOOK_SECONDS: Final = 0.5  # between two looks whether they are
SLOW_SECONDS: Final = 5.0  # after which a photo is one that others do not wait for


@dataclass(slots=True)
class Reading:
    """A photo that is being read, as it was when that began."""

    path: Path
    stamp: Stamp
    draft: Path  # of its copy; here, the daemon's own file until it is kept or taken away
    began: float
    taken: Future[Taken]
    is_back: bool = False  # it is being dealt with, and its reader is free


class Taking:
    """The photos that are being read. Lives on one thread, which is its reader's; any may `close`."""

    def __init__(
        self,
        *,
        reader: IntakeReader,
        ledger: Ledger,
        folder: Path,
        clock: Callable[[], float] = time.monotonic,
        most: int | None = None,
        memory_left: Callable[[None], int] = bytes_left,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._folder = folder  # of the copies
        self._clock = clock
        self._most = max(LEAST_MOST, min(MOST, processors())) if most is None else most
        self._memory_left = memory_left
        self._readings: dict[Path, Reading] = {}  # in the order in which they began
        self._short_since = float("inf")
        self._asked = float("-inf")  # whether painters are short of photos

    def holds(self, path: Path) -> bool:
        """Return whether a photo is being read."""
        return path in self._readings

    def has_room(self) -> bool:
        """Return whether a further photo is to be read now."""
        under_way = [reading for reading in self._readings.values() if not reading.is_back]
        if not under_way:
            return True
        if len(under_way) >= self._most:
            return False
        now = self._clock()
        is_stuck = all(now - reading.began >= SLOW_SECONDS for reading in under_way)
        # What those take that were begun is not in their hands yet.
        needed = ENOUGH_BYTES * (len(under_way) + 1)
        return (is_stuck or self._is_short()) and self._memory_left(None) >= needed

    def begin(self, path: Path, stamp: Stamp) -> None:
        """Have a photo read and copied as it is now."""
        draft = temporary_in(self._folder)
        taken = self._reader.take(path, draft)
        self._readings[path] = Reading(path, stamp, draft, self._clock(), taken)

    def attend(self, seconds: float) -> None:
        """Wait until one of them is read or comes a step further, at most so long."""
        if not any(reading.taken.done() for reading in self._readings.values()):
            self._reader.attend(seconds)

    @contextmanager
    def returned(self) -> Iterator[Reading | None]:
        """Give the first of those that were read, in the order in which they began; None: none was.

        It is no longer held at the end, and its draft is gone.
        """
        reading = next((each for each in self._readings.values() if each.taken.done()), None)
        if reading is None:
            yield None
            return
        reading.is_back = True
        try:
            yield reading
        finally:
            del self._readings[reading.path]
            discard(reading.draft)

    def close(self) -> None:
        """Take away the drafts of what was being read, once the reader is closed."""
        for reading in list(self._readings.values()):
            discard(reading.draft)

    def _is_short(self) -> bool:
        """Return whether painters have taken nearly all that was read, for a while."""
        now, asked = self._clock(), self._asked
        if now - asked >= LOOK_SECONDS:
            self._asked = now
            if not self._ledger.queue.is_short():
                self._short_since = float("inf")
            elif self._short_since > now or now - asked > SHORT_SECONDS:  # long ago is another time
                self._short_since = now
        return now - self._short_since >= SHORT_SECONDS
