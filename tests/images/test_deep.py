"""Photos of sixteen bits and floats keep every bit."""

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image
from support.pictures import (
    HEIGHT,
    WIDTH,
    classic_tiff,
    eight,
    exiftool,
    far,
    load,
    png16,
    save,
    scene,
    sixteen,
)

from nst_daemon.config.recipe import Format
from nst_daemon.errors import ConditionError, PhotoError
from nst_daemon.images import png


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("interlaced", [False, True])
def test_a_png_of_sixteen_bits_is_read_to_the_last_bit(
    tmp_path: Path, channels: int, interlaced: bool
) -> None:
    pixels = np.random.default_rng(channels).integers(0, 65536, (21, 18, channels), np.uint16)
    photo = load(png16(tmp_path / "a.png", pixels, interlaced=interlaced))
    colors = pixels[..., :3] if channels > 2 else np.repeat(pixels[..., :1], 3, axis=-1)
    assert photo.bits == 16
    assert np.array_equal(sixteen(photo.rgb), colors)
    if channels in (2, 4):
        assert photo.alpha is not None
        assert np.array_equal(sixteen(photo.alpha), pixels[..., -1])


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_of_sixteen_bits_may_declare_one_colour_transparent(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(channels).integers(0, 65536, (21, 18, channels), np.uint16)
    key = pixels[4, 5].astype(">u2").tobytes()
    photo = load(png16(tmp_path / "a.png", pixels, beside=((b"tRNS", key),)))
    assert photo.alpha is not None
    assert np.argwhere(photo.alpha == 0).tolist() == [[4, 5]]
    assert photo.alpha.sum() == 21 * 18 - 1


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def rewritten(path: Path, change: Callable[[bytes], bytes]) -> Path:
    """Change what a PNG's pixels are packed from: whole chunks, whose checksums are right, hold the rest."""
    found = {name: bytes(data) for name, data, _ in png.parts(path.read_bytes())}
    packed = chunk(b"IDAT", change(found[b"IDAT"]))
    path.write_bytes(png.SIGNATURE + chunk(b"IHDR", found[b"IHDR"]) + packed + chunk(b"IEND", b""))
    return path


@pytest.mark.parametrize(
    "change",
    [
        lambda packed: packed[: len(packed) // 2],
        lambda packed: packed[:-4],
        lambda packed: b"",
        lambda packed: zlib.compress(zlib.decompress(packed)[:-1]),
    ],
    ids=["half", "without its checksum", "none", "a byte short"],
)
def test_a_png_of_sixteen_bits_with_too_few_pixels_is_refused_as_cut_off(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = rewritten(png16(tmp_path / "a.png", sixteen(scene())), change)
    with pytest.raises(PhotoError, match="cut off"):
        load(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda packed: packed[:200] + bytes([packed[200] ^ 255]) + packed[201:],
        lambda packed: packed[:-4] + b"abcd",
        lambda packed: zlib.compress(b"\7" + zlib.decompress(packed)[1:]),
    ],
    ids=["a byte", "its checksum", "an unknown filter"],
)
def test_a_png_of_sixteen_bits_whose_pixels_are_damaged_is_refused(
    tmp_path: Path, change: Callable[[bytes], bytes]
) -> None:
    path = rewritten(png16(tmp_path / "a.png", sixteen(scene())), change)
    with pytest.raises(PhotoError):
        load(path)


def test_a_png_of_sixteen_bits_may_lie_in_one_large_chunk(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (1200, 1250, 3), np.uint16)  # 9 MB packed
    path = png16(tmp_path / "a.png", pixels, filters="none")
    assert np.array_equal(sixteen(load(path).rgb), pixels)


@pytest.mark.parametrize("beside", [(b"gAMA", (45455).to_bytes(4, "big")), (b"PLTE", bytes(range(6)))])
def test_what_lies_beside_the_pixels_changes_none_of_sixteen_bits(
    tmp_path: Path, beside: tuple[bytes, bytes]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536, (21, 18, 3), np.uint16)
    content = png16(tmp_path / "a.png", pixels, beside=(beside,)).read_bytes()
    assert np.array_equal(png.read16(content), pixels)


@pytest.mark.parametrize("answer", [cv2.error("Failed to allocate"), None], ids=["said so", "said nothing"])
def test_sixteen_bits_for_which_there_is_no_memory_are_no_broken_photo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: cv2.error | None
) -> None:
    path = png16(tmp_path / "a.png", sixteen(scene()))

    def short_of_memory(*_: object) -> None:
        if answer is not None:
            answer.code = cv2.Error.StsNoMem
            raise answer

    def refused(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cv2, "imdecode", short_of_memory)
    monkeypatch.setattr(np, "empty", refused)
    with pytest.raises(ConditionError):
        load(path)


def strip_tiff(path: Path, pixels: Any, compression: int, unpacked: Any) -> Path:
    """Write a 16-bit TIFF whose strips Pillow's libtiff packed, as bytes of a grey picture."""
    height, width, channels = pixels.shape
    raw = np.ascontiguousarray(unpacked).view(np.uint8).reshape(height, -1)
    stream = io.BytesIO()
    name = {5: "tiff_lzw", 8: "tiff_adobe_deflate", 32773: "packbits"}[compression]
    Image.fromarray(raw).save(stream, "TIFF", compression=name)
    with Image.open(stream) as grey:
        tags = grey.tag_v2  # type: ignore[attr-defined]
        strips = [stream.getvalue()[at : at + size] for at, size in zip(tags[273], tags[279], strict=True)]
        rows = tags[278]
    fields = {
        256: [width], 257: [height], 258: [16] * channels, 259: [compression], 262: [2],
        277: [channels], 278: [rows], 317: [2],
    }  # fmt: skip
    return classic_tiff(path, fields, strips)


@pytest.mark.parametrize("compression", [5, 8, 32773])
def test_a_packed_tiff_of_sixteen_bits_is_read_to_the_last_bit(tmp_path: Path, compression: int) -> None:
    pixels = sixteen(scene(40, 200))
    change = pixels.copy()
    change[:, 1:] -= pixels[:, :-1]
    photo = load(strip_tiff(tmp_path / "a.tif", pixels, compression, change))
    assert photo.bits == 16
    assert np.array_equal(sixteen(photo.rgb), pixels)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"byteorder": ">"},
        {"compression": "zlib"},
        {"bigtiff": True},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "rowsperstrip": 7, "byteorder": ">"},
        {"tile": (16, 32)},
        {"bigtiff": True, "tile": (32, 16), "byteorder": ">"},
    ],
)
def test_every_layout_of_a_deep_tiff_is_read_to_the_last_bit(tmp_path: Path, options: dict[str, Any]) -> None:
    pixels = sixteen(scene(70, 50))
    given = np.moveaxis(pixels, -1, 0) if "planarconfig" in options else pixels
    tifffile.imwrite(tmp_path / "a.tif", given, photometric="rgb", **options)
    photo = load(tmp_path / "a.tif")
    assert photo.bits == 16
    assert np.array_equal(sixteen(photo.rgb), pixels)


