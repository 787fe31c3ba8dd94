"""The plug-ins, put into the editors' own folders and taken out again; and whether they are well there.

A file that is not ours is never overwritten, and of the editors' settings one line is ours, no more. Every
file of ours begins with a mark and the version.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from nst_daemon import __version__, disk
from nst_daemon.disk.files import written_whole
from nst_daemon.editors.profiles import Packing, Profile
from nst_daemon.editors.quoting import LITERALS
from nst_daemon.errors import ConfigError, MissingError
from nst_daemon.folders.exchange import Editor

SOURCES: Final = Path(__file__).parent.parent / "bundled" / "editors"
SHARED: Final = "shared"  # what lies beside each plug-in that is written in Python
MARK: Final = b"nst-daemon plug-in "
EXCHANGE: Final = '"@EXCHANGE@"'  # in a source; becomes a literal of its language
VERSION: Final = "@VERSION@"
MAX_BYTES: Final = 4 << 20  # of an editor's settings
CACHE: Final = "__pycache__"  # what the editor's Python leaves beside our files


class State(StrEnum):
    """How a plug-in is in one profile."""

    ABSENT = "absent"
    WELL = "well"
    OLD = "old"  # of another version, or for another exchange folder
    FOREIGN = "foreign"  # a file of that name is not ours


@dataclass(frozen=True, slots=True)
class Target:
    """A file of a plug-in: where it comes from, and where it belongs."""

    source: Path
    path: Path

    @property
    def is_executable(self) -> bool:
        """Whether the editor starts it as a program: GIMP 3 does, where file and folder have one name."""
        return self.source.parent.name == "gimp3" and self.path.stem == self.path.parent.name


def targets_of(profile: Profile) -> list[Target]:
    """Return the files of a profile's plug-in. Raises: ConditionError: our own cannot be listed."""
    if profile.editor is Editor.DARKTABLE:
        # A Flatpak from 5.6 on reads no luarc: there `contrib` is where its manager of scripts looks.
        below = "lua/contrib" if profile.packing is Packing.FLATPAK else "lua"
        return _targets("darktable", profile.folder / below)
    if profile.editor is Editor.KRITA:
        folder = profile.folder / "pykrita"
        return [*_targets(SHARED, folder / "nst_daemon"), *_targets("krita", folder)]
    if profile.folder.name.startswith("2."):
        return _targets("gimp2", profile.folder / "scripts")
    folder = profile.folder / "plug-ins" / "nst-daemon"
    return [*_targets(SHARED, folder), *_targets("gimp3", folder)]


def _targets(name: str, folder: Path) -> list[Target]:
    base = SOURCES / name
    return [Target(source, folder / source.relative_to(base)) for source in _files(base)]


def _files(folder: Path) -> Iterator[Path]:
    for entry in sorted(disk.entries_of(folder), key=lambda entry: entry.name):
        if entry.is_folder and entry.name != CACHE:
            yield from _files(entry.path)
        elif not entry.is_folder:
            yield entry.path


def filled(source: Path, exchange: Path) -> bytes:
    """Return a plug-in's file for one exchange folder.

    Raises:
        ConfigError: its language cannot name that folder.
    """
    text = disk.read_bytes(source).decode()
    if EXCHANGE in text:
        try:
            text = text.replace(EXCHANGE, LITERALS[source.suffix](str(exchange)))
        except ValueError as error:
            remedy = "Set `exchange` in config.yaml to another folder."
            raise ConfigError(f"{error}.", remedy=remedy) from error
    return text.replace(VERSION, __version__).encode()


def state_of(profile: Profile, exchange: Path) -> State:
    """Return how a profile's plug-in is. Raises: ConditionError: nobody knows."""
    targets = targets_of(profile)
    found = [_read(target.path) for target in targets]
    if any(content is not None and not is_ours(content) for content in found):
        return State.FOREIGN
    if all(content is None for content in found):
        return State.ABSENT
    is_new = all(
        content == filled(each.source, exchange) for each, content in zip(targets, found, strict=True)
    )
    return State.WELL if is_new and _is_named(profile) else State.OLD


def is_ours(content: bytes) -> bool:
    """Return whether a file has our mark: in its first line, or behind that of a program."""
    return any(MARK in line for line in content.splitlines()[:2])


def install(profile: Profile, exchange: Path) -> list[Path]:
    """Write a profile's plug-in; return what was written: nothing where all was well.

    Raises:
        MissingError: a file of that name is not ours.
        ConfigError: the plug-in's language cannot name the exchange folder.
        ConditionError: it cannot be written now.
    """
    targets = targets_of(profile)
    for target in targets:
        content = _read(target.path)
        if content is not None and not is_ours(content):
            raise MissingError(
                f"{target.path} is there already, and is not ours.",
                remedy="Move it elsewhere, and install again.",
                code="plug_in_foreign",
            )
    written = [target.path for target in targets if _wrote(target, exchange)]
    settings = _with_name(profile)
    if settings is not None:
        written.append(settings)
    return written


