"""HEIC files for tests: written by libheif's own program, and turned by the boxes that cameras write."""

import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# EXIF's orientations as HEIF says them: quarter turns to the left, then a mirror (1: left and right are
# exchanged, 0: top and bottom). Source: ISO/IEC 23008-12, 6.5.10 and 6.5.12; libavif maps them alike.
TURNS = {1: (0, None), 2: (0, 1), 3: (2, None), 4: (0, 0), 5: (1, 0), 6: (3, None), 7: (3, 0), 8: (1, None)}


def write_heic(picture: Path, target: Path, orientation: int = 1) -> Path:
    """Write a picture file as HEIC; skip the test where libheif cannot."""
    pytest.importorskip("pi_heif", reason="HEIC needs pi-heif")
    program = shutil.which("heif-enc")
    if program is None:
        pytest.skip("heif-enc, which writes HEIC, is not installed")
    words: list[str | Path] = [program, "-q", "95", "-p", "chroma=444", "-o", target, picture]
    run = subprocess.run(words, capture_output=True, check=False)
    if run.returncode:
        pytest.skip(f"heif-enc cannot: {run.stderr[-200:]!r}")
    target.write_bytes(turned(target.read_bytes(), orientation))
    return target


def turned(raw: bytes, orientation: int) -> bytes:
    """Return a HEIC file that asks to be shown turned; its pixels stay."""
    angle, axis = TURNS[orientation]
    boxes = [struct.pack(">I4sB", 9, b"irot", angle)] if angle else []
    boxes += [struct.pack(">I4sB", 9, b"imir", axis)] if axis is not None else []
    return _with_boxes(raw, boxes)


def coloured(raw: bytes, primaries: int, transfer: int) -> bytes:
    """Return a HEIC file that tells its colours by the numbers of ITU-T H.273; its pixels stay."""
    matrix, is_full = 6, 0x80  # as heif-enc encodes them
    return _with_boxes(
        raw, [_boxed(b"colr", struct.pack(">4sHHHB", b"nclx", primaries, transfer, matrix, is_full))]
    )


def _with_boxes(raw: bytes, boxes: list[bytes]) -> bytes:
    parts = dict(_boxes(raw, 0, len(raw)))
    meta = _with_properties(parts[b"meta"], boxes, shift=0)
    meta = _with_properties(parts[b"meta"], boxes, shift=len(meta) - len(parts[b"meta"]))
    return b"".join(meta if name == b"meta" else box for name, box in _boxes(raw, 0, len(raw)))


def _boxes(raw: bytes, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    while start < end:
        size, name = struct.unpack_from(">I4s", raw, start)
        yield name, raw[start : start + size]
        start += size


def _boxed(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), name) + body


def _with_properties(meta: bytes, boxes: list[bytes], *, shift: int) -> bytes:
    """Return the meta box with properties of whole pictures added, and the pixels behind it moved."""
    body, tiles = meta[8:12], _tiles(dict(_boxes(meta, 12, len(meta))).get(b"iref", b""))
    for name, box in _boxes(meta, 12, len(meta)):
        if name == b"iloc":
            box = _moved(box, shift)
        elif name == b"iprp":
            inner = dict(_boxes(box, 8, len(box)))
            known = len(list(_boxes(inner[b"ipco"], 8, len(inner[b"ipco"]))))
            numbers = range(known + 1, known + 1 + len(boxes))
            ipco = _boxed(b"ipco", inner[b"ipco"][8:] + b"".join(boxes))
            box = _boxed(b"iprp", ipco + _associated(inner[b"ipma"], numbers, tiles))
        body += box
    return _boxed(b"meta", body)


def _tiles(iref: bytes) -> set[bytes]:
    """Return the items that are parts of others: what turns the whole must not turn them."""
    boxes = [box for name, box in _boxes(iref, 12, len(iref)) if name == b"dimg"] if iref else []
    return {box[at : at + 2] for box in boxes for at in range(12, len(box), 2)}


def _associated(ipma: bytes, numbers: range, tiles: set[bytes]) -> bytes:
    """Return the box with further properties for each whole picture; each is essential."""
    (count,) = struct.unpack_from(">I", ipma, 12)
    body, at = ipma[8:16], 16
    for _ in range(count):
        item, (known,) = ipma[at : at + 2], ipma[at + 2 : at + 3]
        new = ipma[at + 3 : at + 3 + known]
        new += b"" if item in tiles else bytes(0x80 | number for number in numbers)
        body += item + bytes([len(new)]) + new
        at += 3 + known
    return _boxed(b"ipma", body)


def _moved(iloc: bytes, shift: int) -> bytes:
    """Return the box with every picture that much further behind; as libheif writes it, with base offsets."""
    assert iloc[12:14] == b"\x44\x40", "libheif writes its offsets in another way"
    out = bytearray(iloc)
    (count,) = struct.unpack_from(">H", iloc, 14)
    at = 16
    for _ in range(count):
        method = iloc[at + 3] if iloc[8] else 0  # 0: in the file, 1: in the meta box itself
        at += 6 if iloc[8] else 4
        (base,) = struct.unpack_from(">I", iloc, at)
        struct.pack_into(">I", out, at, base if method else base + shift)
        (extents,) = struct.unpack_from(">H", iloc, at + 4)
        at += 6 + 8 * extents
    return bytes(out)
