"""The two halves of the flow, on threads of their own, under a config that may change while they run.

A new config is taken on by those threads, between two photos or two jobs: nothing that is under way is
disturbed, and what was only remembered is found again, in the inbox or in the ledger.
"""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final, Protocol, Self

from nst_daemon.admission import Reader
from nst_daemon.attempt import Engine
from nst_daemon.config import ALL, Config
from nst_daemon.delivery import Delivery
from nst_daemon.disposal import Disposal
from nst_daemon.easel import Easel, MakeEngine
from nst_daemon.engine.process import EngineProcess, OnFacts
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConditionError, NstError
from nst_daemon.inbox.inbox import Inbox
from nst_daemon.inspector import Inspector
from nst_daemon.intake import Intake
from nst_daemon.jobs import Problem
from nst_daemon.ledger import Ledger
from nst_daemon.library import Library
from nst_daemon.shelf import Shelf
from nst_daemon.worker import Worker

AGAIN_SECONDS: Final = 1.0  # between two tries to begin with a ledger that cannot be read


class ClosableReader(Reader, Protocol):
    """A reader that owns a process."""

    def close(self) -> None:
        """End it."""
        ...


MakeReader = Callable[[Config], ClosableReader]


def make_reader(config: Config) -> ClosableReader:
    """Return the reader that decodes photos in a process of its own."""
    return Inspector(max_megapixels=config.max_megapixels)


def make_engine(settings: EngineSettings, on_facts: OnFacts) -> Engine:
    """Return the engine that paints in a process of its own."""
    return EngineProcess(settings, on_facts=on_facts)


class LeftHalf:
    """Inbox to ledger. `tick` belongs to one thread; any other may ask and tell.

    It begins at its first tick: an inbox on a disk that is dead holds that thread, and no other.
    """

    def __init__(self, config: Config, ledger: Ledger, make: MakeReader) -> None:
        self._ledger = ledger
        self._make = make
        self._config = self._wanted = config
        self._is_over = False
        self.ticks = 0  # so far
        self.keeps_unfinished = False  # whether somebody will ask for `unfinished`
        self._unfinished: list[Problem] = []
        self._parts: tuple[ClosableReader, Inbox, Intake] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def tick(self) -> bool:
        """Do what is due; return whether there is more to do at once."""
        wanted = self._wanted
        with suppress(ConditionError):  # the ledger cannot be read; the next tick tries again
            if self._parts is None:
                self._begin(wanted)
            elif wanted is not self._config:
                self._change(wanted)
        if self._is_over or self._parts is None:
            return False
        intake = self._parts[2]
        is_more = intake.tick()
        if self.keeps_unfinished:
            self._unfinished = intake.unfinished()
        self.ticks += 1
        return is_more

    def interrupt(self) -> None:
        """Have a photo that is just being read left, and begin nothing any more; any thread may."""
        self._is_over = True
        if self._parts is not None:
            self._parts[0].close()

    def follow(self, config: Config) -> None:
        """Take on another config at the next tick."""
        self._wanted = config

    def due_in(self) -> float:
        """Return after how many seconds a tick has something to do, as far as that is known."""
        return AGAIN_SECONDS if self._parts is None else self._parts[2].due_in()

    def is_idle(self) -> bool:
        """Return whether all that lies in the inboxes was dealt with, by the config of now."""
        return self._parts is not None and self._wanted is self._config and self._parts[2].is_idle()

    def unfinished(self) -> list[Problem]:
        """Return why something that lies in an inbox was not taken in, at the end of the last tick."""
        return self._unfinished

    def _change(self, config: Config) -> None:
        if _of_the_left(config) == _of_the_left(self._config):
            self._config = config
            return
        self._begin(config)

    def _begin(self, config: Config) -> None:
        """Work by a config from now on, and no more by the one before."""
        new = self._begun(config)
        self._end()
        self._config, self._parts = config, new
        if self._is_over:  # meanwhile
            new[0].close()

    def _begun(self, config: Config) -> tuple[ClosableReader, Inbox, Intake]:
        reader = self._make(config)
        inbox = Inbox(config.folders, config.watch)
        intake = Intake(
            config=config,
            inbox=inbox,
            inspector=reader,
            ledger=self._ledger,
            library=Shelf(
                Library(config.styles, memory=self._ledger),
                copies=config.state_dir / "photos",
                reader=reader,
                settle_seconds=config.watch.settle_seconds,
                patience=config.watch.max_wait_seconds,
            ),
        )
        return reader, inbox, intake

    def _end(self) -> None:
        if self._parts is not None:
            reader, inbox, _ = self._parts
            inbox.close()
            reader.close()


def _of_the_left(config: Config) -> tuple[object, ...]:
    return config.folders, config.styles, config.watch, config.max_megapixels, config.engine.weights


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
            settings = engine_settings(self._config, easel.device, share[_place(easel.device)])
            easel.follow(settings, self._config.engine.idle_seconds)
        new: list[Easel] = []
        for device in missing:
            settings = engine_settings(self._config, device, share[_place(device)])
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
            self._ledger.set_engines([each.facts for each in self._easels])


def _place(device: str) -> str:
    """Return the one name of a device that has two."""
    return f"{device}:0" if device in ("cuda", "xpu") else device


def engine_settings(config: Config, device: str, share: int = 1) -> EngineSettings:
    """Return what the config says of the engine on a device, which it shares with `share` - 1 others."""
    return EngineSettings(
        weights=config.engine.weights,
        device=device,
        share=share,
        memory_limit=config.engine.memory_bytes,
        precision=config.engine.precision,
        graphs=config.engine.graphs,
        cache_dir=config.state_dir / "weights",
        max_megapixels=config.max_megapixels,
    )
