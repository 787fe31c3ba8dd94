"""Half a picture is never taken for a whole one, whatever its format and its decoder say."""

import io
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features
from support.heic import write_heic
from support.pictures import camera_exif, load

from nst_daemon.errors import IncompletePhotoError, PhotoError
from nst_daemon.images.wholeness import SECTOR, Wholeness, judge, zeros_from
from nst_daemon.intake.inspection import Readable, Unreadable
from nst_daemon.intake.reading import read_photo

SIZE = (200, 150)
BLACK = Image.new("RGB", SIZE)


def noise() -> Image.Image:
    """Return a picture that packs badly, with no black in it."""
    pixels = 40 + np.random.default_rng(7).random((SIZE[1], SIZE[0], 3)) * 200
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(kind: str, picture: Image.Image | None = None, **options: Any) -> bytes:
    stream = io.BytesIO()
    (picture or noise()).save(stream, kind, **options)
    return stream.getvalue()


def deep_tiff(**options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.asarray(noise()).astype(np.uint16) * 256, photometric="rgb", **options)
    return stream.getvalue()


WHOLE: dict[str, bytes] = {
    "a.jpg": encoded("JPEG", quality=95),
    "progressive.jpg": encoded("JPEG", quality=95, progressive=True),
    "tagged.jpg": encoded("JPEG", quality=95, exif=camera_exif()),
    "a.png": encoded("PNG"),
    "a.webp": encoded("WEBP", quality=95),
    "lossless.webp": encoded("WEBP", lossless=True),
    "a.gif": encoded("GIF"),
    "film.gif": encoded("GIF", save_all=True, append_images=[BLACK, noise()]),
    "lzw.tif": encoded("TIFF", compression="tiff_lzw"),
    "jpeg.tif": encoded("TIFF", compression="jpeg", quality=95),
    "zip.tif": deep_tiff(compression="zlib"),
    "rle.bmp": b"",
}
del WHOLE["rle.bmp"]  # Pillow writes none
UNPACKED = {"a.tif": encoded("TIFF"), "a.bmp": encoded("BMP"), "deep.tif": deep_tiff()}
if features.check("avif"):
    WHOLE["a.avif"] = encoded("AVIF", quality=90)


def reserved(path: Path, content: bytes, share: float, *, with_hole: bool) -> Path:
    """Write a part of a file whose whole room was reserved first."""
    part = content[: int(len(content) * share)]
    if with_hole:
        path.write_bytes(part)
        os.truncate(path, len(content))
    else:
        path.write_bytes(part.ljust(len(content), b"\0"))
    return path


