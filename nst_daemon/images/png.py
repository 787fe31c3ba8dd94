"""PNG files: pixels of 16 bits, which Pillow cuts to 8 in silence, and the chunks beside the pixels.

Pure but for the stream that is handed in; numpy does the work.

Source: W3C, Portable Network Graphics Specification, third edition: 5 (chunks), 8.1 (Adam7), 9 (filters).
"""

import struct
import zlib
from collections.abc import Container, Iterator
from pathlib import Path
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD: Final = b"XML:com.adobe.xmp"
CHANNELS: Final = {0: 1, 2: 3, 4: 2, 6: 4}  # of colour types with 16 bits
ADAM7: Final = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
MAX_SIDE_CHUNK: Final = 16 << 20  # bytes, unpacked, of anything that is not pixels
BAND: Final = 1 << 22  # bytes filtered and packed at once

Bytes = NDArray[np.uint8]


def chunks(stream: IO[bytes], wanted: Container[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the wanted chunks' names and data, passing over the others unread.

    Raises:
        ValueError: the file is no PNG, is cut off, or a wanted chunk is damaged.
    """
    if stream.read(8) != SIGNATURE:
        raise ValueError("no PNG signature")
    while len(head := stream.read(8)) == 8:
        size, name = struct.unpack(">I4s", head)
        if name in wanted:
            data, check = stream.read(size), stream.read(4)
            if len(data) < size or check != struct.pack(">I", zlib.crc32(name + data)):
                raise ValueError(f"its {name.decode('latin-1')!r} chunk is cut off or damaged")
            yield name, data
        else:
            stream.seek(size + 4, 1)
        if name == b"IEND":
            return
    raise ValueError("it has no end")


def side_data(stream: IO[bytes]) -> dict[str, bytes]:
    """Return what lies beside the pixels, before or after them: "exif", "xmp", "icc"; no damaged parts."""
    found: dict[str, bytes] = {}
    try:
        for name, data in chunks(stream, {b"eXIf", b"iTXt", b"iCCP"}):
            if name == b"eXIf":
                found["exif"] = data
            elif name == b"iCCP":
                found["icc"] = _inflated(data.partition(b"\0")[2][1:])
            elif (text := _international_text(data)) is not None:
                found["xmp"] = text
    except (ValueError, zlib.error):
        pass  # whether the file as a whole is good is found out where its pixels are read
    return found


def _international_text(data: bytes) -> bytes | None:
    """Return the packet of an iTXt chunk that holds XMP."""
    keyword, _, rest = data.partition(b"\0")
    if keyword != XMP_KEYWORD:
        return None
    is_packed, (_, _, text) = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    return _inflated(text) if is_packed else text


def _inflated(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, MAX_SIDE_CHUNK)


# ── reading 16 bits ──────────────────────────────────────────────────────


def size_of_16_bits(path: Path) -> tuple[int, int] | None:
    """Return width and height of a PNG of 16 bits a channel; None for any other file."""
    with path.open("rb") as stream:
        head = stream.read(33)
    if len(head) < 33 or not head.startswith(SIGNATURE) or head[12:16] != b"IHDR":
        return None
    width, height, bits = struct.unpack_from(">IIB", head, 16)
    return (width, height) if bits == 16 else None


def read16(stream: IO[bytes]) -> NDArray[np.uint16]:
    """Return the pixels of a 16-bit PNG, grey or RGB, with alpha where it has it. Shapes: (H, W, 1 to 4).

    Raises:
        ValueError: it is cut off or damaged, or has no 16 bits a channel.
    """
    header, key, packed = b"", b"", []
    for name, data in chunks(stream, {b"IHDR", b"tRNS", b"IDAT"}):
        if name == b"IHDR":
            header = data
        elif name == b"tRNS":
            key = data
        else:
            packed.append(data)
    width, height, bits, color, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if bits != 16 or color not in CHANNELS:
        raise ValueError("not of 16 bits a channel")
    size = 2 * CHANNELS[color]
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    shapes = [(-(-(height - top) // down), -(-(width - left) // right)) for top, left, down, right in passes]
    expected = sum(h * (1 + w * size) for h, w in shapes if h > 0 and w > 0)
    raw = np.frombuffer(zlib.decompressobj().decompress(b"".join(packed), expected), np.uint8)
    if len(raw) < expected:
        raise ValueError("its pixels are cut off")
    picture, at = np.empty((height, width, size), np.uint8), 0
    for (top, left, down, right), (h, w) in zip(passes, shapes, strict=True):
        if h > 0 and w > 0:
            rows = raw[at : at + h * (1 + w * size)].reshape(h, 1 + w * size)
            picture[top::down, left::right] = _unfiltered(rows[:, 0], rows[:, 1:].reshape(h, w, size))
            at += rows.size
    return _keyed(picture.view(">u2").astype(np.uint16), key)


def _keyed(pixels: NDArray[np.uint16], key: bytes) -> NDArray[np.uint16]:
    """Return pixels with the alpha that comes of one colour being declared transparent."""
    channels = pixels.shape[2]
    if channels not in (1, 3) or len(key) != 2 * channels:
        return pixels
    is_clear = (pixels == np.frombuffer(key, ">u2")).all(axis=-1, keepdims=True)
    return np.concatenate([pixels, np.where(is_clear, 0, 65535).astype(np.uint16)], axis=-1)


def _unfiltered(filters: Bytes, rows: Bytes) -> Bytes:
    """Undo PNG's row filters. Shapes: (H,), (H, W, bytes a pixel) -> the latter.

    A pixel needs its left, upper and upper left neighbour only, so all pixels of one anti-diagonal can be
    done at once; in rows one longer than the picture an anti-diagonal is an ordinary slice of the flat array.
    """
    if filters.max(initial=0) > 4:
        raise ValueError("it has an unknown filter")
    height, width, size = rows.shape
    done = np.zeros((height + 1, width + 1, size), np.int16)  # a border of zeros above and at the left
    done[1:, 1:] = rows
    flat, step = done.reshape(-1, size), width
    kinds = filters[:, None]
    masks = [kinds == number for number in range(5)]
    has = [bool(mask.any()) for mask in masks]
    for diagonal in range(height + width - 1):
        first, last = max(0, diagonal - width + 1), min(diagonal, height - 1)
        count = last - first + 1
        here = (first + 1) * (width + 1) + (diagonal - first) + 1

        def line(start: int, count: int = count) -> NDArray[np.int16]:
            return flat[start : start + (count - 1) * step + 1 : step] if step else flat[start : start + 1]

        left, up, corner = line(here - 1), line(here - width - 1), line(here - width - 2)
        part = slice(first, last + 1)
        guess = np.zeros((count, size), np.int16)
        for number, is_used in enumerate(has):
            if is_used and number:
                np.copyto(guess, _guess(number, left, up, corner), where=masks[number][part])
        line(here)[...] = (line(here) + guess) & 0xFF
    return done[1:, 1:].astype(np.uint8)


def _guess(
    number: int, left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]
) -> NDArray[np.int16]:
    """Return what a filter expects of pixels, from their neighbours."""
    if number == 1:
        return left
    if number == 2:
        return up
    if number == 3:
        return (left + up) >> 1
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    return np.where(
        (to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner)
    )


# ── writing ──────────────────────────────────────────────────────────────


def write(
    stream: IO[bytes],
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a PNG of 8 or 16 bits, as the array has. Shapes: (H, W, 3 or 4)."""
    height, width, channels = pixels.shape
    color = {3: 2, 4: 6}[channels]
    stream.write(SIGNATURE)
    _put(stream, b"IHDR", struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, color, 0, 0, 0))
    if icc:
        _put(stream, b"iCCP", b"ICC profile\0\0" + zlib.compress(icc))
    else:
        _put(stream, b"sRGB", b"\0")
    if dpi:
        _put(stream, b"pHYs", struct.pack(">IIB", *(round(each / 0.0254) for each in dpi), 1))
    if exif:
        _put(stream, b"eXIf", exif)
    if xmp:
        _put(stream, b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + xmp)
    packer = zlib.compressobj(6)
    for band in _filtered(pixels):
        if data := packer.compress(band):
            _put(stream, b"IDAT", data)
    _put(stream, b"IDAT", packer.flush())
    _put(stream, b"IEND", b"")


def _filtered(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Iterator[bytes]:
    """Yield bands of rows through the Paeth filter, which suits photos and paintings best."""
    height, width, channels = pixels.shape
    size = channels * pixels.itemsize
    step = max(1, BAND // (width * size))
    above = np.zeros((1, width + 1, size), np.int16)
    for top in range(0, height, step):
        band = pixels[top : top + step]
        raw = band.astype(band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), width, size)
        bordered = np.concatenate([above, np.pad(raw.astype(np.int16), ((0, 0), (1, 0), (0, 0)))])
        guess = _guess(4, bordered[1:, :-1], bordered[:-1, 1:], bordered[:-1, :-1])
        rows = np.empty((len(band), 1 + width * size), np.uint8)
        rows[:, 0] = 4
        rows[:, 1:] = ((raw - guess) & 0xFF).reshape(len(band), -1)
        above = bordered[-1:]
        yield rows.tobytes()


def _put(stream: IO[bytes], name: bytes, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
