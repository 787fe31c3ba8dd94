"""darktable on a screen that nobody sees, with our plug-in and a script that does what a user would."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
import pytest
import tifffile
from PIL import ImageGrab

import nst_daemon
from nst_daemon.folders.exchange import Exchange
from support.desktops import needs, screen

PLUGIN: Final = Path(nst_daemon.__file__).parent / "bundled" / "editors" / "darktable" / "nst_daemon.lua"
ODD: Final = 'it\'s ü "here"'  # a folder's name that no shell and no quoting may stumble over
START_SECONDS: Final = 20.0  # on a machine with much else to do
STARTS: Final = 6  # darktable 4.2.1 itself, without a plug-in, hangs in some of its starts: its own scripts
# ask for a widget while the main loop is just beginning, and both wait for ever
SCRIPT_SECONDS: Final = 150.0
SIZE: Final = "1280x860"
CANCEL_AT: Final = (248, 718)  # the cross of the one progress bar, at the left panel's foot

# The window has a place of its own: there is no window manager. The offer to install others' Lua scripts
# calls a shell with the folder's bare name.
CONF: Final = {
    "plugins/lighttable/export/storage_name": "nst_daemon",
    "plugins/lighttable/export/format_name": "tiff",
    "plugins/lighttable/export/expanded": "TRUE",
    "plugins/lighttable/export/icctype": "-1",
    "plugins/imageio/format/tiff/bpp": "16",
    "lua/_scripts_install/dont_show": "TRUE",
    "ui_last/window_w": "1280",
    "ui_last/window_h": "860",
    "ui_last/window_x": "0",
    "ui_last/window_y": "0",
    "ui_last/maximized": "FALSE",
    "ui_last/no_april1st": "TRUE",
}

# What a test's script may call. It runs beside the plug-in, and knows nothing of it.
PRELUDE: Final = """
local dt = require "darktable"
local MARKS = @MARKS@
local PHOTOS = @PHOTOS@
local function note(...)
  local words = {}
  for _, word in ipairs { ... } do words[#words + 1] = (tostring(word):gsub("[\\t\\n]", " ")) end
  local file = io.open(MARKS, "ab")
  file:write(table.concat(words, "\\t") .. "\\n")
  file:close()
end
local function wait(what, condition, seconds)
  local deadline = os.time() + (seconds or 60)
  while not condition() do
    if os.time() > deadline then error(what .. " did not come true") end
    dt.control.sleep(100)
  end
end
local function exists(path)
  local file = io.open(path, "rb")
  if file then file:close() end
  return file ~= nil
end
local function photo(name)
  for _, image in ipairs(dt.database) do
    if tostring(image):sub(-#name) == name then return image end
  end
end
local function import(...)
  local images = {}
  for _, name in ipairs { ... } do images[#images + 1] = dt.database.import(PHOTOS .. "/" .. name) end
  return table.unpack(images)
end
-- Whether the plug-in has orders that are open.
local function open() return exists(dt.configuration.config_dir .. "/nst_daemon.orders") end
local function closed() return not open() end
local function order(images)
  dt.gui.selection(images)
  dt.gui.action("lib/export/export", 0, "", "", 1.0)
end
local function tag(image, name) dt.tags.attach(dt.tags.create(name), image) end
local function describe(image)
  local tags = {}
  for _, each in ipairs(image:get_tags()) do
    if not each.name:find("^darktable|") then tags[#tags + 1] = each.name end
  end
  table.sort(tags)
  note("image", image, image.group_leader, image.rating, image.red, image.blue, table.concat(tags, ","))
end
dt.control.dispatch(function()
  local plug_in = require "nst_daemon"
  while not plug_in.is_there do dt.control.sleep(100) end
  local ok, fault = pcall(function()
    @SCRIPT@
  end)
  note(ok and "end" or "fault", fault or "")
end)
"""

# Of a machine without sound, as root, in a container; nothing of ours.
HARMLESS: Final = re.compile(
    r"ALSA lib|Failed to set fd limit|are you running darktable as root|dconf-WARNING|at-spi|AT-SPI"
    r"|cannot open directory|unable to (init|open) (audio|OpenCL)"
)
FAULT: Final = re.compile(r"LUA ERROR|CRITICAL|WARNING|[Ee]rror|stack traceback|[Ss]egmentation")


def lua_string(text: str) -> str:
    """Return a text as Lua's source has it."""
    letters = (
        f"\\{byte:03d}" if byte < 32 or byte > 126 or byte in b'"\\' else chr(byte) for byte in text.encode()
    )
    return f'"{"".join(letters)}"'


def plugin_for(exchange: Path) -> str:
    """Return the plug-in's source as it is installed."""
    source = PLUGIN.read_text(encoding="utf-8")
    return source.replace('"@EXCHANGE@"', lua_string(os.fspath(exchange))).replace("@VERSION@", "0.0.test")


class Darktable:
    """One profile of darktable's, and the program over it."""

    def __init__(self, base: Path, display: str, wait_for: Callable[..., None]) -> None:
        self.base = base
        self.display = display
        self.exchange = Exchange(base / "exchange")
        self.exchange.make()
        self.photos = base / "photos"
        self.photos.mkdir()
        self.profile = base / "profile"
        (self.profile / "lua").mkdir(parents=True)
        self.marks_file = base / "marks"
        self.log = base / "log"
        self.temporary: Path | None = None  # for exported files; else a folder beside the others
        self._wait_for = wait_for
        self._process: subprocess.Popen[bytes] | None = None
        self._stderr: IO[bytes] | None = None

    def photo(self, name: str, seed: int = 0, bits: int = 8) -> Path:
        """Make a small photo."""
        path = self.photos / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ramp = np.linspace(0, 2**bits - 1, 72 * 48).reshape(48, 72)
        pixels = np.stack([ramp, ramp[::-1], np.roll(ramp, seed + 7, axis=1)], axis=-1)
        tifffile.imwrite(path, pixels.astype(np.uint16 if bits == 16 else np.uint8), photometric="rgb")
        return path

    def start(self, script: str, *, library: str = ":memory:", **conf: str) -> None:
        """Begin with a script; it notes what it sees, and at last `end`."""
        self.marks_file.unlink(missing_ok=True)
        lua = self.profile / "lua"
        (lua / "nst_daemon.lua").write_text(plugin_for(self.exchange.root), encoding="utf-8")
        prelude = PRELUDE.replace("@MARKS@", lua_string(os.fspath(self.marks_file)))
        prelude = prelude.replace("@PHOTOS@", lua_string(os.fspath(self.photos)))
        (lua / "user.lua").write_text(prelude.replace("@SCRIPT@", script), encoding="utf-8")
        (self.profile / "luarc").write_text('require "nst_daemon"\nrequire "user"\n')
        command = ["dbus-run-session", "--", "darktable", "-d", "lua", "--disable-opencl"]
        command += ["--library", library if library == ":memory:" else os.fspath(self.base / library)]
        command += ["--configdir", os.fspath(self.profile), "--cachedir", os.fspath(self.base / "cache")]
        command += ["--tmpdir", os.fspath(self.temporary or self._made("tmp"))]
        for key, value in {**CONF, **{key.replace("__", "/"): value for key, value in conf.items()}}.items():
            command += ["--conf", f"{key}={value}"]
        environment = {**os.environ, "DISPLAY": self.display, "NO_AT_BRIDGE": "1", "LC_ALL": "C.UTF-8"}
        environment |= {"HOME": os.fspath(self._made("home")), "GDK_BACKEND": "x11"}
        for _ in range(STARTS):
            before = len(self.said())
            self._stderr = self.log.open("ab")
            self._process = subprocess.Popen(
                command, env=environment, stdout=self._stderr, stderr=self._stderr, start_new_session=True
            )
            with contextlib.suppress(AssertionError):
                self._wait_for(lambda before=before: len(self.said()) > before, seconds=START_SECONDS)
                return
            self.kill()
        raise AssertionError(f"darktable did not start; {self._last_words}")

    def _made(self, name: str) -> Path:
        (self.base / name).mkdir(exist_ok=True)
        return self.base / name

    def end(self) -> list[list[str]]:
        """Wait for the script's end, end darktable, and return the notes."""
        try:
            self._wait_for(
                lambda: {"end", "fault"} & {mark[0] for mark in self.marks()} or not self.is_alive(),
                seconds=SCRIPT_SECONDS,
                what="the script's end",
            )
        except AssertionError as error:
            ImageGrab.grab(xdisplay=self.display).save(self.base / "screen.png")
            raise AssertionError(f"{error}; {self.marks()}; {self._last_words}") from None
        marks = self.marks()
        self.kill()
        assert marks, self._last_words
        assert marks[-1][0] == "end", (marks, self._last_words)
        return marks

    def run(self, script: str, *, library: str = ":memory:", **conf: str) -> list[list[str]]:
        self.start(script, library=library, **conf)
        return self.end()

    @property
    def _last_words(self) -> str:
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def marks(self) -> list[list[str]]:
        if not self.marks_file.exists():
            return []
        return [line.split("\t") for line in self.marks_file.read_text(encoding="utf-8").splitlines()]

    def kill(self) -> None:
        """End it as a crash would: nothing of it tidies up."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._stderr is not None:
            self._stderr.close()
            self._stderr = None
        for lock in self.base.rglob(
            "*.lock"
        ):  # with the number of a process that may be somebody else's soon
            lock.unlink()

    def said(self) -> list[str]:
        """Return what the plug-in said, in its own words."""
        return re.findall(
            r"LUA nst-daemon: (.*)", self.log.read_text(errors="replace") if self.log.exists() else ""
        )

    def faults(self) -> list[str]:
        """Return the lines of its log that speak of an error of the program's or a script's."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [
            line
            for line in lines
            if FAULT.search(line) and not HARMLESS.search(line) and "LUA nst-daemon: " not in line
        ]

    def orders(self) -> list[str]:
        """Return the names of all that lies in the plug-in's part of the exchange folder."""
        return sorted(path.name for path in (self.exchange.root / "in" / "darktable").iterdir())

    def results(self) -> list[str]:
        return sorted(path.name for path in (self.exchange.root / "out" / "darktable").iterdir())

    def pictures(self) -> list[str]:
        """Return the pictures among the photos, without darktable's sidecars."""
        found = (path for path in self.photos.rglob("*") if path.is_file() and path.suffix != ".xmp")
        return sorted(path.relative_to(self.photos).as_posix() for path in found)


@pytest.fixture(scope="session")
def wide_screen() -> Iterator[str]:
    with screen(SIZE) as display:
        yield display


@pytest.fixture
def darktable(tmp_path: Path, wide_screen: str, wait_for: Callable[..., None]) -> Iterator[Darktable]:
    """Yield a darktable that has not begun; it leaves no error behind."""
    if shutil.which("darktable") is None:
        pytest.skip("NOT TESTED: no darktable. Debian: apt-get install --no-install-recommends darktable")
    needs("Xvfb", "dbus-run-session")
    (tmp_path / ODD).mkdir()
    program = Darktable(tmp_path / ODD, wide_screen, wait_for)
    try:
        yield program
    finally:
        program.kill()
    assert program.faults() == []
