"""How the page's process begins, bears with slow and many browsers, is killed, and ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest
from support.asking import Browser, connected, let_in
from support.clock import FakeClock
from support.played_page import Played, config_in, served
from support.starts import fail_starts
from support.waiting import hang, wait_for

from nst_daemon.config import Config, load
from nst_daemon.ledger import Ledger, Request
from nst_daemon.page import process, server, uploads
from nst_daemon.page.live import MAX_STREAMS
from nst_daemon.page.process import PageKeeper
from nst_daemon.system.keeper import ANEW, BACK_OFF_SECONDS, LEFT

STREAMS = 5
LONG_SECONDS = 60
ENOUGH_SECONDS = 15.0  # on a machine that does much else


def impatient(pipe: Connection, config: Config) -> None:
    """Serve as ever, but wait for nobody."""
    server.HEADER_SECONDS = 3.0  # type: ignore[misc]  # enough for who does say something, on a busy machine
    uploads.SILENCE_SECONDS = 0.5  # type: ignore[misc]
    process.serve(pipe, config)


def unhurried(pipe: Connection, config: Config) -> None:
    """Serve as ever, but give what is still open a minute at the end: who needs it, is seen."""
    server.END_SECONDS = LONG_SECONDS  # type: ignore[misc]
    process.serve(pipe, config)


def leaving(pipe: Connection, config: Config) -> None:
    """Serve until nobody has looked for a moment."""
    server.IDLE_SECONDS = 0.2  # type: ignore[misc]
    process.serve(pipe, config)


def stay(_: Connection, config: Config) -> None:
    hang()


def pid_of(played: Played) -> int:
    assert played.child.pid is not None
    return played.child.pid


def code_of(played: Played) -> int | None:
    return played.child.wait_for_end(20.0)


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Played]:
    """Return a page of the test's own."""
    with served(tmp_path, done=1, waiting=1) as played:
        yield played


# ── many and slow ───────────────────────────────────────────────────────────────────────────────────────


def test_two_hundred_that_say_nothing_keep_nobody_waiting_and_are_sent_away(tmp_path: Path) -> None:
    with served(tmp_path, serve=impatient, done=1, waiting=1) as played, ExitStack() as stack:
        browser = let_in(played)
        silent = [stack.enter_context(connected(browser)) for _ in range(200)]
        for each in silent[::2]:
            each.sendall(b"GET / HTTP/1.1\r\nHost: ")
        began = time.monotonic()
        assert browser.ask("/jobs").status == 200
        assert time.monotonic() - began < ENOUGH_SECONDS
        for each in silent:
            assert each.recv(1) == b""  # closed by the page
        with connected(browser) as slow:  # what came in time is answered
            slow.sendall(
                f"GET /jobs HTTP/1.1\r\nHost: {browser.host}\r\nCookie: {browser.cookie}\r\n".encode()
            )
            slow.sendall(b"\r\n")
            assert slow.recv(12) == b"HTTP/1.1 200"


def test_a_photo_that_comes_too_slowly_is_given_up_and_leaves_nothing(tmp_path: Path) -> None:
    with served(tmp_path, serve=impatient, done=1, waiting=1) as played:
        browser, inbox = let_in(played), played.config.folders[0].inbox
        before = sorted(inbox.iterdir())
        with connected(browser) as slow:
            slow.sendall(browser.photo_head("slow.jpg", 1000) + b"x" * 10)
            assert slow.recv(12) == b"HTTP/1.1 408"
        wait_for(lambda: sorted(inbox.iterdir()) == before)


def test_headers_without_end_are_refused(own: Played) -> None:
    browser = let_in(own)
    with connected(browser) as endless:
        endless.sendall(f"GET / HTTP/1.1\r\nHost: {browser.host}\r\nX: ".encode() + b"x" * 20_000)
        assert endless.recv(12) == b"HTTP/1.1 400"