@pytest.mark.parametrize("with_hole", [True, False], ids=["hole", "zeros"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_packed_picture_whose_room_was_reserved_is_not_whole(
    tmp_path: Path, name: str, with_hole: bool
) -> None:
    for share in (0.001, 0.1, 0.5, 0.9, 0.98):
        path = reserved(tmp_path / name, WHOLE[name], share, with_hole=with_hole)
        with pytest.raises(IncompletePhotoError, match="breaks off"):
            load(path)
    path.write_bytes(WHOLE[name])
    assert not load(path).may_grow


def test_a_heic_whose_room_was_reserved_is_not_whole(tmp_path: Path) -> None:
    noise().save(tmp_path / "a.png")
    path = write_heic(tmp_path / "a.png", tmp_path / "a.heic")
    content = path.read_bytes()
    for share in (0.1, 0.5, 0.98):
        with pytest.raises(IncompletePhotoError):
            load(reserved(path, content, share, with_hole=False))
        path.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(IncompletePhotoError):
            load(path)
    path.write_bytes(content)
    assert not load(path).may_grow


@pytest.mark.parametrize("with_hole", [True, False], ids=["hole", "zeros"])
@pytest.mark.parametrize("name", UNPACKED)
def test_a_bitmap_that_ends_in_zeros_is_doubtful_and_says_so(
    tmp_path: Path, name: str, with_hole: bool
) -> None:
    path = reserved(tmp_path / name, UNPACKED[name], 0.5, with_hole=with_hole)
    if name == "deep.tif":  # tifffile writes the directory first
        assert load(path).may_grow
    answer = read_photo(path, 100)
    assert answer.may_grow
    path.write_bytes(UNPACKED[name])
    answer = read_photo(path, 100)
    assert isinstance(answer, Readable)
    assert not answer.may_grow


def test_a_black_picture_is_a_picture_and_its_doubt_does_not_refuse_it(tmp_path: Path) -> None:
    for kind, ending in (("TIFF", "tif"), ("BMP", "bmp")):
        path = tmp_path / f"a.{ending}"
        path.write_bytes(encoded(kind, BLACK))
        answer = read_photo(path, 100)
        assert isinstance(answer, Readable)
        assert answer.may_grow


@pytest.mark.parametrize("color", ["black", "white", "grey"])
@pytest.mark.parametrize("size", [(16, 16), (300, 200), (2500, 2000)])
def test_a_picture_of_one_colour_is_whole_in_every_packed_format(color: str, size: tuple[int, int]) -> None:
    flat = Image.new("RGB", size, color)
    assert judge(encoded("JPEG", flat)) is Wholeness.WHOLE
    for kind, options in (
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("GIF", {}),
        ("WEBP", {"quality": 80}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "packbits"}),
        ("AVIF", {"quality": 60}),
    ):
        if kind != "AVIF" or features.check("avif"):
            assert judge(encoded(kind, flat, **options)) is Wholeness.WHOLE, (kind, options)


def test_a_hole_in_the_middle_is_a_doubt(tmp_path: Path) -> None:
    content = UNPACKED["a.bmp"]
    path = tmp_path / "a.bmp"
    with path.open("wb") as file:
        file.write(content[:8192])
        file.seek(65536)
        file.write(content[65536:])
    answer = read_photo(path, 100)
    assert isinstance(answer, Readable)
    assert answer.may_grow


@pytest.mark.parametrize("name", ["zip.tif", "lzw.tif", "a.webp", "lossless.webp", "jpeg.tif", "a.jpg"])
def test_zeros_in_the_middle_of_a_packed_picture_are_a_doubt_at_least(tmp_path: Path, name: str) -> None:
    whole = WHOLE[name]
    middle = len(whole) // 2
    (tmp_path / name).write_bytes(whole[: middle - 12_000] + bytes(20_000) + whole[middle + 8_000 :])
    answer = read_photo(tmp_path / name, 1)
    assert answer.may_grow


def test_a_png_with_zeros_where_its_checksum_says_otherwise_is_not_whole(tmp_path: Path) -> None:
    content = bytearray(WHOLE["a.png"])
    middle = len(content) // 2
    content[middle : middle + 4096] = bytes(4096)
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(IncompletePhotoError):
        load(tmp_path / "a.png")


@pytest.mark.parametrize("end", [b"\xff\xd9", b"\xff\x3a trash", b"\xff\xd9 and trash behind it" * 9])
@pytest.mark.parametrize("options", [{}, {"subsampling": 0}, {"optimize": True}])
def test_a_jpeg_cut_inside_that_got_an_end_all_the_same_is_not_whole(
    tmp_path: Path, end: bytes, options: dict[str, Any]
) -> None:
    whole = encoded("JPEG", quality=95, **options)
    path = tmp_path / "a.jpg"
    for longer in (None, 20):
        for share in (0.3, 0.9):
            path.write_bytes(whole[: int(len(whole) * share)].rstrip(b"\xff") + end)
            with pytest.raises(IncompletePhotoError):
                load_small(path, longer)


def load_small(path: Path, longer: int | None) -> Any:
    from nst_daemon.images.loading import load_photo

    return load_photo(path, name=path.name, max_megapixels=1, longer=longer)


def test_a_jpeg_that_is_grey_in_its_last_corner_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    for mode, color in (("RGB", (128, 128, 128)), ("L", 128)):
        Image.new(mode, (64, 64), color).save(path)
        assert load(path).width == 64


def test_a_jpeg_with_another_file_behind_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(WHOLE["a.jpg"] + b"\0\0\0\x18ftypmp42" + os.urandom(3000))
    assert not load(path).may_grow


def test_a_jpeg_whose_further_pictures_are_missing_is_doubtful(tmp_path: Path) -> None:
    stream = io.BytesIO()
    noise().save(stream, "MPO", quality=90, save_all=True, append_images=[noise()])
    whole, path = stream.getvalue(), tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert not load(path).may_grow
    path.write_bytes(whole[: whole.index(b"\xff\xd8\xff", 1000)])
    assert load(path).may_grow


def test_a_motion_photo_without_its_film_is_doubtful(tmp_path: Path) -> None:
    xmp = b'<x xmlns:Item="i"><a Item:Mime="video/mp4" Item:Length="5000"/></x>'
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded("JPEG", xmp=xmp))
    assert load(path).may_grow
    path.write_bytes(encoded("JPEG", xmp=xmp) + os.urandom(5000))
    assert not load(path).may_grow


def test_a_gif_cut_between_two_pictures_is_doubtful_and_inside_one_it_is_not_whole() -> None:
    whole = WHOLE["film.gif"]
    assert judge(whole[:-1]) is Wholeness.DOUBTFUL
    assert judge(whole[:-40]) is Wholeness.CUT
    assert judge(whole + b"\0") is Wholeness.WHOLE  # some programs write one more


