"""Which files and folders of an inbox are left alone, by their names, and why. Pure.

Rules for kinds of names and no list of one maker's: a library that another program keeps its photos in, a
bin of a NAS, a copy that a sync program made of a conflict.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from functools import lru_cache
from pathlib import PurePath
from typing import Final

from nst_daemon.config.globs import matches, plain
from nst_daemon.images.endings import bare, is_picture, is_raw, role_of, stem_of


class Left(StrEnum):
    """Why something in an inbox is left alone; in the words of `explain`."""

    HIDDEN = "its name says that it is hidden, temporary, or the system's own"
    IGNORED = "watch.ignore names it"
    DEEP = "it is in a sub-folder, and watch.recursive is off"
    LIBRARY = "another program keeps its own in that folder"
    CONFLICT = "it is the copy that a sync program made of a conflict"
    LINK = "links are not followed"
    SPECIAL = "it is no ordinary file"
    UNKNOWN = "its name has none of the endings of pictures that are painted (docs/pictures.md lists them)"
    RAW = "the picture of the same name beside it speaks for both"


# Of these a user hears nothing: hundreds of files that nobody would expect to be painted.
SILENT: Final = frozenset({Left.HIDDEN, Left.IGNORED, Left.DEEP})

SYSTEM_NAMES: Final = frozenset(
    {"thumbs.db", "ehthumbs.db", "desktop.ini", "picasa.ini", "icon\r", "lost+found", "lost.dir", "__macosx"}
    | {
        "@eadir",
        "@recycle",
        "@recently-snapshot",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "recycler",
        "recycled",
    }
    | {"system volume information", "network trash folder", "temporary items", "thevolumesettingsfolder"}
)  # of file managers, NAS boxes and file systems
CHKDSK: Final = re.compile(r"found\.\d{3}")  # where it puts what it has found
PARTNER_ENDS: Final = (
    *(".part", ".partial", ".crdownload", ".download", ".filepart", ".opdownload", ".aria2", ".!ut", ".!qb"),
    *(".tmp", ".temp", "_exiftool_tmp"),
)  # what a download, a copy or an editor has beside the name that it will give its file
TEMPORARY_ENDS: Final = (
    *PARTNER_ENDS,
    *(".!sync", ".bts", ".swp", ".bak", "~", ".icloud", ".nst-tmp"),
    ".error.txt",  # our own word on a photo that failed, put back with it
)  # of browsers, editors, rsync, sync programs, exiftool: the file gets its name when it is whole
MARKS: Final = ("@", "#", "$")  # a NAS or a system begins the names of its own folders so; photos are photos
LIBRARY_ENDS: Final = re.compile(
    # The word may have others before it: .photoslibrary, .aplibrary, .fcpbundle, .lrcat-data, .cosessiondb.
    r"\.[\w-]*(?:library|libraries|bundle|catalog|vault|package|vmwarevm|lrdata|lrcat-data|cocatalog|sessiondb)"
    r"|\.(?:app|appex|framework|plugin|kext|prefpane|workflow|action|xcodeproj|xcassets|lproj|nib|scptd)"
    r"|\.(?:rtfd|pages|key|numbers|graffle|band|logicx|dtbase2?|theater|sparsebundle|pkg|mpkg|wdgt|epub)"
)
LIBRARY_NAMES: Final = frozenset(
    {
        "captureone",
        "photo booth library",
        "iphoto library",
        "aperture library",
        "ipod photo cache",
        "_gsdata_",
    }
)  # folders of other programs, without an ending that tells
CONFLICT: Final = re.compile(
    r"(?i:\.sync-conflict-\d{8}-\d{6}"  # Syncthing
    # Dropbox, Nextcloud, Seafile
    r"|\([^()]*(?:conflicted copy|(?:case|sync|encoding|whitespace) conflict|sfconflict)[^()]*\)"
    r"|\([^()]*(?:konflikt|conflit|conflict|conflitt)[^()]*\d{4}-\d\d-\d\d[^()]*\)"  # the same, translated
    r"|[_-]conflict-\d{8}-?\d*"  # ownCloud
    r"|_[a-z]{3}-\d\d-\d{6}-\d{4}_(?:case)?conflict$"  # Synology
    r"|\[conflict(?:ed)?\]$"  # pCloud, Insync
    r"|\.conflict(?:ed)?\d*$"  # Resilio, Unison
    r"|\.variant-[0-9a-f]{3,}$)"  # git-annex
    r"|-(?:DESKTOP|LAPTOP)-[0-9A-Z]{7,8}(?:-\d+)?$"  # OneDrive: the computer's name, as Windows gives it
)


def is_hidden(name: str) -> bool:
    """Return whether a file or folder is hidden, temporary, or the system's own."""
    low = name.casefold()
    is_system = low in SYSTEM_NAMES or low.startswith((".", "~")) or CHKDSK.fullmatch(low) is not None
    return is_system or low.endswith(TEMPORARY_ENDS)


@lru_cache(maxsize=4096)  # asked of every folder above every file
def folder_left(name: str) -> Left | None:
    """Return why a folder is left alone with all that is in it; None: it is looked into."""
    low = name.casefold()
    if is_hidden(name):
        return Left.HIDDEN
    if low.startswith(MARKS) or low in LIBRARY_NAMES or LIBRARY_ENDS.fullmatch(PurePath(low).suffix):
        return Left.LIBRARY
    return None


def library_around(inbox: PurePath) -> str | None:
    """Return the library of another program that an inbox is, or lies in; None: there is none."""
    return next(
        (part for part in inbox.parts if LIBRARY_ENDS.fullmatch(PurePath(part.casefold()).suffix)), None
    )


def left_by_name(relative: PurePath, ignore: Sequence[str] = (), *, is_folder: bool = False) -> Left | None:
    """Return why a file is left alone, by its path relative to the inbox; None: a photo or a sidecar.

    `is_folder`: it is one, and None says that it is looked into.
    """
    *folders, name = relative.parts
    for folder in (*folders, name) if is_folder else folders:
        if (left := folder_left(folder)) is not None:
            return left
    if is_folder:
        return None
    if ignore and not is_hidden(name) and any(matches(pattern, relative) for pattern in ignore):
        return Left.IGNORED
    return file_left(name)


def file_left(name: str) -> Left | None:
    """Return why a file is left alone in whatever folder, for its own name; None: a photo or a sidecar."""
    if is_hidden(name):
        return Left.HIDDEN
    if not is_picture(name) and role_of(name) is None:
        return Left.UNKNOWN
    return Left.CONFLICT if is_conflict(name) else None


def stems_of_pictures(names: Iterable[str]) -> frozenset[str]:
    """Return by what the raw files of the same shots are known, of the photos of one folder."""
    return frozenset(plain(stem_of(name)) for name in names if not is_raw(name))


def is_spoken_for(raw: str, stems: Collection[str]) -> bool:
    """Return whether one of the pictures beside a raw file is painted for both."""
    return is_raw(raw) and plain(stem_of(raw)) in stems


def is_conflict(name: str) -> bool:
    """Return whether a sync program made a file where two machines had changed one."""
    while role_of(name) is not None or is_picture(name):
        name = bare(name)
    return CONFLICT.search(name) is not None
