"""Which files of a folder belong to a photo by their names, in every spelling: sidecars, XMP and masks.

The folder's own list of names decides, and no guess at spellings: `A.Yaml` is the sidecar of a.jpg on every
file system, and so is a name in the other of Unicode's two normal forms. A photo that a name fits to the
letter has it for itself.
"""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config.globs import plain
from nst_daemon.errors import FileConditionError, Trouble
from nst_daemon.images.endings import ASKING, MASK, XMP, Role, bare, ending_of, is_picture, role_of, stem_of

LARGE: Final = 100  # files; the list of a larger folder is used again, for so long:
REUSE_SECONDS: Final = 1.0

Claim = tuple[Path, str]  # a folder, and what the names of a photo and of its sidecar share


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that belongs to a photo by its name."""

    path: Path
    role: Role
    is_full: bool  # photo.jpg.yaml, which is of that photo alone; photo.yaml is of photo.png as well

    @property
    def ending(self) -> str:
        """Its ending, as it is written."""
        return self.path.name[len(bare(self.path.name)) :]


class Neighbours:
    """The files of one folder, by their names."""

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        self.folder = folder
        self._names: dict[str, list[str]] = {}  # by what all spellings share
        self._companions: dict[str, list[str]] = {}  # by that of the bare name
        self._photos: dict[str, list[str]] = {}  # by that of the name, and of the stem
        for name in names:
            self._add(name)

    def _add(self, name: str) -> None:
        role = role_of(name)
        if role is not None:
            self._companions.setdefault(plain(bare(name)), []).append(name)
        elif is_picture(name):
            for key in {plain(name), plain(stem_of(name))}:
                self._photos.setdefault(key, []).append(name)
        if role is not None or ending_of(name) == ending_of(MASK):
            self._names.setdefault(plain(name), []).append(name)

    def companions_of(self, photo: str) -> list[Companion]:
        """Return what belongs to a photo, in the order in which it speaks; links among it are left out.

        Raises:
            ConditionError: nobody knows what one of them is.
        """
        keys = dict.fromkeys((plain(photo), plain(stem_of(photo))))
        names = [name for key in keys for name in self._companions.get(key, ()) if self._is_of(name, photo)]
        found = []
        for name in sorted(names, key=lambda name: _order(name, photo)):
            path = self.folder / name
            role = role_of(name)
            if role is not None and disk.is_file(path):
                found.append(Companion(path, role, is_full=plain(bare(name)) == plain(photo)))
        return found

    def photos_of(self, companion: str) -> list[Path]:
        """Return the photos that a sidecar or mask belongs to: `a.yaml` to a.jpg and a.png."""
        photos = self._photos.get(plain(bare(companion)), ())
        return [self.folder / photo for photo in photos if self._is_of(companion, photo)]

    def twins_of(self, photo: str) -> list[str]:
        """Return the other photos of the same name but for the ending, or for the spelling."""
        return [other for other in self._photos.get(plain(stem_of(photo)), ()) if other != photo]

    def asking(self) -> list[Path]:
        """Return every sidecar of ours."""
        names = sorted(name for names in self._companions.values() for name in names)
        return [self.folder / name for name in names if role_of(name) is Role.ASKING]

    def spelt(self, name: str) -> Path:
        """Return a file that a text names, as the folder spells it; as the text does if it is not there."""
        names = self._names.get(plain(name), ())
        return self.folder / (names[0] if len(names) == 1 else name)

    def _is_of(self, companion: str, photo: str) -> bool:
        owner = bare(companion)
        if _fits(owner, photo):
            return True
        return not any(_fits(owner, other) for other in self._photos.get(plain(owner), ()))


def _fits(owner: str, photo: str) -> bool:
    return owner in (photo, stem_of(photo))


def _order(name: str, photo: str) -> tuple[object, ...]:
    """Return by what companions are put in order: YAML before JSON, the full name before the stem."""
    ending = ending_of(name)
    rank = ASKING.index(ending) if ending in ASKING else len(ASKING)
    is_full = plain(bare(name)) == plain(photo)
    return rank, not is_full, not _fits(bare(name), photo), name


_recent: dict[Path, tuple[float, Neighbours]] = {}  # of large folders


def neighbours_in(folder: Path, *, about: str | None = None, is_fresh: bool = False) -> Neighbours:
    """Return the files of a folder; none if there is no such folder.

    `about`: those alone that may belong to a photo, or to what belongs to one. `is_fresh`: as they are at
    this moment, whatever it costs.

    Raises:
        ConditionError: it cannot be read.
    """
    now = time.monotonic()
    known = _recent.get(folder)
    if known is not None and not is_fresh and now - known[0] < REUSE_SECONDS:
        return known[1]
    _recent.pop(folder, None)
    try:
        entries = disk.entries_of(folder)
    except FileNotFoundError:
        entries = []
    names = [entry.name for entry in entries if not entry.is_folder and not entry.is_link]
    if len(entries) > LARGE and not is_fresh:
        # All of it: of a thousand photos each would else go through the names of all others.
        found = Neighbours(folder, names)
        for old in [each for each, (moment, _) in list(_recent.items()) if now - moment >= REUSE_SECONDS]:
            _recent.pop(old, None)
        _recent[folder] = now, found
        return found
    begin = "" if about is None else plain(stem_of(about if role_of(about) is None else bare(about)))
    return Neighbours(folder, (name for name in names if plain(name).startswith(begin)))


def companions_of(photo: Path, *, is_fresh: bool = False) -> list[Companion]:
    """Return what belongs to a photo by its name, in the order in which it speaks.

    Raises:
        ConditionError: nobody knows what there is.
    """
    try:
        return neighbours_in(photo.parent, about=photo.name, is_fresh=is_fresh).companions_of(photo.name)
    except FileConditionError as error:
        if error.trouble is not Trouble.UNREADABLE:
            raise
        # A folder that may be searched and not listed has no other names than those that one knows.
        endings = (*ASKING, XMP, MASK)
        names = [f"{name}{ending}" for name in (photo.name, photo.stem) for ending in endings]
        return Neighbours(photo.parent, [photo.name, *names]).companions_of(photo.name)


def photos_of(companion: Path) -> list[Path]:
    """Return the photos that a sidecar or mask belongs to. Raises: ConditionError."""
    return neighbours_in(companion.parent, about=companion.name).photos_of(companion.name)


def claim_of(companion: Path) -> Claim:
    """Return what a sidecar or mask shares with the photos that it may belong to."""
    return companion.parent, plain(bare(companion.name))


class Claims:
    """What files share with the photos that they may belong to, asked of a million photos."""

    def __init__(self, companions: Iterable[Path]) -> None:
        self._of: dict[str, set[str]] = {}  # by folder
        for folder, name in map(claim_of, companions):
            self._of.setdefault(os.fspath(folder), set()).add(name)

    def are_on(self, photo: str) -> bool:
        """Return whether one of them may belong to the photo at a path."""
        folder, name = os.path.split(photo)
        names = self._of.get(folder)
        return names is not None and (plain(name) in names or plain(stem_of(name)) in names)

    @property
    def folders(self) -> list[Path]:
        """The folders that they lie in."""
        return [Path(folder) for folder in self._of]
