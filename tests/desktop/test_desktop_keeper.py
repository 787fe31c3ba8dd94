"""The keeper of the desktop's process, with a process that is played: it ends, and is not installed."""

import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from support.clock import FakeClock

from nst_daemon.config import Config, load
from nst_daemon.desktop import process as desktop
from nst_daemon.desktop.panels import Desktop
from nst_daemon.desktop.process import DesktopKeeper, Dock
from nst_daemon.ledger import Ledger
from nst_daemon.system.keeper import ANEW, BACK_OFF_SECONDS, LEFT, MAX_BACK_OFF_SECONDS


def leave(_: Connection, config: Config) -> None:
    sys.exit(LEFT)


def end_anew(_: Connection, config: Config) -> None:
    sys.exit(ANEW)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return a config whose icon and notifications are wanted."""
    monkeypatch.setattr(desktop, "is_wanted", lambda config: True)
    return _config(tmp_path)


def _config(tmp_path: Path, more: str = "") -> Config:
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.yaml").write_text(f"inbox: inbox\noutbox: outbox\nstate_dir: state\n{more}")
    return load(tmp_path / "config.yaml")


def test_a_process_that_left_for_good_is_not_begun_again_and_one_that_broke_is(
    config: Config, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serve, is_kept in ((leave, False), (end_anew, True)):
        monkeypatch.setattr(desktop, "serve", serve)
        with DesktopKeeper(config, clock=clock) as keeper:
            keeper.tend()
            assert keeper._keeper.child._run is not None
            keeper._keeper.child._run.join(20.0)
            assert keeper.tend() is is_kept
            clock.advance(BACK_OFF_SECONDS)
            keeper.tend()
            assert keeper._keeper.child.has_begun is is_kept


# ── a plain installation ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sit at a desktop whose Python lacks the extra."""
    for package in ("pystray", "desktop_notifier"):
        monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", ":1")
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")


def test_without_the_extra_no_process_is_started_and_the_log_names_it_once(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture, lacking: None
) -> None:
    caplog.set_level("INFO", logger=desktop.__name__)
    with DesktopKeeper(_config(tmp_path), clock=clock) as keeper:
        for _ in range(2):
            assert keeper.tend()
            assert keeper.pid is None
            clock.advance(MAX_BACK_OFF_SECONDS)
    (record,) = caplog.records
    assert "pip install 'nst-daemon[desktop]'" in record.getMessage()


@pytest.mark.parametrize("tray", ["on", "auto"])
def test_an_icon_that_is_asked_for_is_a_problem_that_names_the_extra(
    tmp_path: Path, lacking: None, tray: str
) -> None:
    config = _config(tmp_path, f"tray: {tray}\n")
    assert desktop.is_wanted(config) is (tray == "on")
    with Ledger(config.state_dir / "ledger.db") as ledger:
        dock = Dock(config, ledger, look=lambda: Desktop(has_display=True, lack="pystray"))
        assert dock.backend() is None
        problems = ledger.snapshot(running=True).problems
        dock.close()
    assert [problem.code for problem in problems] == (["tray_not_installed"] if tray == "on" else [])
    assert all("nst-daemon[desktop]" in problem.remedy for problem in problems)
