"""Which files of an inbox are photos, sidecars or nobody's business; and all of them, by reading folders.

Follows no symbolic link and opens no file: a pipe or a device cannot block it.
"""

import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath

from nst_daemon import disk
from nst_daemon.disk import Stamp
from nst_daemon.errors import FileConditionError
from nst_daemon.folders.gate import (
    SILENT,
    Left,
    file_left,
    is_spoken_for,
    left_by_name,
    stems_of_pictures,
)
from nst_daemon.images.endings import is_raw, role_of


class Kind(StrEnum):
    """What a file of an inbox is to us, by its name."""

    PHOTO = "photo"
    SIDECAR = "sidecar"  # a photo's mask too
    OTHER = "other"  # left alone


@dataclass(frozen=True, slots=True)
class Found:
    """A file of an inbox."""

    path: Path
    kind: Kind
    stamp: Stamp
    changed: float  # seconds since 1970: the last change of its bytes, name or rights


@dataclass(slots=True)
class Scan:
    """All files of an inbox."""

    found: list[Found] = field(default_factory=list)
    unknown: list[FileConditionError] = field(default_factory=list)  # of files and sub-folders
    left: dict[Path, Left] = field(default_factory=dict)  # left alone, where a user may wonder why
    passed_by: set[Path] = field(default_factory=set)  # left alone, and a photo's by its name all the same

    @property
    def is_complete(self) -> bool:
        """Whether a file that was not found is not there."""
        return not self.unknown


def kind_of(relative: PurePath, ignore: Sequence[str] = ()) -> Kind:
    """Return what a file is, by its path relative to the inbox and the user's globs."""
    if left_by_name(relative, ignore) is not None:
        return Kind.OTHER
    return Kind.PHOTO if role_of(relative.name) is None else Kind.SIDECAR


def scan(
    root: Path, *, recursive: bool = True, ignore: Sequence[str] = (), below: Path | None = None
) -> Scan:
    """Return the photos and sidecars in an inbox, or in its sub-folder `below`.

    Raises:
        FileNotFoundError: the inbox itself is not there.
        ConditionError: it cannot be read.
    """
    result = Scan()
    folders = [below or root]
    while folders:
        folder = folders.pop()
        try:
            entries = disk.entries_of(folder)
        except (FileNotFoundError, FileConditionError) as error:
            if folder == root:
                raise
            if isinstance(error, FileConditionError):
                result.unknown.append(error)
            continue
        sub_folders, inside = _looked_at(entries, folder.relative_to(root), ignore)
        folders += sub_folders if recursive else []
        result.found += inside.found
        result.unknown += inside.unknown
        result.left |= inside.left
        result.passed_by |= inside.passed_by
    return result


def _looked_at(
    entries: Sequence[disk.Entry], place: PurePath, ignore: Sequence[str]
) -> tuple[list[Path], Scan]:
    """Return the sub-folders of a folder that are looked into, and what else is in it.

    `place`: the folder, relative to the inbox.
    """
    folders: list[Path] = []
    result = Scan()
    is_left = left_by_name(place, is_folder=True) if place.parts else None
    for entry in entries:
        try:
            is_folder = _is_folder(entry)
            if is_folder or ignore or is_left:
                left = left_by_name(place / entry.name, ignore, is_folder=is_folder)
            else:
                left = file_left(entry.name)
            if left is not None and not is_folder and role_of(entry.name) is not None:
                result.passed_by.add(entry.path)
            if left is not None and left in SILENT:
                continue
            if entry.is_link:
                result.left[entry.path] = Left.LINK
            elif left is not None:
                result.left[entry.path] = left
            elif is_folder:
                folders.append(entry.path)
            else:
                kind = Kind.PHOTO if role_of(entry.name) is None else Kind.SIDECAR
                _look_at(entry.path, kind, result)
        except FileConditionError as error:
            result.unknown.append(error)
    _leave_raws(result)
    return folders, result


def _look_at(path: Path, kind: Kind, result: Scan) -> None:
    # Not what the listing says: on Windows it knows no inode, and an old size of what is being written.
    facts = disk.facts_of(path)
    if facts is None:
        return
    if stat.S_ISREG(facts.st_mode):
        stamp = Stamp.of(facts)
        result.found.append(Found(path, kind, stamp, facts.st_ctime))
    else:
        result.left[path] = Left.LINK if stat.S_ISLNK(facts.st_mode) else Left.SPECIAL


def _leave_raws(result: Scan) -> None:
    """Leave the raw files of one folder alone that have a picture of their name beside them."""
    if not any(is_raw(each.path.name) for each in result.found):
        return
    stems = stems_of_pictures(each.path.name for each in result.found if each.kind is Kind.PHOTO)
    left = {each.path for each in result.found if is_spoken_for(each.path.name, stems)}
    if left:
        result.found = [each for each in result.found if each.path not in left]
        result.left |= dict.fromkeys(left, Left.RAW)


def has_speaker(raw: Path, *, root: Path, ignore: Sequence[str] = ()) -> bool:
    """Return whether a file is camera raw, and a picture of its name beside it is painted for both.

    A camera or a developer made that of the same shot. One that `watch.ignore` names does not speak.

    Raises:
        ConditionError: nobody knows what is beside it.
    """
    if not is_raw(raw.name):
        return False
    try:
        entries = disk.entries_of(raw.parent)
    except FileNotFoundError:
        return False
    files = [entry.path for entry in entries if not entry.is_folder and not entry.is_link]
    photos = (path.name for path in files if kind_of(path.relative_to(root), ignore) is Kind.PHOTO)
    return is_spoken_for(raw.name, stems_of_pictures(photos))


def why_left(path: Path, *, root: Path, recursive: bool = True, ignore: Sequence[str] = ()) -> Left | None:
    """Return why a file of an inbox is left alone; None: it is a photo or a sidecar, or it is not there.

    Asks what a reading of the whole inbox asks, of one path.

    Raises:
        ConditionError: nobody knows what there is.
    """
    relative = path.relative_to(root)
    left = left_by_name(relative, ignore)
    if left is not None and left in SILENT:
        return left
    above = [root / parent for parent in relative.parents if parent.parts]
    if any(_is_link(each) for each in (path, *above)):
        return Left.LINK
    if left is not None:
        return left
    if above and not recursive:
        return Left.DEEP
    facts = disk.facts_of(path)
    if facts is not None and not stat.S_ISREG(facts.st_mode):
        return Left.SPECIAL
    return Left.RAW if has_speaker(path, root=root, ignore=ignore) else None


def _is_link(path: Path) -> bool:
    facts = disk.facts_of(path)
    return facts is not None and stat.S_ISLNK(facts.st_mode)


def _is_folder(entry: disk.Entry) -> bool:
    if entry.is_folder is not None:
        return entry.is_folder
    facts = disk.facts_of(entry.path)  # its listing does not tell
    return facts is not None and stat.S_ISDIR(facts.st_mode)
