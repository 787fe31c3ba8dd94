"""The icon in the task bar: shows a View, hands what is clicked to its TrayModel. The only import of pystray.

Lives in a process of its own, because pystray wants the main thread, may fail at import, and may hang with
the desktop. `run` has the main thread; a second thread looks once a second and redraws what has changed.
"""

import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

from nst_daemon.desktop.icons import Color, Look, Picture, draw, flattened, step_of
from nst_daemon.desktop.menu import SEPARATOR, Act, Entry, View, look_of, menu, progress_of, tooltip
from nst_daemon.desktop.model import TrayModel
from nst_daemon.desktop.panels import Backend
from nst_daemon.desktop.xorg import Caller, rewire

logger = logging.getLogger(__name__)

NAME: Final = "nst-daemon"
TICK_SECONDS: Final = 1.0
LEAVE_SECONDS: Final = 3.0  # for the second thread, when the first has ended
# px. The panel scales what it gets as a file; 64 is sharp at 16, 32 and 64, and on dense screens.
SIDES: Final = {Backend.APPINDICATOR: 64, Backend.GTK: 64, Backend.DARWIN: 22, Backend.WIN32: 32}
X11_SIDE: Final = 24  # px, until the panel has given the icon its size
X11_LEAST: Final = 8  # px; a smaller window was not placed yet
X11_GROUND: Final[Color] = (46, 52, 54)  # pystray draws without transparency there


class TrayBrokeError(Exception):
    """The icon's loop ended without being asked to: the process has to begin anew."""


class Tray:
    """One icon, from `run` to its end."""

    def __init__(
        self,
        model: TrayModel,
        backend: Backend,
        *,
        should_end: Callable[[], bool],
        on_hang: Callable[[], object],
    ) -> None:
        self.model = model
        self.backend = backend
        self._should_end = should_end
        self._on_hang = on_hang  # the icon's loop does not end: nothing but the end of the process helps
        self._pystray: Any = None
        self._icon: Any = None
        self._caller: Caller | None = None
        self._shown: tuple[Look, int] | None = None  # look, step of the arc
        self._subject = (Look.IDLE, 0.0)  # look, progress
        side = SIDES.get(backend, X11_SIDE)
        self._room = (side, side)  # px
        self._entries: tuple[Entry, ...] = ()
        self._wake = threading.Event()
        self._is_over = threading.Event()
        self._is_second_over = threading.Event()
        self._was_asked = False
        self._is_lost = False

    def run(self) -> None:
        """Show the icon until `should_end` says so. On the main thread.

        Raises:
            TrayBrokeError: the desktop took the icon from us.
            Exception: whatever pystray raises where it cannot start.
        """
        os.environ["PYSTRAY_BACKEND"] = self.backend
        self._pystray = importlib.import_module("pystray")
        # It reports with tracebacks that a panel has gone, and goes on.
        logging.getLogger("pystray").setLevel(logging.CRITICAL)
        self._icon = self._pystray.Icon(NAME, icon=self._picture(Look.IDLE, 0.0), title=NAME)
        if self._is_x11:
            rewire(self._icon, self._fit, self._lose)
            self._caller = Caller(self._icon)
        try:
            self._icon.run(setup=self._second_thread)
        except Exception:
            if not self._was_asked:  # pystray's GTK may stumble over a missing service on its way out
                raise
        self._is_over.set()
        self._wake.set()
        has_left = self._is_second_over.wait(LEAVE_SECONDS)
        if self._caller is not None and has_left:
            self._caller.close()
        if not has_left or not self._was_asked:
            raise TrayBrokeError(f"The {self.backend} icon ended.")

    def _second_thread(self, _: Any) -> None:
        """Keep the icon up to date, and see that the first thread does not outlive this one."""
        try:
            self._live()
        except Exception as error:  # noqa: BLE001  a panel that ends takes the icon's window from under us
            logger.warning("the icon was lost: %s: %s", type(error).__name__, error)
        self._is_second_over.set()
        if not self._is_over.wait(LEAVE_SECONDS):
            self._on_hang()

    def _live(self) -> None:
        """Look, redraw and wait, until the end. On the second thread."""
        self._on_main(self._appear)
        while not self._is_over.is_set():
            view = self.model.tick()
            if self._should_end():
                self._was_asked = True
                self._stop()
                return
            if self._is_lost:
                self._stop()
                return
            self._on_main(lambda view=view: self._show(view))  # type: ignore[misc]
            self._wake.wait(TICK_SECONDS)
            self._wake.clear()

    def _show(self, view: View) -> None:
        """Redraw what has changed; a menu that is redrawn while it is open closes."""
        look, progress = look_of(view), progress_of(view)
        shown = look, step_of(progress) if look is Look.WORKING else 0
        if shown != self._shown:
            self._shown, self._subject = shown, (look, progress)
            self._icon.icon = self._picture(look, progress)
        title = tooltip(view)
        # A title that is not latin-1 ends the loop of the X11 backend.
        self._icon.title = title.encode("latin-1", "replace").decode("latin-1") if self._is_x11 else title
        entries = menu(view)
        if entries != self._entries:
            self._entries = entries
            self._icon.menu = self._menu(entries)

    @property
    def _is_x11(self) -> bool:
        return self.backend is Backend.XORG

    def _picture(self, look: Look, progress: float) -> Picture:
        picture = draw(look, min(self._room), progress)
        return flattened(picture, X11_GROUND, self._room) if self._is_x11 else picture

    def _fit(self, width: int, height: int) -> None:
        """Draw for the window that an X11 panel has made for us, which need not be square.

        Pystray would stretch what has another size. Called by its thread.
        """
        if (width, height) != self._room and min(width, height) >= X11_LEAST:
            self._room = width, height
            self._icon._icon = self._picture(*self._subject)
            self._icon._icon_data = None

    def _lose(self) -> None:
        """Give the icon up: its panel has gone. Called by pystray's thread."""
        self._is_lost = True
        self._wake.set()

    def _menu(self, entries: tuple[Entry, ...]) -> Any:
        return self._pystray.Menu(*(self._item(entry) for entry in entries))

    def _item(self, entry: Entry) -> Any:
        if entry == SEPARATOR:
            return self._pystray.Menu.SEPARATOR
        label = entry.label.replace("&", "&&") if self.backend is Backend.WIN32 else entry.label
        if entry.children:
            return self._pystray.MenuItem(label, self._menu(entry.children))
        return self._pystray.MenuItem(
            label,
            self._click(entry),
            checked=None if entry.is_checked is None else lambda _: bool(entry.is_checked),
            radio=entry.act is Act.SET_STYLE,
            default=entry.act is Act.OPEN_RESULTS,
            enabled=entry.act is not None,
        )

    def _click(self, entry: Entry) -> Callable[[], None]:
        def click() -> None:
            self.model.act(entry)
            self._wake.set()

        return click

    def _appear(self) -> None:
        self._icon.visible = True

    def _stop(self) -> None:
        """End the icon's loop. On the second thread."""
        if self._caller is None:
            self._icon.stop()
        else:
            self._caller.stop()

    def _on_main(self, show: Callable[[], None]) -> None:
        """Call where icon and menu may be touched: on macOS and X11 that is the main thread alone."""
        if self._caller is not None:
            self._caller.call(show)
        elif self.backend is Backend.DARWIN and sys.platform == "darwin":
            importlib.import_module("PyObjCTools.AppHelper").callAfter(show)
        else:
            show()