def test_a_deep_grey_tiff_with_white_at_zero_is_turned_round(tmp_path: Path) -> None:
    pixels = sixteen(scene())[..., 0]
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="miniswhite")
    assert np.array_equal(sixteen(load(tmp_path / "a.tif").rgb)[..., 1], 65535 - pixels)


def test_a_float_tiff_is_read_and_what_is_brighter_than_white_is_clipped_with_a_note(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", scene() * 2, photometric="rgb")
    photo = load(tmp_path / "a.tif")
    assert far(photo.rgb, np.clip(scene() * 2, 0, 1)) == 0
    assert "clipped" in photo.notes[0]


def test_a_deep_tiff_with_alpha_keeps_it(tmp_path: Path) -> None:
    pixels = np.dstack([sixteen(scene()), sixteen(scene())[..., 0]])
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["unassalpha"])
    photo = load(tmp_path / "a.tif")
    assert photo.alpha is not None
    assert np.array_equal(sixteen(photo.alpha), pixels[..., 3])


def test_colours_with_alpha_multiplied_into_them_are_read_as_they_were(tmp_path: Path) -> None:
    alpha = np.full((HEIGHT, WIDTH, 1), 0.5, np.float32)
    pixels = sixteen(np.concatenate([scene() * 0.5, alpha], axis=-1))
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb", extrasamples=["assocalpha"])
    assert far(load(tmp_path / "a.tif").rgb, scene()) < 1e-4


def test_a_dng_under_another_name_is_refused(tmp_path: Path) -> None:
    tags: list[Any] = [(50706, 1, 4, (1, 4, 0, 0), True)]
    tifffile.imwrite(tmp_path / "a.tif", sixteen(scene()), photometric="rgb", extratags=tags)
    with pytest.raises(PhotoError, match="camera raw"):
        load(tmp_path / "a.tif")


@pytest.mark.parametrize("source", ["png", "tif"])
@pytest.mark.parametrize("format", [Format.PNG, Format.TIFF])
@pytest.mark.parametrize("with_alpha", [False, True])
def test_sixteen_bits_in_are_sixteen_bits_out(
    tmp_path: Path, source: str, format: Format, with_alpha: bool
) -> None:
    pixels = sixteen(scene(33, 27))
    if with_alpha:
        pixels = np.dstack([pixels, pixels[..., 1]])
    path = tmp_path / f"a.{source}"
    if source == "png":
        png16(path, pixels)
    else:
        extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if with_alpha else {}
        tifffile.imwrite(path, pixels, photometric="rgb", **extra)
    result, _ = save(load(path), tmp_path / "out", format)
    again = load(result)
    assert again.bits == 16
    assert np.array_equal(sixteen(again.rgb), pixels[..., :3])
    bits = exiftool(result)["PNG:BitDepth" if format is Format.PNG else "IFD0:BitsPerSample"]
    assert str(bits).split()[0] == "16"
    if with_alpha:
        assert again.alpha is not None
        assert np.array_equal(sixteen(again.alpha), pixels[..., 3])


def test_other_programs_read_our_deep_files_alike(tmp_path: Path) -> None:
    pixels = sixteen(scene())
    photo = load(png16(tmp_path / "a.png", pixels))
    result, _ = save(photo, tmp_path / "out", Format.TIFF)
    with Image.open(result) as read:
        assert np.abs(np.asarray(read).astype(int) - eight(scene())).max() <= 1
    result, _ = save(photo, tmp_path / "out", Format.PNG)
    with Image.open(result) as read:
        assert np.abs(np.asarray(read).astype(int) - eight(scene())).max() <= 1


def test_jpeg_and_webp_of_a_deep_photo_have_eight_bits(tmp_path: Path) -> None:
    photo = load(png16(tmp_path / "a.png", sixteen(scene())))
    for format in (Format.JPEG, Format.WEBP):
        assert load(save(photo, tmp_path / "out", format)[0]).bits == 8
