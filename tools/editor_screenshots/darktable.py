"""Take the picture of darktable for the documentation: export dialog, bar, and paintings that have come.

    python tools/editor_screenshots/darktable.py [--size 384] [--out FOLDER]

A real daemon paints parts of the sample photo, and a real darktable orders and fetches them, in a profile of
its own. For Linux, with darktable, Xvfb and dbus-daemon.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image, ImageGrab

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.darktable import Darktable  # noqa: E402
from support.desktops import screen, x11  # noqa: E402

PHOTO = ROOT / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"
IMAGES = ROOT / "docs" / "images"
SIZE = (1280, 860)  # px, as the tests' window
BOTTOM = 734  # px, where an empty panel begins
PARTS = {
    "chelsea.tif": (0, 0, 451, 300),
    "eyes.tif": (60, 40, 330, 220),
    "whiskers.tif": (90, 90, 330, 250),
    "ear.tif": (20, 0, 290, 180),
}
SCRIPT = """
  local one, two, three, four = import("chelsea.tif", "eyes.tif", "whiskers.tif", "ear.tif")
  for number, image in ipairs { one, two, three, four } do image.rating = number % 3 + 2 end
  one.red, three.blue = true, true
  tag(two, "nst|mosaic")
  order { one, two, three }
  wait("the end", closed, 3000)
  dt.control.sleep(1000000)
"""


def wait_for(condition: Callable[[], object], *, seconds: float = 900.0, what: str = "") -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true in time")
        time.sleep(0.1)


def percent(darktable: Darktable) -> int:
    """Return how far the painting is that is just being made."""
    found = 0
    for status in (darktable.exchange.root / "in" / "darktable").glob("*.status"):
        with contextlib.suppress(OSError):
            answer = dict(line.split("=", 1) for line in status.read_text().splitlines())
            if answer.get("state") == "running":
                found = int(answer.get("percent", 0))
    return found


def take(folder: Path, size: int) -> tuple[Image.Image, Image.Image]:
    """Return the screen in the middle of a batch, and at its end."""
    with screen("x".join(map(str, SIZE))) as display:
        darktable = Darktable(folder, display, wait_for)
        photo = Image.open(PHOTO)
        for name, box in PARTS.items():
            photo.crop(box).resize((box[2] - box[0], box[3] - box[1])).save(darktable.photos / name)
        (folder / "config.yaml").write_text(
            "inbox: inbox\noutbox: outbox\nstate_dir: state\nexchange: exchange\ntray: off\nnotify: off\n"
            f"set: {{size: {size}, preset: draft}}\n"
        )
        for name in ("inbox", "outbox", "styles"):
            (folder / name).mkdir()
        command = [sys.executable, "-m", "nst_daemon", "run", "--config", str(folder / "config.yaml")]
        daemon = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            styles = darktable.exchange.root / "styles.txt"
            wait_for(styles.exists, what="the list of styles")
            with x11(display) as server:  # or a photo's tooltip is in the way
                server.screen().root.warp_pointer(620, 655)
                server.sync()
            darktable.start(
                SCRIPT,
                lua__nst_daemon__style="swirling_oil",
                plugins__lighttable__images_in_row="3",
                lighttable__ui__0__bottom_visible="FALSE",
            )
            wait_for(lambda: len(darktable.pictures()) == len(PARTS) + 2, what="two paintings")
            wait_for(lambda: percent(darktable) >= 20, what="some of the next")
            time.sleep(1.2)
            middle = ImageGrab.grab(xdisplay=display).convert("RGB")
            wait_for(lambda: darktable.orders() == [], what="the last painting")
            time.sleep(1.0)
            end = ImageGrab.grab(xdisplay=display).convert("RGB")
        finally:
            darktable.kill()
            daemon.terminate()
            daemon.wait()
    return middle, end


def main() -> None:
    """Take both, and keep the one in the middle."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--out", type=Path, default=IMAGES)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nst-stage-") as folder:
        middle, end = take(Path(folder), options.size)
    if options.out != IMAGES:
        end.save(options.out / "editor-darktable-end.png")
        middle.save(options.out / "editor-darktable-middle.png")
    path = options.out / "editor-darktable.png"
    shown = middle.crop((0, 0, middle.width, BOTTOM))
    shown.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {shown.width} x {shown.height} px, {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
