"""An engine on one device: begun anew where its settings change, ended when idle, let be while it is missing.

What becomes of a job is the worker's to say; this knows none.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from nst_daemon.config.orders import EngineFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import DaemonError
from nst_daemon.painting.attempt import Engine
from nst_daemon.painting.moments import lies_ahead

logger = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 15.0  # before an engine that cannot start is tried again


class Easel:
    """Owns an engine. Its worker's thread paints and tends; any other may ask, and say what is wanted."""

    def __init__(
        self,
        settings: EngineSettings,
        make: Callable[[EngineSettings], Engine],
        *,
        idle_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine = make(settings)
        self.missing: DaemonError | None = None  # why it cannot start
        self._make = make
        self._settings = settings
        self._wanted = settings, idle_seconds
        self._clock = clock
        self._is_to_unload = False
        self._last_use = clock()
        self._due = float("-inf")  # the next try of an engine that cannot start

    # Any thread.

    @property
    def device(self) -> str:
        """Where the engine is, as the config names it: the same for as long as this easel stands."""
        return self._settings.device

    @property
    def facts(self) -> EngineFacts:
        """What the engine is now."""
        facts = self.engine.facts
        return replace(facts, state="missing") if self.missing else facts

    def follow(self, settings: EngineSettings, idle_seconds: float) -> None:
        """Take on another config before the next job."""
        self._wanted = settings, idle_seconds

    def unload(self) -> None:
        """Give the engine's memory back as soon as it does not paint."""
        self._is_to_unload = True

    # The worker's thread.

    def renew(self) -> bool:
        """Begin another engine, between two jobs, if the config wants one; return whether it does."""
        settings, _ = self._wanted
        if settings == self._settings:
            return False
        self._settings = settings
        self.engine.end()
        self.engine = self._make(settings)
        self._due = float("-inf")
        logger.info("the next job begins a new engine: its settings have changed")
        return True

    def may_paint(self) -> bool:
        """Return whether it is worth a try: the engine can start, as far as is known."""
        return not lies_ahead(self._due, self._clock(), at_most=AGAIN_SECONDS)

    def was_used(self) -> None:
        """Keep the engine warm from now on for as long as the config says."""
        self._last_use = self._clock()

    def miss(self, error: DaemonError) -> bool:
        """Leave an engine alone for a while that cannot start; return whether that is news."""
        is_news = self.missing is None or self.missing.message != error.message
        self.missing = error
        self._due = self._clock() + AGAIN_SECONDS
        return is_news

    def rest(self) -> None:
        """End an engine that nobody needed for `keep_warm`, or that the user wants ended."""
        is_asked, self._is_to_unload = self._is_to_unload, False
        now = self._clock()
        self._last_use = min(self._last_use, now)  # the clock may have been set back
        is_idle = now - self._last_use >= self._wanted[1]
        if self.engine.is_warm and (is_asked or is_idle):
            self.engine.end()