def _wrote(target: Target, exchange: Path) -> bool:
    content = filled(target.source, exchange)
    if _read(target.path) != content:
        disk.make_folder(target.path.parent)
        with written_whole(target.path) as file:
            file.write(content)
    elif not target.is_executable or disk.is_executable(target.path):
        return False
    if target.is_executable:
        disk.make_executable(target.path)
    return True


def uninstall(profile: Profile) -> list[Path]:
    """Take a profile's plug-in away, and our line of the editor's settings; return what has changed.

    Raises:
        ConditionError: something cannot be taken away now.
    """
    changed = []
    folders: dict[Path, None] = {}
    for target in targets_of(profile):
        content = _read(target.path)
        if content is not None and is_ours(content) and disk.remove(target.path):
            changed.append(target.path)
            folders[target.path.parent] = None
    for folder in folders:
        if folder.name.startswith("nst"):  # ours alone
            disk.remove_tree(folder / CACHE)
            disk.remove_if_empty(folder)
    settings = _without_name(profile)
    return [*changed, *([settings] if settings else [])]


def _read(path: Path) -> bytes | None:
    try:
        return disk.read_bytes(path, at_most=MAX_BYTES)
    except FileNotFoundError:
        return None


# ── our line in an editor's settings ────────────────────────────────────────────────────────────────────


def _is_named(profile: Profile) -> bool:
    return profile.settings is None or _renamed(profile, _read(profile.settings) or b"") is None


def _with_name(profile: Profile) -> Path | None:
    """Name the plug-in in the settings; return their file where that changed something."""
    if profile.settings is None:
        return None
    before = _read(profile.settings) or b""
    after = _renamed(profile, before)
    if after is None:
        return None
    disk.make_folder(profile.settings.parent)
    return _write(profile.settings, after)


def _without_name(profile: Profile) -> Path | None:
    if profile.settings is None or (before := _read(profile.settings)) is None:
        return None
    after = _without_require(before) if profile.editor is Editor.DARKTABLE else _without_enabled(before)
    if after == before:
        return None
    if not after:  # we made it
        disk.remove(profile.settings)
        return profile.settings
    return _write(profile.settings, after)


def _write(path: Path, content: bytes) -> Path:
    real = disk.real_path(path)  # a link to where its user keeps such files stays one
    with written_whole(real) as file:
        file.write(content)
    return path


def _renamed(profile: Profile, before: bytes) -> bytes | None:
    """Return settings that name our plug-in; None: they do already."""
    if profile.editor is Editor.DARKTABLE:
        target = targets_of(profile)[0].path
        module = PurePosixPath(*target.relative_to(profile.folder / "lua").with_suffix("").parts)
        after = with_require(before, str(module))
    else:
        after = with_enabled(before)
    return None if after == before else after


REQUIRE: Final = re.compile(rb'^[ \t]*require[ \t(]*"(?:contrib/)?nst_daemon"[^\r\n]*(?:\r?\n|$)', re.M)
SECTION: Final = re.compile(rb"^\[python\][ \t]*(?:\r?\n|$)", re.M)
ENABLED: Final = re.compile(rb"^enable_nst_daemon=[^\r\n]*(?:\r?\n|$)", re.M)
OWN_SECTION: Final = b"\n[python]\nenable_nst_daemon=true\n"


def with_require(luarc: bytes, module: str) -> bytes:
    """Return a luarc that loads our plug-in; every other byte is as it was."""
    line = b'require "' + module.encode() + b'"\n'
    if line.strip() in [each.strip() for each in luarc.splitlines()]:
        return luarc
    rest = REQUIRE.sub(b"", luarc)
    return rest + (b"" if not rest or rest.endswith(b"\n") else b"\n") + line


def _without_require(luarc: bytes) -> bytes:
    return REQUIRE.sub(b"", luarc)


def with_enabled(kritarc: bytes) -> bytes:
    """Return a kritarc that enables our plug-in; every other byte is as it was."""
    if b"enable_nst_daemon=true" in kritarc.splitlines():
        return kritarc
    rest = ENABLED.sub(b"", kritarc)
    section = SECTION.search(rest)
    if section is None:
        return rest + (b"" if not rest or rest.endswith(b"\n") else b"\n") + OWN_SECTION
    head = rest[: section.end()]
    return (
        head + (b"" if head.endswith(b"\n") else b"\n") + b"enable_nst_daemon=true\n" + rest[section.end() :]
    )


def _without_enabled(kritarc: bytes) -> bytes:
    if kritarc.endswith(OWN_SECTION):  # as we made it
        return kritarc[: -len(OWN_SECTION)]
    return ENABLED.sub(b"", kritarc)
