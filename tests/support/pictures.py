"""Pictures made for tests: small, asymmetric, and with every kind of metadata."""

import io
import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from nst_daemon.config.recipe import Format
from nst_daemon.images.loading import load_photo
from nst_daemon.images.made import Made
from nst_daemon.images.photo import Photo
from nst_daemon.images.saving import save_result

Picture = NDArray[np.float32]

WIDTH, HEIGHT = 64, 48
ABOUT = {"style": "starry_night", "settings": '{"size": 1024}', "seed": "7", "job_key": "abc"}
LOSSY = 0.06  # the most that a codec at high quality moves a colour of the smooth test picture
STEP = 1 / 255

XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"'
    ' xmlns:lr="http://ns.adobe.com/lightroom/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
    ' xmlns:crs="http://ns.adobe.com/camera-raw-settings/1.0/" xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
    ' xmp:Rating="4" tiff:Orientation="6" crs:Exposure2012="+1.00">'
    "<dc:title><rdf:Alt><rdf:li xml:lang='x-default'>The tower &amp; the river</rdf:li></rdf:Alt></dc:title>"
    "<dc:subject><rdf:Bag><rdf:li>river</rdf:li><rdf:li>starry_night</rdf:li></rdf:Bag></dc:subject>"
    "<lr:hierarchicalSubject><rdf:Bag><rdf:li>nst|starry_night</rdf:li></rdf:Bag></lr:hierarchicalSubject>"
    "<xmpMM:History><rdf:Seq><rdf:li stEvt:action='saved'/></rdf:Seq></xmpMM:History>"
    "</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
).encode()


def scene(width: int = WIDTH, height: int = HEIGHT) -> Picture:
    """Return colours that differ at every corner: no turn or mirror image of it equals it."""
    down, across = np.mgrid[0:height, 0:width].astype(np.float32)
    red, green = across / (width - 1), down / (height - 1)
    return np.stack([0.1 + 0.8 * red, 0.9 - 0.7 * green, 0.2 + 0.5 * red * green], axis=-1).astype(np.float32)


def eight(rgb: Picture) -> NDArray[np.uint8]:
    return np.rint(rgb * 255).astype(np.uint8)


def sixteen(rgb: Picture) -> NDArray[np.uint16]:
    return np.rint(rgb * 65535).astype(np.uint16)


def image(rgb: Picture | None = None) -> Image.Image:
    return Image.fromarray(eight(scene() if rgb is None else rgb))


