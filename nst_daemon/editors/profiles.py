"""Where the editors of this user keep their plug-ins: native, Flatpak and Snap.

Looks at folders and programs; changes nothing. The folders of macOS and Windows are those of the editors'
documentation; nobody has tried them there.
"""

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.errors import ConditionError
from nst_daemon.folders.exchange import Editor

VERSION_SECONDS: Final = 20.0  # for a program to say its version: the first start of one reads its disk


class Packing(StrEnum):
    """How an editor was installed."""

    NATIVE = "native"
    FLATPAK = "Flatpak"
    SNAP = "Snap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One editor's own folders, of one user."""

    editor: Editor
    packing: Packing
    folder: Path  # its plug-ins lie in or below it
    settings: Path | None = None  # the file that names the plug-ins to load, where there is one
    version: str = ""  # as far as it is known: of the program, or of the folder

    @property
    def words(self) -> str:
        """What people call it."""
        name = {Editor.DARKTABLE: "darktable", Editor.GIMP: "GIMP", Editor.KRITA: "Krita"}[self.editor]
        packing = "" if self.packing is Packing.NATIVE else f" ({self.packing})"
        return f"{name} {self.version}".strip() + packing


FLATPAKS: Final = {
    Editor.DARKTABLE: "org.darktable.Darktable",
    Editor.GIMP: "org.gimp.GIMP",
    Editor.KRITA: "org.kde.krita",
}
PROGRAMS: Final = {
    Editor.DARKTABLE: ("darktable",),
    Editor.GIMP: ("gimp", "gimp-2.10", "gimp-3.0"),
    Editor.KRITA: ("krita",),
}
GIMP_FOLDER: Final = re.compile(r"(2\.10|3\.\d+)")


@dataclass(frozen=True, slots=True)
class _Places:
    """The folders of one packing."""

    packing: Packing
    config: Path
    data: Path


def profiles(editor: Editor) -> list[Profile]:
    """Return every profile of an editor; also the one that it will make at its first start.

    Raises:
        ConditionError: a folder cannot be read.
    """
    return [profile for places in _places(editor) for profile in _profiles(editor, places)]


def _profiles(editor: Editor, places: _Places) -> Iterator[Profile]:
    program = _program_of(editor) if places.packing is Packing.NATIVE else None
    version = "" if program is None else _version_of(editor, program)
    if editor is Editor.GIMP:
        yield from _of_gimp(places, version)
        return
    if editor is Editor.DARKTABLE:
        folder, settings = places.config / "darktable", places.config / "darktable" / "luarc"
    else:
        folder, settings = places.data / "krita", places.config / "kritarc"
    if program is not None or disk.is_folder(folder):
        yield Profile(
            editor=editor, packing=places.packing, folder=folder, settings=settings, version=version
        )


def _of_gimp(places: _Places, version: str) -> Iterator[Profile]:
    """Yield a profile for each of GIMP's versions: it keeps a folder for each."""
    base = places.config / "GIMP"
    found = {entry.name for entry in _entries(base) if entry.is_folder and GIMP_FOLDER.fullmatch(entry.name)}
    if version:
        found.add(".".join(version.split(".")[:2]))
    for name in sorted(name for name in found if GIMP_FOLDER.fullmatch(name)):
        is_it = version.startswith(f"{name}.")
        yield Profile(
            editor=Editor.GIMP,
            packing=places.packing,
            folder=base / name,
            version=version if is_it else name,
        )


def _places(editor: Editor) -> Iterator[_Places]:
    home = Path.home()
    if sys.platform == "darwin":
        support = home / "Library" / "Application Support"
        configs = {Editor.DARKTABLE: home / ".config", Editor.KRITA: home / "Library" / "Preferences"}
        yield _Places(Packing.NATIVE, configs.get(editor, support), support)
        return
    if sys.platform == "win32":
        local, roaming = _folder_of("LOCALAPPDATA", home), _folder_of("APPDATA", home)
        yield _Places(Packing.NATIVE, roaming if editor is Editor.GIMP else local, roaming)
        return
    yield _Places(
        Packing.NATIVE,
        _folder_of("XDG_CONFIG_HOME", home / ".config"),
        _folder_of("XDG_DATA_HOME", home / ".local" / "share"),
    )
    flatpak = home / ".var" / "app" / FLATPAKS[editor]
    yield _Places(Packing.FLATPAK, flatpak / "config", flatpak / "data")
    snap = home / "snap" / editor / "current"
    yield _Places(Packing.SNAP, snap / ".config", snap / ".local" / "share")


def _folder_of(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default)


def _entries(folder: Path) -> list[disk.Entry]:
    try:
        return disk.entries_of(folder)
    except FileNotFoundError:
        return []


def _program_of(editor: Editor) -> str | None:
    return next((found for name in PROGRAMS[editor] if (found := shutil.which(name))), None)


def _version_of(editor: Editor, program: str) -> str:
    """Return the version of a program; empty: it does not say."""
    if editor is Editor.KRITA:  # wants a screen even for that
        return ""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    said = re.search(rb"\d+\.\d+(?:\.\d+)*", answer.stdout)
    return said[0].decode() if said else ""


def flatpak_lack(profile: Profile, folder: Path) -> str | None:
    """Return the command that lets a Flatpak see a folder, where it does not; None: it does, or nobody knows.

    `folder` is to be below the user's home. Not tried with a real Flatpak.
    """
    if profile.packing is not Packing.FLATPAK:
        return None
    app, home = FLATPAKS[profile.editor], Path.home()
    seen: set[str] = set()
    for base in (Path("/var/lib/flatpak"), home / ".local" / "share" / "flatpak"):
        for file in (base / "app" / app / "current" / "active" / "metadata", base / "overrides" / app):
            seen |= _file_systems(file)
    if not seen or any(_covers(each.partition(":")[0], folder) for each in seen):
        return None
    return f"flatpak override --user --filesystem='{folder}' {app}"


def _file_systems(file: Path) -> set[str]:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(disk.read_bytes(file, at_most=1 << 20).decode(errors="replace"))
        return set(filter(None, parser.get("Context", "filesystems", fallback="").split(";")))
    except (FileNotFoundError, ConditionError, configparser.Error):
        return set()


def _covers(name: str, folder: Path) -> bool:
    """Return whether what a Flatpak sees, by its name there, holds a folder."""
    home = Path.home()
    if name in ("host", "home"):
        return True
    base = home / "Pictures" if name.startswith("xdg-pictures") else Path(name.replace("~", str(home), 1))
    return folder.is_relative_to(base)
