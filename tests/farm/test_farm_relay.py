"""A seat at the end of a line that is slow, stalls, is cut, or damages what it carries; over TLS.

Seats dial the coordinator, and it dials them: there is a relay before both.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.daemons import running
from support.farms import assert_each_was_painted_once, done, drop, logs, painted_jobs, wait_for_done
from support.relay import Relay
from support.seats import FarmHome, Machine, free_port
from support.waiting import WAIT_SECONDS, comes_true, wait_for

from nst_daemon.config.addresses import Address
from nst_daemon.farm.keys import make_farm

__all__ = ["logs"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals as on POSIX")


class Line:
    """The relays on both ways."""

    def __init__(self, *relays: Relay) -> None:
        self._relays = relays

    def delay(self, seconds: float) -> None:
        for relay in self._relays:
            relay.delay = seconds

    def damage(self, blocks: int) -> None:
        for relay in self._relays:
            relay.damages = blocks

    def stall(self) -> None:
        for relay in self._relays:
            relay.stall()

    def flow(self) -> None:
        for relay in self._relays:
            relay.flow()

    def cut(self) -> None:
        for relay in self._relays:
            relay.cut()

    def mend(self) -> None:
        for relay in self._relays:
            relay.mend()


@pytest.fixture
def home(tmp_path: Path) -> FarmHome:
    return FarmHome(tmp_path / "home", farm="local: false, silence_seconds: 5", is_encrypted=True)


@pytest.fixture
def line(home: FarmHome) -> Iterator[Line]:
    """Yield the line to a machine that lends a device; its engine takes two seconds for a photo."""
    port = free_port()
    there, back = Relay(home.port), Relay(port)
    join = make_farm(home.config.state_dir, Address.parse(f"tls://127.0.0.1:{there.port}")).join
    machine = Machine(join, "gpu1", seconds=2.0, port=port, contact=f"tls://127.0.0.1:{back.port}")
    try:
        yield Line(there, back)
    finally:
        assert machine.end() == 0
        there.close()
        back.close()


def test_a_line_of_200_ms_costs_no_painting(home: FarmHome, line: Line) -> None:
    drop(home, 2)
    line.delay(0.2)
    with running(home):
        wait_for_done(home, 2)
    assert_each_was_painted_once(home, 2)
    assert {(job.attempts, job.lost) for job in home.jobs()} == {(1, 0)}


def test_a_line_that_damages_what_it_carries_costs_no_painting(home: FarmHome, line: Line) -> None:
    drop(home, 2)
    with running(home):
        wait_for(lambda: painted_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        line.damage(3)
        wait_for_done(home, 2)
    assert_each_was_painted_once(home, 2)
    assert {(job.attempts, job.lost) for job in home.jobs()} == {(1, 0)}


def test_a_line_that_is_cut_for_a_moment_costs_no_painting(home: FarmHome, line: Line) -> None:
    drop(home, 2)
    with running(home):
        wait_for(lambda: painted_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        line.cut()
        line.mend()
        wait_for_done(home, 2)
    assert_each_was_painted_once(home, 2)
    assert {job.attempts for job in home.jobs()} == {1}


@pytest.mark.slow
def test_a_line_that_stalls_for_longer_than_silence_may_last_costs_no_attempt(
    home: FarmHome, line: Line
) -> None:
    drop(home, 2)
    with running(home):
        wait_for(lambda: painted_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        line.stall()
        wait_for(lambda: [job.lost for job in home.jobs() if job.lost] == [1], seconds=60, what="the loss")
        assert comes_true(lambda: "seat_lost" in home.codes(), 20)
        assert done(home) == 0
        line.flow()
        wait_for_done(home, 2)
        wait_for(lambda: home.codes() == [], seconds=60)
    assert_each_was_painted_once(home, 2)
    assert {job.attempts for job in home.jobs()} == {1}
