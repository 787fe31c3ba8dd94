"""Coverage-guided fuzzing of pictures, sidecars, XMP and provenance. No part of the test run.

    pip install atheris
    python tests/fuzz/fuzz.py decoder|sidecar|xmp|provenance -max_total_time=60 [CORPUS]

Run it in an empty folder: it writes what crashed there. Any exception but the promised ones is a bug. Good
seeds are the files that `tests/test_matrix.py` writes.
"""

import contextlib
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["nst_daemon", "PIL", "yaml", "defusedxml", "xml"]):
    from nst_daemon.config import parse_sidecar
    from nst_daemon.errors import ConfigError, PhotoError
    from nst_daemon.images import exif, provenance, xmp, xmp_result
    from nst_daemon.images.labels import read_keywords, read_provenance
    from nst_daemon.images.loading import load_photo
    from nst_daemon.images.made import Made

SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".gif", ".bmp")
MADE = Made(width=1, height=1, of_width=1, of_height=1)
FOLDER = Path(tempfile.mkdtemp(prefix="nst-fuzz-"))


def decoder(content: bytes) -> None:
    """Read a photo; a PhotoError is fine."""
    path = FOLDER / f"a{SUFFIXES[len(content) % len(SUFFIXES)]}"
    path.write_bytes(content)
    with contextlib.suppress(PhotoError):
        load_photo(path, name=path.name, max_megapixels=2)
    read_keywords(path)
    read_provenance(path)


def sidecar(content: bytes) -> None:
    """Parse a sidecar; it never raises."""
    parse_sidecar(content, "a.yaml")
    parse_sidecar(content, "a.json")


def packet(content: bytes) -> None:
    """Read and mend a packet and an EXIF block; neither raises."""
    xmp.keywords(content)
    xmp.provenance(content)
    xmp_result.for_result(content, {"style": "a"}, MADE)
    xmp.without_gps(content)
    exif.for_result(exif.without_gps(content), MADE)
    exif.tree_of(content)


def said(content: bytes) -> None:
    """Read what a painting says of itself; a ConfigError is fine."""
    text = content.decode("utf-8", "replace")
    with contextlib.suppress(ConfigError):
        provenance.likeness({"style": "a", "styles": text, "settings": text}, weights="original")


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decoder": decoder,
    "sidecar": sidecar,
    "xmp": packet,
    "provenance": said,
}

if __name__ == "__main__":
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()