def test_as_many_tabs_as_there_may_be_get_the_state_and_one_more_a_word(own: Played) -> None:
    browser = let_in(own)
    with ExitStack() as stack:
        streams = [stack.enter_context(browser.asking("/live")) for _ in range(MAX_STREAMS)]
        assert {stream.status for stream in streams} == {200}
        for stream in streams:
            assert stream.getheader("content-type").startswith("text/event-stream")
            assert b"retry" in stream.readline()
        refused = browser.ask("/live")
        assert refused.status == 429
        assert b"Close some" in refused.body
        assert browser.ask("/jobs").status == 200
    wait_for(lambda: browser_gets_in(browser), what="room for another tab")


def browser_gets_in(browser: Browser) -> bool:
    with browser.asking("/live") as stream:
        return bool(stream.status == 200)


# ── begin and end ───────────────────────────────────────────────────────────────────────────────────────


def test_nothing_that_is_open_keeps_it_from_its_end(tmp_path: Path) -> None:
    with ExitStack() as stack:
        own = stack.enter_context(served(tmp_path, serve=unhurried, done=1, waiting=1))
        browser = let_in(own)
        for _ in range(STREAMS):
            stream = stack.enter_context(browser.asking("/live"))
            assert stream.readline()
        sending = stack.enter_context(connected(browser))
        sending.sendall(browser.photo_head("a.jpg", 1000) + b"xx")
        inbox = own.config.folders[0].inbox
        wait_for(lambda: any(path.name.startswith(".nst-") for path in inbox.iterdir()))
        began = time.monotonic()
        os.kill(pid_of(own), signal.SIGTERM)
        assert code_of(own) == ANEW
        assert time.monotonic() - began < ENOUGH_SECONDS
        assert sending.recv(12) == b"HTTP/1.1 503"
        assert own.address == ""
        assert not [path for path in inbox.iterdir() if path.name.startswith(".nst-")]


def test_killed_and_begun_again_it_is_where_it_was_and_knows_its_browsers(own: Played) -> None:
    browser = let_in(own)
    assert browser.ask("/jobs/1/photo").status == 200  # there is a reader now
    readers = psutil.Process(pid_of(own)).children(recursive=True)
    assert readers
    os.kill(pid_of(own), signal.SIGKILL)
    wait_for(
        lambda: not any(map(psutil.pid_exists, [reader.pid for reader in readers])), what="the reader's end"
    )
    own.begin()
    assert own.address == browser.address
    assert browser.ask("/jobs").status == 200


