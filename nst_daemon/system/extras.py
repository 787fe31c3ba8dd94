"""The packages that a plain installation does without, and the extra that brings each.

A lack is told in words, with the command that mends it. Nothing is imported here to find out.
"""

import importlib.util
from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class Extra(StrEnum):
    """What `pip install 'nst-daemon[…]'` takes; `all` has each of them."""

    DESKTOP = "desktop"  # the icon in the tray, and notifications
    REPORT = "report"  # the page beside a result
    RAW = "raw"  # camera raw
    SAFETENSORS = "safetensors"  # weights from a .safetensors file
    FARM = "farm"  # engines on other machines


PACKAGES: Final[Mapping[Extra, tuple[str, ...]]] = {
    Extra.DESKTOP: ("pystray", "desktop_notifier"),
    Extra.REPORT: ("matplotlib",),
    Extra.RAW: ("rawpy",),
    Extra.SAFETENSORS: ("safetensors",),
    Extra.FARM: ("cryptography", "distributed"),
}  # by the names under which they are imported


def is_installed(package: str) -> bool:
    """Return whether a package could be imported."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # ValueError: it is there already, and says nothing of itself
        return False


def lacking(extra: Extra) -> str:
    """Return which packages of an extra are not installed, in words; empty if all are."""
    lacks = [package.replace("_", "-") for package in PACKAGES[extra] if not is_installed(package)]
    return " and ".join(lacks)


def remedy(extra: Extra) -> str:
    """Return the command that installs an extra, for a sentence that may go on."""
    return f"Run: pip install 'nst-daemon[{extra}]'"
