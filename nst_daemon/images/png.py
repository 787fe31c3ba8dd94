"""PNG files: pixels of 16 bits, which Pillow cuts to 8 in silence, and the chunks beside the pixels.

Pure but for the stream that is written to. OpenCV unpacks 16 bits; numpy packs them.

Source: W3C, Portable Network Graphics Specification, third edition: 5 (chunks), 9 (filters), 13.12 (Paeth).
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Final

import numpy as np
from numpy.typing import NDArray

from nst_daemon.images import declared, iptc
from nst_daemon.images.declared import Declared

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
XMP_KEYWORD: Final = b"XML:com.adobe.xmp"
RAW_KEYWORD: Final = b"Raw profile type "
ADOBE_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"  # before XMP in JPEG's segments
TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
AROUND: Final = 12  # bytes of a chunk beside its data
PIXELS: Final = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
CHANNELS: Final = {0: 1, 2: 3, 4: 2, 6: 4}  # of colour types with 16 bits
MAX_SIDE_CHUNK: Final = 16 << 20  # bytes, unpacked, of anything that is not pixels
PAETH: Final = 4  # the number of its filter
BAND: Final = 1 << 22  # bytes filtered, packed or unpacked at once
PIECE: Final = 1 << 20  # bytes of a chunk of pixels: OpenCV 4.11 and later refuse chunks of more than 8 MB


def parts(content: bytes) -> Iterator[tuple[bytes, memoryview, bool]]:
    """Yield each chunk's name and data, and whether its checksum is right; ends where the file breaks off."""
    view, at = memoryview(content), len(SIGNATURE)
    if content[:at] != SIGNATURE:
        return
    while at + AROUND <= len(content):
        size, name = struct.unpack_from(">I4s", content, at)
        end = at + 8 + size
        if end + 4 > len(content):
            return
        data = view[at + 8 : end]
        yield name, data, zlib.crc32(data, zlib.crc32(name)) == struct.unpack_from(">I", content, end)[0]
        if name == b"IEND":
            return
        at = end + 4


# ── what lies beside the pixels ──────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Beside:
    """What a file says beside its pixels."""

    parts: Mapping[str, bytes]  # "exif", "xmp", "icc"
    resources: Mapping[int, bytes]  # Photoshop's, IPTC among them
    dpi: tuple[float, float] | None
    declared: Declared | None  # its colours, where no profile tells them
    damaged: tuple[str, ...]  # the names of chunks that were left out


def beside(content: bytes) -> Beside:
    """Return what lies beside the pixels, before or after them; what is damaged does not hide the rest."""
    found: dict[str, bytes] = {}
    older: dict[str, bytes] = {}  # in the words of programs that know no chunk for it
    said: dict[bytes, bytes] = {}
    damaged = []
    for name, data, is_sound in parts(content):
        if name == b"tRNS" and not is_sound:
            damaged.append("tRNS")
        if name in PIXELS or len(data) > MAX_SIDE_CHUNK:
            continue
        try:
            if not is_sound:
                raise ValueError("its checksum is wrong")
            if name == b"eXIf":
                found.setdefault("exif", bytes(data))
            elif name == b"iCCP":
                found.setdefault("icc", _inflated(bytes(data).partition(b"\0")[2][1:]))
            elif name in TEXTS:
                keyword, text = _text(name, bytes(data))
                (found if keyword == XMP_KEYWORD else older).setdefault(_part(keyword), text)
            else:
                said.setdefault(name, bytes(data))
        except (ValueError, zlib.error):
            damaged.append(name.decode("latin-1"))
    resources = _raw_profiles(found, older)
    if b"cICP" in said:  # counts before the profile. Source: the specification, 4.3
        found.pop("icc", None)
    return Beside(found, resources, _resolution(said.get(b"pHYs", b"")), _declared(said), tuple(damaged))


def _text(name: bytes, data: bytes) -> tuple[bytes, bytes]:
    """Return the keyword and the text of a chunk of words; of no other than what may be a part of ours."""
    keyword, _, rest = data.partition(b"\0")
    if not _part(keyword):
        return keyword, b""
    if name == b"tEXt":
        return keyword, rest
    if name == b"zTXt":
        return keyword, _inflated(rest[1:])
    is_packed, (_, _, text) = rest[:1] == b"\1", rest[2:].split(b"\0", 2)
    return keyword, _inflated(text) if is_packed else text


def _part(keyword: bytes) -> str:
    """Return which part a keyword stands for; empty for none of ours."""
    if keyword == XMP_KEYWORD:
        return "xmp"
    return keyword[len(RAW_KEYWORD) :].decode("latin-1").lower() if keyword.startswith(RAW_KEYWORD) else ""


