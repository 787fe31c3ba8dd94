"""A seat behind a real network of its own, which loses packets and is cut: Linux, as root, with `-m slow`."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.daemons import running
from support.farms import assert_each_was_painted_once, done, drop, logs, painted_jobs, wait_for_done
from support.seats import FarmHome
from support.waiting import WAIT_SECONDS, take, wait_for

__all__ = ["logs"]

IS_ROOT = sys.platform == "linux" and os.geteuid() == 0
HERE, THERE = "10.77.0.1", "10.77.0.2"
NUMBERS = itertools.count()
TESTS = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IS_ROOT, reason="NOT TESTED, a network of its own: that takes root on Linux"),
    pytest.mark.skipif(not (shutil.which("ip") and shutil.which("nft")), reason="NOT TESTED: no ip, no nft"),
]


def told(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, timeout=30)


class Network:
    """Another network namespace, and the cable to it."""

    def __init__(self) -> None:
        number = f"{os.getpid()}n{next(NUMBERS)}"  # a cable is gone some time after its network
        self.name, self.cable = f"nst{number}", f"v{number}"

    def __enter__(self) -> "Network":
        told("ip", "netns", "add", self.name)
        try:
            self._connect()
        except subprocess.CalledProcessError:
            self.__exit__()
            raise
        return self

    def _connect(self) -> None:
        told("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "eth0", "netns", self.name)
        told("ip", "address", "add", f"{HERE}/30", "dev", self.cable)
        told("ip", "link", "set", self.cable, "up")
        for words in (f"address add {THERE}/30 dev eth0", "link set eth0 up", "link set lo up"):
            told("ip", "-n", self.name, *words.split())

    def __exit__(self, *_: object) -> None:
        told("ip", "netns", "delete", self.name)

    def lose(self, percent: int) -> None:
        """Lose so many of the packets that arrive there."""
        self._drop(f"numgen random mod 100 < {percent}")

    def close_ports(self) -> None:
        """Let nobody begin to talk to those who are there, as a firewall does; they may talk to us."""
        self._drop("tcp flags & (syn | ack) == syn")

    def open_ports(self) -> None:
        self._filter("delete table inet nst")

    def _drop(self, packets: str) -> None:
        self._filter("add table inet nst")
        self._filter("add chain inet nst in { type filter hook input priority 0; }")
        self._filter(f"add rule inet nst in ip saddr {HERE} {packets} counter drop")

    def _filter(self, words: str) -> None:
        told("ip", "netns", "exec", self.name, "nft", words)

    def cut(self) -> None:
        told("ip", "link", "set", self.cable, "down")

    def mend(self) -> None:
        told("ip", "link", "set", self.cable, "up")


@pytest.fixture
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture
def home(tmp_path: Path, network: Network) -> FarmHome:
    return FarmHome(tmp_path / "home", farm="local: false, silence_seconds: 5", host=HERE, is_encrypted=True)


@contextmanager
def lent_there(home: FarmHome, network: Network, seconds: float) -> Iterator[None]:
    """Have a machine in the other network lend a device."""
    words = f"from support.seats import lend; lend({os.fspath(home.join)!r}, 'gpu1', {seconds})"
    machine = subprocess.Popen(
        ["ip", "netns", "exec", network.name, sys.executable, "-c", words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(TESTS), str(TESTS.parent)))},
    )
    try:
        yield
    finally:
        machine.terminate()
        assert machine.wait(120) == 0


def test_a_network_that_loses_packets_costs_no_painting(home: FarmHome, network: Network) -> None:
    for number in range(8):
        home.drop(f"photo{number}.jpg", b"photo %d" % number)
    network.lose(1)
    with running(home), lent_there(home, network, 0.2):
        wait_for_done(home, 8)
    assert_each_was_painted_once(home, 8)
    assert {(job.attempts, job.lost) for job in home.jobs()} == {(1, 0)}


def test_a_cut_cable_costs_no_attempt_and_the_machine_is_back_by_itself(
    home: FarmHome, network: Network
) -> None:
    drop(home, 2)
    with running(home), lent_there(home, network, 3.0):
        wait_for(lambda: painted_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        network.cut()
        wait_for(lambda: [job.lost for job in home.jobs() if job.lost] == [1], seconds=60, what="the loss")
        wait_for(lambda: {"seat_lost", "no_engine"} <= set(home.codes()), what="what is shown")
        assert done(home) == 0
        network.mend()
        wait_for_done(home, 2)
        wait_for(lambda: home.codes() == [], seconds=60)
    assert_each_was_painted_once(home, 2)
    assert {job.attempts for job in home.jobs()} == {1}


def test_a_machine_whose_ports_are_closed_is_told_of_and_paints_once_they_are_open(
    home: FarmHome, network: Network
) -> None:
    drop(home, 1)
    network.close_ports()
    with running(home), lent_there(home, network, 0.2):
        wait_for(lambda: "seat_unreachable" in home.codes(), seconds=WAIT_SECONDS, what="what is shown")
        (problem,) = [each for each in home.snapshot().problems if each.code == "seat_unreachable"]
        assert f"gpu1/cpu has joined, and does not answer at tls://{THERE}:" in problem.message
        assert "Open that port in its firewall" in problem.remedy
        assert home.seats()["gpu1/cpu"].state == "unreachable"
        assert done(home) == 0
        network.open_ports()
        wait_for_done(home, 1)
        wait_for(lambda: home.codes() == [], seconds=60)
    assert_each_was_painted_once(home, 1)
    assert {(job.attempts, job.lost) for job in home.jobs()} == {(1, 0)}


@pytest.mark.timeout(600)
def test_a_cable_that_is_cut_for_a_minute_costs_no_attempt(tmp_path: Path, network: Network) -> None:
    home = FarmHome(tmp_path / "home", host=HERE, is_encrypted=True)  # two minutes of silence may be
    drop(home, 2)
    with running(home), lent_there(home, network, 5.0):
        wait_for(lambda: painted_jobs(home), seconds=WAIT_SECONDS, what="a painting")
        network.cut()
        take(60.0)
        assert done(home) == 0
        network.mend()
        wait_for(lambda: done(home) == 2, seconds=300, what="both paintings")
    assert_each_was_painted_once(home, 2)
    assert {job.attempts for job in home.jobs()} == {1}
