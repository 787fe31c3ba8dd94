"""What kind of file a picture is, and whether it has its end: a file that breaks off may still be growing.

Reads a few bytes of a file, and no pixel.
"""

import struct
from pathlib import Path
from typing import IO, Final

from nst_daemon.images import png, tiff

HEIC_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
GENERIC_BRANDS: Final = (b"mif1", b"msf1")  # pictures of either kind: the compatible brands tell
AVIF_BRANDS: Final = (b"avif", b"avis")
LONGEST_SIGNATURE: Final = 16  # bytes


def kind(path: Path) -> str:
    """Return "jpeg", "png", "tiff", "webp", "avif", "heic", "gif", "bmp" or "", by a file's first bytes."""
    with path.open("rb") as stream:
        return _kind(stream.read(64))


def _kind(head: bytes) -> str:
    for signature, name in (
        (b"\xff\xd8\xff", "jpeg"),
        (png.SIGNATURE, "png"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"II+\0", "tiff"),
        (b"MM\0+", "tiff"),
        (b"GIF8", "gif"),
        (b"BM", "bmp"),
    ):
        if head.startswith(signature):
            return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _brand(head)
    return ""


def _brand(head: bytes) -> str:
    major = head[8:12]
    if major in AVIF_BRANDS or (major in GENERIC_BRANDS and any(brand in head for brand in AVIF_BRANDS)):
        return "avif"
    return "heic" if major in HEIC_BRANDS + GENERIC_BRANDS else ""


def breaks_off(path: Path) -> bool:
    """Whether a picture's end is missing, or the file is still empty or filled with zeros."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(64)
        if not head.strip(b"\0"):  # some programs reserve the room first
            return True
        check = {
            "jpeg": _jpeg_breaks_off,
            "png": _png_breaks_off,
            "tiff": _tiff_breaks_off,
            "webp": lambda stream, size: size < 8 + struct.unpack_from("<I", head, 4)[0],
            "bmp": lambda stream, size: size < struct.unpack_from("<I", head, 2)[0],
            "gif": lambda stream, size: _tail(stream, size, 1) != b";",
            "avif": _boxes_break_off,
            "heic": _boxes_break_off,
        }.get(_kind(head))
        if check is None:
            return size < LONGEST_SIGNATURE
        try:
            return bool(check(stream, size))
        except (ValueError, struct.error):
            return True


def _tail(stream: IO[bytes], size: int, length: int) -> bytes:
    stream.seek(max(0, size - length))
    return stream.read(length)


def _jpeg_breaks_off(stream: IO[bytes], size: int) -> bool:
    """Whether no end follows the beginning of the picture; earlier ends are those of thumbnails."""
    stream.seek(2)
    while True:
        mark, kind, length = struct.unpack(">BBH", stream.read(4))  # struct.error: it breaks off here
        if mark != 0xFF:
            return False  # damaged, not cut
        if kind == 0xDA:
            # Cameras and phones append pictures and films of their own, so the end need not be the last.
            return b"\xff\xd9" not in stream.read()
        stream.seek(length - 2, 1)


def _png_breaks_off(stream: IO[bytes], size: int) -> bool:
    stream.seek(0)
    for _ in png.chunks(stream, {b"IEND"}):
        return False
    return True


def _tiff_breaks_off(stream: IO[bytes], size: int) -> bool:
    """Whether the directory, or a part of the picture that it names, lies beyond the end."""
    stream.seek(0)
    block = tiff.parse(stream.read())
    fields, _ = block.directory(block.first)
    for starts, lengths in ((273, 279), (324, 325)):
        parts = zip(block.numbers(fields.get(starts)), block.numbers(fields.get(lengths)), strict=False)
        if any(start + length > size for start, length in parts):
            return True
    return not fields.keys() & {273, 324}  # their values lie beyond the end


def _boxes_break_off(stream: IO[bytes], size: int) -> bool:
    at = 0
    while at + 8 <= size:
        stream.seek(at)
        (length,) = struct.unpack(">I", stream.read(4))
        if length == 1:
            (length,) = struct.unpack(">Q", stream.read(12)[4:])
        if length == 0:  # reaches to the end, wherever that is
            return False
        at += max(8, length)
    return at != size
