"""Photos are read as they look, and results are written as they were asked for."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, features
from support.pictures import (
    ABOUT,
    HEIGHT,
    LOSSY,
    STEP,
    WIDTH,
    XMP,
    camera_exif,
    exiftool,
    far,
    image,
    load,
    save,
    scene,
    stored,
)

from nst_daemon.config.recipe import Format
from nst_daemon.errors import PhotoError
from nst_daemon.images.labels import read_provenance
from nst_daemon.images.saving import resize

# ── formats ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "options", "kind", "limit"),
    [
        ("a.jpg", {"quality": 98, "subsampling": 0}, "jpeg", LOSSY),
        ("a.jpg", {"quality": 98, "subsampling": 0, "progressive": True}, "jpeg", LOSSY),
        (
            "a.mpo",
            {"quality": 98, "save_all": True, "append_images": [Image.new("RGB", (64, 48))]},
            "jpeg",
            LOSSY,
        ),
        ("a.png", {}, "png", STEP),
        ("a.tif", {}, "tiff", STEP),
        ("a.tif", {"compression": "tiff_lzw"}, "tiff", STEP),
        ("a.tif", {"compression": "tiff_adobe_deflate"}, "tiff", STEP),
        ("a.tif", {"save_all": True, "append_images": [Image.new("RGB", (64, 48))]}, "tiff", STEP),
        ("a.webp", {"lossless": True}, "webp", STEP),
        ("a.bmp", {}, "bmp", STEP),
    ],
)
def test_a_photo_of_each_format_is_read_as_it_looks(
    tmp_path: Path, name: str, options: dict[str, Any], kind: str, limit: float
) -> None:
    photo = load(stored(tmp_path, name, **options))
    assert (photo.format, photo.bits, photo.alpha) == (kind, 8, None)
    assert photo.rgb.dtype == np.float32
    assert far(photo.rgb, scene()) < limit


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_an_avif_photo_is_read_as_it_looks(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.avif", quality=95, subsampling="4:4:4"))
    assert photo.format == "avif"
    assert far(photo.rgb, scene()) < LOSSY


def test_a_gif_gives_its_first_frame(tmp_path: Path) -> None:
    first = Image.new("RGB", (32, 32), (255, 0, 0))
    path = stored(
        tmp_path, "a.gif", first, save_all=True, append_images=[Image.new("RGB", (32, 32), (0, 0, 255))]
    )
    assert far(load(path).rgb[:1, :1], np.array([[[1, 0, 0]]], np.float32)) < STEP


def test_a_palette_photo_is_read_in_its_colours(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.png", image().quantize(256)))
    assert np.abs(photo.rgb - scene()).mean() < 0.02


def test_a_grey_photo_becomes_rgb(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.jpg", image().convert("L")))
    assert photo.rgb.shape == (HEIGHT, WIDTH, 3)
    assert np.ptp(photo.rgb, axis=-1).max() == 0


def test_a_cmyk_photo_is_read_in_its_colours_and_says_that_they_are_a_guess(tmp_path: Path) -> None:
    photo = load(stored(tmp_path, "a.jpg", image().convert("CMYK"), quality=98))
    assert far(photo.rgb, scene()) < LOSSY
    assert "CMYK" in photo.notes[0]


def test_the_kind_is_told_by_the_bytes_and_not_by_the_extension(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.jpg").rename(tmp_path / "a.png")
    assert load(path).format == "jpeg"


def test_transparency_is_kept_as_alpha(tmp_path: Path) -> None:
    picture = image()
    picture.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    photo = load(stored(tmp_path, "a.png", picture))
    assert photo.alpha is not None
    assert photo.alpha[0, 0] < 0.02
    assert photo.alpha[-1, 0] > 0.98
    assert far(photo.rgb, scene()) < STEP


def test_an_opaque_alpha_channel_is_no_transparency(tmp_path: Path) -> None:
    assert load(stored(tmp_path, "a.png", image().convert("RGBA"))).alpha is None


def test_a_transparent_palette_entry_is_transparency(tmp_path: Path) -> None:
    picture = Image.new("P", (32, 32), 1)
    picture.putpalette([255, 0, 0, 0, 255, 0])
    picture.paste(0, (0, 0, 16, 32))
    photo = load(stored(tmp_path, "a.png", picture, transparency=0))
    assert photo.alpha is not None
    assert (photo.alpha[0, 0], photo.alpha[0, 31]) == (0, 1)


# ── orientation ─────────────────────────────────────────────────────────────


def turned(orientation: int) -> Image.Image:
    """Return the scene as a camera that was held in that way stores it."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    return image().transpose(undo[orientation]) if orientation in undo else image()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp", "deep.tif"])
