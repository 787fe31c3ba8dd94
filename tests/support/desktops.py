"""A desktop for tests: an X server without a screen, a panel that draws icons, jobs to show there."""

import contextlib
import importlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any

import pytest
from PIL import Image, ImageGrab

from nst_daemon import config
from nst_daemon.cli import setup as cli_setup
from nst_daemon.config import Config
from nst_daemon.config.recipe import Style, resolve
from nst_daemon.desktop.process import DesktopKeeper
from nst_daemon.ledger import Ledger
from nst_daemon.ledger.jobs import NewJob
from support.progress import progress

WaitFor = Callable[..., None]

SYSTEM_GI = Path("/usr/lib/python3/dist-packages/gi")
WINDOW_CLASS = "nst-daemonSystemTrayIcon"


def needs(*programs: str) -> None:
    """Skip, loudly, where a program is missing."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(
            f"NOT TESTED, these are missing: {', '.join(missing)}. "
            "Debian: apt-get install xvfb xdotool trayer dbus-x11 systemd"
        )


def ended(process: "subprocess.Popen[Any]") -> None:
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


# ── X11 ─────────────────────────────────────────────────────────────────────────────────────────────────


@contextlib.contextmanager
def screen(size: str) -> Iterator[str]:
    """Run an X server without a screen to see, and yield its display."""
    needs("Xvfb")
    reader, writer = os.pipe()
    command = ["Xvfb", "-displayfd", str(writer), "-screen", "0", f"{size}x24", "-nolisten", "tcp"]
    command.append(
        "-noreset"
    )  # or it begins anew, and hangs up on newcomers, whenever its last client leaves
    server = subprocess.Popen(command, pass_fds=[writer], stderr=subprocess.DEVNULL)
    os.close(writer)
    try:
        with os.fdopen(reader) as pipe:
            number = pipe.readline().strip()
        assert number, "Xvfb did not start"
        yield f":{number}"
    finally:
        ended(server)


@pytest.fixture(scope="session")
def x_server() -> Iterator[str]:
    """Yield the display of an X server for icons and panels."""
    with screen("400x120") as display:
        yield display


@pytest.fixture
def display(x_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DISPLAY", x_server)
    return x_server


class Panel:
    """A panel with a tray for X11 icons."""

    def __init__(self, display: str, wait_for: Callable[..., None]) -> None:
        self.display = display
        self._wait_for = wait_for
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, height: int = 26) -> None:
        command = ["trayer", "--edge", "bottom", "--align", "right", "--height", str(height)]
        self._process = subprocess.Popen(
            [*command, "--widthtype", "request"],
            env={**os.environ, "DISPLAY": self.display},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_for(self.owner, what="a panel")
        except AssertionError:
            self.stop()
            raise

    def stop(self) -> None:
        if self._process is not None:
            ended(self._process)
            self._process = None

    def owner(self) -> int:
        """Return the window that takes icons in, or 0."""
        with x11(self.display) as server:
            owner = server.get_selection_owner(server.intern_atom("_NET_SYSTEM_TRAY_S0"))
            return 0 if owner == 0 else int(owner.id)

    def icon(self) -> Image.Image | None:
        """Return what the panel shows of our icon, or None."""
        try:
            box = self._icon_box()
        except importlib.import_module("Xlib.error").XError:  # a window that has just gone
            return None
        if box is None:
            return None
        return ImageGrab.grab(bbox=box, xdisplay=self.display).convert("RGB")

    def _icon_box(self) -> tuple[int, int, int, int] | None:
        with x11(self.display) as server:
            root = server.screen().root
            window = _of_class(root, WINDOW_CLASS)
            if window is None or window.get_attributes().map_state != 2:  # IsViewable
                return None
            room = window.get_geometry()
            place = root.translate_coords(window, 0, 0)
            return place.x, place.y, place.x + room.width, place.y + room.height


@contextlib.contextmanager
def x11(display: str) -> Iterator[Any]:
    server = importlib.import_module("Xlib.display").Display(display)
    try:
        yield server
    finally:
        server.close()


def click(display: str, x: int, y: int) -> None:
    """Click somewhere, as a user does."""
    kinds, test = importlib.import_module("Xlib.X"), importlib.import_module("Xlib.ext.xtest")
    with x11(display) as server:
        for kind, detail in ((kinds.MotionNotify, 0), (kinds.ButtonPress, 1), (kinds.ButtonRelease, 1)):
            test.fake_input(server, kind, detail, x=x, y=y)
            server.sync()


def _of_class(window: Any, name: str) -> Any:
    if name in (window.get_wm_class() or ()):
        return window
    children = window.query_tree().children
    return next((found for child in children if (found := _of_class(child, name)) is not None), None)


@pytest.fixture
def panel(display: str, wait_for: Callable[..., None]) -> Iterator[Panel]:
    needs("trayer")
    panel = Panel(display, wait_for)
    panel.start()
    try:
        yield panel
    finally:
        panel.stop()


@pytest.fixture
def gtk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the processes that are started have Debian's PyGObject, and nothing else of Debian's Python."""
    if not list(SYSTEM_GI.glob(f"_gi.cpython-{sys.version_info[0]}{sys.version_info[1]}*.so")):
        pytest.skip(
            "NOT TESTED: no PyGObject for this Python. Debian: apt-get install python3-gi "
            "gir1.2-gtk-3.0 gir1.2-ayatanaappindicator3-0.1, and Python 3.11"
        )
    folder = tmp_path / "debian"
    folder.mkdir()
    (folder / "gi").symlink_to(SYSTEM_GI)
    monkeypatch.setenv("NO_AT_BRIDGE", "1")  # or GTK starts services that outlive us
    monkeypatch.syspath_prepend(folder)  # a spawned process gets the path of its parent


# ── a daemon to show ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def loaded(tmp_path: Path) -> Config:
    home = tmp_path / "pictures"
    cli_setup.make(home / "config.yaml", home, {"style": "mosaic", "notify": "off", "tray": "on"})
    return config.load(home / "config.yaml")


@pytest.fixture
def ledger(loaded: Config) -> Iterator[Ledger]:
    """Yield the ledger of a daemon that seems to live: the tray asks for no more than its heartbeat."""
    with Ledger(loaded.state_dir / "ledger.db") as ledger:
        ledger.presence.set_daemon(os.getpid(), "0.1.0")
        yield ledger


@pytest.fixture
def keeper(loaded: Config, ledger: Ledger) -> Iterator[DesktopKeeper]:
    with DesktopKeeper(loaded) as keeper:
        yield keeper


def new_job(folder: Path, name: str = "cat.jpg") -> NewJob:
    return NewJob(
        key=name,
        path=PurePath("trip") / name,
        original=folder / name,
        copy=folder / name,
        photo_sha256="0" * 64,
        inbox=folder,
        outbox=folder,
        styles=(Style(name="starry_night", path=folder / "s.jpg", sha256="1" * 64),),
        recipe=resolve({}),
    )


def begin_work(ledger: Ledger, folder: Path, fraction: float) -> int:
    ledger.add(new_job(folder))
    job = ledger.queue.claim()
    assert job is not None
    ledger.attempts.report_progress(job.id, progress(fraction=fraction, eta_seconds=18.0))
    return job.id
