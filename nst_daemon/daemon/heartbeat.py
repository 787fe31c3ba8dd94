"""Signs of life: which threads have lately given one, and what systemd is told of the daemon.

The clock is handed in. Any thread may give a sign; systemd is spoken to on the main thread.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from nst_daemon.ledger.jobs import JobState, Snapshot
from nst_daemon.ledger.words import counts_text, current_text
from nst_daemon.service import systemd

logger = logging.getLogger(__name__)

HUNG_SECONDS: Final = 600.0  # copying one photo from a slow network disk takes minutes
MARGIN_SECONDS: Final = 60.0  # for a disk that hangs


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


class Supervision:
    """Speaks for one daemon. It stays silent once a thread hangs: systemd then starts the daemon anew."""

    def __init__(self, pulse: Pulse) -> None:
        self._pulse = pulse
        self._is_ready = False
        self._status = ""
        self._hung: list[str] = []

    def tell(self, status: str) -> None:
        """Say how a daemon is that is ready, in one line; the first time, that it is ready.

        That it lives is the threads' to say, and not the ledger's: a disk that cannot be written is no reason
        to be started anew.
        """
        lines = [] if self._is_ready else ["READY=1"]
        self._is_ready = True
        if status != self._status:
            self._status = status
            lines.append(f"STATUS={status}")
        hung = self._pulse.hung()
        if hung and hung != self._hung:
            logger.error("the %s gave no sign of life for too long", " and the ".join(hung))
        self._hung = hung
        if not hung:
            lines.append("WATCHDOG=1")
        if lines:
            systemd.notify(*lines)

    def not_ready(self, status: str, seconds: float) -> None:
        """Say why the daemon is not ready yet, and that it will not be for so long."""
        systemd.notify(f"STATUS={status}", f"EXTEND_TIMEOUT_USEC={round((seconds + MARGIN_SECONDS) * 1e6)}")

    def stopping(self) -> None:
        """Say that it ends."""
        systemd.notify("STOPPING=1", "STATUS=Stopping")


def status_line(snapshot: Snapshot) -> str:
    """Return in one line what the daemon does."""
    words = [current_text(current) for current in snapshot.current]
    words += [problem.message for problem in snapshot.alarms[:1]]
    if not words:
        words.append("paused" if snapshot.paused else "waiting for photos")
    if queued := snapshot.counts[JobState.QUEUED]:
        words.append(counts_text({JobState.QUEUED: queued}))
    return "; ".join(words)