def test_each_orientation_is_applied_once(tmp_path: Path, name: str, orientation: int) -> None:
    picture, path = turned(orientation), tmp_path / name
    if name == "deep.tif":
        pixels = np.asarray(picture).astype(np.uint16) * 257
        tifffile.imwrite(path, pixels, photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    elif name == "a.tif":
        picture.save(path, tiffinfo={274: orientation})
    else:
        picture.save(path, exif=camera_exif(orientation=orientation), quality=98)
    photo = load(path)
    assert photo.rgb.shape == (HEIGHT, WIDTH, 3)
    assert far(photo.rgb, scene()) < 0.1


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif", "a.webp"])
def test_a_result_is_upright_and_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    turned(6).save(path, exif=camera_exif(orientation=6), quality=98)
    result, _ = save(load(path), tmp_path / "out")
    facts = exiftool(result)
    assert facts.get("IFD0:Orientation", 1) == 1
    assert far(load(result).rgb, scene()) < 0.1


# ── resizing ────────────────────────────────────────────────────────────────


def test_resizing_keeps_a_flat_colour_and_the_mean() -> None:
    flat = np.full((40, 60, 3), 0.3, np.float32)
    assert np.allclose(resize(flat, 17, 23), 0.3, atol=1e-6)
    assert np.abs(resize(scene(), 16, 12).mean() - scene().mean()) < 0.01


def test_resizing_never_rings_beyond_black_and_white() -> None:
    edge = np.zeros((32, 32, 3), np.float32)
    edge[:, 16:] = 1
    for size in (11, 77):
        result = resize(edge, size, size)
        assert (result.min(), result.max()) == (0, 1)


def test_resizing_smooths_what_is_finer_than_the_result() -> None:
    stripes = np.zeros((64, 64, 3), np.float32)
    stripes[:, ::2] = 1
    assert np.abs(resize(stripes, 8, 8)[2:-2, 2:-2] - 0.5).max() < 0.02


# ── writing ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("format", [Format.JPEG, Format.PNG, Format.TIFF, Format.WEBP])
def test_each_format_can_be_asked_for(tmp_path: Path, format: Format) -> None:
    result, notes = save(load(stored(tmp_path, "a.png")), tmp_path / "some.dotted.name", format)
    assert result.name == f"some.dotted.name.{ {'jpeg': 'jpg', 'tiff': 'tif'}.get(format, format) }"
    assert notes == ()
    assert far(load(result).rgb, scene()) < LOSSY


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.jpg", ".jpg"), ("a.png", ".png"), ("a.tif", ".tif"), ("a.webp", ".webp")]
)
def test_same_is_the_photo_s_own_format(tmp_path: Path, name: str, suffix: str) -> None:
    result, notes = save(load(stored(tmp_path, name)), tmp_path / "out")
    assert (result.suffix, notes) == (suffix, ())


@pytest.mark.parametrize("name", ["a.gif", "a.bmp"])
def test_same_of_a_format_that_holds_no_metadata_is_png_with_a_note(tmp_path: Path, name: str) -> None:
    result, notes = save(load(stored(tmp_path, name)), tmp_path / "out")
    assert result.suffix == ".png"
    assert "PNG" in notes[0]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow has no AVIF")
def test_same_of_avif_is_avif(tmp_path: Path) -> None:
    result, _ = save(load(stored(tmp_path, "a.avif", quality=95)), tmp_path / "out")
    assert result.suffix == ".avif"
    assert read_provenance(result) == ABOUT


def test_a_jpeg_keeps_its_colours_at_full_resolution(tmp_path: Path) -> None:
    result, _ = save(load(stored(tmp_path, "a.png")), tmp_path / "out", Format.JPEG)
    assert exiftool(result)["File:YCbCrSubSampling"] == "1 1"


@pytest.mark.parametrize("format", [Format.SAME, Format.TIFF, Format.WEBP])
def test_alpha_comes_back_at_the_result_s_size(tmp_path: Path, format: Format) -> None:
    picture = image()
    picture.putalpha(Image.linear_gradient("L").resize((WIDTH, HEIGHT)))
    photo = load(stored(tmp_path, "a.png", picture))
    result, _ = save(photo, tmp_path / "out", format, resize(photo.rgb, 32, 24))
    again = load(result)
    assert again.alpha is not None
    assert again.alpha.shape == (24, 32)
    assert far(again.alpha, resize(photo.alpha, 32, 24)) < 0.03  # type: ignore[arg-type]


def test_a_jpeg_of_a_transparent_photo_lies_on_white_with_a_note(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 16, 32))
    result, notes = save(load(stored(tmp_path, "a.png", picture)), tmp_path / "out", Format.JPEG)
    assert "white" in notes[0]
    assert load(result).rgb[0, 31].min() > 0.95


def test_a_photo_crosses_to_another_process(tmp_path: Path) -> None:
    import pickle

    photo = load(stored(tmp_path, "a.jpg", exif=camera_exif(), xmp=XMP))
    assert pickle.loads(pickle.dumps(photo)).metadata == photo.metadata


@pytest.fixture
def heic(tmp_path: Path) -> Path:
    return tmp_path / "a.heic"


MOVIE = struct.pack(">I4s", 8, b"moov")  # a HEIC of several pictures, as far as anybody looks


def test_heic_without_its_reader_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    (tmp_path / "a.heic").write_bytes(struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + MOVIE)
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    with pytest.raises(PhotoError, match="pi-heif is not installed") as caught:
        load(tmp_path / "a.heic")
    assert "pip install" in caught.value.remedy


def test_a_broken_heic_is_a_photo_error(heic: Path) -> None:
    heic.write_bytes(struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(PhotoError):
        load(heic)