def test_pages_of_a_tiff_that_are_missing_make_it_not_whole(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        for _ in range(3):
            file.write(np.asarray(noise()), photometric="rgb", contiguous=False)
    whole = stream.getvalue()
    assert judge(whole) is Wholeness.WHOLE
    assert judge(whole[: len(whole) // 2]) is Wholeness.CUT
    assert judge(whole[:-5000]) is Wholeness.CUT


def test_boxes_that_are_missing_behind_a_whole_one_are_noticed() -> None:
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    whole = WHOLE["a.avif"]
    at = whole.index(b"mdat") - 4
    assert judge(whole[:at]) is Wholeness.CUT
    size = struct.pack(">I", len(whole) - at - 1000)
    assert judge(whole[:at] + size + whole[at + 4 : -1000]) is Wholeness.CUT  # shorter than its index says


@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_camera_raw_that_breaks_off_is_not_whole_whoever_made_it(share: float) -> None:
    pixels = bytes(range(1, 250)) * 40
    boxes = struct.pack(">I8sI", 20, b"ftypcrx ", 1) + b"isom" + struct.pack(">I4s", 8 + len(pixels), b"mdat")
    fuji = b"FUJIFILMCCD-RAW ".ljust(84, b"x") + struct.pack(">6I", 108, 500, 608, 90, 698, len(pixels) - 590)
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.asarray(noise())[..., 0].astype(np.uint16) * 9, photometric=32803)
    for whole in (boxes + pixels, fuji + pixels, stream.getvalue()):
        part = whole[: int(len(whole) * share)]
        assert judge(whole, is_raw=True) is Wholeness.WHOLE
        assert judge(part, is_raw=True) is Wholeness.CUT
    reserved = (boxes + pixels)[:5000].ljust(len(boxes + pixels), b"\0")
    assert judge(reserved, is_raw=True) is Wholeness.CUT
    assert (
        judge(stream.getvalue()[:9000].ljust(len(stream.getvalue()), b"\0"), is_raw=True)
        is Wholeness.DOUBTFUL
    )


def test_the_raw_picture_below_a_preview_is_looked_at() -> None:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream) as file:
        preview = np.asarray(noise())[::8, ::8]
        file.write(preview, photometric="rgb", subifds=1)
        file.write(np.asarray(noise())[..., 0].astype(np.uint16) * 9, photometric=32803)
    whole = stream.getvalue()
    assert judge(whole, is_raw=True) is Wholeness.WHOLE
    assert judge(whole[:-3000], is_raw=True) is Wholeness.CUT
    assert judge(whole[:-3000]) is Wholeness.DOUBTFUL  # what is painted of it, its first page, is there


@pytest.mark.parametrize("name", ["a.jpg", "progressive.jpg", "a.png", "a.gif"])
def test_what_stands_behind_an_end_that_proves_the_whole_is_no_doubt(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for behind in (bytes(5000), b"\0"):  # some cameras fill up their files
        path.write_bytes(WHOLE[name] + behind)
        assert not load(path).may_grow
    path.write_bytes(WHOLE[name])
    os.truncate(path, len(WHOLE[name]) + (1 << 20))
    assert not load(path).may_grow


def test_a_hole_before_the_end_is_a_doubt_even_where_the_end_is_there() -> None:
    whole = WHOLE["a.jpg"]
    assert judge(whole, hole=4096) is Wholeness.DOUBTFUL
    assert judge(whole, hole=len(whole)) is Wholeness.WHOLE


def test_a_photo_beyond_a_limit_that_may_still_grow_is_not_refused_for_good(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(encoded("BMP", BLACK))
    answer = read_photo(path, 0.001)
    assert isinstance(answer, Unreadable)
    assert (answer.may_grow, "megapixels" in answer.reason) == (True, True)
    path.write_bytes(UNPACKED["a.bmp"])
    answer = read_photo(path, 0.001)
    assert isinstance(answer, Unreadable)
    assert not answer.may_grow


def test_a_file_that_changes_while_it_is_read_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nst_daemon import disk

    path = tmp_path / "a.jpg"
    path.write_bytes(WHOLE["a.jpg"])
    monkeypatch.setattr(disk, "read_bytes", lambda path, at_most: WHOLE["a.jpg"][:-10])
    with pytest.raises(IncompletePhotoError, match="while it was read"):
        load(path)


def test_the_place_from_which_on_all_is_zeros() -> None:
    assert [zeros_from(each) for each in (b"", b"a", b"a\0\0", bytes(3))] == [0, 1, 1, 0]
    assert zeros_from(b"ab" + bytes(200_000)) == 2
    assert zeros_from(bytes(100_000) + b"x" + bytes(SECTOR)) == 100_001


def test_what_is_damaged_and_not_cut_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 these are words, and no segment" + bytes(range(1, 256)))
    with pytest.raises(PhotoError):
        load(path)
