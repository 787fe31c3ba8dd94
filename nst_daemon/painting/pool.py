"""The right half of the flow, ledger to outbox: a worker for each engine, under a config that may change.

A new config is taken on by the workers' own threads, between two jobs: what is under way is not disturbed.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final, Protocol, Self

from nst_daemon.config import ALL, Config
from nst_daemon.engine.process import EngineProcess, OnFacts
from nst_daemon.engine.settings import EngineSettings, settings_of
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.ledger import Ledger
from nst_daemon.painting.attempt import Engine
from nst_daemon.painting.delivery import Delivery
from nst_daemon.painting.disposal import Disposal
from nst_daemon.painting.easel import Easel
from nst_daemon.painting.worker import Worker

logger = logging.getLogger(__name__)

MakeEngine = Callable[[EngineSettings, OnFacts], Engine]
SEAT: Final = "farm:"  # a device that another machine lends: farm:gpu1/cuda:0


class Seats(Protocol):
    """The devices that other machines lend at the moment."""

    def devices(self) -> list[str]:
        """Return those that take jobs, each with SEAT before its name."""
        ...

    def engine(self, settings: EngineSettings, on_facts: OnFacts) -> Engine:
        """Return the engine at one of them."""
        ...

    def ahead(self, name: str, /) -> int | None:
        """Return the job for which one has got its files ahead."""
        ...


def make_engine(settings: EngineSettings, on_facts: OnFacts) -> Engine:
    """Return the engine that paints in a process of its own."""
    return EngineProcess(settings, on_facts=on_facts)


class RightHalf:
    """Ledger to outbox: a worker at an easel for each device. On one thread, and each worker on its own."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        make: MakeEngine,
        *,
        should_stop: Callable[[str], bool],
        seats: Seats | None = None,
    ) -> None:
        self._ledger = ledger
        self._seats = seats
        self._make = make
        self._config = config
        self._should_stop = should_stop  # asked by the thread of that name
        self._disposal = Disposal(ledger, config.folders)
        self._delivery = Delivery(ledger, config.state_dir)
        self._workers: tuple[Worker, ...] = ()
        self._others: tuple[str, ...] = ()  # accelerators that the first engine has found beside its own
        self._telling = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            worker.easel.engine.end()

    @property
    def missing(self) -> NstError | None:
        """Why no engine at all can start."""
        reasons = [worker.easel.missing for worker in self._workers]
        return reasons[0] if all(reasons) and reasons else None

    def follow(self, config: Config) -> None:
        """Take on another config."""
        self._config = config
        self._disposal.follow(config.folders)

    def unload(self) -> None:
        """Give back the memory of all engines that do not paint."""
        for worker in self._workers:
            worker.easel.unload()

    def tend(self) -> list[Worker]:
        """Bring the workers in line with config and machine; return the new ones: each wants a thread.

        One that is wanted no more ends after its job; one for its device begins only then.
        """
        standing = sorted(
            (each for each in self._workers if not each.has_left), key=lambda each: each.is_leaving
        )
        wanted = self._devices()
        share = Counter(map(_place, wanted))
        missing = list(wanted)
        for worker in standing:
            device = worker.easel.device
            if device not in missing:
                worker.is_leaving = True
                continue
            missing.remove(device)
            settings = settings_of(self._config, device, share[_place(device)])
            worker.easel.follow(settings, self._config.engine.idle_seconds)
            worker.lost_limit = self._config.farm.lost_limit
        new: list[Worker] = []
        for device in missing:
            settings = settings_of(self._config, device, share[_place(device)])
            new.append(self._worker(settings, taken=[each.name for each in (*standing, *new)]))
        self._workers = tuple(sorted((*standing, *new), key=lambda each: (len(each.name), each.name)))
        self._tell()
        return new

    def _devices(self) -> list[str]:
        """Return the device of each engine, here and at the seats that there are."""
        lent = [] if self._seats is None else self._seats.devices()
        return [*(self._own_devices() if self._config.farm.local else ()), *lent]

    def _own_devices(self) -> list[str]:
        if self._config.engine.each_device != (ALL,):
            return list(self._config.engine.each_device)
        self._others = next(
            filter(None, (each.easel.facts.others for each in self._own_workers())), self._others
        )
        return ["auto", *self._others]

    def _worker(self, settings: EngineSettings, *, taken: list[str]) -> Worker:
        name = next(name for number in count(1) if (name := f"worker {number}") not in taken)
        easel = Easel(
            settings,
            self._engine,
            idle_seconds=self._config.engine.idle_seconds,
        )
        seat = settings.device.removeprefix(SEAT) if settings.device.startswith(SEAT) else None
        return Worker(
            ledger=self._ledger,
            easel=easel,
            disposal=self._disposal,
            delivery=self._delivery,
            state_dir=self._config.state_dir,
            should_stop=lambda: self._should_stop(name),
            may_claim=lambda: self._may_claim(name),
            name=name,
            seat=seat,
            ahead=lambda: None if seat is None or self._seats is None else self._seats.ahead(seat),
            lost_limit=self._config.farm.lost_limit,
        )

    def _engine(self, settings: EngineSettings) -> Engine:
        if self._seats is not None and settings.device.startswith(SEAT):
            return self._seats.engine(settings, self._tell)
        return self._make(settings, self._tell)

    def _may_claim(self, name: str) -> bool:
        """Return whether a worker may take a job: a cold engine leaves it to a warm one that is idle."""
        lent = set() if self._seats is None else set(self._seats.devices())
        # A seat that has gone, or is leaving, takes none: its worker will be told so.
        able = [each for each in self._workers if each.seat is None or each.easel.device in lent]
        ready = [each.name for each in able if each.is_ready]
        return name in (ready or [each.name for each in able])

    def _own_workers(self) -> list[Worker]:
        return [each for each in self._workers if not each.easel.device.startswith(SEAT)]

    def _tell(self, _: object = None) -> None:
        """Show what the engines are; called by the thread of any worker."""
        with self._telling, suppress(ConditionError):  # a view that is out of date must not end a painting
            self._ledger.presence.set_engines([each.easel.facts for each in self._own_workers()])


def _place(device: str) -> str:
    """Return the one name of a device that has two."""
    return f"{device}:0" if device in ("cuda", "xpu") else device
