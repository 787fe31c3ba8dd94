"""Take the screenshots of the documentation: the page, the tray and its icons, and status --watch.

    python tools/take_screenshots.py [--size 384] [--only page]

A real daemon paints the sample photo in built-in styles, in a home of its own; a real browser, a real panel
and a real terminal show it. For Linux, with Chromium, Xvfb, trayer, xdotool, tmux, dbus-daemon, and the
system's PyGObject for the same version of Python.
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image, ImageColor, ImageDraw, ImageFont, ImageGrab
from playwright.sync_api import sync_playwright
from rich.color_triplet import ColorTriplet
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from nst_daemon.desktop.icons import Look, draw

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"
IMAGES = ROOT / "docs" / "images"
GI = Path("/usr/lib/python3/dist-packages/gi")
FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf")
BOLD = FONT.with_name("DejaVuSansMono-Bold.ttf")
PANELS = {"light": "#f2f1f0", "dark": "#2b2b2b"}
SIDES = (16, 22, 24, 32, 64)  # px
SCREEN = (470, 440)  # px
PANEL_HEIGHT = 28  # px
COLUMNS, LINES = 92, 24
CELL = (9, 19)  # px
DONE = ("mosaic", "pastel")  # painted small, to be done soon
STYLES = ("swirling_oil", "mosaic", "pastel", "woodcut", "palette_knife")
DRAFTS = ("pastel", "woodcut", "palette_knife")
PAGES = {  # name: view, what is waited for in it, width, height, scheme
    "page-now": ("now", ".easels .easel-picture[src*=preview]", 1280, 800, "dark"),
    "page-compare": ("job/{done}", "before-after[data-ready]", 1280, 800, "light"),
    "page-phone": ("styles", ".styles .card", 390, 844, "light"),
}
ARE_DRAWN = """() => [...document.images].every((image) => {
    const { top, bottom } = image.getBoundingClientRect();
    const isSeen = image.checkVisibility() && bottom > 0 && top < innerHeight && image.hasAttribute("src");
    return !isSeen || (image.complete && image.naturalWidth > 0);
})"""
NIGHT = TerminalTheme(
    (24, 26, 31),
    (214, 218, 224),
    [
        *((24, 26, 31), (233, 86, 92), (122, 190, 110), (222, 166, 72)),
        *((88, 156, 236), (190, 120, 210), (90, 180, 190), (214, 218, 224)),
    ],
)


def wait_for(condition: Callable[[], object], seconds: float = 240.0, *, every: float = 0.2) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come true in time")
        time.sleep(every)


@contextlib.contextmanager
def running(*command: object, **how: Any) -> Iterator["subprocess.Popen[str]"]:
    """Yield a program that is ended afterwards."""
    words = [str(word) for word in command]
    process = subprocess.Popen(words, text=True, **{"stderr": subprocess.DEVNULL, **how})
    try:
        yield process
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


def first_line(process: "subprocess.Popen[str]") -> str:
    """Return the first that a program says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