def camera_exif(*, orientation: int = 1, with_thumbnail: bool = True) -> bytes:
    """Return an EXIF block as a camera writes it, thumbnail included."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112] = "Fujica", "ST 605", orientation
    tags[0x013B], tags[0x8298], tags[0x0131] = "Ada Ansel", "(c) Ada", "Ver1.0"
    tags[0x8769] = {0x9003: "2024:05:06 07:08:09", 0xA002: 6000, 0xA003: 4000, 0x927C: b"Maker\0\1\2\3"}
    tags[0x8825] = {1: "N", 2: (48.0, 31.0, 12.0), 3: "E", 4: (9.0, 3.0, 24.0)}
    block = tags.tobytes()
    return _with_thumbnail(block) if with_thumbnail else block


def _with_thumbnail(block: bytes) -> bytes:
    """Return the block with a second directory that holds a small JPEG, as Pillow cannot write it."""
    stream = io.BytesIO()
    image().resize((16, 12)).save(stream, "JPEG")
    small, raw = stream.getvalue(), bytearray(block[6:])
    order = "<" if raw[:2] == b"II" else ">"
    (first,) = struct.unpack_from(order + "I", raw, 4)
    (count,) = struct.unpack_from(order + "H", raw, first)
    struct.pack_into(order + "I", raw, first + 2 + 12 * count, len(raw))
    at = len(raw) + 2 + 3 * 12 + 4
    raw += struct.pack(order + "H", 3)
    for tag, kind, value in ((0x0103, 3, 6), (0x0201, 4, at), (0x0202, 4, len(small))):
        inline = struct.pack(order + "HH", value, 0) if kind == 3 else struct.pack(order + "I", value)
        raw += struct.pack(order + "HHI", tag, kind, 1) + inline
    raw += bytes(4)
    return block[:6] + bytes(raw) + small


def iptc_app13(*keywords: str) -> bytes:
    """Return a JPEG segment with an IPTC record and a stale Photoshop thumbnail."""
    record = b"\x1c\x01\x5a\x00\x03\x1b%G"  # UTF-8
    for word in keywords:
        data = word.encode()
        record += b"\x1c\x02\x19" + struct.pack(">H", len(data)) + data
    resources = _resource(0x0404, record) + _resource(0x040C, b"stale thumbnail")
    payload = b"Photoshop 3.0\0" + resources
    return b"\xff\xed" + struct.pack(">H", len(payload) + 2) + payload


def _resource(number: int, data: bytes) -> bytes:
    return b"8BIM" + struct.pack(">HxxI", number, len(data)) + data + b"\0" * (len(data) % 2)


# ── files ────────────────────────────────────────────────────────────────


def made(width: int, height: int, **facts: Any) -> Made:
    """Return a painting of a photo of its own size."""
    return Made(width=width, height=height, **{"of_width": width, "of_height": height, **facts})


def load(path: Path, max_megapixels: float = 10) -> Photo:
    return load_photo(path, name=path.name, max_megapixels=max_megapixels)


def save(
    photo: Photo, stem: Path, format: Format = Format.SAME, rgb: Picture | None = None
) -> tuple[Path, Any]:
    return save_result(
        photo.rgb if rgb is None else rgb, stem, photo=photo, format=format, quality=95, provenance=ABOUT
    )


def stored(tmp_path: Path, name: str, picture: Image.Image | None = None, **options: Any) -> Path:
    path = tmp_path / name
    (picture or image()).save(path, **options)
    return path


def far(one: Picture, other: Picture) -> float:
    assert one.shape == other.shape
    return float(np.abs(one - other).max())


def png16(
    path: Path,
    pixels: Any,
    *,
    filters: str = "all",
    interlaced: bool = False,
    beside: tuple[tuple[bytes, bytes], ...] = (),
) -> Path:
    """Write a PNG of 16 bits (or of 8) by the plainest of means, with each row's filter chosen in turn.

    `beside`: further chunks, by name.
    """
    height, width, channels = pixels.shape
    color = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    passes = (
        [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        if interlaced
        else [(0, 0, 1, 1)]
    )
    raw = b""
    for top, left, down, right in passes:
        part = pixels[top::down, left::right]
        raw += _filtered(part.astype(part.dtype.newbyteorder(">")), filters) if part.size else b""
    head = struct.pack(">IIBBBBB", width, height, 8 * pixels.itemsize, color, 0, 0, int(interlaced))
    chunks = [(b"IHDR", head), *beside, (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


def _filtered(part: Any, filters: str) -> bytes:
    height, width, channels = part.shape
    size, out = part.itemsize * channels, bytearray()
    above = bytes(width * size)
    for row in range(height):
        line = part[row].tobytes()
        kind = row % 5 if filters == "all" else 0
        out.append(kind)
        for at, byte in enumerate(line):
            left = line[at - size] if at >= size else 0
            corner = above[at - size] if at >= size else 0
            up = above[at]
            guess = left + up - corner
            near = min((left, up, corner), key=lambda each: abs(guess - each))
            out.append((byte - [0, left, up, (left + up) // 2, near][kind]) & 255)
        above = line
    return bytes(out)


def classic_tiff(path: Path, fields: dict[int, list[int]], strips: list[bytes]) -> Path:
    body, offsets = b"", []
    for strip in strips:
        offsets.append(8 + len(body))
        body += strip
    fields = {**fields, 273: offsets, 279: [len(strip) for strip in strips]}
    at = 8 + len(body)
    spare, entries = b"", b""
    end = at + 2 + 12 * len(fields) + 4
    for tag, values in sorted(fields.items()):
        packed = struct.pack(f"<{len(values)}I", *values)
        entries += struct.pack("<HHI", tag, 4, len(values))
        if len(packed) > 4:
            entries += struct.pack("<I", end + len(spare))
            spare += packed
        else:
            entries += packed
    directory = struct.pack("<H", len(fields)) + entries + bytes(4) + spare
    path.write_bytes(b"II*\0" + struct.pack("<I", at) + body + directory)
    return path


# ── colour profiles ──────────────────────────────────────────────────────

DISPLAY_P3 = ((0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))
ADOBE_RGB = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
PROPHOTO = ((0.79767, 0.28804, 0.0), (0.13519, 0.71188, 0.0), (0.03134, 0.00009, 0.82491))
SRGB = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.71410))


def matrix_profile(columns: tuple[tuple[float, ...], ...], gamma: float | None = None) -> bytes:
    """Return an ICC profile of three colorants and one curve: a gamma, or sRGB's."""
    curve = _gamma(gamma) if gamma else _srgb_curve()
    tags = {name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)}
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    return _profile(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
    return _profile(b"GRAY", {b"kTRC": _gamma(gamma)})


def table_profile(space: bytes, corners: list[tuple[float, float, float]]) -> bytes:
    """Return a profile of one table with Lab at its corners, the last channel changing first; one way."""
    inputs = {b"RGB ": 3, b"CMYK": 4}[space]
    identity = bytes(range(256))
    places = b"".join(bytes([round(L * 2.55), round(a) + 128, round(b) + 128]) for L, a, b in corners)
    head = b"mft1\0\0\0\0" + bytes([inputs, 3, 2, 0])
    matrix = struct.pack(">9i", *(65536 * (index % 4 == 0) for index in range(9)))
    return _profile(space, {b"A2B0": head + matrix + identity * inputs + places + identity * 3}, b"Lab ")


def _profile(space: bytes, tags: dict[bytes, bytes], connection: bytes = b"XYZ ") -> bytes:
    tags = {
        b"desc": _description("nst test"),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": _xyz((0.9642, 1.0, 0.8249)),
        **tags,
    }
    at, entries, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        entries += name + struct.pack(">II", at + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    size = at + len(body)
    head = struct.pack(
        ">I4sI4s4s4s12s4s", size, b"lcms", 0x02400000, b"mntr", space, connection, b"\0" * 12, b"acsp"
    )
    head += bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + entries + body


def _description(words: str) -> bytes:
    text = words.encode() + b"\0"
    return b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(4 + 4 + 2 + 1 + 67)


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _gamma(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def _srgb_curve() -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0" + struct.pack(">Hxx5i", 3, *(round(number * 65536) for number in numbers))


# ── the referee ──────────────────────────────────────────────────────────


def exiftool(path: Path) -> dict[str, Any]:
    """Return what exiftool reads in a file, by group and name; skip the test where there is none."""
    return referee(path)[0]


def referee(*paths: Path) -> list[dict[str, Any]]:
    """Return what exiftool reads in each file; skip the test where there is none."""
    run = subprocess.run(
        [editor(), "-json", "-G1", "-n", "-validate", "-all", *map(str, paths)],
        capture_output=True,
        check=True,
    )
    facts: list[dict[str, Any]] = json.loads(run.stdout)
    return facts


def editor() -> str:
    """Return exiftool's path; skip the test, and say so, where there is none."""
    program = shutil.which("exiftool")
    if program is None:
        pytest.skip("exiftool, the referee on metadata, is not installed")
    return program
