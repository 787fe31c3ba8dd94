# ruff: noqa: F811  fixtures are imported by name
"""Notices on a real session bus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("dbus_fast", reason="NOT TESTED: dbus-fast comes with desktop-notifier, on Linux")

from support.buses import Bus, Notifications, bus  # noqa: F401
from support.desktops import WaitFor

from nst_daemon.desktop import notify
from nst_daemon.desktop.notices import Notice
from nst_daemon.desktop.notify import DesktopMessenger

FOLDER = Path("/pictures/outbox")


@pytest.fixture
def opened() -> list[Path]:
    return []


@pytest.fixture
def messenger(opened: list[Path]) -> Iterator[DesktopMessenger]:
    messenger = DesktopMessenger(opened.append)
    try:
        yield messenger
    finally:
        messenger.close()


def test_a_click_on_a_notice_opens_its_folder(
    bus: Bus,
    messenger: DesktopMessenger,
    opened: list[Path],
    wait_for: WaitFor,
) -> None:
    service = Notifications(bus)
    messenger.show(Notice(title="12 pictures are done", text="In mosaic.", folder=FOLDER))
    wait_for(lambda: service.shown)
    assert service.shown == [("12 pictures are done", "In mosaic.")]

    def clicked() -> bool:
        service.click(1)
        return bool(opened)

    wait_for(clicked)
    assert opened == [FOLDER]


def test_a_notice_without_a_service_is_dropped_and_the_next_one_arrives(
    bus: Bus,
    messenger: DesktopMessenger,
    wait_for: WaitFor,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger=notify.__name__)
    messenger.show(Notice(title="lost", text=""))
    wait_for(lambda: "dropped" in caplog.text)
    service = Notifications(bus)
    messenger.show(Notice(title="found", text=""))
    wait_for(lambda: service.shown)
    assert service.shown == [("found", "")]


def test_without_a_bus_nothing_breaks(
    messenger: DesktopMessenger,
    wait_for: WaitFor,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    caplog.set_level("DEBUG", logger=notify.__name__)
    messenger.show(Notice(title="lost", text=""))
    wait_for(lambda: "dropped" in caplog.text)
