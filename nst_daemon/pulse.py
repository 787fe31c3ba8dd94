"""Which threads have lately given a sign of life. Pure but for its lock-free dict; the clock is handed in."""

import time
from collections.abc import Callable
from typing import Final

HUNG_SECONDS: Final = 600.0  # copying one photo from a slow network disk takes minutes


class Pulse:
    """Remembers the last sign of life of each thread. Any thread may ask and tell."""

    def __init__(self, *names: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last = dict.fromkeys(names, clock())

    def beat(self, name: str) -> None:
        """Give a sign of life."""
        self._last[name] = self._clock()

    def forget(self, name: str) -> None:
        """Expect no sign of life any more: the thread has ended."""
        self._last.pop(name, None)

    def hung(self) -> list[str]:
        """Return who gave none for so long that only a new start can help."""
        now = self._clock()
        return [name for name, last in tuple(self._last.items()) if now - last > HUNG_SECONDS]
