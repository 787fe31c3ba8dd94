"""One engine on one device and the worker at it, under a config that may change while they work.

A change is taken on by the worker's own thread, between two jobs: nothing that is under way is disturbed.
"""

import logging
from collections.abc import Callable
from dataclasses import replace

from nst_daemon.attempt import Engine
from nst_daemon.engine.process import OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.orders import EngineFacts
from nst_daemon.worker import Worker

logger = logging.getLogger(__name__)

MakeEngine = Callable[[EngineSettings, OnFacts], Engine]


class Easel:
    """Where one painting at a time is made. `tick` and `leave` belong to one thread; others ask and tell."""

    def __init__(
        self, worker: Worker, settings: EngineSettings, make: Callable[[EngineSettings], Engine]
    ) -> None:
        self.worker = worker
        self.is_leaving = False  # it ends after the job in hand
        self.has_left = False
        self._make = make
        self._settings = settings
        self._wanted = settings, worker.idle_seconds

    @property
    def name(self) -> str:
        """What its thread and its problems are known by."""
        return self.worker.name

    @property
    def device(self) -> str:
        """Where its engine is, as the config names it: the same for as long as it stands."""
        return self._settings.device

    @property
    def facts(self) -> EngineFacts:
        """What its engine is now."""
        facts = self.worker.engine.facts
        return replace(facts, state="missing") if self.worker.missing else facts

    @property
    def is_ready(self) -> bool:
        """Whether it would begin to paint at once."""
        return self.worker.is_free and not self.is_leaving and self.facts.state == "warm"

    def follow(self, settings: EngineSettings, idle_seconds: float) -> None:
        """Take on another config before the next job."""
        self._wanted = settings, idle_seconds

    def tick(self) -> bool:
        """Work off one job; return whether there was one."""
        settings, self.worker.idle_seconds = self._wanted
        if settings != self._settings:
            self._settings = settings
            self.worker.take_on(self._make(settings))
            logger.info("the next job begins a new engine: its settings have changed")
        return self.worker.tick()

    def leave(self) -> None:
        """End the engine: nobody will tick any more."""
        try:
            self.worker.leave()
        finally:
            self.has_left = True
