"""EXIF blocks: orientation, and the changes that a painted photo needs.

Pure: bytes in, bytes out. A block is patched in place wherever it can be: maker notes hold offsets of
their own, which break as soon as they are moved. A block begins with its byte-order mark, not with "Exif".
"""

import struct
from collections.abc import Mapping
from typing import Final, Literal

from nst_daemon.images import tiff
from nst_daemon.images.keywords import unique
from nst_daemon.images.made import Made
from nst_daemon.images.tags import STRUCTURE, AppleTag, CanonTag, ExifTag, InteropTag, Kind, Tag
from nst_daemon.images.tiff import Block, Field, Fields, Tree

PREFIX: Final = b"Exif\0\0"
ORDERS: Final[Mapping[str, Literal["little", "big"]]] = {"<": "little", ">": "big"}
SRGB, ADOBE = 1, 2  # of ColorSpace; the latter is no standard, and some cameras write it
PLACES: Final = frozenset({ExifTag.SUBJECT_AREA, ExifTag.SUBJECT_LOCATION})  # in px of the file
OTHER_COLORS: Final = frozenset({Tag.TRANSFER_FUNCTION, Tag.WHITE_POINT, Tag.PRIMARIES})
OTHER_GAMMA: Final = frozenset({ExifTag.GAMMA})
TIES: Final = frozenset({ExifTag.RELATED_SOUND_FILE})
APPLE_TIES: Final = frozenset(AppleTag)
CANON_TIES: Final = frozenset(CanonTag)
FIRST_DNG, LAST_DNG = Tag.DNG_VERSION, 52554  # Adobe's private tags of camera raw


def strip_prefix(block: bytes) -> bytes:
    """Return EXIF data from its byte-order mark on."""
    return block[len(PREFIX) :] if block.startswith(PREFIX) else block


def orientation(block: bytes) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none, or none that makes sense."""
    try:
        parsed = tiff.parse(block)
        fields, _ = parsed.directory(parsed.first)
    except ValueError:
        return 1
    value = parsed.number(fields.get(Tag.ORIENTATION), 1)
    return value if 1 <= value <= 8 else 1


def keywords(block: bytes) -> tuple[str, ...]:
    """Return the keywords that Windows' Explorer gave a photo (XPKeywords); none if the block is broken."""
    try:
        parsed = tiff.parse(block)
        fields, _ = parsed.directory(parsed.first)
    except ValueError:
        return ()
    if Tag.WINDOWS_KEYWORDS not in fields:
        return ()
    text = fields[Tag.WINDOWS_KEYWORDS].value.decode("utf-16-le", "replace").rstrip("\0")
    return unique(word.strip() for word in text.split(";"))


def is_adobe_rgb(block: bytes) -> bool:
    """Whether a camera says by DCF's R03 mark, not by a profile, that the photo is in Adobe RGB."""
    try:
        parsed = tiff.parse(block)
        fields, _ = parsed.directory(parsed.first)
        inner, _ = parsed.directory(parsed.number(fields.get(Tag.EXIF_IFD), 0))
    except ValueError:
        return False
    interop = _child(parsed, inner, ExifTag.INTEROP_IFD)
    is_marked = InteropTag.INDEX in interop and interop[InteropTag.INDEX].value.rstrip(b"\0") == b"R03"
    return is_marked or parsed.number(inner.get(ExifTag.COLOR_SPACE), 0) == ADOBE


def for_result(block: bytes, made: Made) -> bytes | None:
    """Return the block of a painting, upright, of its size, colours and identity; None if it is broken.

    Left out: the thumbnail, places in px, what ties the photo to others of its kind.
    """
    try:
        parsed = tiff.parse(block)
        fields, thumbnail_at = parsed.directory(parsed.first)
    except ValueError:
        return None
    patched = bytearray(block)
    _put(patched, parsed, fields.get(Tag.ORIENTATION), 1)
    _put(patched, parsed, fields.get(Tag.WIDTH), made.width)
    _put(patched, parsed, fields.get(Tag.HEIGHT), made.height)
    _drop_thumbnail(patched, parsed, thumbnail_at)
    inner = _child(parsed, fields, Tag.EXIF_IFD)
    if inner:
        _mend_inner(patched, parsed, inner, made)
        _drop_entries(patched, parsed.order, parsed.number(fields[Tag.EXIF_IFD], 0), _stale(made))
    if made.is_srgb:
        _drop_entries(patched, parsed.order, parsed.first, OTHER_COLORS)
    return bytes(patched)


