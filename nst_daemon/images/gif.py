"""The XMP packet of a GIF file, which Pillow passes over. Pure but for the stream that is handed in.

Source: W3C, GIF89a specification: 18 (screen), 20 (image), 23 to 26 (extensions); Adobe, XMP
    specification part 3: 1.1.2.
"""

import sys
from typing import IO, Final

SIGNATURES: Final = (b"GIF87a", b"GIF89a")
XMP: Final = b"XMP DataXMP"  # application identifier and authentication code
TRAILER: Final = 257  # bytes behind a packet, made so that a reader of sub-blocks finds their end
MAX_BYTES: Final = 4 << 20  # of a packet; the parser takes less
EXTENSION, IMAGE, APPLICATION = 0x21, 0x2C, 0xFF  # what a block begins with, and the label of one of them


def packet(stream: IO[bytes]) -> bytes | None:
    """Return the XMP packet; None where there is none, or where the file breaks off before it."""
    head = stream.read(13)
    if len(head) < 13 or head[:6] not in SIGNATURES:
        return None
    stream.seek(_palette(head[10]), 1)
    while kind := stream.read(1):
        if kind[0] == EXTENSION:
            label, size = (stream.read(2) + b"\0\0")[:2]
            if label == APPLICATION and stream.read(size) == XMP:
                return _packet(stream)
            if label != APPLICATION:
                stream.seek(-1, 1)
        elif kind[0] == IMAGE:
            stream.seek(_palette((stream.read(9) + bytes(9))[8]) + 1, 1)  # and the size of its codes
        else:
            return None  # the end, or damage
        _pass_blocks(stream)
    return None


def end_of(content: bytes) -> int | None:
    """Return where the trailer of a file is, or is missing; None: a picture breaks off, or there is none."""
    at, pictures = 13 + _palette(content[10]), 0
    while at < len(content):
        kind = content[at]
        if kind == EXTENSION:
            at += 2
        elif kind == IMAGE and at + 10 <= len(content):
            at += 11 + _palette(content[at + 9])  # and the size of its codes
            pictures += 1
        else:
            return at if pictures and kind not in (0, IMAGE) else None
        while at < len(content) and content[at]:
            at += 1 + content[at]
        at += 1  # the block of no bytes that ends them
    return at if pictures and at == len(content) else None


def _pass_blocks(stream: IO[bytes], limit: int = sys.maxsize) -> None:
    """Go on behind the next sub-blocks, or behind the one that goes beyond a limit."""
    end = stream.tell() + limit
    while stream.tell() < end and (size := (stream.read(1) or b"\0")[0]):
        stream.seek(size, 1)


def _palette(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _packet(stream: IO[bytes]) -> bytes | None:
    """Return the packet that begins here: it is no sequence of sub-blocks, but reads as one."""
    start = stream.tell()
    _pass_blocks(stream, MAX_BYTES)
    length = stream.tell() - start - TRAILER - 1
    stream.seek(start)
    return stream.read(length) if length > 0 else None
