"""Shows notices on the desktop. The only import of desktop-notifier, lazily.

Without a bus, a notification service or the library (the extra `desktop`) nothing breaks: a notice that
cannot be shown is dropped with a word in the log, and the next one is tried again.
"""

import asyncio
import contextlib
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Protocol

from nst_daemon.desktop.notices import Notice
from nst_daemon.errors import MissingError
from nst_daemon.system import extras
from nst_daemon.system.extras import Extra

logger = logging.getLogger(__name__)

APP_TITLE: Final = "nst-daemon"
SEND_SECONDS: Final = 10.0  # a notification service that does not answer for this long is not there
MAX_TITLE: Final = 64  # characters; Windows cuts there
MAX_TEXT: Final = 250
NO_NOTIFIER: Final = "There are no notifications without desktop-notifier, not installed here."
# argv, and no text pasted into a script: a photo's name may hold quotes.
APPLE_SCRIPT: Final = (
    "on run argv",
    "display notification (item 2 of argv) with title (item 1 of argv)",
    "end run",
)

OpenFolder = Callable[[Path], None]


class Messenger(Protocol):
    """Shows notices. Never raises, never waits long."""

    def show(self, notice: Notice) -> None:
        """Show a notice, or drop it."""
        ...

    def close(self) -> None:
        """End what was begun."""
        ...


def messenger(open_folder: OpenFolder) -> Messenger:
    """Return the messenger for this platform."""
    # Apple's own service is closed to programs that are no app bundle: desktop-notifier is silent there.
    return AppleMessenger() if sys.platform == "darwin" else DesktopMessenger(open_folder)


class AppleMessenger:
    """Shows notices by `osascript`; a click opens nothing."""

    def show(self, notice: Notice) -> None:
        """Show a notice."""
        script = [word for line in APPLE_SCRIPT for word in ("-e", line)]
        command = ["osascript", *script, _cut(notice.title, MAX_TITLE), _cut(notice.text, MAX_TEXT)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=SEND_SECONDS)
        except (OSError, subprocess.SubprocessError) as error:
            logger.debug("a notification was dropped: %s", error)

    def close(self) -> None:
        """Nothing was begun."""


class DesktopMessenger:
    """Shows notices over D-Bus or Windows' own service. A thread of its own waits for clicks."""

    def __init__(self, open_folder: OpenFolder) -> None:
        self._open_folder = open_folder
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._notifier: Any = None
        self._was_reported = False

    def show(self, notice: Notice) -> None:
        """Hand a notice to the thread."""
        coming = asyncio.run_coroutine_threadsafe(self._send(notice), self._started())
        coming.add_done_callback(self._judge)

    def close(self) -> None:
        """End the thread; clicks on what was shown open nothing any more."""
        if self._loop is None or self._thread is None:
            return
        with contextlib.suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(SEND_SECONDS)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(SEND_SECONDS)
        self._loop.close()
        self._loop = self._thread = None

    def _started(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            self._thread = threading.Thread(target=self._loop.run_forever, name="nst-notices", daemon=True)
            self._thread.start()
        return self._loop

    async def _send(self, notice: Notice) -> None:
        try:
            from desktop_notifier import DesktopNotifier, Urgency
        except ModuleNotFoundError as error:
            raise MissingError(NO_NOTIFIER, remedy=extras.remedy(Extra.DESKTOP)) from error
        if self._notifier is None:
            logging.getLogger("desktop_notifier").setLevel(logging.CRITICAL)  # we say it in our own words
            self._notifier = DesktopNotifier(app_name=APP_TITLE, app_icon=None)
        folder = notice.folder
        arrived: list[bool] = []
        sent = self._notifier.send(
            title=_cut(notice.title, MAX_TITLE),
            message=_cut(notice.text, MAX_TEXT),
            urgency=Urgency.Critical if notice.is_urgent else Urgency.Normal,
            on_dispatched=lambda: arrived.append(True),
            on_clicked=None if folder is None else lambda: self._open_folder(folder),
        )
        await asyncio.wait_for(sent, SEND_SECONDS)
        if not arrived:
            self._drop_bus()
            raise ConnectionError("no notification service answers")

    def _drop_bus(self) -> None:
        """Forget the connection: a bus or a service that has ended comes back as another."""
        bus = getattr(getattr(self._notifier, "_backend", None), "bus", None)
        if bus is not None:
            bus.disconnect()
        self._notifier = None

    async def _hang_up(self) -> None:
        self._drop_bus()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def _judge(self, sent: Future[None]) -> None:
        """Say once that notifications do not get through."""
        if sent.cancelled() or (error := sent.exception()) is None:
            return
        level = logging.DEBUG if self._was_reported else logging.INFO
        why = str(error) if isinstance(error, MissingError) else f"{type(error).__name__}: {error}"
        logger.log(level, "a notification was dropped: %s", why)
        self._was_reported = True


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