def _raw_profiles(found: dict[str, bytes], older: Mapping[str, bytes]) -> dict[int, bytes]:
    """Add what ImageMagick, GIMP and darktable write as text where the chunk for it is missing.

    Source: ImageMagick, coders/png.c, Magick_png_write_raw_profile; exiftool, PNG.pm, ProcessProfile.
    """
    raw = {name: _unhexed(text) for name, text in older.items() if name}
    app1 = raw.get("app1", b"")
    if app1.startswith(ADOBE_XMP):
        found.setdefault("xmp", app1[len(ADOBE_XMP) :])
    elif app1:
        found.setdefault("exif", app1)
    for name, part in (("exif", "exif"), ("xmp", "xmp"), ("icc", "icc"), ("icm", "icc")):
        if raw.get(name):
            found.setdefault(part, raw[name].removeprefix(ADOBE_XMP))
    block = (raw.get("iptc") or raw.get("8bim") or b"").removeprefix(iptc.PHOTOSHOP)
    return {iptc.RECORD: block} if block.startswith(b"\x1c") else iptc.parse_resources(block)


def _unhexed(text: bytes) -> bytes:
    """Return the bytes of a raw profile: lines of its name, of their number, and of their digits."""
    _, _, rest = text.lstrip(b"\n").partition(b"\n")
    count, _, digits = rest.lstrip().partition(b"\n")
    try:
        return bytes.fromhex(digits.decode("ascii"))[: int(count)]
    except (ValueError, UnicodeDecodeError):
        return b""


def _resolution(chunk: bytes) -> tuple[float, float] | None:
    if len(chunk) != 9 or chunk[8] != 1:
        return None
    across, down = struct.unpack_from(">II", chunk)
    return across * 0.0254, down * 0.0254


def _declared(said: Mapping[bytes, bytes]) -> Declared | None:
    """Return the colours of cICP, sRGB, or gAMA and cHRM: the first of them that is there counts."""
    if len(said.get(b"cICP", b"")) == 4 and (found := declared.of_cicp(*said[b"cICP"][:2])):
        return found
    if b"sRGB" in said:
        return declared.SRGB
    if len(said.get(b"gAMA", b"")) != 4:
        return None
    points = said.get(b"cHRM", b"")
    places = [number / 1e5 for number in struct.unpack(">8I", points)] if len(points) == 32 else None
    return declared.of_gamma(int.from_bytes(said[b"gAMA"], "big") / 1e5, places)


def _inflated(data: bytes) -> bytes:
    unpacker = zlib.decompressobj()
    text = unpacker.decompress(data, MAX_SIDE_CHUNK)
    if unpacker.unconsumed_tail:
        raise ValueError("it unpacks to more than is read")
    return text


# ── reading ──────────────────────────────────────────────────────────────


def bare(content: bytes) -> bytes:
    """Return the file with its pixels alone: nothing beside them can then keep a decoder from them."""
    pieces: list[bytes | memoryview] = [SIGNATURE]
    for name, data, is_sound in parts(content):
        if name in PIXELS and (is_sound or name != b"tRNS"):
            check = zlib.crc32(data, zlib.crc32(name)) if is_sound else 0
            pieces += [struct.pack(">I", len(data)), name, data, struct.pack(">I", check)]
    return b"".join(pieces)


