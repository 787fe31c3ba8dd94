"""Tray and notices in a process of their own, beside the daemon or started at log-in.

`DesktopKeeper` starts the process, and again after it ended; `serve` is what runs in it. It reads snapshots
from the ledger and writes requests to it, so that killing it touches no job. Of several such processes over
one state folder one shows the icon and one shows the notices: whoever holds the lock.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout

from nst_daemon import disk
from nst_daemon.config import Config, Notify, TrayMode
from nst_daemon.desktop import panels
from nst_daemon.desktop.model import TrayModel
from nst_daemon.desktop.notify import messenger
from nst_daemon.desktop.panels import Backend, Desktop, Probe, choose, problem_of
from nst_daemon.desktop.tray import TICK_SECONDS, Tray
from nst_daemon.disk import logs
from nst_daemon.ledger import Ledger
from nst_daemon.service import background
from nst_daemon.system import extras
from nst_daemon.system.child import Child
from nst_daemon.system.extras import Extra
from nst_daemon.system.keeper import ANEW, LEFT, Keeper
from nst_daemon.system.opener import open_path

logger = logging.getLogger(__name__)

PROBE_SECONDS: Final = 5.0  # between two looks for a panel that draws the icon


# ── seen from the daemon ────────────────────────────────────────────────────────────────────────────────


def is_wanted(config: Config) -> bool:
    """Return whether there is anything to show, and maybe somewhere to show it."""
    may_notify = config.notify is not Notify.OFF and panels.may_notify() and panels.has_notifier()
    return is_tray_wanted(config) or may_notify


def is_tray_wanted(config: Config) -> bool:
    """Return whether an icon is to be shown in this session."""
    return config.tray is TrayMode.ON or (is_tray_possible(config) and not extras.lacking(Extra.DESKTOP))


def is_tray_possible(config: Config) -> bool:
    """Return whether `auto` would show an icon in this session, if all is installed."""
    return config.tray is TrayMode.AUTO and panels.may_show_tray()


class DesktopKeeper:
    """Keeps the process alive as long as it is tended. One thread uses it."""

    def __init__(self, config: Config, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.config = config
        self._was_lack_said = False
        self._keeper = Keeper(
            Child(serve, name="nst-desktop", words="The process of tray and notifications"),
            without="no tray and no notifications",
            is_wanted=self._is_wanted,
            clock=clock,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, while it lives."""
        return self._keeper.child.pid

    def tend(self) -> bool:
        """Start the process where it is wanted and not there; False: it has left for good."""
        self._keeper.tend(self.config)
        return not self._keeper.has_left

    def follow(self, config: Config) -> None:
        """Show what another config asks for, from the next `tend` on.

        Folders and styles are read anew in the process itself: the icon does not flicker for them.
        """
        if (config.tray, config.notify) != (self.config.tray, self.config.notify):
            self.close()
            self._keeper.hurry()
        self.config = config

    def close(self) -> None:
        """End the process: politely, then at once."""
        self._keeper.close()

    def _is_wanted(self) -> bool:
        self._say_lack()
        return is_wanted(self.config)

    def _say_lack(self) -> None:
        """Say once what `auto` would show here, were it installed; under `on` the process says it."""
        if self._was_lack_said or not is_tray_possible(self.config):
            return
        if lack := extras.lacking(Extra.DESKTOP):
            problem = panels.not_installed(lack)
            logger.info("%s %s", problem.message, problem.remedy)
            self._was_lack_said = True


# ── in the process ──────────────────────────────────────────────────────────────────────────────────────


def serve(_: Connection, config: Config) -> None:
    """Show tray and notices until the parent ends, or Quit is clicked. Runs in the process."""
    with suppress(ValueError):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    logs.log_to_stderr()
    code = ANEW
    try:
        code = _serve(config)
    except Exception as error:  # noqa: BLE001  whatever the desktop does to us, the jobs go on
        logger.warning("the tray begins anew: %s: %s", type(error).__name__, error)
    finally:
        os._exit(code)  # at once: a thread that hangs with the desktop must not keep us


def _serve(config: Config) -> int:
    with ExitStack() as stack:
        ledger = stack.enter_context(Ledger(config.state_dir / "ledger.db", is_view=True))
        dock = Dock(config, ledger)
        stack.callback(dock.close)
        messages = messenger(open_path)
        stack.callback(messages.close)
        notices = Lock(config.state_dir / "notify.lock")
        model = TrayModel(
            config,
            ledger,
            messages=messages,
            open_path=open_path,
            start=background.start,
            may_notify=notices.is_ours,
        )
        while not model.was_quit:
            if backend := dock.backend():
                Tray(
                    model,
                    backend,
                    should_end=lambda: model.was_quit or dock.has_changed(),
                    on_hang=lambda: os._exit(_code(model)),
                ).run()
                return _code(model)
            model.tick()
            time.sleep(TICK_SECONDS)
        return LEFT


def _code(model: TrayModel) -> int:
    return LEFT if model.was_quit else ANEW


class Lock:
    """A lock that is tried for until it is ours, and then kept until the process ends."""

    def __init__(self, path: Path) -> None:
        self._lock = FileLock(path, mode=disk.FILE_MODE)

    def is_ours(self) -> bool:
        """Return whether we hold it, by now."""
        if not self._lock.is_locked:
            with suppress(Timeout, OSError):
                self._lock.acquire(timeout=0)
        return self._lock.is_locked


class Dock:
    """Knows who draws the icon at the moment, and shows as a problem if nobody does."""

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        *,
        look: Callable[[], Desktop] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._probe = Probe()
        self._look = look or self._probe.look
        self._clock = clock
        self._lock = Lock(config.state_dir / "tray.lock")
        self._due = float("-inf")
        self._desktop = Desktop(has_display=False)
        self._shown_by: tuple[object, ...] | None = None
        self._was_said = ""

    def close(self) -> None:
        """Leave the X server."""
        self._probe.close()

    def backend(self) -> Backend | None:
        """Return with which backend the icon is to be shown now; None: it is not."""
        if not is_tray_wanted(self._config) or not self._lock.is_ours():
            return None
        self._look_again()
        self._shown_by = self._host()
        return choose(self._desktop)

    def has_changed(self) -> bool:
        """Return whether another panel has come since `backend`, or the one that was there has gone."""
        self._look_again()
        return self._host() != self._shown_by

    def _look_again(self) -> None:
        if self._clock() < self._due:
            return
        self._due = self._clock() + PROBE_SECONDS
        self._desktop = self._look()
        problem = problem_of(self._desktop)
        # Under `auto` an icon that cannot be is no problem of the painting: `check` says it.
        is_asked_for = self._config.tray is TrayMode.ON
        if is_asked_for and problem is not None and problem.code != self._was_said:
            logger.warning("%s %s", problem.message, problem.remedy)
        self._was_said = problem.code if problem else ""
        self._ledger.problems.set("tray", [problem] if problem and is_asked_for else [])

    def _host(self) -> tuple[object, ...]:
        backend = choose(self._desktop)
        return backend, None if backend is Backend.APPINDICATOR else self._desktop.x11_tray
