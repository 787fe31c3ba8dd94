"""The keys of a farm, by real handshakes: of ssl's two ends in memory, and of Dask's over loopback."""

import asyncio
import datetime
import json
import os
import ssl
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from distributed.comm.core import connect, listen
from distributed.security import Security

from nst_daemon.config.addresses import Address
from nst_daemon.errors import ConfigError, MissingError, NstError
from nst_daemon.farm import keys
from nst_daemon.farm.keys import Join, coordinator_security, make_farm, new_keys, read_join

ADDRESS = Address.of_host("127.0.0.1")
LONG_AGO = datetime.datetime(2010, 1, 1, tzinfo=datetime.UTC)


@pytest.fixture
def join(tmp_path: Path) -> Path:
    return make_farm(tmp_path / "state", ADDRESS).join


def rewritten(join: Path, **changes: object) -> Path:
    join.write_text(json.dumps({**json.loads(join.read_text()), **changes}))
    return join


def refusal(join: Path) -> NstError:
    with pytest.raises(ConfigError) as caught:
        read_join(join)
    assert caught.value.remedy.endswith(".")
    assert caught.value.exit_code == 2
    return caught.value


def seat_of(join: Path) -> Security:
    security = read_join(join).security()
    assert security is not None
    return security


# ── handshakes ──────────────────────────────────────────────────────────────────────────────────────────


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    """Let two ends speak in memory until a byte has gone each way. Raises: ssl.SSLError."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname="another name"),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    calls: list[Callable[[], object]] = [end.do_handshake for end in ends]
    calls += [lambda end=end: end.write(b"!") for end in ends]  # type: ignore[misc]
    calls += [lambda end=end: end.read(1) for end in ends]  # type: ignore[misc]
    for _ in range(20):
        waiting = []
        for call in calls:
            try:
                call()
            except ssl.SSLWantReadError:
                waiting.append(call)
        calls = waiting
        if not calls:
            return
    raise AssertionError("they wait for each other")


def coordinators_end(security: Security) -> ssl.SSLContext:
    return security.get_listen_args("scheduler")["ssl_context"]  # type: ignore[no-any-return,no-untyped-call]


def seats_end(security: Security) -> ssl.SSLContext:
    return security.get_connection_args("worker")["ssl_context"]  # type: ignore[no-any-return,no-untyped-call]


def test_coordinator_and_seat_of_one_farm_let_each_other_in(tmp_path: Path, join: Path) -> None:
    shake_hands(coordinators_end(coordinator_security(tmp_path / "state")), seats_end(seat_of(join)))


def test_the_strictest_check_of_certificates_has_nothing_to_say(tmp_path: Path, join: Path) -> None:
    ends = coordinators_end(coordinator_security(tmp_path / "state")), seats_end(seat_of(join))
    for end in ends:
        end.verify_flags |= ssl.VERIFY_X509_STRICT
    shake_hands(*ends)


def test_another_farm_is_turned_away_by_both_sides(tmp_path: Path, join: Path) -> None:
    other = make_farm(tmp_path / "other", ADDRESS).join
    ours = coordinators_end(coordinator_security(tmp_path / "state"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ours, seats_end(seat_of(other)))
    careless = seats_end(seat_of(other))
    careless.verify_mode = ssl.CERT_NONE  # it lets anybody be its coordinator; ours does not let it in
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(ours, careless)


def test_who_shows_no_certificate_is_turned_away(tmp_path: Path, join: Path) -> None:
    nobody = ssl.create_default_context(cadata=read_join(join).ca)
    nobody.check_hostname = False
    with pytest.raises(ssl.SSLError, match="did not return a certificate"):
        shake_hands(coordinators_end(coordinator_security(tmp_path / "state")), nobody)


def test_renewed_keys_make_the_old_ones_worthless(tmp_path: Path, join: Path) -> None:
    old = seats_end(seat_of(join))
    made = make_farm(tmp_path / "state", ADDRESS, renew=True)
    new = coordinators_end(coordinator_security(tmp_path / "state"))
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(new, old)
    assert made.is_new
    shake_hands(new, seats_end(seat_of(made.join)))


def test_expired_keys_are_turned_away_by_tls_as_well(tmp_path: Path, join: Path) -> None:
    old = new_keys(now=LONG_AGO)
    seat = Join(str(ADDRESS), old.ca, old.seat.certificate, old.seat.key).security()
    assert seat is not None
    coordinator = keys._security(old.ca, old.coordinator, "scheduler")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        shake_hands(coordinators_end(coordinator), seats_end(seat))


async def spoken_to(scheduler: Security, seat: Security | None) -> str:
    """Return what a scheduler of Dask, which listens by TLS, hears from a seat that dials it."""
    heard: asyncio.Queue[str] = asyncio.Queue()

    async def hear(comm: object) -> None:
        heard.put_nowait(await comm.read())  # type: ignore[attr-defined]
        await comm.close()  # type: ignore[attr-defined]

    listening = scheduler.get_listen_args("scheduler")  # type: ignore[no-untyped-call]
    async with listen("tls://127.0.0.1:0", hear, **listening) as listener:  # type: ignore[no-untyped-call]
        args = {} if seat is None else seat.get_connection_args("worker")  # type: ignore[no-untyped-call]
        address = listener.contact_address if seat else listener.contact_address.replace("tls", "tcp")
        comm = await connect(address, timeout=5, **args)  # type: ignore[no-untyped-call]
        await comm.write("a seat")
        return await asyncio.wait_for(heard.get(), 10)


def test_dask_speaks_by_these_keys(tmp_path: Path, join: Path) -> None:
    scheduler = coordinator_security(tmp_path / "state")
    assert asyncio.run(spoken_to(scheduler, seat_of(join))) == "a seat"


def test_dask_lets_another_farm_in_as_little_as_one_without_keys(tmp_path: Path, join: Path) -> None:
    scheduler = coordinator_security(tmp_path / "state")
    other = seat_of(make_farm(tmp_path / "other", ADDRESS).join)
    with pytest.raises(OSError, match="TLS certificate does not match"):
        asyncio.run(spoken_to(scheduler, other))
    with pytest.raises(OSError, match=r"Timed out|closed"):
        asyncio.run(spoken_to(scheduler, None))


# ── files ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name == "nt", reason="Windows' profile folders are private by inheritance")
def test_nobody_else_may_read_a_key_whatever_the_umask_says(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        made = make_farm(tmp_path / "state", ADDRESS)
    finally:
        os.umask(before)
    files = [path for path in made.join.parent.iterdir() if path.suffix == ".json"]
    assert sorted(path.name for path in files) == [keys.JOIN, keys.KEYS]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert made.join.parent.stat().st_mode & 0o777 == 0o700


def test_no_file_holds_the_authoritys_own_key(join: Path) -> None:
    written = " ".join(path.read_text() for path in join.parent.glob("*.json"))
    assert written.count("BEGIN PRIVATE KEY") == 3  # coordinator's; the seats', in both files


def test_a_second_call_keeps_the_keys_and_writes_the_join_file_anew(tmp_path: Path, join: Path) -> None:
    first = read_join(join)
    join.unlink()
    made = make_farm(tmp_path / "state", Address.of_host("studio:9000"))
    assert not made.is_new
    assert read_join(made.join) == replace(first, address="tls://studio:9000")


def test_no_key_is_shown_by_a_repr(join: Path) -> None:
    assert "PRIVATE" not in repr(read_join(join)) + repr(new_keys())


def test_a_plain_join_goes_to_this_machine_alone(join: Path) -> None:
    plain = Join("tcp://127.0.0.1:8786")
    keys.write_join(join, plain)
    assert read_join(join) == plain
    assert plain.security() is None
    for address in ("tcp://192.168.1.5:8786", "tcp://localhost.example:8786", "tcp://[fd00::1]:8786"):
        keys.write_join(join, Join(address))
        assert refusal(join).code == "farm_plain"


# ── refusals ────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such rights")
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o602])
def test_a_file_that_others_may_read_or_write_is_refused(join: Path, mode: int) -> None:
    join.chmod(mode)
    error = refusal(join)
    assert error.code == "farm_file_open"
    assert f"chmod 600 '{join}'" in error.remedy


def test_expired_keys_are_refused_with_the_way_to_new_ones(join: Path) -> None:
    old = new_keys(now=LONG_AGO)
    rewritten(join, ca=old.ca, **asdict(old.seat))
    error = refusal(join)
    assert error.code == "farm_file_expired"
    assert "expired on 2014-12-31" in error.message
    assert "--renew" in error.remedy


def test_keys_from_the_future_tell_of_the_clock(join: Path) -> None:
    new = new_keys(now=datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=40))
    error = refusal(rewritten(join, ca=new.ca, **asdict(new.seat)))
    assert "clock" in error.remedy


def test_what_does_not_belong_together_is_refused(join: Path) -> None:
    other = new_keys()
    whole = json.loads(join.read_text())
    for changes in (
        {"key": other.seat.key},
        {"ca": other.ca},
        {"ca": whole["certificate"]},
        {"key": whole["certificate"]},
        {"certificate": ""},
        {"ca": "nonsense"},
        {"key": 4},
        {"address": "tls://"},
        {"address": "https://192.168.1.5:8786"},
        {"farm": 2},
    ):
        join.write_text(json.dumps({**whole, **changes}))
        assert refusal(join).code == "farm_file_unfit", changes


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[]", b"{}", b"[" * 100_000, b'{"farm": 1, "ca'])
def test_a_file_that_is_no_join_file_is_refused(join: Path, content: bytes) -> None:
    join.write_bytes(content)
    assert refusal(join).code == "farm_file_unfit"


def test_a_path_without_a_file_is_refused(join: Path) -> None:
    for path in (join.with_name("nowhere.json"), join / "below", join.parent):
        assert refusal(path).code == "farm_file_unfit"


def test_a_coordinator_without_keys_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MissingError) as caught:
        coordinator_security(tmp_path)
    assert "nst-daemon farm init" in caught.value.remedy


def test_damaged_keys_of_a_coordinator_are_refused_until_they_are_renewed(tmp_path: Path, join: Path) -> None:
    join.with_name(keys.KEYS).write_text("{}")
    with pytest.raises(ConfigError, match="does not hold the keys"):
        make_farm(tmp_path / "state", ADDRESS)
    assert make_farm(tmp_path / "state", ADDRESS, renew=True).is_new
    read_join(join)
