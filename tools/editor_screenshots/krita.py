"""Krita with the docker: one painting is a layer already, another is being painted, a third waits.

    python tools/editor_screenshots/krita.py [--size 512]

A real Krita on a screen of its own and a real daemon, in a home of their own, by the means of the tests. For
Linux, with krita, python3-pyqt5, python3-pyqt5.sip, Xvfb and dbus-run-session.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from PIL import Image, ImageGrab

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.desktops import screen  # noqa: E402
from support.krita import SIZE, Krita, PaintingDaemon  # noqa: E402

from nst_daemon.cli import setup  # noqa: E402
from nst_daemon.folders.exchange import Exchange  # noqa: E402

PHOTO = ROOT / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"
IMAGES = ROOT / "docs" / "images"
SHOWN = (525, 50, 1400, 900)  # px, of the screen: half the canvas, and the dockers
STYLES = ("swirling_oil", "stained_glass", "watercolour")

# There is no window manager to place the window; the dockers beside ours make room.
ARRANGE = """
window = app.activeWindow().qwindow()
window.move(0, 0)
window.resize(1400, 900)
for each in app.dockers():
    if each.objectName() not in ("KisLayerBox", "ToolBox", "nst_daemon_docker"):
        each.hide()
window.resizeDocks([dock()], [360], QtCore.Qt.Horizontal)
layers = next(each for each in app.dockers() if each.objectName() == "KisLayerBox")
window.resizeDocks([layers, dock()], [130, 700], QtCore.Qt.Vertical)
"""


def taken(krita: Krita, path: Path) -> None:
    """Store what the screen shows."""
    image = ImageGrab.grab(xdisplay=krita.display).convert("RGB")
    image = image.crop(SHOWN)
    image.quantize(160, dither=Image.Dither.FLOYDSTEINBERG).save(path, optimize=True)
    print(f"{path}: {image.width} x {image.height} px, {path.stat().st_size / 1000:.0f} kB")


def take(krita: Krita, size: int, folder: Path) -> None:
    """Order paintings, and take the pictures."""
    krita.start()
    krita.wait("answer = len(studio().styles) > 8 and all(s.thumb for s in studio().styles)", "thumbnails")
    krita.ask(ARRANGE)
    krita.ask(f"document = show({str(PHOTO)!r})")  # when the window has its size
    krita.ask("app.action('toggle_zoom_to_fit').trigger(); settle(document)")
    krita.ask(f"paint({STYLES[0]!r}, size='px', px={size})")
    krita.wait("answer = studio().orders[0].is_over", "the first", seconds=900)
    krita.wait("answer = len(tree(document.rootNode())) == 2", "its layer")
    krita.ask("document.setActiveNode(document.rootNode().childNodes()[-1])")
    for style, is_visible in zip(STYLES[1:], (False, True), strict=True):  # the photo alone, then both
        krita.ask(
            f"document.rootNode().childNodes()[-1].setVisible({is_visible}); document.refreshProjection()"
        )
        krita.ask(f"paint({style!r}, size='px', px={size})")
    krita.wait(
        "answer = any((order.percent or 0) >= 40 and order.preview(studio().exchange)"
        " for order in studio().orders)",
        "a live picture",
        seconds=900,
    )
    krita.ask("find(QtWidgets.QListWidget, 'nst_styles').scrollToTop()")
    taken(krita, folder / "editor-krita.png")


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nst-stage-") as name, screen(SIZE) as display:
        base = Path(name)
        exchange = Exchange(base / "exchange")
        exchange.make()
        home = base / "Pictures"
        setup.make(home / "config.yaml", home, {})
        with (home / "config.yaml").open("a") as config:
            config.write("\nstate_dir: state\n")
        daemon, krita = PaintingDaemon(home, exchange), Krita(base, display, exchange)
        try:
            daemon.start()
            take(krita, options.size, options.folder)
        finally:
            krita.kill()
            daemon.stop()


if __name__ == "__main__":
    main()
