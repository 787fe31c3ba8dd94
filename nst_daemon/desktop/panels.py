"""What could draw a tray icon on this desktop, and with which of pystray's backends.

The only import of dbus-fast and python-xlib, lazily. `pystray.Icon.visible` proves nothing: it is true
as well where nobody draws the icon.
"""

import asyncio
import contextlib
import importlib
import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.errors import ConditionError
from nst_daemon.ledger.jobs import Problem
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

WATCHER: Final = "org.kde.StatusNotifierWatcher"  # of KDE, and of GNOME with an extension
BUS_SECONDS: Final = 2.0  # a session bus answers in milliseconds
DOCS: Final = "docs/desktop.md"


class Backend(StrEnum):
    """The parts of pystray that draw."""

    WIN32 = "win32"
    DARWIN = "darwin"
    APPINDICATOR = "appindicator"  # over D-Bus
    GTK = "gtk"  # an X11 tray, with a menu
    XORG = "xorg"  # an X11 tray, without a menu


@dataclass(frozen=True, slots=True, kw_only=True)
class Desktop:
    """What this session has."""

    has_display: bool
    lack: str = ""  # what of the extra `desktop` is not installed
    has_bus: bool = False
    has_watcher: bool = False  # somebody draws status notifier items
    x11_tray: int | None = None  # the window that takes X11 icons in
    has_gtk: bool = False
    has_appindicator: bool = False


def choose(desktop: Desktop, platform: str = sys.platform) -> Backend | None:
    """Return the backend that will be seen, or None if nothing draws an icon."""
    if desktop.lack:
        return None
    if platform == "win32":
        return Backend.WIN32
    if platform == "darwin":
        return Backend.DARWIN
    if desktop.has_watcher and desktop.has_appindicator and desktop.has_display:
        return Backend.APPINDICATOR
    if desktop.x11_tray is None:
        return None
    # Without a bus pystray's GTK backends fail as they start: they hold a notifier of their own.
    return Backend.GTK if desktop.has_gtk and desktop.has_bus else Backend.XORG


def problem_of(desktop: Desktop, platform: str = sys.platform) -> Problem | None:
    """Return why the icon is not to be seen, or has no menu, with the fix; None if all is well."""
    backend = choose(desktop, platform)
    if backend is None and not desktop.has_display:
        return Problem(
            code="tray_no_display",
            message="There is no desktop to show a tray icon on.",
            remedy="Set `tray: off` in config.yaml; or start the daemon from the desktop.",
        )
    if desktop.lack:
        return not_installed(desktop.lack)
    if backend is None and desktop.has_watcher:
        return Problem(
            code="tray_no_gtk",
            message="This desktop draws tray icons over D-Bus, and Python's GTK is missing for that.",
            remedy=f"{_gtk_fix()} See {DOCS}.",
        )
    if backend is None:
        return Problem(
            code="tray_no_panel",
            message="Nothing on this desktop draws tray icons.",
            remedy="GNOME: install the extension `AppIndicator and KStatusNotifierItem Support` "
            f"(Debian: gnome-shell-extension-appindicator); others: add a tray to the panel. See {DOCS}.",
        )
    if backend is Backend.XORG:
        return Problem(
            code="tray_no_menu",
            message="The tray icon has no menu: Python's GTK is missing.",
            remedy=f"{_gtk_fix()} See {DOCS}.",
        )
    return None


def not_installed(lack: str) -> Problem:
    """Return that there is no icon without these packages, with the fix."""
    return Problem(
        code="tray_not_installed",
        message=f"There is no tray icon without {lack}, not installed here.",
        remedy=f"{extras.remedy(Extra.DESKTOP)}, or set `tray: off` in config.yaml.",
    )


def _gtk_fix() -> str:
    return (
        "Debian, Ubuntu: `sudo apt install python3-gi gir1.2-ayatanaappindicator3-0.1`, and a virtual "
        "environment made with --system-site-packages; or `pip install PyGObject`."
    )


