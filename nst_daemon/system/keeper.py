"""Keeps a child process alive beside the daemon: begun anew after it broke, with a pause that doubles."""

import logging
import time
from collections.abc import Callable
from typing import Final

from nst_daemon.errors import ConditionError
from nst_daemon.system.child import Child
from nst_daemon.system.pauses import Pauses

logger = logging.getLogger(__name__)

BACK_OFF_SECONDS: Final = 1.0  # before a process that ended begins anew; doubles …
MAX_BACK_OFF_SECONDS: Final = 60.0  # … up to this
STEADY_SECONDS: Final = 60.0  # a process that lived this long did not end because it cannot begin
LEAVE_SECONDS: Final = 3.0  # then it is killed
LEFT: Final = 0  # exit codes of the process: for good
ANEW: Final = 75  # it was told to end, or broke


class Keeper:
    """One process, kept as long as it is wanted and tended. One thread uses it.

    `without`: what the log says, once, where it cannot be started. `on_end` gets the exit code of each end.
    """

    def __init__(
        self,
        child: Child,
        *,
        without: str,
        is_wanted: Callable[[], bool],
        on_end: Callable[[int | None], None] = lambda code: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.child = child
        self._without = without
        self._is_wanted = is_wanted
        self._on_end = on_end
        self._clock = clock
        self._was_said = ""  # why it could not be started: once
        self._began = 0.0
        self._due = float("-inf")
        self._pauses = Pauses(BACK_OFF_SECONDS, MAX_BACK_OFF_SECONDS)

    @property
    def has_left(self) -> bool:
        """Whether the process went for good: it stays away until `hurry`."""
        return self._due == float("inf")

    def tend(self, *args: object) -> None:
        """Start the process where it is wanted and not there. Raises: what `is_wanted` and `on_end` raise."""
        if self.child.is_alive():
            return
        if self.child.has_begun:
            self._take_leave()
        if self._clock() >= self._due and self._is_wanted():
            self._start(args)

    def hurry(self) -> None:
        """Let the process begin at the next `tend`, whatever became of the one before."""
        self._due = float("-inf")

    def close(self) -> None:
        """End the process: politely, then at once."""
        self.child.end(seconds=LEAVE_SECONDS)

    def _start(self, args: tuple[object, ...]) -> None:
        try:
            self.child.start(*args)
        except ConditionError as error:
            if error.message != self._was_said:
                logger.warning("%s: %s", self._without, error)
            self._was_said = error.message
            self._due = self._clock() + MAX_BACK_OFF_SECONDS
            return
        self._was_said = ""
        self._began = self._clock()

    def _take_leave(self) -> None:
        """Judge an end: the process left for good, or it broke and begins anew after a pause."""
        code = self.child.wait_for_end(LEAVE_SECONDS)
        now = self._clock()
        if now - self._began >= STEADY_SECONDS:
            self._pauses.reset()
        self._due = float("inf") if code == LEFT else now + self._pauses.next()
        self._on_end(code)