class Stage:
    """A home with a config and photos, an X server and a session bus."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.home = folder / "Pictures"
        self.size = size
        libraries = folder / "libraries"
        libraries.mkdir()
        (libraries / "gi").symlink_to(GI)
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "NST_"))},
            "HOME": str(folder),
            "PYTHONPATH": f"{ROOT}:{libraries}",
            "NST_DAEMON_CONFIG": str(self.home / "config.yaml"),
            "NO_AT_BRIDGE": "1",
        }

    def ask(self, *words: object) -> str:
        """Return what a command of ours answers."""
        command = [sys.executable, "-m", "nst_daemon", *map(str, words)]
        return subprocess.run(
            command, env=self.env, cwd=self.folder, check=True, text=True, stdout=subprocess.PIPE
        ).stdout

    def prepare(self) -> None:
        """Make the config, and photos that wait in the inbox."""
        self._configure()
        for style in STYLES:
            photo = self.home / "inbox" / style / "chelsea.jpg"
            photo.parent.mkdir()
            if style in DONE:
                photo.with_suffix(".yaml").write_text("set: {size: 96, steps: 12}\n")
            photo.write_bytes(PHOTO.read_bytes())

    def prepare_drafts(self) -> None:
        """Make the config, and photos for the page: most of them drafts, then some in full."""
        self._configure()
        for style in (*DRAFTS, "swirling_oil", "mosaic", "stained_glass", "cut_paper", "pointillism"):
            photo = self.home / "inbox" / style / "chelsea.jpg"
            photo.parent.mkdir()
            if style in DRAFTS:
                photo.with_suffix(".yaml").write_text("set: {preset: draft}\n")
            photo.write_bytes(PHOTO.read_bytes())

    def _configure(self) -> None:
        """Make the config, with the size that is asked for."""
        self.ask("init", self.home)
        config = self.home / "config.yaml"
        text, count = re.subn(r"^#  size: \d+", f"  size: {self.size}", config.read_text(), flags=re.M)
        assert count == 1
        config.write_text(text)

    def progress(self) -> tuple[int, float]:
        """Return how many paintings are done, and how much of the current one."""
        try:
            status = json.loads(self.ask("status", "--json"))
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"A photo failed:\n{self.ask('logs')}") from error
        current = status["current"]
        return status["counts"]["done"], current[0]["progress"] if current else 0.0


def panel(stage: Stage, ground: str) -> Image.Image:
    """Return a panel with our icon and its open menu."""
    tint = f"0x{ground.removeprefix('#')}"
    options = f"--edge top --align left --height {PANEL_HEIGHT} --widthtype pixel --width {SCREEN[0]}"
    look = f"--transparent true --alpha 0 --tint {tint}"
    with running("trayer", *options.split(), *look.split(), env=stage.env):
        display = stage.env["DISPLAY"]
        ground_color = ImageColor.getrgb(ground)
        middle = (PANEL_HEIGHT // 2, PANEL_HEIGHT // 2)

        def is_shown() -> bool:
            strip = ImageGrab.grab(bbox=(0, 0, 60, PANEL_HEIGHT), xdisplay=display).convert("RGB")
            color = strip.getpixel((59, 2))
            assert isinstance(color, tuple)
            is_there = all(abs(one - other) < 4 for one, other in zip(color, ground_color, strict=True))
            return is_there and len(strip.getcolors(10_000) or ()) > 20

        wait_for(is_shown, 60)
        time.sleep(3)  # for the menu's first entries
        click = ["xdotool", "mousemove", *map(str, middle), "click", "3", "mousemove", "150", "80"]
        subprocess.run(click, env=stage.env, check=True)
        time.sleep(1.5)
        screen = ImageGrab.grab(xdisplay=display).convert("RGB")
        subprocess.run(["xdotool", "key", "Escape"], env=stage.env, check=True)
    return screen


def cropped(screen: Image.Image) -> Image.Image:
    """Return a screen without the black at its end."""
    box = screen.getbbox()
    assert box is not None
    return screen.crop((0, 0, screen.width, box[3]))


def tray(stage: Stage) -> Image.Image:
    """Return both panels side by side."""
    screens = [cropped(panel(stage, ground)) for ground in PANELS.values()]
    height = max(screen.height for screen in screens)
    sheet = Image.new("RGB", (SCREEN[0] * 2 + 12, height), (128, 140, 150))
    for number, screen in enumerate(screens):
        desk = Image.new("RGB", (SCREEN[0], height), (72, 96, 120))
        pixels = screen.convert("L").point(lambda value: 255 if value else 0)  # the bare screen is black
        desk.paste(screen, (0, 0), pixels)
        sheet.paste(desk, (number * (SCREEN[0] + 12), 0))
    return sheet


def pages(stage: Stage) -> None:
    """Save what a browser shows of the page, while the first photo is painted that is no draft."""
    wait_for(lambda: stage.progress() >= (len(DRAFTS), 0.3), 3600, every=5.0)
    done = json.loads(stage.ask("jobs", "--state", "done", "--json"))[0]["job"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for name, (view, contents, width, height, scheme) in PAGES.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            context.set_default_timeout(60_000)
            page = context.new_page()
            page.goto(stage.ask("page", "--url").strip())
            page.locator("html[data-ready]").wait_for(state="attached")
            page.evaluate("(view) => { location.hash = view }", view.format(done=done))
            page.locator(contents).first.wait_for()
            page.wait_for_function(ARE_DRAWN)
            page.wait_for_timeout(500)  # for what fades in
            path = IMAGES / f"{name}.jpg"
            page.screenshot(path=path, type="jpeg", quality=85)
            print(f"{path}: {width} x {height} px, {path.stat().st_size / 1000:.0f} kB")
        browser.close()


def icons() -> Image.Image:
    """Return every look at every size, on a light and on a dark panel."""
    gap = 14
    width = gap + sum(side + gap for side in SIDES)
    height = gap + len(Look) * (max(SIDES) + gap)
    sheet = Image.new("RGB", (2 * width, height))
    for number, ground in enumerate(PANELS.values()):
        half = Image.new("RGBA", (width, height), ground)
        top = gap
        for look in Look:
            left = gap
            for side in SIDES:
                half.alpha_composite(draw(look, side, 0.62), (left, top + (max(SIDES) - side) // 2))
                left += side + gap
            top += max(SIDES) + gap
        sheet.paste(half.convert("RGB"), (number * width, 0))
    return sheet


def terminal(stage: Stage) -> Image.Image:
    """Return what `status --watch` shows in a terminal."""
    tmux = ["tmux", "-L", f"nst-{os.getpid()}"]
    shell = f"exec {sys.executable} -m nst_daemon status --watch"
    begin = [*tmux, "new-session", "-d", "-s", "a", "-x", str(COLUMNS), "-y", str(LINES), shell]
    subprocess.run(begin, env={**stage.env, "TERM": "xterm-256color", "COLORTERM": "truecolor"}, check=True)
    try:
        time.sleep(6)
        command = [*tmux, "capture-pane", "-p", "-e", "-t", "a"]
        capture = subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE, env=stage.env)
    finally:
        subprocess.run([*tmux, "kill-server"], check=False, env=stage.env)
    return typeset(list(Text.from_ansi(capture.stdout.rstrip("\n")).split("\n")))


def typeset(lines: list[Text]) -> Image.Image:
    """Return lines of a terminal as a picture."""
    margin = 12
    plain, bold = (ImageFont.truetype(str(path), 15) for path in (FONT, BOLD))
    size = COLUMNS * CELL[0] + 2 * margin, len(lines) * CELL[1] + 2 * margin
    image = Image.new("RGB", size, tuple(NIGHT.background_color))
    pen = ImageDraw.Draw(image)
    console = Console()
    for row, line in enumerate(lines):
        for column, char in enumerate(line.plain):
            style = line.get_style_at_offset(console, column)
            where = margin + column * CELL[0], margin + row * CELL[1]
            pen.text(where, char, font=bold if style.bold else plain, fill=color_of(style))
    return image


def color_of(style: Style) -> tuple[int, int, int]:
    """Return the colour of a letter."""
    color = NIGHT.foreground_color if style.color is None else style.color.get_truecolor(NIGHT)
    if style.dim:
        mixed = [(2 * one + other) // 3 for one, other in zip(color, NIGHT.background_color, strict=True)]
        color = ColorTriplet(*mixed)
    return color.red, color.green, color.blue


def save(image: Image.Image, name: str) -> None:
    """Save a picture small: screens have few colours."""
    path = IMAGES / name
    image.quantize(128, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path}: {image.width} x {image.height} px, {path.stat().st_size / 1000:.0f} kB")


def take_pages(folder: Path, size: int) -> None:
    """Take what a browser shows."""
    stage = Stage(folder, size)
    stage.prepare_drafts()
    with running(sys.executable, "-m", "nst_daemon", "run", "--no-tray", env=stage.env):
        pages(stage)


def take_desk(folder: Path, size: int) -> None:
    """Take what a panel and a terminal show."""
    save(icons(), "icons.png")
    with contextlib.ExitStack() as stack:
        stage = Stage(folder, size)
        screen = f"{SCREEN[0]}x{SCREEN[1]}x24"
        server = running(
            *("Xvfb", "-displayfd", "1", "-screen", "0", screen, "-noreset"), stdout=subprocess.PIPE
        )
        stage.env["DISPLAY"] = f":{first_line(stack.enter_context(server))}"
        bus = running("dbus-daemon", "--session", "--nofork", "--print-address", stdout=subprocess.PIPE)
        stage.env["DBUS_SESSION_BUS_ADDRESS"] = first_line(stack.enter_context(bus))
        stage.prepare()
        stack.enter_context(running(sys.executable, "-m", "nst_daemon", "run", env=stage.env))
        wait_for(lambda: stage.progress() >= (len(DONE), 0.35), 1800)
        save(terminal(stage), "status.png")
        save(tray(stage), "tray.png")


TAKEN = {"page": take_pages, "desk": take_desk}


def main() -> None:
    """Take them all."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what we began ends with us
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--only", choices=TAKEN)
    options = parser.parse_args()
    for name, take in TAKEN.items():
        if options.only in (None, name):
            with tempfile.TemporaryDirectory(prefix="nst-stage-") as folder:
                take(Path(folder), options.size)


if __name__ == "__main__":
    main()
