"""The style library: the built-in pictures and those in the user's folder, by name.

Reads file names, sizes and bytes; decodes no picture. May be used from several threads.
"""

import difflib
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon.blends import style_key
from nst_daemon.endings import PICTURES, RAWS
from nst_daemon.errors import StyleError
from nst_daemon.recipe import Style

logger = logging.getLogger(__name__)

BUILT_IN: Final = Path(__file__).parent / "styles"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One picture of the library."""

    name: str  # its stem
    path: Path
    is_builtin: bool


class Library:
    """The styles by name; the folder is read anew at each question, the bytes only where a file changed.

    The user's picture goes before a built-in one of the same name. Upper and lower case, and space, `-` and
    `_`, are one.
    """

    def __init__(self, folder: Path | None, *, built_in: Path = BUILT_IN) -> None:
        self._folder = folder
        self._built_in = built_in
        self._hashes: dict[Path, tuple[tuple[int, int], str]] = {}  # (size, mtime_ns) -> sha256

    def entries(self) -> tuple[Entry, ...]:
        """Return every style, by name."""
        return tuple(sorted(self._by_key().values(), key=lambda entry: style_key(entry.name)))

    def names(self) -> tuple[str, ...]:
        """Return the name of every style, in order."""
        return tuple(entry.name for entry in self.entries())

    def get(self, name: str) -> Style:
        """Return a style with the hash of its bytes as they are now.

        Raises:
            StyleError: there is none of that name, or its file cannot be read.
        """
        entry = self._by_key().get(style_key(name))
        if entry is None:
            near = self.near(name)
            remedy = f"Did you mean {' or '.join(near)}?" if near else "`nst-daemon styles` lists them."
            raise StyleError(f"{name}: no such style in the library.", remedy=remedy)
        try:
            return Style(name=entry.name, path=entry.path, sha256=self._hash(entry.path))
        except OSError as error:
            raise StyleError(
                f"{entry.path}: the style cannot be read: {error.strerror}.", remedy="Put the picture back."
            ) from error

    def near(self, name: str) -> tuple[str, ...]:
        """Return the names that are spelt most like this one, the nearest first."""
        by_key = self._by_key()
        keys = difflib.get_close_matches(style_key(name), by_key, n=3, cutoff=0.5)
        return tuple(by_key[key].name for key in keys)

    def _by_key(self) -> dict[str, Entry]:
        found = {style_key(entry.name): entry for entry in _pictures(self._built_in, is_builtin=True)}
        if self._folder is not None:
            found |= {style_key(entry.name): entry for entry in _pictures(self._folder, is_builtin=False)}
        return found

    def _hash(self, path: Path) -> str:
        stat = path.stat()
        mark = (stat.st_size, stat.st_mtime_ns)
        known = self._hashes.get(path)
        if known is None or known[0] != mark:
            with path.open("rb") as file:
                known = (mark, hashlib.file_digest(file, "sha256").hexdigest())
            self._hashes[path] = known
        return known[1]


def _pictures(folder: Path, *, is_builtin: bool) -> Iterator[Entry]:
    """Yield the pictures of a folder; of two with one name the last in the alphabet counts."""
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        logger.debug("could not read the styles in %s: %s", folder, error)
        return
    for path in paths:
        if path.suffix.lower() in PICTURES | RAWS and not path.name.startswith((".", "~")) and path.is_file():
            yield Entry(name=path.stem, path=path, is_builtin=is_builtin)
