"""The style library: the built-in pictures and those in the user's folder, by name.

Reads file names, stamps and bytes; decodes no picture. Where the user's folder cannot be read now, the styles
that it had when it could be read last stay known: nothing is concluded from an error.
"""

import difflib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config.blends import Blend, style_key
from nst_daemon.config.recipe import Style
from nst_daemon.disk import Stamp
from nst_daemon.disk.files import file_sha256
from nst_daemon.errors import FileConditionError, StyleError, Trouble
from nst_daemon.folders.gate import is_hidden
from nst_daemon.images.endings import is_picture, is_raw
from nst_daemon.ledger.facts import Facts

logger = logging.getLogger(__name__)

BUILT_IN: Final = Path(__file__).parent.parent / "bundled" / "styles"
INTO_FOLDER: Final = "Put the picture into the styles folder; it goes on by itself."


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture of the library."""

    name: str  # its stem
    path: Path
    is_builtin: bool


@dataclass(frozen=True, slots=True)
class Known:
    """The user's folder as it was when it could be read last."""

    mount: str  # the disk that it was on
    names: tuple[str, ...]  # of its pictures


class Library:
    """The styles by name; the folder is read anew at each question, the bytes only where a file changed.

    The user's picture goes before a built-in one of the same name. Upper and lower case, and space, `-` and
    `_`, are one. `trouble` is why the user's folder could not be read at the last question.
    """

    def __init__(
        self, folder: Path | None, *, built_in: Path = BUILT_IN, memory: Facts | None = None
    ) -> None:
        self.trouble: FileConditionError | None = None
        self._folder = folder
        self._built_in = built_in
        self._memory = memory
        self._known = self._recalled()
        self._hashes: dict[Path, tuple[Stamp, str]] = {}  # sha256

    def entries(self) -> tuple[Entry, ...]:
        """Return every style, by name."""
        first = (entries[0] for entries in self._by_key().values())
        return tuple(sorted(first, key=lambda entry: style_key(entry.name)))

    def names(self) -> tuple[str, ...]:
        """Return the name of every style, in order."""
        return tuple(entry.name for entry in self.entries())

    def candidates(self, name: str) -> tuple[Entry, ...]:
        """Return the pictures of a name; the first counts, the others where it turns out to be none.

        Raises:
            StyleError: there is none.
            FileConditionError: the folder cannot be read now.
        """
        found = self._by_key().get(style_key(name))
        if found is None:
            near = self.near(name)
            remedy = f"Did you mean {' or '.join(near)}?" if near else "`nst-daemon styles` lists them."
            raise StyleError(f"{name}: no such style in the library.", remedy=remedy)
        if self.trouble is not None and not found[0].is_builtin:
            raise self.trouble
        return tuple(found)

    def get(self, name: str) -> Style:
        """Return a style with the hash of its bytes as they are now.

        Raises:
            StyleError: there is none of that name, or no file behind it.
            FileConditionError: it cannot be read now.
        """
        entry = self.candidates(name)[0]
        return Style(name=entry.name, path=entry.path, sha256=self._hash(entry.path))

    def near(self, name: str) -> tuple[str, ...]:
        """Return the names that are spelt most like this one, the nearest first."""
        by_key = self._by_key()
        keys = difflib.get_close_matches(style_key(name), by_key, n=3, cutoff=0.5)
        return tuple(by_key[key][0].name for key in keys)

    def _by_key(self) -> dict[str, list[Entry]]:
        found = _by_key(self._built_in_files(), is_builtin=True)
        return found | _by_key(self._user_files(), is_builtin=False)

    def _built_in_files(self) -> Iterable[Path]:
        try:
            return _pictures(self._built_in)
        except (FileNotFoundError, FileConditionError) as error:
            logger.debug("could not read the built-in styles: %s", error)
            return ()

    def _user_files(self) -> Iterable[Path]:
        """Return the pictures of the user's folder; those of the last time where it cannot be read."""
        if self._folder is None:
            return ()
        try:
            mount, found = str(disk.mount_point_of(self._folder)), _pictures(self._folder)
            if not found and self._is_bare(mount):
                raise _bare(self._folder, self._known.mount)
        except FileNotFoundError:  # of one that never was there nobody misses anything
            self.trouble = disk.missing(self._folder).named("styles") if self._known.names else None
        except FileConditionError as error:
            self.trouble = error.named("styles")
        else:
            self.trouble = None
            self._keep(Known(mount, tuple(path.name for path in found)))
        return [self._folder / name for name in self._known.names]

    def _is_bare(self, mount: str) -> bool:
        """Return whether the disk that the folder was on is not mounted there now."""
        before = self._known.mount
        return bool(self._known.names) and before != mount and Path(before).is_relative_to(mount)

    def _recalled(self) -> Known:
        text = None if self._memory is None else self._memory.recall(f"styles {self._folder}")
        try:
            mount, *names = json.loads(text or "null")
        except (ValueError, TypeError):  # there is none, or none that can be understood
            return Known("", ())
        return Known(str(mount), tuple(str(name) for name in names))

    def _keep(self, known: Known) -> None:
        if known == self._known:
            return
        self._known = known
        if self._memory is not None:
            self._memory.remember(f"styles {self._folder}", json.dumps([known.mount, *known.names]))

    def _hash(self, path: Path) -> str:
        stamp = disk.stamp_of(path, follow=True)
        known = self._hashes.get(path)
        if stamp is not None and known is not None and known[0] == stamp:
            return known[1]
        try:
            if stamp is None or not disk.is_file(path, follow=True):
                raise no_file(path)
            sha256 = file_sha256(path)
        except FileNotFoundError as error:
            raise no_file(path) from error
        if disk.stamp_of(path, follow=True) == stamp:
            self._hashes[path] = stamp, sha256
        return sha256


def no_file(path: Path) -> StyleError:
    """Return the error of a style that has a name and no file behind it."""
    return StyleError(f"Style picture {path.name} is no file, or leads to none.", remedy=INTO_FOLDER)


def styles_of(blend: Blend, get: Callable[[str], Style]) -> tuple[Style, ...]:
    """Return the pictures of a blend; `get` is that of a library or of a shelf.

    Raises:
        StyleError, ConditionError: one has gone, or cannot be read.
    """
    return tuple(replace(get(name), weight=share) for name, share in blend)


def _pictures(folder: Path) -> list[Path]:
    """Return what is called like a picture in a folder, by name.

    Raises:
        FileNotFoundError: there is no such folder.
        FileConditionError: it cannot be read now.
    """
    return [
        entry.path
        for entry in disk.entries_of(folder)
        if is_picture(entry.name) and not entry.is_folder and not is_hidden(entry.name)
    ]


def _by_key(paths: Iterable[Path], *, is_builtin: bool) -> dict[str, list[Entry]]:
    """Return the pictures of each name: the last in the alphabet first, camera raw behind all others."""
    found: dict[str, list[Entry]] = {}
    for path in sorted(paths, key=lambda path: (not is_raw(path.name), path), reverse=True):
        entry = Entry(name=path.stem, path=path, is_builtin=is_builtin)
        found.setdefault(style_key(entry.name), []).append(entry)
    return found


def _bare(folder: Path, disk_before: str) -> FileConditionError:
    return FileConditionError(
        f"The styles folder {folder} is an empty mount point: {disk_before} is not mounted.",
        path=folder,
        trouble=Trouble.MISSING,
        remedy="Mount the disk; it goes on by itself. If it is meant as it is, put any picture there.",
    )
