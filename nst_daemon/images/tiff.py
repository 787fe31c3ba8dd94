"""TIFF directories: the frame of EXIF blocks and of TIFF files.

Pure: bytes in, bytes out. Knows no meaning of a tag but those of offsets; values stay raw, in the byte order
of their block, so that what is copied is copied to the bit.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from nst_daemon.images.tags import Kind, Tag

SIZES: Final[Mapping[int, int]] = {
    Kind.BYTE: 1, Kind.ASCII: 1, Kind.SHORT: 2, Kind.LONG: 4, Kind.RATIONAL: 8, Kind.SBYTE: 1,
    Kind.UNDEFINED: 1, Kind.SSHORT: 2, Kind.SLONG: 4, Kind.SRATIONAL: 8, Kind.FLOAT: 4, Kind.DOUBLE: 8,
    Kind.IFD: 4, Kind.LONG8: 8, Kind.IFD8: 8,
}  # bytes of a value  # fmt: skip
INTEGERS: Final[Mapping[int, str]] = {
    Kind.BYTE: "B", Kind.SHORT: "H", Kind.LONG: "I", Kind.IFD: "I", Kind.LONG8: "Q", Kind.IFD8: "Q",
}  # fmt: skip
CLASSIC, BIG = 42, 43  # TIFF's own number, and that of BigTIFF
MAX_DIRECTORIES: Final = 1000  # pages and relatives of them
MAX_FIELDS: Final = 4096  # in one directory; real ones have below 100


@dataclass(frozen=True, slots=True)
class Field:
    """One entry of a directory."""

    kind: int  # TIFF's type
    value: bytes  # in the block's byte order
    at: int = 0  # where `value` lies in the block that it was read from

    @property
    def count(self) -> int:
        """How many values of its type it holds."""
        return len(self.value) // SIZES[self.kind]


Fields = dict[int, Field]


@dataclass(frozen=True, slots=True)
class Block:
    """A TIFF file or EXIF block, from its byte-order mark on."""

    raw: bytes
    order: str  # "<" or ">", as in struct
    is_big: bool  # BigTIFF: offsets of eight bytes
    first: int  # offset of the first directory

    def directory(self, offset: int) -> tuple[Fields, int]:
        """Return the directory at an offset, and the offset of the next one (0: none).

        Entries of unknown type, or whose value lies outside of the block, are left out.

        Raises:
            ValueError: no directory lies there.
        """
        head, entry = ("Q", "HHQ8s") if self.is_big else ("H", "HHI4s")
        try:
            (count,) = struct.unpack_from(self.order + head, self.raw, offset)
            if not 0 < count <= MAX_FIELDS:
                raise ValueError(f"a directory of {count} entries")
            start, size = offset + struct.calcsize("=" + head), struct.calcsize("=" + entry)
            fields: Fields = {}
            for place in range(start, start + count * size, size):
                tag, kind, number, inline = struct.unpack_from(self.order + entry, self.raw, place)
                found = self._field(kind, number, inline, place + size - len(inline))
                if found is not None:
                    fields[tag] = found
            return fields, self._next(start + count * size)
        except (struct.error, OverflowError) as error:
            raise ValueError(f"the directory at {offset} is cut off") from error

    def _field(self, kind: int, count: int, inline: bytes, at: int) -> Field | None:
        if kind not in SIZES:
            return None
        size = SIZES[kind] * count
        if size > len(inline):
            (at,) = struct.unpack(self.order + ("Q" if self.is_big else "I"), inline)
            if at + size > len(self.raw):
                return None
        return Field(kind, self.raw[at : at + size], at)

    def _next(self, place: int) -> int:
        form = self.order + ("Q" if self.is_big else "I")
        if place + struct.calcsize(form) > len(self.raw):
            return 0
        following: int = struct.unpack_from(form, self.raw, place)[0]
        return following

    def numbers(self, entry: Field | None) -> tuple[int, ...]:
        """Return the values of an entry of whole numbers; nothing for any other."""
        if entry is None or entry.kind not in INTEGERS:
            return ()
        return struct.unpack(f"{self.order}{entry.count}{INTEGERS[entry.kind]}", entry.value)

    def number(self, entry: Field | None, default: int) -> int:
        """Return the first whole number of an entry, else the default."""
        return next(iter(self.numbers(entry)), default)


def parse(raw: bytes) -> Block:
    """Return the block of a TIFF file or EXIF data.

    Raises:
        ValueError: it is none.
    """
    order = {b"II": "<", b"MM": ">"}.get(raw[:2])
    if order is None or len(raw) < 8:
        raise ValueError("no TIFF header")
    (magic,) = struct.unpack_from(order + "H", raw, 2)
    if magic == CLASSIC:
        return Block(raw, order, False, struct.unpack_from(order + "I", raw, 4)[0])
    if magic == BIG and len(raw) >= 16:
        return Block(raw, order, True, struct.unpack_from(order + "Q", raw, 8)[0])
    raise ValueError("no TIFF header")


def directories(block: Block) -> Iterator[tuple[Fields, bool]]:
    """Yield each page's directory, and those below it: its relatives, in camera raw the raw picture itself.

    Raises:
        ValueError: a page's directory lies beyond the end.
    """
    offset, seen = block.first, set[int]()
    while offset and offset not in seen and len(seen) < MAX_DIRECTORIES:
        seen.add(offset)
        fields, offset = block.directory(offset)
        yield fields, False
        for place in block.numbers(fields.get(Tag.SUB_IFDS)):
            if place and place not in seen and len(seen) < MAX_DIRECTORIES:
                seen.add(place)
                with suppress(ValueError):
                    yield block.directory(place)[0], True


def longs(order: str, *numbers: int) -> Field:
    """Return an entry of 32-bit numbers."""
    return Field(Kind.LONG, struct.pack(f"{order}{len(numbers)}I", *numbers))


def shorts(order: str, *numbers: int) -> Field:
    """Return an entry of 16-bit numbers."""
    return Field(Kind.SHORT, struct.pack(f"{order}{len(numbers)}H", *numbers))


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory with the directories that its entries point to, ready to be written."""

    order: str
    fields: Fields
    children: Mapping[int, "Tree"] = field(default_factory=dict)  # by the tag that points to each


