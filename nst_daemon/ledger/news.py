"""Wakes who waits for a job, so that a photo does not wait for the next look. Within one process."""

import threading
from typing import Final

FEW: Final = 5  # who wait together rest no longer for it
LONGEST_SECONDS: Final = 1.0  # that many of them rest


class News:
    """Counts what has come. Any thread may tell, and any number of them wait."""

    def __init__(self) -> None:
        self.count = 0
        self._waiting = 0
        self._has_come = threading.Condition()

    def tell(self) -> None:
        """Wake all who wait."""
        with self._has_come:
            self.count += 1
            self._has_come.notify_all()

    def wait(self, known: int, seconds: float) -> None:
        """Return as soon as more has come than was known, and after so many seconds at the latest.

        Where many wait (a hundred seats of a farm) each rests longer: together they look as often as a few.
        """
        with self._has_come:
            self._waiting += 1
            try:
                rest = max(seconds, min(LONGEST_SECONDS, seconds * self._waiting / FEW))
                self._has_come.wait_for(lambda: self.count != known, rest)
            finally:
                self._waiting -= 1
