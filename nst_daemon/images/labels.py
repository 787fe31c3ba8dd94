"""What is written in and beside a photo's file: an editor's keywords, our provenance. Decodes no pixel."""

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path

from nst_daemon import disk
from nst_daemon.errors import PhotoError
from nst_daemon.images import containers, exif, iptc, xmp
from nst_daemon.images.keywords import first_that_speaks
from nst_daemon.images.limits import no_memory, not_loaded, read_file
from nst_daemon.images.loading import BROKEN, opened, quiet, read_metadata
from nst_daemon.images.metadata import Metadata

logger = logging.getLogger(__name__)


def read_provenance(path: Path, about: Metadata | None = None) -> dict[str, str] | None:
    """Return what a painting wrote of itself into its file; None for a photo, and for what is no picture.

    `about`: what was read of the file already.

    Raises:
        ConditionError: it cannot be read now.
    """
    about = _metadata(path) if about is None else about
    return xmp.provenance(about.xmp) if about.xmp else None


def read_keywords(
    path: Path, about: Metadata | None = None, *, sidecars: Iterable[Path] = ()
) -> tuple[str, ...]:
    """Return the keywords that an editor gave a photo, from the first place that names a style or a setting.

    Looked at in this order: the editor's XMP files beside it, the photo's own XMP, its IPTC record, Windows'
    keywords in its EXIF. If none of them names a style, all their keywords. What is broken or hostile is left
    out. `about`: what was read already.

    Raises:
        ConditionError: one of them cannot be read now: nobody knows what the editor asked for.
    """
    return first_that_speaks(_sources(path, about, sidecars))


def _sources(path: Path, about: Metadata | None, sidecars: Iterable[Path]) -> Iterator[tuple[str, ...]]:
    for sidecar in sidecars:
        if packet := _sidecar(sidecar):
            yield xmp.keywords(packet)
    about = _metadata(path) if about is None else about
    yield xmp.keywords(about.xmp) if about.xmp else ()
    yield iptc.keywords(about.iptc) if about.iptc else ()
    yield exif.keywords(about.exif) if about.exif else ()


def _sidecar(path: Path) -> bytes:
    try:
        return disk.read_bytes(path, at_most=xmp.MAX_BYTES + 1)
    except FileNotFoundError:  # it has gone meanwhile
        return b""


def _metadata(path: Path) -> Metadata:
    try:
        content = read_file(path, path.name)
        kind = containers.kind(content)
        if kind in ("tiff", "png", "gif"):
            return read_metadata(content, kind)
        if not kind:
            return Metadata()
        with quiet(), opened(content, kind, path.name) as image:
            return read_metadata(content, kind, image)
    except MemoryError as error:
        raise no_memory(path, path.name) from error
    except ImportError as error:
        raise not_loaded(path, path.name, error) from error
    except (PhotoError, *BROKEN) as error:
        logger.debug("No metadata in %s: %s", path.name, error)
        return Metadata()
