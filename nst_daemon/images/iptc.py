"""IPTC records, and Photoshop's image resources, in which JPEG and TIFF files carry them. Pure."""

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from nst_daemon.images.keywords import unique

PHOTOSHOP: Final = b"Photoshop 3.0\0"  # before resources in JPEG's segments
RECORD: Final = 0x0404  # the number of the resource that is the IPTC record
# Photoshop's resources that describe the photo; the others are thumbnails, paths and layers of its old shape.
KEPT_RESOURCES: Final = frozenset({RECORD, 0x0425, 0x040A, 0x040B})  # …, digest, copyright, its URL


def keywords(record: bytes) -> tuple[str, ...]:
    """Return the keywords (2:25) of an IPTC record; what was read before it breaks off."""
    return unique(
        value.decode("utf-8") if _is_utf8(value) else value.decode("latin-1")
        for number, value in _datasets(record)
        if number == (2, 25)
    )


def _datasets(record: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 5 <= len(record) and record[at] == 0x1C:
        section, number, size = struct.unpack_from(">BBH", record, at + 1)
        at += 5
        if size & 0x8000 or at + size > len(record):  # extended sizes are for pictures, not for words
            return
        yield (section, number), record[at : at + size]
        at += size


def _is_utf8(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def parse_resources(raw: bytes) -> dict[int, bytes]:
    """Return Photoshop's image resources by number, as far as they can be read."""
    found, at = {}, 0
    while raw[at : at + 4] == b"8BIM" and at + 12 <= len(raw):
        name = raw[at + 6]
        start = at + 6 + 1 + name + (1 + name) % 2
        if start + 4 > len(raw):
            break
        (size,) = struct.unpack_from(">I", raw, start)
        (number,) = struct.unpack_from(">H", raw, at + 4)
        found[number] = raw[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2
    return found


def split(resources: Mapping[int, bytes]) -> tuple[bytes | None, dict[int, bytes]]:
    """Return the IPTC record, and the other resources: a TIFF file has a tag for each."""
    others = {number: value for number, value in resources.items() if number != RECORD}
    return resources.get(RECORD), others


def resources_block(resources: Mapping[int, bytes]) -> bytes:
    """Return Photoshop's resources as they lie in a file, each to the byte."""
    return b"".join(
        b"8BIM" + struct.pack(">HxxI", number, len(value)) + value + b"\0" * (len(value) % 2)
        for number, value in sorted(resources.items())
    )