def _mend_inner(patched: bytearray, parsed: Block, inner: Fields, made: Made) -> None:
    """Write what is true of the painting into the EXIF directory and those below it."""
    _put(patched, parsed, inner.get(ExifTag.WIDTH), made.width)
    _put(patched, parsed, inner.get(ExifTag.HEIGHT), made.height)
    _put_text(patched, inner.get(ExifTag.UNIQUE_ID), made.identity)
    for tag, factor in ((ExifTag.FOCAL_PLANE_X, made.across), (ExifTag.FOCAL_PLANE_Y, made.down)):
        _scale(patched, parsed, inner.get(tag), factor)
    interop = _child(parsed, inner, ExifTag.INTEROP_IFD)
    _put(patched, parsed, interop.get(InteropTag.WIDTH), made.width)
    _put(patched, parsed, interop.get(InteropTag.HEIGHT), made.height)
    if made.is_srgb:
        _put(patched, parsed, inner.get(ExifTag.COLOR_SPACE), SRGB)
        _put_text(patched, interop.get(InteropTag.INDEX), "R98")
    _untie_maker_note(patched, parsed, inner.get(ExifTag.MAKER_NOTE))


def _stale(made: Made) -> frozenset[int]:
    """Return the tags of the EXIF directory that are wrong for a painting."""
    moved = PLACES if made.is_moved else frozenset()
    return moved | (OTHER_GAMMA if made.is_srgb else frozenset()) | TIES


def _untie_maker_note(patched: bytearray, parsed: Block, note: Field | None) -> None:
    """Take what ties a photo to a film, a burst or its raw file out of Apple's and Canon's private notes.

    Source: exiftool, Apple.pm and Canon.pm.
    """
    if note is None or parsed.is_big:
        return
    if note.value.startswith(b"Apple iOS\0"):
        order = {b"II": "<", b"MM": ">"}.get(note.value[12:14], "")
        if order:
            _drop_entries(patched, order, note.at + 14, APPLE_TIES)
        return
    fields, _ = parsed.directory(parsed.first)
    if Tag.MAKE in fields and fields[Tag.MAKE].value.startswith(b"Canon"):
        # The camera's own byte order, which an editor that wrote the block anew may not have taken over.
        order = min("<>", key=lambda order: int.from_bytes(note.value[:2], ORDERS[order]))
        _drop_entries(patched, order, note.at, CANON_TIES)


def _drop_entries(patched: bytearray, order: str, at: int, tags: frozenset[int]) -> None:
    """Take entries out of a directory; those behind them, and the offset of the next directory, move up."""
    if at + 2 > len(patched):
        return
    (count,) = struct.unpack_from(order + "H", patched, at)
    end = at + 2 + 12 * count
    if not 0 < count <= tiff.MAX_FIELDS or end + 4 > len(patched):
        return
    entries = [bytes(patched[place : place + 12]) for place in range(at + 2, end, 12)]
    kept = [entry for entry in entries if struct.unpack_from(order + "H", entry)[0] not in tags]
    if 0 < len(kept) < count:
        struct.pack_into(order + "H", patched, at, len(kept))
        patched[at + 2 : end + 4] = (b"".join(kept) + patched[end : end + 4]).ljust(12 * count + 4, b"\0")


def _put_text(patched: bytearray, entry: Field | None, text: str) -> None:
    """Write words over words, as far as there is room."""
    if entry is not None and entry.kind == Kind.ASCII and entry.value:
        patched[entry.at : entry.at + len(entry.value)] = text.encode()[: len(entry.value) - 1].ljust(
            len(entry.value), b"\0"
        )


def _scale(patched: bytearray, parsed: Block, entry: Field | None, factor: float) -> None:
    """Multiply an entry of one fraction."""
    if entry is None or entry.kind != Kind.RATIONAL or entry.count != 1:
        return
    above, below = struct.unpack(parsed.order + "II", entry.value)
    value = above / below * factor * 1000 if below else 0
    if 0 < value < 2**32 and factor != 1:
        struct.pack_into(parsed.order + "II", patched, entry.at, round(value), 1000)


def without_gps(block: bytes) -> bytes:
    """Return the block without the directory of where the photo was taken; a broken block as it is."""
    return _without_entry(block, Tag.GPS_IFD, is_directory=True)


def without_orientation(block: bytes) -> bytes:
    """Return the block without its orientation; a broken block as it is."""
    return _without_entry(block, Tag.ORIENTATION) or block


def _without_entry(block: bytes, tag: int, *, is_directory: bool = False) -> bytes:
    """Return the block without an entry of its first directory; empty if that breaks it."""
    try:
        parsed = tiff.parse(block)
        fields, _ = parsed.directory(parsed.first)
    except ValueError:
        return block
    if parsed.is_big or tag not in fields:
        return block
    patched, entry = bytearray(block), fields[tag]
    number = parsed.number(entry, 0)
    is_inside = len(entry.value) <= 4  # else its value lies elsewhere, and not 8 bytes behind its beginning
    if not is_inside:
        return b""
    _drop_entry(patched, parsed, entry.at - 8)
    if is_directory:
        _blank_directory(patched, parsed, number)
    try:
        after = tiff.parse(bytes(patched))
        is_sound = after.directory(after.first)[0].keys() == fields.keys() - {tag}
    except ValueError:
        is_sound = False
    return bytes(patched) if is_sound else b""  # its directories lie over each other: better none