def test_a_port_that_is_taken_is_left_to_whoever_has_it(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with served(tmp_path, more=f"page: {{listen: '127.0.0.1:{port}'}}\n", done=1, waiting=1) as played:
            browser = let_in(played)
            assert browser.port != port
            assert browser.ask("/jobs").status == 200
            assert played.ledger.snapshot(running=True).page == played.address


def test_an_address_that_is_not_this_machines_is_a_problem_that_says_so(tmp_path: Path) -> None:
    config = config_in(tmp_path, "page: {listen: '192.0.2.1:8420'}\n")  # of documentation, RFC 5737
    with Ledger(config.state_dir / "ledger.db") as ledger:
        with pytest.raises(OSError, match="assign"):
            server.run(config, ledger)
        (problem,) = ledger.snapshot(running=True).problems
        assert problem.code == "page_missing"
        assert "192.0.2.1:8420" in problem.message
        with PageKeeper(config, ledger) as keeper:
            keeper.follow(config_in(tmp_path))
        assert ledger.snapshot(running=True).problems == ()


def test_nobody_looking_it_leaves(tmp_path: Path) -> None:
    with served(tmp_path, serve=leaving, done=1, waiting=1) as played:
        assert code_of(played) == LEFT
        assert played.address == ""


def test_a_name_that_the_config_has_is_ours_too(tmp_path: Path) -> None:
    more = "page: {listen: '127.0.0.1:0', hosts: [photos.example.org]}\n"
    with served(tmp_path, more=more, done=1, waiting=1) as played:
        browser = let_in(played)
        assert browser.ask("/jobs", hosts=("photos.example.org",)).status == 200
        sent = {"x-nst-daemon": "1", "origin": "https://photos.example.org"}
        for host, status in (("photos.example.org", 200), (browser.host, 403)):
            answer = browser.ask("/resume", "POST", hosts=(host,), is_ours=False, headers=sent)
            assert answer.status == status


# ── as the daemon keeps it ──────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(config_in(tmp_path).state_dir / "ledger.db") as ledger:
        yield ledger


def kept(tmp_path: Path, ledger: Ledger, clock: FakeClock, mode: str = "auto") -> PageKeeper:
    (tmp_path / "config.yaml").write_text(
        f"inbox: inbox\noutbox: outbox\nstate_dir: state\nexchange: off\npage: {{mode: {mode}}}\n"
    )
    return PageKeeper(load(tmp_path / "config.yaml"), ledger, clock=clock)


@pytest.mark.parametrize(("mode", "before", "after"), [("auto", False, True), ("on", True, True)])
def test_the_process_is_there_once_it_is_wanted(
    tmp_path: Path,
    ledger: Ledger,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    before: bool,
    after: bool,
) -> None:
    monkeypatch.setattr(process, "serve", stay)
    with kept(tmp_path, ledger, clock, mode) as keeper:
        keeper.tend()
        assert (keeper.pid is not None) is before
        ledger.requests.ask(Request.PAGE)
        keeper.tend()
        assert (keeper.pid is not None) is after
    assert keeper.pid is None


def test_off_is_off_whoever_asks(
    tmp_path: Path, ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_starts(monkeypatch, 99)
    with kept(tmp_path, ledger, clock, "off") as keeper:
        ledger.requests.ask(Request.PAGE)
        keeper.tend()
        assert keeper.pid is None
        assert not ledger.requests.take(Request.PAGE)


def test_a_page_that_somebody_wanted_comes_back_with_the_next_daemon(
    tmp_path: Path, ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "serve", stay)
    with kept(tmp_path, ledger, clock) as keeper:
        ledger.requests.ask(Request.PAGE)
        keeper.tend()
    with kept(tmp_path, ledger, clock) as keeper:
        keeper.tend()
        assert keeper.pid is not None


def leave(_: Connection, config: Config) -> None:
    os._exit(LEFT)


def end(_: Connection, config: Config) -> None:
    os._exit(ANEW)


def test_one_that_left_stays_away_and_one_that_broke_begins_anew_after_a_pause(
    tmp_path: Path, ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serve, comes_back in ((leave, False), (end, True)):
        monkeypatch.setattr(process, "serve", serve)
        with kept(tmp_path, ledger, clock) as keeper:
            ledger.requests.ask(Request.PAGE)
            keeper.tend()
            assert keeper._keeper.child._run is not None
            keeper._keeper.child._run.join(20.0)
            ledger.presence.set_page("http://127.0.0.1:1")
            keeper.tend()
            assert ledger.presence.page() is None  # nobody is sent to a page that is not there
            assert not keeper._keeper.child.has_begun
            clock.advance(BACK_OFF_SECONDS)
            keeper.tend()
            assert keeper._keeper.child.has_begun is comes_back


def test_an_edited_section_serves_the_page_anew(
    tmp_path: Path, ledger: Ledger, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "serve", stay)
    with kept(tmp_path, ledger, clock, "on") as keeper:
        keeper.tend()
        first = keeper.pid
        keeper.follow(load(keeper.config.source))
        assert keeper.pid == first
        kept(tmp_path, ledger, clock, "off")
        keeper.follow(load(keeper.config.source))
        keeper.tend()
        assert keeper.pid is None


def loaded_by(code: str) -> set[str]:
    """Return the modules that are there once Python has run this."""
    shown = f"{code}; import sys; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    return set(answer.stdout.split())


def test_importing_the_keeper_loads_no_server() -> None:
    loaded = loaded_by("import nst_daemon.cli.app, nst_daemon.page.process")
    assert not {"starlette", "uvicorn", "anyio", "h11"} & loaded


def test_a_process_that_is_spawned_loads_no_command() -> None:
    """It imports the daemon's main module first, whichever way that was started."""
    assert not {"typer", "nst_daemon.cli"} & loaded_by("import nst_daemon.__main__")


def test_the_server_decodes_nothing_and_has_no_arrays() -> None:
    assert not {"numpy", "PIL", "torch", "cv2"} & loaded_by("import nst_daemon.page.server")
