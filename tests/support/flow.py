"""A small flow over a disk that fails where a test wants it: drop, settle, pair, paint, publish, archive.

Both halves as they are, in one thread and under one clock; only reading and painting are played.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from nst_daemon import disk
from nst_daemon.config.orders import EngineFacts, Order, Painting, Progress
from nst_daemon.disk.files import TEMPORARY
from nst_daemon.errors import CancelledError
from nst_daemon.ledger.jobs import JobState, Problem
from nst_daemon.painting.worker import Worker
from support.clock import FakeClock
from support.daemons import painting_of
from support.desk import easel_with
from support.faults import Faults
from support.place import SCREAM, STARRY, Place

STEP = 0.5  # seconds between two ticks
PHOTOS = {"trip/a.jpg": b"the first photo", "b.jpg": b"the second photo"}
OTHER = b"the third photo"
STYLES = {"trip/a.jpg": SCREAM, "b.jpg": STARRY}


@dataclass
class Paintbox:
    """An engine that paints at once, and writes down for which photo."""

    painted: list[str] = field(default_factory=list)
    facts: EngineFacts = field(default_factory=EngineFacts)
    is_warm: bool = True

    def paint(
        self, order: Order, *, on_progress: Callable[[Progress], None], should_stop: Callable[[], bool]
    ) -> Painting:
        """Write what was asked for; a real engine's own disk errors have tests of their own."""
        if should_stop():
            raise CancelledError("stopped")
        self.painted.append(order.photo_name)
        return painting_of(order)

    def warm_up(self, should_stop: Callable[[], bool] = lambda: False) -> EngineFacts:
        """Return what it is; there is nothing to load."""
        return self.facts

    def end(self) -> None:
        """Nothing to give back."""


class Flow:
    """One run of the flow."""

    def __init__(self, base: Path, faults: Faults) -> None:
        self.faults = faults
        self.clock = FakeClock()
        self.place = Place(base, self.clock)
        self.engine = Paintbox()
        self.worker = Worker(
            ledger=self.place.ledger,
            easel=easel_with(self.engine, idle_seconds=900, clock=self.clock),
            disposal=self.place.disposal,
            state_dir=self.place.config.state_dir,
            should_stop=lambda: False,
            clock=self.clock,
        )

    def drop(self) -> None:
        """Put the photos into the inbox, one of them with a sidecar; the calls are counted from here."""
        self.faults.made.clear()
        for name, content in PHOTOS.items():
            self.place.drop(name, content)
        self.place.drop("trip/a.jpg.yaml", f"style: {SCREAM}".encode())

    def tick(self) -> None:
        """Let both halves do what is due; an exception here would have ended the daemon."""
        self.place.tick()
        while self.worker.tick():
            pass

    def run(self, seconds: float, *, until: Callable[[], bool] = lambda: False) -> None:
        """Let time pass, or until something is true."""
        self.tick()
        for _ in range(round(seconds / STEP)):
            if until():
                return
            self.clock.advance(STEP)
            self.tick()

    def is_over(self) -> bool:
        """Return whether every photo is painted and where it belongs."""
        states = self.place.states()
        return (
            len(states) >= len(PHOTOS)
            and set(states) == {JobState.DONE}
            and not self.place.ledger.jobs.undisposed()
        )

    def problems(self) -> list[Problem]:
        """Return what `status` shows."""
        return list(self.place.ledger.snapshot(running=True).problems)

    def assert_all_is_well(self, names: tuple[str, ...] = tuple(PHOTOS)) -> None:
        """Nothing was lost, doubled, failed or cancelled, nothing lies about, and status is silent."""
        jobs = {job.photo: job for job in self.place.jobs()}
        assert sorted(jobs) == sorted(names), jobs
        assert len(self.place.jobs()) == len(names)
        for name in names:
            job = jobs[name]
            assert (job.state, job.error) == (JobState.DONE, None), job
            result = self.place.outbox / Path(name).with_suffix(f".{STYLES[name]}.jpg")
            assert job.result == result
            assert result.read_bytes() == b"painting:" + job.key.encode() + b":" + PHOTOS[name]
            assert (self.place.base / "archive" / name).read_bytes() == PHOTOS[name]
        assert self.engine.painted.count(names[0]) == 1, self.engine.painted  # the long step is done once
        assert self._visible(self.place.inbox) == []
        assert len(self._visible(self.place.outbox)) == len(names)
        assert self._visible(self.place.base / "failed") == []
        assert self.problems() == [], self.problems()
        assert files(self.place.base / "state" / "work") == []

    def _visible(self, folder: Path) -> list[str]:
        """Return the files in a folder; no lease, and no temporary ones where one could not be removed."""
        may_be_left = "unlink" in self.faults.failed
        names = {path: Path(path).name for path in files(folder)}
        return [
            path
            for path, name in names.items()
            if name != ".nst-lease" and not (may_be_left and name.startswith(TEMPORARY))
        ]


def files(folder: Path) -> list[str]:
    """Return the files below a folder."""
    return sorted(str(path) for path in folder.rglob("*") if path.is_file())


def calls_of(base: Path) -> list[tuple[str, Path]]:
    """Return every call that a run without a fault makes, with its path relative to the base."""
    faults = Faults()
    real, disk.system.calls = disk.system.calls, faults
    try:
        flow = Flow(base, faults)
        flow.drop()
        flow.run(60, until=flow.is_over)
        flow.assert_all_is_well()
        flow.place.close()
    finally:
        disk.system.calls = real
    return list(faults.made)
