"""Whether a picture file has all of its bytes, whatever a decoder makes of it. Pure: bytes in.

A copy may stop half-way, and many a program reserves a file's room first: then its size is right, and what is
not written yet is zeros, which most decoders paint grey or black. Where a format has no end that proves the
whole, long zeros are a doubt and no proof: a bitmap may be black at its end.
"""

import struct
from enum import StrEnum
from typing import Final

from nst_daemon.images import bmp, boxes, containers, gif, jpeg, png, tiff
from nst_daemon.images.tags import Tag

SECTOR: Final = 512  # bytes; shorter ends of zeros are black pixels, or padding
TAIL: Final = 64  # zeros that no packed picture ends with, but one of WebP
RUN: Final = bytes(16 << 10)  # zeros that no film or picture in boxes has anywhere
BLOCK: Final = 1 << 16  # bytes looked at at once
# Of TIFF's compressions none, and those of fax (CCITT's), which may fill up with zeros.
UNPACKED: Final = frozenset({1, 2, 3, 4, 32771})
PARTS: Final = ((Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS), (Tag.TILE_OFFSETS, Tag.TILE_COUNTS))
VP8_ZEROS: Final = 32  # macroblocks of one colour that take a byte of zeros


class Wholeness(StrEnum):
    """How much of a picture is there."""

    WHOLE = "whole"
    DOUBTFUL = "doubtful"  # it may be a picture, but somebody may have reserved its room and still be writing
    CUT = "cut"  # something is missing that is sure to come or to be lost


def judge(content: bytes, *, hole: int | None = None, is_raw: bool = False) -> Wholeness:
    """Return how much of a file is there. `hole`: from where on parts of it are not on the disk."""
    if not content[:64].strip(b"\0"):
        return Wholeness.CUT
    filled = zeros_from(content)
    kind = containers.kind(content)
    try:
        found, end = _of_kind(content, kind, len(content) - filled, is_raw)
    except (ValueError, struct.error, IndexError):
        return Wholeness.CUT
    is_doubtful = end - filled >= SECTOR or (hole is not None and hole < end)
    return Wholeness.DOUBTFUL if found is Wholeness.WHOLE and is_doubtful else found


def may_be_unwritten(content: bytes) -> bool:
    """Whether a file that nobody can decode has zeros where something may be still to come."""
    return RUN in content


def zeros_from(content: bytes) -> int:
    """Return the place from which on all is zeros; the length where the last byte is none."""
    at = len(content)
    while at > 0:
        block = content[max(0, at - BLOCK) : at]
        kept = len(block.rstrip(b"\0"))
        if kept:
            return at - len(block) + kept
        at -= len(block)
    return 0


def _of_kind(content: bytes, kind: str, tail: int, is_raw: bool) -> tuple[Wholeness, int]:
    """Return how much is there, and where the picture ends: behind an end that proves it nothing matters."""
    end = len(content)
    match kind:
        case "jpeg":
            return _jpeg(content, end - tail)
        case "png":
            return _png(content)
        case "gif":
            return _gif(content)
        case "tiff":
            return _tiff(content, tail, is_raw), end
        case "webp":
            return _webp(content, tail), end
        case "bmp":
            return _bmp(content, tail), end
        case "avif" | "heic":
            return _heif(content), end
    return _raw(content, tail) if is_raw else _unknown(content), end


def _unknown(content: bytes) -> Wholeness:
    return Wholeness.CUT if len(content) < containers.LONGEST_SIGNATURE else Wholeness.WHOLE


def _raw(content: bytes, tail: int) -> Wholeness:
    """Look at camera raw that is no TIFF outside: Canon's boxes (CR3) and Fujifilm's own (RAF).

    Source: exiftool, FujiFilm.pm, ProcessRAF.
    """
    if content[4:8] == b"ftyp":
        is_cut = any(box.end > len(content) for box in boxes.boxes(content)) or tail >= TAIL
    elif content.startswith(b"FUJIFILM"):
        parts = struct.unpack_from(">6I", content, 84)  # start and length of a JPEG, a header, the pixels
        ends = [start + length for start, length in zip(parts[::2], parts[1::2], strict=True)]
        is_cut = max(ends) > len(content)
    else:
        return _unknown(content)
    return Wholeness.CUT if is_cut else Wholeness.WHOLE


