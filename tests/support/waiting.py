"""How a test waits: for a condition, with a deadline. No other module of the tests polls."""

import time
from collections.abc import Callable
from typing import Final, NoReturn

WAIT_SECONDS: Final = (
    120.0  # for a painting or another process; engines are nice, and starve on a busy machine
)
SHORTEST_PAUSE: Final = 0.005  # seconds between two looks: at first …
LONGEST_PAUSE: Final = 0.05  # … and later: a look may take time from what is waited for
HANG_SECONDS: Final = 1000.0  # longer than any test may take


def comes_true(condition: Callable[[], object], seconds: float) -> bool:
    """Return True as soon as a condition holds, False if it does not within so many seconds."""
    deadline, pause = time.monotonic() + seconds, SHORTEST_PAUSE
    while not condition():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(pause, left))
        pause = min(1.2 * pause, LONGEST_PAUSE)
    return True


def wait_for(condition: Callable[[], object], *, seconds: float = 20.0, what: str = "the condition") -> None:
    """Return as soon as a condition holds; fail at the deadline."""
    assert comes_true(condition, seconds), f"{what} did not come true within {seconds:g} s"


def take(seconds: float) -> None:
    """Let time pass: what is played takes as long as the real thing, or something is measured meanwhile."""
    time.sleep(seconds)


def hang() -> NoReturn:
    """Play what never answers."""
    time.sleep(HANG_SECONDS)
    raise AssertionError("nobody ended what hung")
