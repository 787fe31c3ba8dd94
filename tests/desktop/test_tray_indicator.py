# ruff: noqa: F811  fixtures are imported by name
"""The icon as KDE and GNOME draw it, over D-Bus."""

from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("dbus_fast", reason="NOT TESTED: dbus-fast comes with desktop-notifier, on Linux")

from PIL import Image
from support.buses import Bus, Item, Watcher, bus  # noqa: F401
from support.desktops import WaitFor, begin_work, display, gtk, keeper, ledger, loaded, x_server  # noqa: F401

from nst_daemon.desktop.icons import Look, draw
from nst_daemon.desktop.process import DesktopKeeper
from nst_daemon.ledger import Ledger, Request


@pytest.fixture
def item(display: str, gtk: None, bus: Bus, keeper: DesktopKeeper, wait_for: WaitFor) -> Iterator[Item]:
    watcher = Watcher(bus)
    keeper.tend()
    wait_for(lambda: watcher.items, what="a status notifier item")
    yield Item(bus, *watcher.items[0])
    keeper.close()


def test_an_indicator_has_icon_title_and_the_whole_menu(
    item: Item, ledger: Ledger, tmp_path: Path, wait_for: WaitFor
) -> None:
    begin_work(ledger, tmp_path, 0.41)
    wait_for(lambda: "Cancel trip/cat.jpg" in item.menu())
    assert item.get("Status") == "Active"
    with Image.open(item.get("IconName")) as icon:
        assert icon.tobytes() == draw(Look.WORKING, 64, 0.41).tobytes()
    labels = list(item.menu())
    assert labels[0] == "Painting trip/cat.jpg in starry_night, 40 %"
    fixed = ["Pause", "Open inbox", "Open results", "Default style", "mosaic", "Open config", "Open log"]
    assert [label for label in labels if label in fixed] == fixed
    assert labels[-2:] == ["Start at log-in", "Quit"]


def test_a_click_in_the_menu_becomes_a_request_in_the_ledger(
    item: Item, ledger: Ledger, keeper: DesktopKeeper, wait_for: WaitFor
) -> None:
    wait_for(lambda: "Pause" in item.menu())
    item.click("Pause")
    wait_for(ledger.requests.is_paused)
    wait_for(lambda: "Resume" in item.menu())
    item.click("Quit")
    wait_for(lambda: ledger.requests.take(Request.QUIT))
    wait_for(lambda: not keeper.tend(), what="the process to leave for good")