def _jpeg(content: bytes, filled: int) -> tuple[Wholeness, int]:
    end = jpeg.walk(content)
    if end.reason is jpeg.Reason.END:
        is_doubtful = end.has_zeros or jpeg.names_more(content, end.at + 2)
        return Wholeness.DOUBTFUL if is_doubtful else Wholeness.WHOLE, end.at + 2
    is_damaged = end.reason is jpeg.Reason.DAMAGE and end.at < filled  # no matter of length
    return Wholeness.WHOLE if is_damaged else Wholeness.CUT, len(content)


def _png(content: bytes) -> tuple[Wholeness, int]:
    """Look for the end, and for zeros where a checksum says that there was something else."""
    end = len(png.SIGNATURE)
    for name, data, is_sound in png.parts(content):
        end += png.AROUND + len(data)
        if name == b"IDAT" and not is_sound and bytes(SECTOR) in bytes(data):
            return Wholeness.CUT, end
        if name == b"IEND":
            return Wholeness.WHOLE, end
    return Wholeness.CUT, end


def _tiff(content: bytes, tail: int, is_raw: bool) -> Wholeness:
    """Look whether a directory, or a part that it names, lies beyond the end or is not written yet."""
    block, filled = tiff.parse(content), len(content) - tail
    found, first = Wholeness.WHOLE, True
    for fields, is_below in tiff.directories(block):
        parts = [
            (start, start + length)
            for starts, lengths in PARTS
            for start, length in zip(
                block.numbers(fields.get(starts)), block.numbers(fields.get(lengths)), strict=False
            )
        ]
        if first and not any(starts in fields for starts, _ in PARTS):  # their values lie beyond the end
            return Wholeness.CUT
        if any(end > len(content) for _, end in parts):
            if is_raw or not is_below:
                return Wholeness.CUT
            found = Wholeness.DOUBTFUL
        if block.number(fields.get(Tag.COMPRESSION), 1) not in UNPACKED and parts:
            if max(end - max(start, filled) for start, end in parts) >= TAIL:
                return Wholeness.CUT
            if content.find(RUN, min(parts)[0], max(end for _, end in parts)) >= 0:
                found = Wholeness.DOUBTFUL
        first = False
    return found


def _webp(content: bytes, tail: int) -> Wholeness:
    if len(content) < 8 + struct.unpack_from("<I", content, 4)[0]:
        return Wholeness.CUT
    blocks, at, found = 0, 12, Wholeness.WHOLE
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        if name == b"VP8 ":
            width, height = struct.unpack_from("<HH", content, at + 14)
            blocks = ((width & 0x3FFF) + 15) // 16 * (((height & 0x3FFF) + 15) // 16)
        if name in (b"VP8 ", b"VP8L", b"ANMF"):
            end, most = at + 8 + size, TAIL + blocks // VP8_ZEROS
            if tail >= most and len(content) - tail <= end - TAIL:
                return Wholeness.CUT
            if content.find(bytes(most + len(RUN)), at, end) >= 0:
                found = Wholeness.DOUBTFUL
        at += 8 + size + size % 2
    return found


def _gif(content: bytes) -> tuple[Wholeness, int]:
    """Walk to the trailer. Some old programs wrote none: between two pictures its lack proves nothing."""
    end = gif.end_of(content)
    if end is None:
        return Wholeness.CUT, len(content)
    return Wholeness.WHOLE if content[end : end + 1] == b";" else Wholeness.DOUBTFUL, end + 1


def _bmp(content: bytes, tail: int) -> Wholeness:
    needed = bmp.needed(content)
    if needed is None:
        is_cut = len(content) < struct.unpack_from("<I", content, 2)[0] or tail >= TAIL
    else:
        is_cut = len(content) < needed
    return Wholeness.CUT if is_cut else Wholeness.WHOLE


def _heif(content: bytes) -> Wholeness:
    names = set()
    for box in boxes.boxes(content):
        if box.end > len(content):
            return Wholeness.CUT
        names.add(box.name)
        if box.name == b"mdat" and content.find(RUN, box.start, box.end) >= 0:
            return Wholeness.CUT
    if b"meta" not in names:  # a film's first picture: whole, if the film is
        return Wholeness.WHOLE if b"moov" in names else Wholeness.CUT
    for start, length in boxes.items(content).pictures():
        part = content[start : start + length]
        if len(part) < length or (length > TAIL and not part[-TAIL:].strip(b"\0")):
            return Wholeness.CUT
    return Wholeness.WHOLE
