"""The segments of JPEG files: whether their packed pixels are all there. Pure but for Pillow, which decodes.

Source: ITU-T T.81, B.1 (segments and marks).
"""

import io
import re
import struct
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

import numpy as np
from PIL import Image

from nst_daemon.images import tiff

# What a 0xFF among packed pixels may be followed by: a stuffed byte, another one, a restart.
AMONG_PIXELS: Final = np.isin(np.arange(256), [0x00, 0xFF, *range(0xD0, 0xD8)])
BLOCK: Final = 1 << 20  # bytes searched at once
# Markers with a length behind them: all but JPG (0xC8), which no file has.
SEGMENTS: Final = frozenset({*range(0xC0, 0xD0), *range(0xD9, 0xF0), 0xFE}) - {0xC8}
START_OF_SCAN, END_OF_IMAGE = 0xDA, 0xD9
RUN: Final = bytes(16 << 10)  # zeros that only a picture of one colour packs to
HEAD: Final = 1 << 18  # bytes in which a file tells of its further parts
GREY: Final = (127, 128)  # what decoders put where there are no more pixels
PADDING: Final = b"\x55" * (64 << 10)


class Reason(Enum):
    """Why a walk through a file ended."""

    END = auto()  # at the mark of the end
    LENGTH = auto()  # where the file does
    TRASH = auto()  # at a mark that cannot follow packed pixels
    DAMAGE = auto()  # before any packed pixels


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk through the first picture of a file ended; others may follow behind it."""

    at: int  # of the mark
    reason: Reason
    has_zeros: bool = False  # long ones among the packed pixels


def walk(content: bytes) -> Walk:
    """Go through the segments to the end of the first picture; ends before it are those of thumbnails."""
    at, is_behind_scan, has_zeros = 2, False, False
    while at + 2 <= len(content):
        if content[at : at + 2] == b"\xff\xff":  # any number of them may stand before a mark
            at += 1
            continue
        mark, kind = content[at], content[at + 1]
        if mark != 0xFF or (is_behind_scan and kind not in SEGMENTS):
            return Walk(at, Reason.TRASH if is_behind_scan else Reason.DAMAGE)
        if kind == END_OF_IMAGE:
            return Walk(at, Reason.END, has_zeros)
        at += 2
        if kind == 1 or 0xD0 <= kind <= 0xD8:  # marks without a segment
            continue
        if at + 2 > len(content):
            break
        at += struct.unpack_from(">H", content, at)[0]
        if kind == START_OF_SCAN:
            end = _end_of_pixels(content, at)
            if end is None:
                break
            has_zeros = has_zeros or content.find(RUN, at, end) >= 0
            at, is_behind_scan = end, True
    return Walk(len(content), Reason.LENGTH)


def _end_of_pixels(content: bytes, at: int) -> int | None:
    """Return where the mark is that ends packed pixels; None: the file ends before."""
    for start in range(at, len(content), BLOCK):
        values = np.frombuffer(content, np.uint8, min(BLOCK + 1, len(content) - start), start)
        places = np.flatnonzero(values[:-1] == 0xFF)
        ends = places[~AMONG_PIXELS[values[places + 1]]]
        if len(ends):
            return start + int(ends[0])
    return None


def names_more(content: bytes, end: int) -> bool:
    """Whether a file tells of further pictures or a film behind its first picture that are not there.

    A doubt and no proof: many a program that changes a photo drops them and keeps the words.

    Source: CIPA DC-007, Multi-Picture Format, 5.2; Android's Motion Photo format 1.0.
    """
    head = content[: min(end, HEAD)]
    films = [int(number) for number in re.findall(rb'(?:MicroVideoOffset|Item:Length)="(\d{1,10})"', head)]
    return any(end + size > len(content) for size in films) or _last_of_index(head) > len(content)


def _last_of_index(head: bytes) -> int:
    """Return where the last picture ends that the Multi-Picture index names; 0 where there is none."""
    at = head.find(b"MPF\0") + 4
    if at < 4:
        return 0
    try:
        block = tiff.parse(head[at : at + 0xFFFF])
        fields, _ = block.directory(block.first)
    except ValueError:
        return 0
    entries = fields[0xB002].value if 0xB002 in fields else b""
    places = [
        struct.unpack_from(block.order + "II", entries, place + 4) for place in range(16, len(entries), 16)
    ]
    return max((at + offset + size for size, offset in places), default=0)


def is_short(image: Image.Image, content: bytes) -> bool:
    """Whether a decoded picture's packed pixels end before the picture does, though the file has an end.

    Decoders fill up with grey in silence. A grey corner is decoded once more with other bytes behind the
    pixels: if they change the picture, it lacks its own.
    """
    corner = np.asarray(image.crop((image.width - 1, image.height - 1, image.width, image.height)))
    if not np.isin(corner.reshape(-1)[:3], GREY).all():
        return False
    end = walk(content).at
    padded = b"".join([content[:end], PADDING, b"\xff\xd9"])
    with Image.open(io.BytesIO(padded), formats=["JPEG"]) as again:
        again.draft(None, image.size)
        again.load()
        return again.size != image.size or not np.array_equal(np.asarray(again), np.asarray(image))
