"""What pystray's X11 icon lacks to hold: in a panel, in its own size, and with a second thread beside it."""

import importlib
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Final

CLIENT_MESSAGE: Final = 33  # the numbers of these events, Xlib.X.ClientMessage
DESTROY_NOTIFY: Final = 17  # and Xlib.X.DestroyNotify
MESSAGE: Final = "_NST_DAEMON_CALL"
HANG_SECONDS: Final = 10.0  # after which a thread that does not answer is given up


def rewire(icon: Any, fit: Callable[[int, int], None], lose: Callable[[], None]) -> None:
    """Mend three things of pystray's X11 icon.

    It asks the panel to take it in anew with each picture: trayer shrank it to nothing after half a dozen. It
    stretches the picture to its window. And when the panel goes it tries the next one at once, which may be
    too early for that, and not to be told from the old one: it may have the same window number.
    """
    dock, make = icon._dock_window, icon._assert_icon_data

    def dock_once() -> None:
        if not icon._systray_manager:
            dock()

    def make_fitting(width: int, height: int) -> None:
        fit(width, height)
        make(width, height)

    def on_destroyed(event: Any) -> None:
        if icon._systray_manager and event.window.id == icon._systray_manager.id:
            lose()

    icon._dock_window, icon._assert_icon_data = dock_once, make_fitting
    icon._message_handlers[DESTROY_NOTIFY] = on_destroyed


class Caller:
    """Lets a second thread have functions called by the one that runs the icon's loop.

    Pystray does so too, but sends the message that wakes the loop over the loop's own connection. python-xlib
    cannot bear that: of two threads in `send_and_recv` one may take the answer that the other waits for, and
    the icon then stood still for ever (once in some two hundred starts). So the message has a connection of
    its own, and the icon's is used by its own thread alone.
    """

    def __init__(self, icon: Any) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], object], Future[None]]] = SimpleQueue()
        self._icon = icon
        self._display = importlib.import_module("Xlib.display").Display()
        self._display.set_error_handler(lambda *_: None)  # the window may have gone
        self._atom = self._display.intern_atom(MESSAGE)
        others = icon._message_handlers[CLIENT_MESSAGE]

        def on_message(event: Any) -> None:
            if event.client_type == self._atom:
                self._answer()
            else:
                others(event)

        icon._message_handlers[CLIENT_MESSAGE] = on_message

    def call(self, function: Callable[[], object]) -> None:
        """Return when the loop's thread has called it. On the second thread.

        Raises:
            TimeoutError: the loop's thread hangs.
            Exception: whatever the function raises.
        """
        future: Future[None] = Future()
        self._calls.put((function, future))
        event = importlib.import_module("Xlib.protocol.event").ClientMessage(
            window=self._icon._window, client_type=self._atom, data=(32, (0, 0, 0, 0, 0))
        )
        self._display.send_event(self._icon._window, event)
        self._display.flush()
        future.result(HANG_SECONDS)

    def stop(self) -> None:
        """End the loop. Pystray's own `stop`, called by the loop's thread, would wait for the second one."""
        self.call(self._stop)

    def close(self) -> None:
        """Leave the X server. When the second thread has ended."""
        self._display.close()

    def _stop(self) -> None:
        self._icon._stop()
        self._icon._running = False

    def _answer(self) -> None:
        """Call what one message is about. No more: who asked for the next is still sending its message."""
        function, future = self._calls.get()
        try:
            function()
        except Exception as error:  # noqa: BLE001  it is the second thread's to raise
            future.set_exception(error)
        else:
            future.set_result(None)
