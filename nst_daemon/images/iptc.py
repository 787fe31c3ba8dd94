"""IPTC records, and Photoshop's image resources, in which JPEG and TIFF files carry them. Pure."""

import hashlib
import struct
from collections.abc import Iterator, Mapping
from typing import Final

from nst_daemon.images.keywords import unique

PHOTOSHOP: Final = b"Photoshop 3.0\0"  # before resources in JPEG's segments
# Numbers of Photoshop's resources. Source: Adobe Photoshop File Formats Specification, Image Resource IDs.
RECORD: Final = 0x0404  # the IPTC record
COPYRIGHT: Final = 0x040A
URL: Final = 0x040B
DIGEST: Final = 0x0425  # of the record, by which Adobe's programs see whether XMP or it is newer
# Those that describe the photo; the others are thumbnails, paths and layers of its old shape.
KEPT_RESOURCES: Final = frozenset({RECORD, DIGEST, COPYRIGHT, URL})

# Section and number of IPTC's datasets. Source: IPTC-IIM 4.2; exiftool, IPTC.pm, for those from 2:184 on.
KEYWORDS: Final = (2, 25)
UNIQUE_OBJECT_NAME: Final = (1, 100)
JOB_ID, MASTER_DOCUMENT_ID, SHORT_DOCUMENT_ID = (2, 184), (2, 185), (2, 186)
UNIQUE_DOCUMENT_ID, OWNER_ID, DOCUMENT_HISTORY = (2, 187), (2, 188), (2, 231)
IDS: Final = frozenset(
    {UNIQUE_OBJECT_NAME, JOB_ID, MASTER_DOCUMENT_ID, SHORT_DOCUMENT_ID}
    | {UNIQUE_DOCUMENT_ID, OWNER_ID, DOCUMENT_HISTORY}
)
DATASET: Final = 0x1C  # the byte that each begins with
EXTENDED: Final = 0x8000  # of a size: that it is the size of a size


def keywords(record: bytes) -> tuple[str, ...]:
    """Return the keywords (2:25) of an IPTC record; what was read before it breaks off."""
    return unique(
        value.decode("utf-8") if _is_utf8(value) else value.decode("latin-1")
        for number, value in _datasets(record)
        if number == KEYWORDS
    )


def for_result(resources: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return the resources of a painting: without the ids of its photo, and with a digest that is true."""
    found = dict(resources)
    if record := found.get(RECORD):
        found[RECORD] = _without_ids(record)
        if DIGEST in found:
            found[DIGEST] = hashlib.md5(found[RECORD], usedforsecurity=False).digest()
    return found


def _without_ids(record: bytes) -> bytes:
    """Return a record without ids; one that cannot be read to its end as it is."""
    kept, at = b"", 0
    for number, value in _datasets(record):
        size = 5 + len(value)
        kept += b"" if number in IDS else record[at : at + size]
        at += size
    return kept if not record[at:].strip(b"\0") else record


def _datasets(record: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    while at + 5 <= len(record) and record[at] == DATASET:
        section, number, size = struct.unpack_from(">BBH", record, at + 1)
        at += 5
        if size & EXTENDED or at + size > len(record):  # extended sizes are for pictures, not for words
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
