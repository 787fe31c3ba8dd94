"""Kills at random, of everything that a farm consists of: each photo has one whole result, none failed."""

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.daemons import ended
from support.farms import assert_each_was_painted_once, done, drop, logs
from support.seats import FarmHome, Machine, lent, scheduler_pids
from support.waiting import comes_true, wait_for

from nst_daemon.errors import ExitCode
from nst_daemon.ledger.jobs import JobState

__all__ = ["logs"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
MACHINES = ("gpu1", "gpu2", "gpu3", "gpu4")
FREEZE_SECONDS = 3.0


class Chaos:
    """Kills something now and then, by a seed. Knows what it has to begin anew."""

    def __init__(self, home: FarmHome, machines: list[Machine], seed: int) -> None:
        self.home = home
        self.machines = machines
        self.chance = random.Random(seed)
        self.daemon = home.start()
        self.done: list[str] = []  # for who reads of a failure
        self._strokes: list[Callable[[], object]] = [
            self._seat,
            self._engine,
            self._scheduler,
            self._coordinator,
            self._freeze,
            self._machine,
        ]

    def strike(self) -> None:
        stroke = self.chance.choice(self._strokes)
        self.done.append(stroke.__name__)
        stroke()

    def _seat(self) -> None:
        machine = self.chance.choice(self.machines)
        machine.signal(machine.seat_pids(), signal.SIGKILL)

    def _engine(self) -> None:
        machine = self.chance.choice(self.machines)
        machine.signal(machine.engine_pids(), signal.SIGKILL)

    def _scheduler(self) -> None:
        for pid in scheduler_pids(self.home):
            os.kill(pid, signal.SIGKILL)

    def _coordinator(self) -> None:
        os.kill(self.daemon.pid or 0, signal.SIGKILL)
        assert ended(self.daemon) == -signal.SIGKILL
        self.daemon = self.home.start()

    def _freeze(self) -> None:
        machine = self.chance.choice(self.machines)
        pids = machine.seat_pids()
        machine.signal(pids, signal.SIGSTOP)
        comes_true(lambda: False, FREEZE_SECONDS)
        machine.signal(pids, signal.SIGCONT)

    def _machine(self) -> None:
        number = self.chance.randrange(len(self.machines))
        self.machines[number].kill()
        self.machines[number] = Machine(self.home.join, self.machines[number].name, seconds=0.05)

    def end(self) -> None:
        os.kill(self.daemon.pid or 0, signal.SIGTERM)
        assert ended(self.daemon) == ExitCode.FINE


def painted_under_fire(home: FarmHome, photos: int, machines: int, strokes: int, *, seed: int) -> None:
    drop(home, photos)
    with lent(home, *MACHINES[:machines], seconds=0.05) as lending:
        chaos = Chaos(home, lending, seed)
        try:
            wait_for(lambda: done(home) > 0, seconds=120, what="a first painting")
            for stroke in range(strokes):
                at = photos * (stroke + 1) // (strokes + 1)
                wait_for(lambda at=at: done(home) >= at, seconds=240, what=f"{at} after {chaos.done}")  # type: ignore[misc]
                chaos.strike()
            wait_for(lambda: done(home) == photos, seconds=240, what=f"all after {chaos.done}")
        finally:
            chaos.end()
    assert_each_was_painted_once(home, photos)
    jobs = home.jobs()
    assert {job.state for job in jobs} == {JobState.DONE}
    assert sum(job.attempts - 1 for job in jobs) <= sum(
        (name in ("_engine", "_coordinator") and machines) or 0 for name in chaos.done
    ), chaos.done  # a seat that is lost costs none


def test_fifty_photos_at_three_machines_under_random_kills(tmp_path: Path) -> None:
    home = FarmHome(tmp_path / "home", farm="local: false, silence_seconds: 2")
    painted_under_fire(home, 50, 3, 8, seed=5)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_photos_at_four_machines_under_random_kills(tmp_path: Path, seed: int) -> None:
    home = FarmHome(tmp_path / "home", farm="local: false, silence_seconds: 2")
    painted_under_fire(home, 1000, 4, 60, seed=seed)
