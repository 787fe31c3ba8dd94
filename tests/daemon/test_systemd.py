import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.daemons import Home, PlayedReader

from nst_daemon import config
from nst_daemon.cli import setup as cli_setup
from nst_daemon.config import Config
from nst_daemon.config.orders import EngineFacts
from nst_daemon.daemon import daemon as daemon_module
from nst_daemon.daemon.daemon import Daemon
from nst_daemon.daemon.heartbeat import HUNG_SECONDS, Pulse, Supervision, status_line
from nst_daemon.errors import ConditionError
from nst_daemon.ledger import Ledger, Request
from nst_daemon.ledger.attempts import Attempts
from nst_daemon.ledger.file import LedgerFile
from nst_daemon.ledger.jobs import JobState, Snapshot
from nst_daemon.service import systemd

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="systemd is Linux's")
WaitFor = Callable[..., None]


class Listener:
    """What systemd is to its services: a socket that hears."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self.lines: list[str] = []

    def hear(self) -> list[str]:
        while True:
            try:
                self.lines += self._channel.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.lines


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    name = f"\0nst-test-{os.getpid()}"  # abstract: pytest's folders are too long for a socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name)
        channel.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@{name[1:]}")
        yield Listener(channel)


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    home = tmp_path / "pictures"
    cli_setup.make(home / "config.yaml", home, {"style": "mosaic", "notify": "off", "tray": "off"})
    return config.load(home / "config.yaml")


def snapshot(**counts: int) -> Snapshot:
    return Snapshot(
        running=True,
        pid=1,
        paused=False,
        version="0.1.0",
        engine=EngineFacts(),
        counts={state: counts.get(state, 0) for state in JobState},
    )


def test_without_systemd_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert systemd.notify("READY=1") is False


def test_a_socket_that_is_gone_disturbs_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert systemd.notify("READY=1") is False


def test_a_line_break_in_a_status_forges_no_line(listener: Listener) -> None:
    assert systemd.notify("STATUS=a\nREADY=1")
    assert listener.hear() == ["STATUS=a READY=1"]


def test_the_daemon_is_ready_after_lock_ledger_and_first_reading_and_says_that_it_stops(
    loaded: Config, listener: Listener, wait_for: WaitFor
) -> None:
    daemon = Daemon(loaded)
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_for(lambda: "READY=1" in listener.hear())
        with Ledger(loaded.state_dir / "ledger.db") as ledger:
            assert ledger.presence.ready_pid() == os.getpid()
            assert listener.lines[:3] == ["READY=1", "STATUS=waiting for photos", "WATCHDOG=1"]
            ledger.requests.pause()
            wait_for(lambda: "STATUS=paused" in listener.hear())
            wait_for(lambda: listener.hear().count("WATCHDOG=1") >= 3)
            assert listener.lines.count("READY=1") == 1
            assert "STOPPING=1" not in listener.lines
            ledger.requests.ask(Request.QUIT)
            thread.join(20)
            assert not thread.is_alive()
            assert listener.hear()[-2:] == ["STOPPING=1", "STATUS=Stopping"]
            assert ledger.presence.ready_pid() is None
    finally:
        daemon.stop()
        thread.join(20)


def test_a_thread_that_hangs_ends_the_signs_of_life(listener: Listener, clock: FakeClock) -> None:
    pulse = Pulse("intake", "worker", clock=clock)
    supervision = Supervision(pulse)
    supervision.tell("waiting")
    clock.advance(HUNG_SECONDS - 1)
    pulse.beat("worker")
    supervision.tell("waiting")
    assert listener.hear().count("WATCHDOG=1") == 2
    clock.advance(2)
    supervision.tell("waiting")
    assert listener.hear().count("WATCHDOG=1") == 2
    pulse.beat("intake")
    supervision.tell("waiting")
    assert listener.hear().count("WATCHDOG=1") == 3


def test_a_ledger_that_cannot_be_written_does_not_end_the_signs_of_life(
    tmp_path: Path, listener: Listener, wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    monkeypatch.setattr(daemon_module, "BEAT_SECONDS", 0.05)
    daemon = Daemon(home.config, make_reader=lambda config: PlayedReader())
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_for(lambda: "READY=1" in listener.hear())
        real = LedgerFile.write

        def refuse(*_: object, **__: object) -> None:
            raise ConditionError("The ledger cannot be written.", code="read_only")

        monkeypatch.setattr(LedgerFile, "write", refuse)
        wait_for(lambda: "STATUS=The ledger cannot be written." in listener.hear())
        before = listener.hear().count("WATCHDOG=1")
        wait_for(lambda: listener.hear().count("WATCHDOG=1") > before + 5)
        monkeypatch.setattr(LedgerFile, "write", real)
        wait_for(lambda: listener.hear()[-2:] != [] and "STATUS=waiting for photos" in listener.hear())
    finally:
        daemon.stop()
        thread.join(20)


def test_a_ledger_that_is_full_as_the_daemon_begins_is_waited_for(
    tmp_path: Path, listener: Listener, wait_for: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    monkeypatch.setattr(daemon_module, "WAIT_SECONDS", 0.05)
    real = Attempts.recover

    def refuse(_: Attempts) -> list[int]:
        raise ConditionError("The disk is full.", code="disk_full")

    monkeypatch.setattr(Attempts, "recover", refuse)
    daemon = Daemon(home.config, make_reader=lambda config: PlayedReader())
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        wait_for(lambda: "STATUS=The disk is full." in listener.hear())
        assert any(line.startswith("EXTEND_TIMEOUT_USEC=") for line in listener.hear())
        assert "READY=1" not in listener.hear()
        monkeypatch.setattr(Attempts, "recover", real)
        wait_for(lambda: "READY=1" in listener.hear())
    finally:
        daemon.stop()
        thread.join(20)


def test_the_status_line_says_what_waits() -> None:
    assert status_line(snapshot(queued=3)) == "waiting for photos; 3 queued"
