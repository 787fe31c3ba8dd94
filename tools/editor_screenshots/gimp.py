"""GIMP with the plug-in: GIMP 2.10's dialog, and GIMP 3's with a painting that is a layer already.

    NST_TRIXIE=FOLDER python tools/editor_screenshots/gimp.py [--size 512] [--only 2|3]

A real GIMP on a screen of its own and a real daemon, in a home of their own, by the means of the tests. For
Linux, as root, with gimp, gtk2-engines-pixbuf, Xvfb, xdotool and a Debian with GIMP 3 (`.ci/trixie`).
"""

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageGrab

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.desktops import ended, screen  # noqa: E402
from support.gimp import Gimp2  # noqa: E402
from support.gimp3 import Gimp3, room, trixie  # noqa: E402
from support.krita import PaintingDaemon  # noqa: E402
from support.waiting import comes_true, take  # noqa: E402
from support.windows import Windows  # noqa: E402

from nst_daemon.cli import setup  # noqa: E402
from nst_daemon.folders.exchange import Exchange  # noqa: E402

PHOTO = ROOT / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"
IMAGES = ROOT / "docs" / "images"
SCREEN = (1120, 720)  # px
PAINT, FETCH = "ctrl+alt+w", "ctrl+alt+q"
STYLE = "swirling_oil"  # GIMP 3 begins with the first of the list
PAINTED_SECONDS = 900.0  # a painting on two cores

SHORTCUTS2 = """
(gtk_accel_path "<Actions>/plug-in/nst-daemon-paint" "<Primary><Alt>w")
(gtk_accel_path "<Actions>/plug-in/nst-daemon-fetch" "<Primary><Alt>q")
"""
SHORTCUTS3 = """(file-version 1)
(action "nst-daemon-paint" "<Primary><Alt>w")
"""
SETTINGS3 = """(config-version "3.0.4")
(show-welcome-dialog no)
"""


def store(display: str, path: Path) -> None:
    """Store what a screen shows."""
    image = ImageGrab.grab(xdisplay=display).convert("RGB")
    image.quantize(160, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path}: {image.width} x {image.height} px, {path.stat().st_size / 1000:.0f} kB")


def statuses(exchange: Exchange) -> list[str]:
    """Return what the daemon says of each order."""
    found = []
    for path in (exchange.root / "in" / "gimp").glob("*.status"):
        with contextlib.suppress(FileNotFoundError):
            found.append(path.read_text(encoding="utf-8"))
    return found


def wait(exchange: Exchange, *words: str) -> None:
    """Wait until the only order says one of these; with none, until it is gone."""

    def look() -> bool:
        said = statuses(exchange)
        return any(word in each for word in words for each in said) if words else not said

    if not comes_true(look, PAINTED_SECONDS):
        raise TimeoutError(f"no {words}: {statuses(exchange)}")


@contextlib.contextmanager
def running(command: list[str], env: dict[str, str]) -> Iterator[None]:
    """Run GIMP on a screen."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        ended(process)


def show2(base: Path, exchange: Exchange, display: str, folder: Path) -> None:
    """Show GIMP 2.10."""
    gimp = Gimp2(base)
    gimp.install(exchange.root)
    (gimp.profile / "menurc").write_text(SHORTCUTS2)
    gimp.run(
        f'(gimp-attach-parasite (list nst-memory 1 "{STYLE}\\tconfigured\\t1024\\t100\\t0\\tlayer-mask"))'
    )
    shutil.copy(PHOTO, base / PHOTO.name)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(base), "GIMP2_DIRECTORY": str(gimp.profile)}
    env |= {"DISPLAY": display, "NO_AT_BRIDGE": "1", "LC_ALL": "C.UTF-8"}
    screen_ = Windows(display, SCREEN)
    with running(["gimp-2.10", "-s", "-n", str(base / PHOTO.name)], env):
        main = screen_.window(r"chelsea.*GIMP$")
        screen_.fill(main)
        screen_.press(main, PAINT)
        screen_.press(screen_.window("Paint in a style"), "alt+o")  # Return opens the list that has the focus
        screen_.press(screen_.window("GIMP Message"), "Escape")
        wait(exchange, "state=done")
        screen_.press_until(main, FETCH, lambda: not statuses(exchange))
        take(3.0)
        if screen_.is_shown("GIMP Message"):
            screen_.press(screen_.window("GIMP Message"), "Escape")
        screen_.press(main, PAINT)
        screen_.put(screen_.window("Paint in a style"), 4, 330)
        store(display, folder / "editor-gimp2.png")


def show3(exchange: Exchange, base: Path, root: Path, display: str, folder: Path) -> None:
    """Show GIMP 3."""
    gimp = Gimp3(root, base)
    gimp.run("    pass")
    gimp.install(exchange.root)
    (gimp.profile / "shortcutsrc").write_text(SHORTCUTS3)
    (gimp.profile / "gimprc").write_text(SETTINGS3)
    shutil.copy(PHOTO, base / PHOTO.name)
    env = {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "HOME": gimp.seen(base), "DISPLAY": display}
    env |= {"GIMP3_DIRECTORY": gimp.seen(gimp.profile), "NO_AT_BRIDGE": "1", "LC_ALL": "C.UTF-8"}
    screen_ = Windows(display, SCREEN)
    command = ["chroot", str(root), "gimp-3.0", "-s", "-n", gimp.seen(base / PHOTO.name)]
    with running(command, env):
        main = screen_.window(r"chelsea.*GIMP$")
        screen_.fill(main)
        screen_.press(main, PAINT)
        screen_.press(screen_.window("Paint in a style"), "Down", "Down", "Down", "Return")
        wait(exchange, "state=running")
        wait(exchange)
        take(3.0)
        if screen_.is_shown("GIMP Message"):  # that it was scaled
            screen_.press(screen_.window("GIMP Message"), "Escape")
        screen_.press(main, PAINT)
        screen_.put(screen_.window("Paint in a style"), 4, 356)
        store(display, folder / "editor-gimp.png")


def begun(base: Path, exchange: Exchange, size: int) -> PaintingDaemon:
    """Return a daemon that answers, once it has drawn all thumbnails."""
    exchange.make()
    home = base / "Pictures"
    setup.make(home / "config.yaml", home, {})
    config = home / "config.yaml"
    text = config.read_text().replace("#  size: 1024 ", f"  size: {size} ")
    text = text.replace("#  preset: balanced ", "  preset: draft ")
    config.write_text(text + "\nstate_dir: state\n")
    daemon = PaintingDaemon(home, exchange)
    daemon.start()
    if not comes_true(lambda: _thumbs(exchange) > 8, 120.0):
        daemon.stop()
        raise TimeoutError("no thumbnails")
    return daemon


def _thumbs(exchange: Exchange) -> int:
    return exchange.styles.read_text().count("thumbs/") if exchange.styles.exists() else 0


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    parser.add_argument("--only", choices=["2", "3"])
    options = parser.parse_args()
    with screen("x".join(map(str, SCREEN))) as display:
        if options.only != "3":
            with tempfile.TemporaryDirectory(prefix="nst-stage-") as name:
                base, exchange = Path(name), Exchange(Path(name) / "exchange")
                daemon = begun(base, exchange, options.size)
                try:
                    show2(base, exchange, display, options.folder)
                finally:
                    daemon.stop()
        if options.only != "2":
            root = trixie()
            with room(root) as base:
                exchange = Exchange(base / "exchange")
                daemon = begun(base, exchange, options.size)
                try:
                    show3(exchange, base, root, display, options.folder)
                finally:
                    daemon.stop()


if __name__ == "__main__":
    main()
