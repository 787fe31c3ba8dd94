"""The boxes of HEIC and AVIF files: what pictures are in them, where, and what is said of each. Pure.

Source: ISO/IEC 14496-12 (boxes; pitm, iloc, iinf, iprp), ISO/IEC 23008-12 (items' properties).
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

HEAD: Final = 8  # bytes before a box's body
VERSION: Final = 4  # bytes of version and flags, with which some boxes' bodies begin
SIDE: Final = frozenset({b"Exif", b"mime", b"uri "})  # kinds of items that are no pictures
MAX_ITEMS: Final = 10_000  # a photo of tiles has about fifty


@dataclass(frozen=True, slots=True)
class Box:
    """A box; its body may reach beyond the file's end."""

    name: bytes
    start: int  # of the body
    end: int


@dataclass(slots=True)
class Items:
    """What the `meta` box says."""

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    extents: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # start and length in the file
    properties: Mapping[int, list[tuple[bytes, bytes]]] = field(default_factory=dict)  # name, body

    def colors(self) -> tuple[int, int] | None:
        """Return CICP's primaries and transfer of the photo itself; None where it does not tell them."""
        for name, body in self.properties.get(self.primary, ()):
            if name == b"colr" and body[:4] == b"nclx" and len(body) >= 10:
                primaries, transfer, _ = struct.unpack_from(">HHH", body, 4)
                return primaries, transfer
        return None

    def pictures(self) -> Iterator[tuple[int, int]]:
        """Yield where the parts of pictures lie."""
        for item, extents in self.extents.items():
            if self.kinds.get(item) not in SIDE:
                yield from extents


def boxes(content: bytes, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """Yield boxes one after another, also a last one that breaks off. Raises: ValueError: it is no box."""
    end = len(content) if end is None else end
    while start + HEAD <= end:
        size, name = struct.unpack_from(">I4s", content, start)
        body = start + HEAD
        if size == 1:
            if body + 8 > end:
                raise ValueError("a box breaks off")
            (size,) = struct.unpack_from(">Q", content, body)
            body += 8
        following = end if size == 0 else start + size
        if following < body:
            raise ValueError("a box without a size")
        yield Box(name, body, following)
        start = following
    if start < end:
        raise ValueError("a box breaks off")


def items(content: bytes) -> Items:
    """Return what a file's `meta` box says. Raises: ValueError: there is none that makes sense."""
    meta = next((box for box in boxes(content) if box.name == b"meta"), None)
    if meta is None:
        raise ValueError("it has no items")
    found = Items()
    try:
        for box in boxes(content, meta.start + VERSION, meta.end):
            body = content[box.start : box.end]
            if box.name == b"pitm":
                found.primary = int.from_bytes(body[VERSION : VERSION + (4 if body[0] else 2)], "big")
            elif box.name == b"iinf":
                found.kinds = dict(_kinds(body))
            elif box.name == b"iloc":
                found.extents = dict(_extents(body))
            elif box.name == b"iprp":
                found.properties = _properties(body)
    except (struct.error, IndexError) as error:
        raise ValueError("its items break off") from error
    return found


def _kinds(body: bytes) -> Iterator[tuple[int, bytes]]:
    for box in boxes(body, VERSION + (4 if body[0] else 2)):
        version = body[box.start]
        if box.name == b"infe" and version >= 2:
            at, size = box.start + VERSION, 2 if version == 2 else 4
            yield int.from_bytes(body[at : at + size], "big"), body[at + size + 2 : at + size + 6]


def _extents(body: bytes) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    version, sizes = body[0], (body[4] >> 4, body[4] & 15, body[5] >> 4, body[5] & 15 if body[0] else 0)
    offset_size, length_size, base_size, index_size = sizes
    wide, at = 4 if version == 2 else 2, 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(body):
            raise IndexError("iloc")
        at += size
        return int.from_bytes(body[at - size : at], "big")

    for _ in range(min(number(wide), MAX_ITEMS)):
        item = number(wide)
        method = number(2) & 15 if version else 0
        number(2)  # in which file: this one
        base, extents = number(base_size), []
        for _ in range(min(number(2), MAX_ITEMS)):
            number(index_size)
            start, length = base + number(offset_size), number(length_size)
            extents.append((start, length))
        if method == 0:  # else inside the meta box, or made of other items
            yield item, extents


def _properties(body: bytes) -> dict[int, list[tuple[bytes, bytes]]]:
    inner = {box.name: body[box.start : box.end] for box in boxes(body)}
    known = [(box.name, inner[b"ipco"][box.start : box.end]) for box in boxes(inner.get(b"ipco", b""))]
    ipma = inner.get(b"ipma", b"")
    if not ipma:
        return {}
    wide, is_long = 4 if ipma[0] else 2, ipma[3] & 1
    (count,), at, found = struct.unpack_from(">I", ipma, VERSION), VERSION + 4, {}
    for _ in range(min(count, MAX_ITEMS)):
        item, number = int.from_bytes(ipma[at : at + wide], "big"), ipma[at + wide]
        at += wide + 1
        size = 2 if is_long else 1
        marks = [int.from_bytes(ipma[at + size * n : at + size * (n + 1)], "big") for n in range(number)]
        at += size * number
        places = [mark & (0x7FFF if is_long else 0x7F) for mark in marks]
        found[item] = [known[place - 1] for place in places if 0 < place <= len(known)]
    return found
