"""The files beside a photo that say how to paint it: found, read, told apart from their earlier selves.

What is not there is proven not to be there: whatever a disk says else is a condition of that file.
"""

from functools import lru_cache
from pathlib import Path
from typing import Final

from nst_daemon import disk
from nst_daemon.config import parse_sidecar
from nst_daemon.config.recipe import Sidecar
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.folders.companions import Neighbours, companions_of, neighbours_in
from nst_daemon.images.endings import Role, role_of

WHOLE: Final = b"whole: true"
MAX_BYTES: Final = 1 << 20  # a sidecar has a few lines; what is larger is refused by the parser, unread


def find_sidecar(photo: Path) -> Sidecar | None:
    """Return what the sidecar beside a photo asks for; None if there is none of ours.

    Raises:
        ConditionError: nobody knows, or it cannot be read now.
    """
    found = (_read(each.path) for each in companions_of(photo) if each.role is Role.ASKING)
    return next((sidecar for sidecar in found if sidecar is not None and sidecar.is_ours), None)


def is_whole(sidecar: Path) -> bool:
    """Return whether a sidecar's last line says that it and its photo are all there: nobody has to wait.

    Raises:
        ConditionError: it cannot be read now.
    """
    try:
        facts = disk.facts_of(sidecar)
        if facts is None or facts.st_size > MAX_BYTES or not disk.is_file(sidecar):
            return False
        text = disk.read_bytes(sidecar, at_most=MAX_BYTES, follow=False)
    except FileNotFoundError:
        return False
    return text.rstrip().rpartition(b"\n")[2].strip() == WHOLE


def xmp_beside(photo: Path) -> list[Path]:
    """Return the XMP files that editors keep beside a photo, that of the photo alone first.

    Raises:
        ConditionError: nobody knows what there is.
    """
    return [each.path for each in companions_of(photo) if each.role is Role.XMP]


def foreign_beside(photo: Path) -> list[Path]:
    """Return the files that have a sidecar's name and are another program's. Raises: ConditionError."""
    paths = [each.path for each in companions_of(photo) if each.role is Role.ASKING]
    return [path for path in paths if (read := _read(path)) is not None and not read.is_ours]


def _read(path: Path) -> Sidecar | None:
    """Return what a sidecar says; None: it has gone meanwhile."""
    try:
        return parse_sidecar(disk.read_bytes(path, at_most=MAX_BYTES + 1), path)
    except FileNotFoundError:
        return None


def masks_named_in(sidecar: Path, beside: Neighbours | None = None) -> tuple[Path, ...]:
    """Return the masks that a sidecar names, whether they are there or not.

    Raises:
        ConditionError: it cannot be read now.
    """
    stamp = stamp_of(sidecar)
    names = () if stamp is None else _names_in(sidecar, stamp)
    if not names:
        return ()
    spelt = (beside or neighbours_in(sidecar.parent)).spelt
    return tuple(dict.fromkeys(spelt(name) for name in names))


@lru_cache(maxsize=4096)  # asked for at every look at an inbox
def _names_in(sidecar: Path, stamp: Stamp) -> tuple[str, ...]:
    asked = _read(sidecar)
    names = () if asked is None else (asked.mask, *(mask for mask, _ in asked.regions))
    return tuple(dict.fromkeys(name for name in names if name is not None))


def own_mask(photo: Path) -> Path | None:
    """Return the mask that belongs to a photo by its name, if it is there. Raises: ConditionError."""
    masks = (each.path for each in companions_of(photo) if each.role is Role.MASK)
    return next(masks, None)


def sidecars_beside(photo: Path) -> list[Path]:
    """Return the sidecars, the editor's XMP files and the masks that are beside a photo now.

    Raises:
        ConditionError: nobody knows what there is.
    """
    found = companions_of(photo)
    paths = [each.path for each in found]
    asking = [each.path for each in found if each.role is Role.ASKING]
    named = dict.fromkeys(mask for path in asking for mask in masks_named_in(path))
    return [*paths, *(mask for mask in named if mask not in paths and disk.is_file(mask))]


def fingerprint(photo: Path) -> str:
    """Return what changes when a sidecar of the photo comes, goes or is written; empty: there is none.

    Raises:
        ConditionError: nobody knows what there is.
    """
    stamps = [(path.name, stamp_of(path)) for path in sidecars_beside(photo)]
    return "|".join(f"{name!a}:{stamp}" for name, stamp in stamps if stamp)


def editors_part(text: str) -> list[str]:
    """Return of a fingerprint what changes when an editor's XMP beside the photo does."""
    names = ((part, part.rsplit(":", 3)[0].strip("'\"")) for part in text.split("|"))
    return [part for part, name in names if role_of(name) is Role.XMP]
