"""The files beside a photo that say how to paint it: found, read, told apart from their earlier selves."""

from pathlib import Path

from nst_daemon.config import parse_sidecar
from nst_daemon.files import is_plain_file
from nst_daemon.pairing import sidecar_names
from nst_daemon.recipe import Sidecar
from nst_daemon.settling import stamp_of

MAX_BYTES = 1 << 20  # a sidecar has a few lines; what is larger is refused by the parser, unread


def find_sidecar(photo: Path) -> Sidecar | None:
    """Return what the sidecar beside a photo asks for; None if there is none. Never raises."""
    for name in sidecar_names(photo.name):
        path = photo.with_name(name)
        if not is_plain_file(path):
            continue
        try:
            with path.open("rb") as file:
                return parse_sidecar(file.read(MAX_BYTES + 1), path)
        except OSError as error:
            return Sidecar(path=path, fault=f"{name}: cannot be read: {error.strerror}")
    return None


def sidecars_beside(photo: Path) -> list[Path]:
    """Return the sidecars and the editor's XMP files that are beside a photo now."""
    names = (*sidecar_names(photo.name), f"{photo.name}.xmp", f"{photo.stem}.xmp")
    return [path for name in names if is_plain_file(path := photo.with_name(name))]


def fingerprint(photo: Path) -> str:
    """Return what changes when a sidecar of the photo comes, goes or is written; empty: there is none."""
    stamps = [(path.name, stamp_of(path)) for path in sidecars_beside(photo)]
    return "|".join(
        f"{name!a}:{stamp.size}:{stamp.mtime_ns}:{stamp.inode}" for name, stamp in stamps if stamp
    )
