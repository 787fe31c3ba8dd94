"""The keeper of the desktop's process, with a process that is played: it starts, ends, and cannot start."""

import sys
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from support.clock import FakeClock
from support.starts import fail_starts
from support.waiting import hang

from nst_daemon.config import Config, load
from nst_daemon.desktop import process as desktop
from nst_daemon.desktop.process import DesktopKeeper


def stay(_: Connection, config: Config) -> None:
    hang()


def leave(_: Connection, config: Config) -> None:
    sys.exit(desktop.LEFT)


def end_anew(_: Connection, config: Config) -> None:
    sys.exit(desktop.ANEW)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setattr(desktop, "is_wanted", lambda config: True)
    for name in ("inbox", "outbox"):
        (tmp_path / name).mkdir()
    (tmp_path / "config.yaml").write_text("inbox: inbox\noutbox: outbox\nstate_dir: state\n")
    return load(tmp_path / "config.yaml")


def test_a_process_that_cannot_be_started_costs_a_minute_and_nothing_else(
    config: Config, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(desktop, "serve", stay)
    made = fail_starts(monkeypatch, 2)
    with DesktopKeeper(config, clock=clock) as keeper:
        for _ in range(2):
            assert keeper.tend()
            assert keeper.pid is None
            assert keeper.tend()
            clock.advance(desktop.MAX_BACK_OFF_SECONDS)
        assert len(made) == 2
        assert sum("no tray and no notifications" in record.message for record in caplog.records) == 1
        keeper.tend()
        assert keeper.pid is not None
    assert keeper.pid is None


def test_a_process_that_left_for_good_is_not_begun_again_and_one_that_broke_is(
    config: Config, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for serve, is_kept in ((leave, False), (end_anew, True)):
        monkeypatch.setattr(desktop, "serve", serve)
        with DesktopKeeper(config, clock=clock) as keeper:
            keeper.tend()
            assert keeper._child._run is not None
            keeper._child._run.join(20.0)
            assert keeper.tend() is is_kept
            clock.advance(desktop.BACK_OFF_SECONDS)
            keeper.tend()
            assert keeper._child.has_begun is is_kept