def _blank_directory(patched: bytearray, parsed: Block, at: int) -> None:
    """Write zeros over a directory and the values that it points to."""
    try:
        fields, _ = parsed.directory(at)
    except ValueError:
        return
    (count,) = struct.unpack_from(parsed.order + "H", parsed.raw, at)
    for entry in fields.values():
        patched[entry.at : entry.at + len(entry.value)] = bytes(len(entry.value))
    patched[at : at + 2 + 12 * count] = bytes(2 + 12 * count)


def _drop_entry(patched: bytearray, parsed: Block, place: int) -> None:
    """Take an entry out of the first directory; those behind it, and what follows them, move up."""
    (count,) = struct.unpack_from(parsed.order + "H", patched, parsed.first)
    end = parsed.first + 2 + 12 * count + 4  # behind the offset of the next directory
    patched[place:end] = patched[place + 12 : end] + bytes(12)
    struct.pack_into(parsed.order + "H", patched, parsed.first, count - 1)


def without_maker_note(block: bytes) -> bytes | None:
    """Return the block without the camera's private notes, which can be larger than JPEG allows."""
    tree = tree_of(block)
    if tree is None or Tag.EXIF_IFD not in tree.children:
        return None
    inner = tree.children[Tag.EXIF_IFD]
    kept = {tag: entry for tag, entry in inner.fields.items() if tag != ExifTag.MAKER_NOTE}
    children = {**tree.children, Tag.EXIF_IFD: Tree(inner.order, kept, inner.children)}
    return tiff.write(Tree(tree.order, tree.fields, children))


def tree_of(block: bytes) -> Tree | None:
    """Return what an EXIF block says of the photo; None if it is broken."""
    try:
        return _tree(tiff.parse(block))
    except ValueError:
        return None


def _tree(parsed: Block) -> Tree:
    """Return what describes the photo, without the tags of a TIFF's own structure."""
    fields, _ = parsed.directory(parsed.first)
    inner = _child(parsed, fields, Tag.EXIF_IFD)
    interop = _child(parsed, inner, ExifTag.INTEROP_IFD)
    gps = _child(parsed, fields, Tag.GPS_IFD)
    children: dict[int, Tree] = {}
    if inner:
        below: dict[int, Tree] = {ExifTag.INTEROP_IFD: Tree(parsed.order, interop)} if interop else {}
        children[Tag.EXIF_IFD] = Tree(parsed.order, _without(inner, {ExifTag.INTEROP_IFD}), below)
    if gps:
        children[Tag.GPS_IFD] = Tree(parsed.order, gps)
    return Tree(parsed.order, _without(fields, {Tag.EXIF_IFD, Tag.GPS_IFD, *STRUCTURE}), children)


def from_tiff(parsed: Block) -> bytes | None:
    """Return an EXIF block of what describes the photo in a TIFF file; None where nothing does."""
    tree = _tree(parsed)
    return tiff.write(tree) if tree.fields or tree.children else None


def _without(fields: Fields, tags: set[int]) -> Fields:
    return {
        tag: entry
        for tag, entry in fields.items()
        if tag not in tags and not FIRST_DNG <= tag <= LAST_DNG and entry.kind not in (Kind.LONG8, Kind.IFD8)
    }


def _child(parsed: Block, fields: Fields, tag: int) -> Fields:
    """Return the directory that an entry points to; an empty one where there is none."""
    if tag not in fields:
        return {}
    try:
        return parsed.directory(parsed.number(fields[tag], 0))[0]
    except ValueError:
        return {}


def _put(patched: bytearray, parsed: Block, entry: Field | None, number: int) -> None:
    """Write a number over an entry of one whole number, if it fits its type."""
    if entry is None or entry.count != 1 or entry.kind not in (Kind.SHORT, Kind.LONG):
        return
    if entry.kind == Kind.SHORT and number > 0xFFFF:
        return
    struct.pack_into(parsed.order + tiff.INTEGERS[entry.kind], patched, entry.at, number)


def _drop_thumbnail(patched: bytearray, parsed: Block, at: int) -> None:
    """Unlink the second directory and blank its picture: it shows the unpainted photo."""
    if at == 0 or parsed.is_big:
        return
    (count,) = struct.unpack_from(parsed.order + "H", patched, parsed.first)
    struct.pack_into(parsed.order + "I", patched, parsed.first + 2 + 12 * count, 0)
    try:
        fields, _ = parsed.directory(at)
    except ValueError:
        return
    starts = parsed.numbers(fields.get(Tag.JPEG_OFFSET)) or parsed.numbers(fields.get(Tag.STRIP_OFFSETS))
    lengths = parsed.numbers(fields.get(Tag.JPEG_COUNT)) or parsed.numbers(fields.get(Tag.STRIP_COUNTS))
    for start, length in zip(starts, lengths, strict=False):
        end = min(start + length, len(patched))
        if at < start < end:  # behind its directory: else it may lie over what we keep
            patched[start:end] = bytes(end - start)
            if end == len(patched):
                del patched[start:]
