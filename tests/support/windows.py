"""Windows on a screen that nobody sees, and keys that are pressed in them, by xdotool."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from support.desktops import needs
from support.waiting import comes_true, take

SHOWN_SECONDS = 90.0  # until a window is there
DRAWN_SECONDS = 3.0  # until it can be used
EFFECT_SECONDS = 15.0  # of a key
PAINTED_SECONDS = 200.0  # until an editor has started and its painting is there


class Windows:
    """What is on a display, and the hand at its keys."""

    def __init__(self, display: str, size: tuple[int, int]) -> None:
        needs("xdotool")
        self.display = display
        self._size = size  # px

    def _do(self, *words: object) -> str:
        command = ["xdotool", *map(str, words)]
        env = {**os.environ, "DISPLAY": self.display}
        return subprocess.run(command, env=env, check=False, text=True, capture_output=True).stdout

    def window(self, name: str) -> str:
        """Return the window of a name, once it is there."""
        found: list[str] = []

        def look() -> bool:
            found[:] = self._do("search", "--onlyvisible", "--name", name).split()
            return bool(found)

        if not comes_true(look, SHOWN_SECONDS):
            raise TimeoutError(f"no window {name!r}")
        take(DRAWN_SECONDS)
        return found[-1]

    def is_shown(self, name: str) -> bool:
        """Return whether a window of that name is there."""
        return bool(self._do("search", "--onlyvisible", "--name", name).split())

    def fill(self, window: str) -> None:
        """Give a window the whole screen: there is no window manager."""
        self._do("windowmove", window, 0, 0, "windowsize", window, *self._size)
        take(DRAWN_SECONDS)

    def put(self, window: str, x: int, y: int) -> None:
        """Move a window."""
        self._do("windowmove", window, x, y)
        take(1.0)

    def press(self, window: str, *keys: str) -> None:
        """Press keys in a window."""
        self._do("windowfocus", "--sync", window)
        for key in keys:
            take(0.3)
            self._do("key", key)

    def press_until(self, window: str, key: str, comes: Callable[[], object]) -> None:
        """Press a key until it has an effect: without a window manager the first ones may go nowhere."""
        for _ in range(5):
            self.fill(window)
            self.press(window, key)
            if comes_true(comes, EFFECT_SECONDS):
                return
        raise TimeoutError(f"{key} has no effect")


def undo_and_redo(windows: Windows, said: Path) -> None:
    """Press undo and redo in GIMP, each until one more line is said of what the image has by now."""

    def lines() -> int:
        return len(said.read_text().splitlines()) if said.exists() else 0

    if not comes_true(lines, PAINTED_SECONDS):
        raise TimeoutError("no painting")
    main = windows.window("GIMP$")
    windows.press_until(main, "ctrl+z", lambda: lines() == 2)
    windows.press_until(main, "ctrl+y", lambda: lines() == 3)
