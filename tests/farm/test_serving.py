"""What a seat says where it is not let in, and what of it listens where."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support.daemons import running
from support.farms import assert_each_was_painted_once, drop, logs, wait_for_done
from support.seats import FarmHome, Machine, free_port, lent, scheduler_pids
from support.waiting import WAIT_SECONDS, wait_for

from nst_daemon.config.addresses import Address
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.farm import serving, wire
from nst_daemon.farm.answers import Hello, UnreachableError
from nst_daemon.farm.keys import Join, coordinator_security, make_farm, read_join
from nst_daemon.farm.scheduler import Listening, TurnedAway, serve_scheduler
from nst_daemon.farm.troubles import difference
from nst_daemon.system.child import Child

__all__ = ["logs"]


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Child]]:
    """Yield the join file of a scheduler with TLS, and its process."""
    state = tmp_path_factory.mktemp("state")
    address = Address.parse(f"tls://127.0.0.1:{free_port()}")
    join = make_farm(state, address).join
    child = Child(serve_scheduler, name="nst-farm", words="The farm's scheduler")
    child.start(str(address), coordinator_security(state))
    assert child.poll(60.0)
    assert child.receive() == Listening(str(address))
    yield join, child
    child.end()


@pytest.fixture
def scheduler(gate: tuple[Path, Child]) -> Path:
    """Return the join file of the scheduler, which has said all that it had to say."""
    while gate[1].poll(0):
        gate[1].receive()
    return gate[0]


def turned_away(gate: tuple[Path, Child]) -> object:
    assert gate[1].poll(20.0)
    return gate[1].receive()


def joined(join: Join) -> str:
    """Return what a seat says when it asks to be let in; empty: it is."""

    async def ask() -> str:
        security = join.security()
        wire.prepare(is_encrypted=security is not None)
        place = serving.SeatPlace(
            name="gpu1/cpu", join=join, settings=EngineSettings(cache_dir=Path()), folder=Path(), port=0
        )
        lending = serving._Lending(place, None, None, lambda _: None, security)  # type: ignore[arg-type]
        try:
            await lending._ask(join.address)
        except UnreachableError as error:
            return str(error)
        return ""

    return asyncio.run(ask())


def test_who_has_the_join_file_is_let_in(scheduler: Path) -> None:
    assert joined(read_join(scheduler)) == ""


def test_who_has_the_file_of_another_farm_is_told_so_and_so_is_the_farm(
    scheduler: Path, gate: tuple[Path, Child], tmp_path: Path
) -> None:
    ours = read_join(scheduler)
    other = make_farm(tmp_path / "state", Address.parse(ours.address)).join
    assert "copy its join file anew" in joined(read_join(other))
    assert turned_away(gate) == TurnedAway("127.0.0.1", is_plain=False)


def test_who_comes_without_tls_is_told_so_and_so_is_the_farm(
    scheduler: Path, gate: tuple[Path, Child]
) -> None:
    address = read_join(scheduler).address.replace("tls", "tcp")
    assert "one of us speaks TLS, and the other does not" in joined(Join(address))
    assert turned_away(gate) == TurnedAway("127.0.0.1", is_plain=True)


def test_who_only_looks_whether_the_port_is_open_is_not_told_of(
    scheduler: Path, gate: tuple[Path, Child]
) -> None:
    address = Address.parse(read_join(scheduler).address)
    for words in (b"", b"\x16\x03\x01"):
        with socket.create_connection((address.host, address.port)) as looker:
            looker.sendall(words)
    assert joined(read_join(scheduler)) == ""  # it has got over both by now
    assert not gate[1].poll(0)


def test_where_nobody_listens_it_is_asked_whether_somebody_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "ASK_SECONDS", 1.0)
    assert "is its daemon running" in joined(Join(f"tcp://127.0.0.1:{free_port()}"))


@pytest.mark.parametrize("changed", [{"version": "0.0.9"}, {"python": "3.99"}])
def test_another_version_gets_no_job_and_both_are_named(changed: dict[str, str]) -> None:
    import sys

    from nst_daemon import __version__

    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    told = {"run": "r", "version": __version__, "python": python, "system": "Linux", "device": "cpu"}
    assert difference("gpu1/cpu", Hello(**told, is_leaving=False)) is None
    problem = difference("gpu1/cpu", Hello(**(told | changed), is_leaving=False))
    assert problem is not None
    assert problem.code == "farm_version"
    assert __version__ in problem.message
    assert next(iter(changed.values())) in problem.message


def test_nothing_of_a_farm_listens_but_what_was_asked_for_and_only_there(tmp_path: Path) -> None:
    """Dask would open a page for everybody beside each scheduler and each worker."""
    home = FarmHome(tmp_path / "home")
    with running(home), lent(home, "gpu1") as (machine,):
        home.wait_for_seats(1)
        listening = [
            (pid, each.laddr.ip)
            for pid in (*scheduler_pids(home), *machine.seat_pids(), *machine.engine_pids())
            for each in psutil.Process(pid).net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        ]
        assert sorted(listening) == sorted(
            (pid, "127.0.0.1") for pid in (*scheduler_pids(home), *machine.seat_pids())
        )


def test_a_machine_that_is_turned_away_is_told_of_and_keeps_nobody_from_painting(tmp_path: Path) -> None:
    home = FarmHome(tmp_path / "home", is_encrypted=True)
    stranger = make_farm(tmp_path / "other", home.address).join
    drop(home, 1)
    with running(home):
        away = Machine(stranger, "gpu2")
        try:
            wait_for(lambda: "farm_refused" in home.codes(), seconds=WAIT_SECONDS, what="what is shown")
            (problem,) = [each for each in home.snapshot().problems if each.code == "farm_refused"]
            assert problem.message.startswith("A machine at 127.0.0.1 wanted to join, and was turned away")
            assert "Copy the join file there anew" in problem.remedy
            with lent(home, "gpu1"):
                wait_for_done(home, 1)
        finally:
            assert away.end() == 0
    assert_each_was_painted_once(home, 1)
