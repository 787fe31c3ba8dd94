"""Wakes who waits for a job, so that a photo does not wait for the next look. Within one process."""

import threading


class News:
    """Counts what has come. Any thread may tell, and any number of them wait."""

    def __init__(self) -> None:
        self.count = 0
        self._has_come = threading.Condition()

    def tell(self) -> None:
        """Wake all who wait."""
        with self._has_come:
            self.count += 1
            self._has_come.notify_all()

    def wait(self, known: int, seconds: float) -> None:
        """Return as soon as more has come than was known, and after so many seconds at the latest."""
        with self._has_come:
            self._has_come.wait_for(lambda: self.count != known, seconds)