def may_show_tray() -> bool:
    """Return whether this session can have a tray at all; looks at the environment only."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def may_notify() -> bool:
    """Return whether this session can have notifications; looks at the environment only."""
    if sys.platform in ("win32", "darwin") or os.environ.get("DBUS_SESSION_BUS_ADDRESS"):
        return True
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    try:
        return runtime is not None and disk.is_there(Path(runtime) / "bus")
    except ConditionError:  # another user's, after sudo
        return False


def has_notifier() -> bool:
    """Return whether what shows notifications is installed; macOS brings it along."""
    return sys.platform == "darwin" or extras.is_installed("desktop_notifier")


class Probe:
    """Looks at the session again and again, cheaply: keeps its connection to the X server."""

    def __init__(self) -> None:
        self._display: Any = None
        self._gtk: tuple[bool, bool] | None = None

    def look(self) -> Desktop:
        """Return what the session has now."""
        lack = extras.lacking(Extra.DESKTOP)
        if sys.platform in ("win32", "darwin"):
            return Desktop(has_display=True, lack=lack)
        if self._gtk is None:
            self._gtk = _has_typelib("Gtk", "3.0"), _has_appindicator()
        has_bus, has_watcher = _ask_bus()
        return Desktop(
            has_display=may_show_tray(),
            lack=lack,
            has_bus=has_bus,
            has_watcher=has_watcher,
            x11_tray=self._x11_tray(),
            has_gtk=self._gtk[0],
            has_appindicator=self._gtk[1],
        )

    def close(self) -> None:
        """Leave the X server."""
        if self._display is not None:
            with contextlib.suppress(Exception):  # it may be gone, in many ways
                self._display.close()
            self._display = None

    def _x11_tray(self) -> int | None:
        """Return the window that owns the tray of the screen."""
        if not os.environ.get("DISPLAY"):
            return None
        try:
            if self._display is None:
                self._display = importlib.import_module("Xlib.display").Display()
            screen = self._display.get_default_screen()
            atom = self._display.intern_atom(f"_NET_SYSTEM_TRAY_S{screen}")
            owner = self._display.get_selection_owner(atom)
        except Exception:  # noqa: BLE001  no X server, one that has ended, no library: there is no tray
            self.close()
            return None
        return None if owner == 0 else int(owner.id)  # 0: X.NONE


def problems() -> list[Problem]:
    """Return what keeps the tray icon of this session from being seen, for `check`."""
    probe = Probe()
    try:
        found = problem_of(probe.look())
    finally:
        probe.close()
    return [] if found is None else [found]


def _has_appindicator() -> bool:
    return _has_typelib("AppIndicator3", "0.1") or _has_typelib("AyatanaAppIndicator3", "0.1")


def _has_typelib(name: str, version: str) -> bool:
    """Return whether PyGObject is there, and can load a library."""
    try:
        importlib.import_module("gi").require_version(name, version)
    except (ImportError, ValueError, AttributeError):
        return False
    return True


def _ask_bus() -> tuple[bool, bool]:
    """Return whether there is a session bus, and whether somebody there draws status notifier items."""
    if not may_notify():
        return False, False
    try:
        return True, asyncio.run(asyncio.wait_for(_has_owner(WATCHER), BUS_SECONDS))
    except Exception:  # noqa: BLE001  no library, no bus, a broken address: nothing draws over D-Bus
        return False, False


async def _has_owner(name: str) -> bool:
    from dbus_fast import Message
    from dbus_fast.aio import MessageBus

    bus = await MessageBus().connect()
    try:
        reply = await bus.call(
            Message(
                destination="org.freedesktop.DBus",
                path="/org/freedesktop/DBus",
                interface="org.freedesktop.DBus",
                member="NameHasOwner",
                signature="s",
                body=[name],
            )
        )
        return bool(reply and reply.body and reply.body[0])
    finally:
        bus.disconnect()
