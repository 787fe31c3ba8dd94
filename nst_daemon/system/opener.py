"""Opens a folder, a picture, a text or an address with the program that the desktop has for it."""

import logging
import os
import subprocess
import sys
from pathlib import Path

logger = logging.getLogger(__name__)


def open_path(path: Path) -> None:
    """Open a path; what cannot be opened is a word in the log."""
    _open(str(path), str(path))


def open_address(address: str) -> None:
    """Open a page's address in the browser. A word in the log does not tell it: there is a ticket in it."""
    _open(address, "The page")


def _open(what: str, name: str) -> None:
    try:
        if sys.platform == "win32":
            os.startfile(what)
            return
        command = "open" if sys.platform == "darwin" else "xdg-open"
        # In a session of its own, or closing the program that opened would wait for ours.
        child = subprocess.Popen(
            [command, what],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        logger.warning("%s could not be opened: %s", name, error)
        return
    _opened.append(child)
    _opened[:] = [each for each in _opened if each.poll() is None]


_opened: list[subprocess.Popen[bytes]] = []  # those that still run: Python wants to know how they end