def write(tree: Tree, strips: Sequence[bytes] = ()) -> bytes:
    """Return a classic TIFF of one directory; with strips, a picture's data before it.

    Raises:
        ValueError: beyond TIFF's 4 GiB.
    """
    mark = b"II*\0" if tree.order == "<" else b"MM\0*"
    offsets, at = [], 8
    for strip in strips:
        offsets.append(at)
        at += len(strip) + len(strip) % 2
    fields = dict(tree.fields)
    if strips:
        fields[Tag.STRIP_OFFSETS] = longs(tree.order, *offsets)
        fields[Tag.STRIP_COUNTS] = longs(tree.order, *map(len, strips))
    body = directory_bytes(Tree(tree.order, fields, tree.children), at)
    if at + len(body) >= 2**32:
        raise ValueError("more than TIFF's 4 GiB")
    padded = (strip + b"\0" * (len(strip) % 2) for strip in strips)
    return b"".join([mark, struct.pack(tree.order + "I", at), *padded, body])


def directory_bytes(tree: Tree, at: int) -> bytes:
    """Return a classic directory that will lie at an offset, with its values and children behind it."""
    tags = sorted({*tree.fields, *tree.children})
    end = at + 2 + 12 * len(tags) + 4
    entries, values = [struct.pack(tree.order + "H", len(tags))], []
    for tag in tags:
        if tag in tree.children:
            below = directory_bytes(tree.children[tag], end)
            kind, count, value, is_outside = int(Kind.LONG), 1, below, True
        else:
            entry = tree.fields[tag]
            kind, count, value, is_outside = entry.kind, entry.count, entry.value, len(entry.value) > 4
        if is_outside:
            entries.append(struct.pack(tree.order + "HHII", tag, kind, count, end))
            values.append(value + b"\0" * (len(value) % 2))
            end += len(values[-1])
        else:
            entries.append(struct.pack(tree.order + "HHI", tag, kind, count) + value.ljust(4, b"\0"))
    return b"".join([*entries, bytes(4), *values])
