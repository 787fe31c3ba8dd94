"""What starts programs at log-in. Imports nothing: the command line has it among its choices."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """What starts programs at log-in, by the word that a command takes."""

    SYSTEMD = "systemd"  # on Linux
    LAUNCHD = "launchd"  # on macOS
    WINDOWS = "windows"
    AUTOSTART = "autostart"  # of the desktop, on Linux without systemd


TITLES: Final[Mapping[Kind, str]] = {
    Kind.SYSTEMD: "systemd user unit",
    Kind.LAUNCHD: "launchd agent",
    Kind.WINDOWS: "Windows log-on task",
    Kind.AUTOSTART: "autostart entry",
}
