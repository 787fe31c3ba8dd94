"""Whatever lies in the inbox gives a picture or a clear error."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features
from support.pictures import XMP, camera_exif, classic_tiff, load, png16, save, scene, sixteen, stored

from nst_daemon.errors import IncompletePhotoError, PhotoError, StyleError
from nst_daemon.images.labels import read_provenance
from nst_daemon.images.loading import load_photo, load_style


def test_a_photo_beyond_the_limit_is_refused_before_it_is_decoded_and_the_key_is_named(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bomb.png"
    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))
        + struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    )  # fmt: skip
    with pytest.raises(PhotoError, match=r"3,600\.0 megapixels, the limit is 200") as caught:
        load(path, max_megapixels=200)
    assert "max_megapixels" in caught.value.remedy


def test_a_deep_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = png16(tmp_path / "a.png", np.zeros((16, 16, 3), np.uint16))
    raw = bytearray(path.read_bytes())
    struct.pack_into(">II", raw, 16, 60000, 60000)
    path.write_bytes(raw)
    with pytest.raises(PhotoError, match="megapixels"):
        load(path)
    classic_tiff(
        tmp_path / "a.tif",
        {256: [60000], 257: [60000], 258: [16, 16, 16], 259: [1], 262: [2], 277: [3], 278: [1]},
        [b"x"],
    )
    with pytest.raises(PhotoError, match="megapixels"):
        load(tmp_path / "a.tif")


def test_a_deep_png_that_unpacks_to_more_than_it_says_is_not_unpacked(tmp_path: Path) -> None:
    path = png16(tmp_path / "a.png", np.zeros((300, 64, 3), np.uint16), filters="none")
    raw = bytearray(path.read_bytes())
    struct.pack_into(">I", raw, 20, 20)
    struct.pack_into(">I", raw, 29, zlib.crc32(raw[12:29]))
    path.write_bytes(raw)
    assert load(path).rgb.shape == (20, 64, 3)


@pytest.mark.parametrize("size", [(1, 1), (15, 100), (20, 4000)])
def test_a_photo_that_is_too_small_or_a_strip_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    with pytest.raises(PhotoError, match=f"{size[0]} × {size[1]} px"):
        load(stored(tmp_path, "a.png", Image.new("RGB", size)))


def test_an_empty_file_may_still_grow(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(IncompletePhotoError, match=r"a\.jpg is empty"):
        load(tmp_path / "a.jpg")


def test_a_file_of_zeros_may_still_grow(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(5000))
    with pytest.raises(IncompletePhotoError):
        load(tmp_path / "a.jpg")


def test_what_is_no_picture_is_refused_and_will_not_grow_into_one(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("These are words, and no picture at all.")
    with pytest.raises(PhotoError, match="no picture") as caught:
        load(tmp_path / "a.jpg")
    assert not isinstance(caught.value, IncompletePhotoError)
    assert caught.value.remedy


def test_a_folder_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="no ordinary file"):
        load(tmp_path)
    with pytest.raises(PhotoError, match="not there"):
        load(tmp_path / "gone.jpg")


def test_camera_raw_is_refused_and_its_preview_not_painted(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.tif").rename(tmp_path / "a.NEF")
    with pytest.raises(PhotoError, match="camera raw"):
        load(path)


def test_a_wholly_transparent_photo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="transparent"):
        load(stored(tmp_path, "a.png", Image.new("RGBA", (32, 32), (9, 9, 9, 0))))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_floats_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    pixels = scene()
    pixels[3, 4, 1] = value
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="rgb")
    with pytest.raises(PhotoError, match="NaN or infinite"):
        load(tmp_path / "a.tif")


def test_a_name_with_control_characters_cannot_break_a_message(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        load_photo(tmp_path / "none", name="a\n\x1b[31mb.jpg", max_megapixels=1)
    assert caught.value.message.isprintable()


def of_kind(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / f"a.{kind}"
    if kind == "deep.png":
        return png16(path, sixteen(scene()))
    if kind == "deep.tif":
        tifffile.imwrite(path, sixteen(scene()), photometric="rgb", compression="zlib")
        return path
    options: dict[str, Any] = {"exif": camera_exif(), "xmp": XMP} if kind in ("jpg", "webp") else {}
    return stored(tmp_path, path.name, **options)


KINDS = ["jpg", "png", "tif", "webp", "gif", "bmp", "deep.png", "deep.tif"]
if features.check("avif"):
    KINDS.append("avif")


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_cut_at_each_tenth_is_known_to_be_incomplete(tmp_path: Path, kind: str) -> None:
    path = of_kind(tmp_path, kind)
    whole = path.read_bytes()
    for tenth in range(10):
        path.write_bytes(whole[: len(whole) * tenth // 10])
        with pytest.raises(IncompletePhotoError):
            load(path)
    path.write_bytes(whole)
    load(path)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_flipped_bits_give_a_picture_or_a_photo_error(tmp_path: Path, kind: str, data: st.DataObject) -> None:
    path = tmp_path / f"whole.{kind}"
    if not path.exists():
        of_kind(tmp_path, kind).rename(path)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    broken = tmp_path / f"broken.{kind}"
    broken.write_bytes(raw)
    read_provenance(broken)
    try:
        photo = load(broken, max_megapixels=1)
    except PhotoError as error:
        assert error.remedy
    else:
        assert np.isfinite(photo.rgb).all()
        save(photo, tmp_path / "out")


def test_a_style_that_cannot_be_read_is_a_style_error(tmp_path: Path) -> None:
    (tmp_path / "monet.jpg").write_text("no picture")
    with pytest.raises(StyleError, match=r"monet\.jpg"):
        load_style(tmp_path / "monet.jpg", name="monet.jpg", max_megapixels=200)


def test_a_transparent_style_lies_on_white(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 16, 32))
    style = load_style(stored(tmp_path, "a.png", picture), name="a.png", max_megapixels=200)
    assert (style[0, 0].tolist(), style[0, 31].tolist()) == ([1, 1, 1], [0, 0, 0])
