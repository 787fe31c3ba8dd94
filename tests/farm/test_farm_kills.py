"""Kills at random, of everything that a farm consists of: each photo has one whole result, none failed."""

import os
import random
import re
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from support.daemons import ended
from support.farms import assert_each_was_painted_once, done, drop, logs, small_jpeg, words
from support.real import picture
from support.seats import FarmHome, Machine, lent, scheduler_pids, send
from support.waiting import comes_true, wait_for

from nst_daemon.disk.logs import log_path
from nst_daemon.errors import ExitCode
from nst_daemon.farm import joining

__all__ = ["logs"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")
FARM = "local: false, silence_seconds: 2"
SMALL = "set: {size: 64, steps: 3, pyramid: 0}\n"
FREEZE_SECONDS = (0.5, 1.5, 3.0)  # the last one is silence


class Chaos:
    """Kills, freezes or restarts something now and then, by a seed. Knows what it has to begin anew."""

    def __init__(self, home: FarmHome, machines: list[Machine], seed: int) -> None:
        self.home = home
        self.machines = machines
        self.chance = random.Random(seed)
        self.daemon = home.start()
        self.done: list[str] = []  # for who reads of a failure
        self._strokes: list[Callable[[], object]] = [
            self._kill_seat,
            self._kill_engine,
            self._kill_scheduler,
            self._kill_coordinator,
            self._kill_machine,
            self._freeze_seat,
            self._freeze_machine,
            self._freeze_scheduler,
            self._freeze_coordinator,
            self._restart_machine,
            self._restart_coordinator,
        ]

    def strike(self) -> None:
        stroke = self.chance.choice(self._strokes)
        self.done.append(stroke.__name__.removeprefix("_"))
        stroke()

    def _kill_seat(self) -> None:
        send(self._machine().seat_pids(), signal.SIGKILL)

    def _kill_engine(self) -> None:
        send(self._machine().engine_pids(), signal.SIGKILL)

    def _kill_scheduler(self) -> None:
        send(scheduler_pids(self.home), signal.SIGKILL)

    def _kill_coordinator(self) -> None:
        os.kill(self.daemon.pid or 0, signal.SIGKILL)
        assert ended(self.daemon) == -signal.SIGKILL
        self.daemon = self.home.start()

    def _kill_machine(self) -> None:
        machine = self._machine()
        machine.kill()
        self._switch_on(machine)

    def _freeze_seat(self) -> None:
        self._freeze(self._machine().seat_pids())

    def _freeze_machine(self) -> None:
        machine = self._machine()
        self._freeze([*machine.seat_pids(), *machine.engine_pids()])

    def _freeze_scheduler(self) -> None:
        self._freeze(scheduler_pids(self.home))

    def _freeze_coordinator(self) -> None:
        self._freeze([self.daemon.pid or 0])

    def _restart_machine(self) -> None:
        machine = self._machine()
        assert machine.end() == 0
        self._switch_on(machine)

    def _restart_coordinator(self) -> None:
        self.end()
        self.daemon = self.home.start()

    def _machine(self) -> Machine:
        return self.chance.choice(self.machines)

    def _switch_on(self, machine: Machine) -> None:
        self.machines[self.machines.index(machine)] = machine.again()

    def _freeze(self, pids: Sequence[int]) -> None:
        send(pids, signal.SIGSTOP)
        comes_true(lambda: False, self.chance.choice(FREEZE_SECONDS))
        send(pids, signal.SIGCONT)

    def end(self) -> None:
        """End the coordinator as a service does: not before it has begun to listen to that."""
        wait_for(lambda: self.home.snapshot().pid == self.daemon.pid, seconds=120, what="the coordinator")
        os.kill(self.daemon.pid or 0, signal.SIGTERM)
        assert ended(self.daemon) == ExitCode.FINE


def painted_under_fire(
    home: FarmHome,
    photos: int,
    strokes: int,
    *,
    seed: int,
    content: Callable[[int], bytes] = words,
    painters: Sequence[str] = (),
    seconds: float = 0.05,
) -> None:
    drop(home, photos, content)
    with lent(
        home, "gpu1", "gpu2", *() if painters else ["gpu3"], painters=painters, seconds=0.05
    ) as lending:
        machines = len(lending)
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
    seats = [f"{name}/cpu" for name in painters]
    assert_each_was_painted_once(home, photos, content, painters=seats)
    jobs = home.jobs()
    assert {f"{machine.name}/cpu" for machine in lending} == {job.seat for job in jobs}
    assert sum(job.attempts - 1 for job in jobs) <= sum(
        {"kill_engine": 1, "kill_coordinator": machines}.get(stroke, 0) for stroke in chaos.done
    ), chaos.done  # a seat that is lost costs none
    published = Counter(re.findall(r"job (\d+): done in", log_path(home.config.state_dir).read_text()))
    assert set(published.values()) == {1}


def test_fifty_photos_at_three_machines_under_random_kills(tmp_path: Path) -> None:
    painted_under_fire(FarmHome(tmp_path / "home", farm=FARM), 50, 8, seed=5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_photos_at_four_machines_under_random_kills(
    tmp_path: Path, cache: Callable[[Path], Path], seed: int
) -> None:
    """Two of the machines paint, with the real network; the other two are played."""
    home = FarmHome(tmp_path / "home", farm=FARM, more=SMALL)
    picture(home.path / "styles" / "stripes.jpg", seed=3)
    painters = ("gpu3", "gpu4")
    for name in painters:
        cache(joining.home_of(name) / "weights")
    painted_under_fire(home, 1000, 60, seed=seed, content=small_jpeg, painters=painters, seconds=1.5)
