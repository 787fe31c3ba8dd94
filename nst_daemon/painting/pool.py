"""The right half of the flow, ledger to outbox: a worker for each engine, under a config that may change.

A new config is taken on by the workers' own threads, between two jobs: what is under way is not disturbed.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import count
from typing import Self

from nst_daemon.config import ALL, Config
from nst_daemon.config.orders import EngineFacts
from nst_daemon.engine.process import EngineProcess, OnFacts
from nst_daemon.engine.settings import EngineSettings, settings_of
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.ledger import Ledger
from nst_daemon.painting.attempt import Engine
from nst_daemon.painting.delivery import Delivery
from nst_daemon.painting.disposal import Disposal
from nst_daemon.painting.worker import Worker

logger = logging.getLogger(__name__)

MakeEngine = Callable[[EngineSettings, OnFacts], Engine]


def make_engine(settings: EngineSettings, on_facts: OnFacts) -> Engine:
    """Return the engine that paints in a process of its own."""
    return EngineProcess(settings, on_facts=on_facts)


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


class RightHalf:
    """Ledger to outbox: an easel for each device. Belongs to one thread, and each easel to one of its own."""

    def __init__(
        self, config: Config, ledger: Ledger, make: MakeEngine, *, should_stop: Callable[[str], bool]
    ) -> None:
        self._ledger = ledger
        self._make = make
        self._config = config
        self._should_stop = should_stop  # asked by the thread of that name
        self._disposal = Disposal(ledger, config.folders)
        self._delivery = Delivery(ledger, config.state_dir)
        self._easels: tuple[Easel, ...] = ()
        self._others: tuple[str, ...] = ()  # accelerators that the first engine has found beside its own
        self._telling = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for easel in self._easels:
            easel.worker.engine.end()

    @property
    def missing(self) -> NstError | None:
        """Why no engine at all can start."""
        reasons = [easel.worker.missing for easel in self._easels]
        return reasons[0] if all(reasons) and reasons else None

    def follow(self, config: Config) -> None:
        """Take on another config."""
        self._config = config
        self._disposal.follow(config.folders)

    def unload(self) -> None:
        """Give back the memory of all engines that do not paint."""
        for easel in self._easels:
            easel.worker.is_to_unload = True

    def tend(self) -> list[Easel]:
        """Bring the easels in line with config and machine; return the new ones: each wants a thread.

        One that is wanted no more ends after its job; one for its device begins only then.
        """
        standing = sorted(
            (each for each in self._easels if not each.has_left), key=lambda each: each.is_leaving
        )
        wanted = self._devices()
        share = Counter(map(_place, wanted))
        missing = list(wanted)
        for easel in standing:
            if easel.device not in missing:
                easel.is_leaving = True
                continue
            missing.remove(easel.device)
            settings = settings_of(self._config, easel.device, share[_place(easel.device)])
            easel.follow(settings, self._config.engine.idle_seconds)
        new: list[Easel] = []
        for device in missing:
            settings = settings_of(self._config, device, share[_place(device)])
            new.append(self._easel(settings, taken=[each.name for each in (*standing, *new)]))
        self._easels = tuple(sorted((*standing, *new), key=lambda each: (len(each.name), each.name)))
        self._tell()
        return new

    def _devices(self) -> list[str]:
        """Return the device of each engine."""
        if self._config.engine.each_device != (ALL,):
            return list(self._config.engine.each_device)
        self._others = next((each.facts.others for each in self._easels if each.facts.others), self._others)
        return ["auto", *self._others]

    def _easel(self, settings: EngineSettings, *, taken: list[str]) -> Easel:
        name = next(name for number in count(1) if (name := f"worker {number}") not in taken)
        worker = Worker(
            ledger=self._ledger,
            engine=self._make(settings, self._tell),
            disposal=self._disposal,
            delivery=self._delivery,
            state_dir=self._config.state_dir,
            idle_seconds=self._config.engine.idle_seconds,
            should_stop=lambda: self._should_stop(name),
            may_claim=lambda: self._may_claim(name),
            name=name,
        )
        return Easel(worker, settings, lambda settings: self._make(settings, self._tell))

    def _may_claim(self, name: str) -> bool:
        """Return whether an easel may take a job: a cold engine leaves it to a warm one that is idle."""
        easels = self._easels
        is_warm = any(each.name == name and each.is_ready for each in easels)
        return is_warm or not any(each.is_ready for each in easels)

    def _tell(self, _: object = None) -> None:
        """Show what the engines are; called by the thread of any easel."""
        with self._telling, suppress(ConditionError):  # a view that is out of date must not end a painting
            self._ledger.presence.set_engines([each.facts for each in self._easels])


def _place(device: str) -> str:
    """Return the one name of a device that has two."""
    return f"{device}:0" if device in ("cuda", "xpu") else device
