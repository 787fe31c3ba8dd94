"""What is written in and beside a photo's file: an editor's keywords, our provenance. Decodes no pixel."""

import logging
from collections.abc import Iterator
from pathlib import Path

from nst_daemon.errors import PhotoError
from nst_daemon.images import containers, iptc, xmp
from nst_daemon.images.keywords import first_that_speaks
from nst_daemon.images.loading import BROKEN, opened, quiet, read_metadata
from nst_daemon.images.metadata import Metadata

logger = logging.getLogger(__name__)


def read_provenance(path: Path) -> dict[str, str] | None:
    """Return what a painting wrote of itself into its file; None for a photo, and what cannot be read."""
    about = _metadata(path)
    return xmp.provenance(about.xmp) if about.xmp else None


def read_keywords(path: Path) -> tuple[str, ...]:
    """Return the keywords that an editor gave a photo, from the first place that names a style or a setting.

    Looked at in this order: `photo.ext.xmp`, `photo.xmp`, the photo's XMP, its IPTC record. If none of them
    names a style, all their keywords. What is broken or hostile is left out.
    """
    return first_that_speaks(_sources(path))


def _sources(path: Path) -> Iterator[tuple[str, ...]]:
    for sidecar in (path.with_name(f"{path.name}.xmp"), path.with_suffix(".xmp")):
        if packet := _sidecar(sidecar):
            yield xmp.keywords(packet)
    about = _metadata(path)
    yield xmp.keywords(about.xmp) if about.xmp else ()
    yield iptc.keywords(about.iptc) if about.iptc else ()


def _sidecar(path: Path) -> bytes:
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(xmp.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        logger.info("%s was left out: %s", path.name, error)
        return b""


def _metadata(path: Path) -> Metadata:
    try:
        kind = containers.kind(path)
        if kind in ("tiff", "png", "gif"):
            return read_metadata(path, kind)
        if not kind:
            return Metadata()
        with quiet(), opened(path, kind, path.name) as image:
            return read_metadata(path, kind, image)
    except (PhotoError, *BROKEN) as error:
        logger.debug("No metadata in %s: %s", path.name, error)
        return Metadata()