def size_of_16_bits(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a PNG of 16 bits a channel; None for any other file."""
    head = content[:33]
    if len(head) < 33 or not head.startswith(SIGNATURE) or head[12:16] != b"IHDR":
        return None
    width, height, bits = struct.unpack_from(">IIB", head, 16)
    return (width, height) if bits == 16 else None


def read16(content: bytes) -> NDArray[np.uint16]:
    """Return the pixels of a 16-bit PNG, grey or RGB, with alpha where it has it. Shapes: (H, W, 1 to 4).

    Raises:
        ValueError: it is cut off or damaged, or has no 16 bits a channel.
        MemoryError: there is too little for its pixels.
    """
    header, key = b"", b""
    packed: list[memoryview] = []
    for name, data, is_sound in parts(content):
        if not is_sound and name in (b"IHDR", b"IDAT"):
            raise ValueError(f"its {name.decode()!r} chunk is damaged")
        if name == b"IHDR":
            header = bytes(data)
        elif name == b"tRNS" and is_sound:
            key = bytes(data)
        elif name == b"IDAT":
            packed.append(data)
    _, _, bits, color, *_ = struct.unpack(">IIBBBBB", header)
    if bits != 16 or color not in CHANNELS:
        raise ValueError("not of 16 bits a channel")
    return _keyed(_pixels(header, packed, CHANNELS[color]), key)


def _pixels(header: bytes, packed: Sequence[memoryview], channels: int) -> NDArray[np.uint16]:
    """Return the pixels as they lie in the file. Shapes: (H, W, channels).

    OpenCV is given them alone: by what lies beside them it would change them, or refuse them.
    """
    import cv2  # here, for the few photos that need it: 17 MB, and up to 0.2 s

    stream = io.BytesIO(SIGNATURE)
    stream.seek(0, io.SEEK_END)
    _put(stream, b"IHDR", header)
    for part in packed:
        for at in range(0, len(part), PIECE):
            _put(stream, b"IDAT", bytes(part[at : at + PIECE]))
    _put(stream, b"IEND", b"")
    try:
        found = cv2.imdecode(np.frombuffer(stream.getbuffer(), np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if error.code == cv2.Error.StsNoMem:
            raise MemoryError from error
        raise ValueError(str(error)) from error
    if found is None or found.dtype != np.uint16:
        raise _fault(header, packed, channels)
    if found.ndim == 3:  # in OpenCV's order, and grey with alpha as BGRA
        order = cv2.COLOR_BGR2RGB if found.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
        found = found[..., ::3] if channels == 2 else cv2.cvtColor(found, order, dst=found)
    return np.ascontiguousarray(np.atleast_3d(found), np.uint16)


def _fault(header: bytes, packed: Sequence[memoryview], channels: int) -> ValueError:
    """Return why OpenCV gave nothing back, which it says to nobody.

    Raises:
        MemoryError: there is too little for its pixels.
        zlib.error: they are damaged.
    """
    width, height = struct.unpack_from(">II", header)
    expected = height * (1 + width * 2 * channels)  # at least: an interlaced picture has more rows
    np.empty(2 * expected, np.uint8)  # OpenCV is silent about a lack of memory too
    unpacker, count = zlib.decompressobj(), 0
    for part in packed:
        rest = bytes(part)
        while rest and not unpacker.eof:
            count += len(unpacker.decompress(rest, BAND))
            rest = unpacker.unconsumed_tail
    if count < expected or not unpacker.eof:
        return ValueError("its pixels are cut off")
    return ValueError("its pixels are damaged")


def _keyed(pixels: NDArray[np.uint16], key: bytes) -> NDArray[np.uint16]:
    """Return pixels with the alpha that comes of one colour being declared transparent.

    Shapes: (H, W, C) -> (H, W, C or, with a key, C + 1).
    """
    channels = pixels.shape[2]
    if channels not in (1, 3) or len(key) != 2 * channels:
        return pixels
    is_clear = (pixels == np.frombuffer(key, ">u2")).all(axis=-1, keepdims=True)
    return np.concatenate([pixels, np.where(is_clear, 0, 65535).astype(np.uint16)], axis=-1)


# ── writing ──────────────────────────────────────────────────────────────


def write(
    stream: IO[bytes],
    pixels: NDArray[np.uint8] | NDArray[np.uint16],
    *,
    icc: bytes | None = None,
    exif: bytes | None = None,
    xmp: bytes | None = None,
    resources: bytes = b"",
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write a PNG of 8 or 16 bits, as the array has. Shapes: (H, W, 3 or 4).

    `resources`, Photoshop's with IPTC, have no chunk: they become text, as ImageMagick and exiftool read it.
    """
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
    if resources:
        _put(stream, b"zTXt", RAW_KEYWORD + b"iptc\0\0" + zlib.compress(_hexed(b"iptc", resources)))
    packer = zlib.compressobj(6)
    for band in _filtered(pixels):
        if data := packer.compress(band):
            _put(stream, b"IDAT", data)
    _put(stream, b"IDAT", packer.flush())
    _put(stream, b"IEND", b"")


def _hexed(name: bytes, data: bytes) -> bytes:
    """Return a raw profile of these bytes: what `_unhexed` reads."""
    digits = data.hex().encode()
    lines = [digits[at : at + 72] for at in range(0, len(digits), 72)]
    return b"\n".join([b"", name, b"%8d" % len(data), *lines, b""])


def _filtered(pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> Iterator[bytes]:
    """Yield bands of rows through the Paeth filter, which suits photos and paintings best.

    Shapes: (H, W, 3 or 4).
    """
    height, width, channels = pixels.shape
    size = channels * pixels.itemsize
    step = max(1, BAND // (width * size))
    above = np.zeros((1, width + 1, size), np.int16)
    for top in range(0, height, step):
        band = pixels[top : top + step]
        raw = band.astype(band.dtype.newbyteorder(">")).view(np.uint8).reshape(len(band), width, size)
        bordered = np.concatenate([above, np.pad(raw.astype(np.int16), ((0, 0), (1, 0), (0, 0)))])
        guess = _paeth(bordered[1:, :-1], bordered[:-1, 1:], bordered[:-1, :-1])
        rows = np.empty((len(band), 1 + width * size), np.uint8)
        rows[:, 0] = PAETH
        rows[:, 1:] = ((raw - guess) & 0xFF).reshape(len(band), -1)
        above = bordered[-1:]
        yield rows.tobytes()


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return of each byte what the filter expects from its neighbours. Shapes: (H, W, bytes a pixel)."""
    to_left, to_up = np.abs(up - corner), np.abs(left - corner)
    to_corner = np.abs(left + up - 2 * corner)
    return np.where(
        (to_left <= to_up) & (to_left <= to_corner), left, np.where(to_up <= to_corner, up, corner)
    )


def _put(stream: IO[bytes], name: bytes, data: bytes) -> None:
    stream.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
