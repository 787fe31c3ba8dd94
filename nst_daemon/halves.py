"""The two halves of the flow, each on a thread of its own, under a config that may change while they run.

A new config is taken on by the half's own thread, between two photos or two jobs: nothing that is under way
is disturbed, and what was only remembered is found again, in the inbox or in the ledger.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol, Self

from nst_daemon.admission import Reader
from nst_daemon.config import Config
from nst_daemon.disposal import Disposal
from nst_daemon.engine.process import EngineProcess, OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.inbox.inbox import Inbox
from nst_daemon.inspector import Inspector
from nst_daemon.intake import Intake
from nst_daemon.jobs import EngineFacts
from nst_daemon.ledger import Ledger, Wish
from nst_daemon.library import Library
from nst_daemon.worker import Engine, Worker

logger = logging.getLogger(__name__)


class ClosableReader(Reader, Protocol):
    """A reader that owns a process."""

    def close(self) -> None:
        """End it."""
        ...


MakeReader = Callable[[Config], ClosableReader]
MakeEngine = Callable[[EngineSettings, OnFacts], Engine]


def make_reader(config: Config) -> ClosableReader:
    """Return the reader that decodes photos in a process of its own."""
    return Inspector(max_megapixels=config.max_megapixels)


def make_engine(settings: EngineSettings, on_facts: OnFacts) -> Engine:
    """Return the engine that paints in a process of its own."""
    return EngineProcess(settings, on_facts=on_facts)


class LeftHalf:
    """Inbox to ledger. `tick` belongs to one thread; any other may ask and tell."""

    def __init__(self, config: Config, ledger: Ledger, make: MakeReader) -> None:
        self._ledger = ledger
        self._make = make
        self._config = self._wanted = config
        self._reader, self._inbox, self._intake = self._begun(config)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tick(self) -> bool:
        """Do what is due; return whether there is more to do at once."""
        wanted = self._wanted
        if wanted is not self._config:
            with suppress(ConditionError):  # the ledger cannot be read; the next tick tries again
                self._change(wanted)
        return self._intake.tick()

    def follow(self, config: Config) -> None:
        """Take on another config at the next tick."""
        self._wanted = config

    def is_idle(self) -> bool:
        """Return whether all that lies in the inboxes was dealt with, by the config of now."""
        return self._wanted is self._config and self._intake.is_idle()

    def _change(self, config: Config) -> None:
        if _of_the_left(config) == _of_the_left(self._config):
            self._config = config
            return
        new = self._begun(config)
        self._end()
        self._config, (self._reader, self._inbox, self._intake) = config, new

    def _begun(self, config: Config) -> tuple[ClosableReader, Inbox, Intake]:
        reader = self._make(config)
        inbox = Inbox(config.folders, config.watch)
        intake = Intake(
            config=config,
            inbox=inbox,
            inspector=reader,
            ledger=self._ledger,
            library=Library(config.styles),
        )
        return reader, inbox, intake

    def _end(self) -> None:
        self._inbox.close()
        self._reader.close()


def _of_the_left(config: Config) -> tuple[object, ...]:
    return config.folders, config.styles, config.watch, config.max_megapixels


class RightHalf:
    """Ledger to outbox. `tick` belongs to one thread; any other may ask and tell."""

    def __init__(
        self, config: Config, ledger: Ledger, make: MakeEngine, *, should_stop: Callable[[], bool]
    ) -> None:
        self._ledger = ledger
        self._make = make
        self._config = self._wanted = config
        self._disposal = Disposal(ledger, config.folders)
        self._worker = Worker(
            ledger=ledger,
            engine=make(engine_settings(config), self._tell),
            disposal=self._disposal,
            state_dir=config.state_dir,
            idle_seconds=config.engine.idle_seconds,
            should_stop=should_stop,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.engine.end()

    @property
    def blocked(self) -> NstError | None:
        """Why nothing can be painted at the moment."""
        return self._worker.missing or self._worker.blocked

    def tick(self) -> bool:
        """Work off one job; return whether there was one."""
        if (wanted := self._wanted) is not self._config:
            self._change(wanted)
        self._worker.is_to_unload = self._worker.is_to_unload or self._ledger.take(Wish.UNLOAD)
        return self._worker.tick()

    def follow(self, config: Config) -> None:
        """Take on another config before the next job."""
        self._wanted = config

    def _change(self, config: Config) -> None:
        self._disposal.follow(config.folders)
        self._worker.idle_seconds = config.engine.idle_seconds
        if engine_settings(config) != engine_settings(self._config):
            self._worker.take_on(self._make(engine_settings(config), self._tell))
            logger.info("the next job begins a new engine: its settings have changed")
        self._config = config

    def _tell(self, facts: EngineFacts) -> None:
        with suppress(ConditionError):  # a view that is out of date must not end a painting
            self._ledger.set_engine(facts)


def engine_settings(config: Config) -> EngineSettings:
    """Return what the config says of the engine."""
    return EngineSettings(
        weights=config.engine.weights,
        device=config.engine.device,
        memory_limit=config.engine.memory_bytes,
        cache_dir=config.state_dir / "weights",
        max_megapixels=config.max_megapixels,
    )
