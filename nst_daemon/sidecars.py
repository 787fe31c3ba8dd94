"""The files beside a photo that say how to paint it: found, read, told apart from their earlier selves."""

from functools import lru_cache
from pathlib import Path

from nst_daemon.config import parse_sidecar
from nst_daemon.disk import Stamp, stamp_of
from nst_daemon.files import is_plain_file
from nst_daemon.pairing import SIDECAR_SUFFIXES, editor_names, mask_names, sidecar_names
from nst_daemon.recipe import Sidecar

MAX_BYTES = 1 << 20  # a sidecar has a few lines; what is larger is refused by the parser, unread


def find_sidecar(photo: Path) -> Sidecar | None:
    """Return what the sidecar beside a photo asks for; None if there is none. Never raises."""
    for name in sidecar_names(photo.name):
        if is_plain_file(path := photo.with_name(name)):
            return _read(path)
    return None


def _read(path: Path) -> Sidecar:
    try:
        with path.open("rb") as file:
            return parse_sidecar(file.read(MAX_BYTES + 1), path)
    except OSError as error:
        return Sidecar(path=path, fault=f"{path.name}: cannot be read: {error.strerror}")


def masks_named_in(sidecar: Path) -> tuple[Path, ...]:
    """Return the masks that a sidecar names, whether they are there or not."""
    stamp = stamp_of(sidecar)
    return () if stamp is None else _masks_named_in(sidecar, stamp)


@lru_cache(maxsize=4096)  # asked for at every look at an inbox
def _masks_named_in(sidecar: Path, stamp: Stamp) -> tuple[Path, ...]:
    asked = _read(sidecar)
    names = (asked.mask, *(mask for mask, _ in asked.regions))
    return tuple(sidecar.with_name(name) for name in dict.fromkeys(names) if name is not None)


def own_mask(photo: Path) -> Path | None:
    """Return the mask that belongs to a photo by its name, if it is there."""
    paths = (photo.with_name(name) for name in mask_names(photo.name))
    return next((path for path in paths if is_plain_file(path)), None)


def sidecars_beside(photo: Path) -> list[Path]:
    """Return the sidecars, the editor's XMP files and the masks that are beside a photo now."""
    names = (*sidecar_names(photo.name), *editor_names(photo.name), *mask_names(photo.name))
    found = [path for name in names if is_plain_file(path := photo.with_name(name))]
    asking = [path for path in found if path.suffix in SIDECAR_SUFFIXES]
    named = (mask for path in asking for mask in masks_named_in(path))
    return [*found, *(mask for mask in dict.fromkeys(named) if mask not in found and is_plain_file(mask))]


def fingerprint(photo: Path) -> str:
    """Return what changes when a sidecar of the photo comes, goes or is written; empty: there is none."""
    stamps = [(path.name, stamp_of(path)) for path in sidecars_beside(photo)]
    return "|".join(
        f"{name!a}:{stamp.size}:{stamp.mtime_ns}:{stamp.inode}" for name, stamp in stamps if stamp
    )
