"""What lies under transparency is nobody's colour: whatever it is, the visible part is painted the same."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.pictures import Picture, eight, far, load, save, scene, sixteen

from nst_daemon.config.recipe import Format
from nst_daemon.errors import PhotoError
from nst_daemon.images.loading import load_mask, load_photo, load_style
from nst_daemon.images.photo import Photo, filled
from nst_daemon.images.reducing import reduced

HIDDEN = {"black": (0, 0, 0), "white": (255, 255, 255), "green": (0, 255, 0)}
WIDTH, HEIGHT = 90, 70


def visible() -> Any:
    """Return where the scene can be seen: a disc with a soft edge."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    distance = np.hypot(down - HEIGHT / 2, across - WIDTH / 2)
    return np.clip((25 - distance) / 6 + 0.5, 0, 1).astype(np.float32)


def hiding(color: str, steps: int = 255) -> Any:
    """Return the scene in 8 or 16 bits, with a colour where it cannot be seen."""
    rgb, alpha = scene(WIDTH, HEIGHT), visible()
    pixels = np.dstack([rgb, alpha])
    pixels[alpha == 0, :3] = np.array(HIDDEN[color]) / 255
    return eight(pixels) if steps == 255 else sixteen(pixels)


def written(folder: Path, kind: str, color: str) -> Path:
    path = folder / f"{color}.{kind.partition('-')[0]}"
    if kind == "tif-16":
        tifffile.imwrite(path, hiding(color, 65535), photometric="rgb", extrasamples=["unassalpha"])
    elif kind == "webp":
        Image.fromarray(hiding(color)).save(path, lossless=True, exact=True)
    else:
        Image.fromarray(hiding(color)).save(path)
    return path


def read(path: Path, longer: int | None = None) -> Photo:
    return load_photo(path, name=path.name, max_megapixels=1, longer=longer)


@pytest.mark.parametrize("longer", [None, 20], ids=["whole", "small"])
@pytest.mark.parametrize("kind", ["png", "tif", "tif-16", "webp"])
def test_photos_that_differ_where_nobody_sees_it_are_one_photo(
    tmp_path: Path, kind: str, longer: int | None
) -> None:
    photos = [read(written(tmp_path, kind, color), longer) for color in HIDDEN]
    for photo in photos[1:]:
        assert np.array_equal(photo.rgb, photos[0].rgb)
        assert photo.alpha is not None
        assert photos[0].alpha is not None
        assert np.array_equal(photo.alpha, photos[0].alpha)


def test_what_is_seen_keeps_its_colours(tmp_path: Path) -> None:
    photo = read(written(tmp_path, "png", "green"))
    is_seen = visible() > 0.5 / 255
    assert far(photo.rgb[is_seen], scene(WIDTH, HEIGHT)[is_seen]) < 1 / 255


def test_a_small_picture_is_no_darker_at_the_edge_of_what_is_seen(tmp_path: Path) -> None:
    photo = read(written(tmp_path, "png", "black"), 20)
    assert photo.alpha is not None
    plain = reduced(eight(scene(WIDTH, HEIGHT)), 20, 3)
    assert np.abs(photo.rgb - plain)[photo.alpha > 0.1].max() < 0.05  # means of other parts of a block


def test_hidden_colours_come_from_those_that_are_seen() -> None:
    rgb = np.zeros((9, 13, 3), np.float32)
    rgb[:, 6:] = (1.0, 0.5, 0.25)
    alpha = np.zeros((9, 13), np.float32)
    alpha[2:5, 7:9] = 1.0
    result = filled(rgb, alpha)
    assert np.allclose(result, (1.0, 0.5, 0.25))
    assert result.dtype == np.float32


def test_a_picture_of_one_visible_pixel_is_filled_with_it() -> None:
    for height, width in ((1, 1), (1, 7), (64, 3)):
        rgb = np.random.default_rng(1).random((height, width, 3)).astype(np.float32)
        alpha = np.zeros((height, width), np.float32)
        alpha[-1, -1] = 0.25
        assert np.allclose(filled(rgb, alpha), rgb[-1, -1], atol=1e-6)


def test_the_painting_is_as_transparent_as_the_photo(tmp_path: Path) -> None:
    photo = read(written(tmp_path, "png", "green"))
    result, _ = save(photo, tmp_path / "out", Format.PNG)
    again = load(result)
    assert again.alpha is not None
    assert far(again.alpha, (eight(visible()) / 255).astype(np.float32)) < 1 / 255


def test_styles_and_masks_are_the_same_whatever_is_hidden(tmp_path: Path) -> None:
    for longer in (None, 20):
        styles = [
            load_style(written(tmp_path, "png", color), name="a", max_megapixels=1, longer=longer)
            for color in HIDDEN
        ]
        assert np.array_equal(styles[0], styles[1])
        assert np.array_equal(styles[0], styles[2])
    masks = [load_mask(written(tmp_path, "png", color), name="a", max_megapixels=1) for color in HIDDEN]
    assert np.array_equal(masks[0], masks[1])


def bitmap(alpha: int) -> bytes:
    """Return a BMP of 32 bits whose header says that the last eight are alpha."""
    pixels = np.full((32, 32, 4), (30, 60, 200, alpha), np.uint8).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    head = struct.pack("<IiiHHIIiiII", 108, 32, 32, 1, 32, 3, len(pixels), 2835, 2835, 0, 0) + masks
    head = head.ljust(108, b"\0")
    return b"BM" + struct.pack("<IHHI", 14 + 108 + len(pixels), 0, 0, 122) + head + pixels


def test_a_bitmap_whose_alpha_is_nowhere_is_opaque(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    path.write_bytes(bitmap(0))
    photo = load(path)
    assert photo.alpha is None
    assert eight(photo.rgb)[0, 0].tolist() == [200, 60, 30]
    path.write_bytes(bitmap(128))
    photo = load(path)
    assert photo.alpha is not None
    assert photo.alpha[0, 0] == pytest.approx(128 / 255)


def test_other_pictures_that_show_nothing_stay_refused(tmp_path: Path) -> None:
    for name in ("a.png", "a.webp", "a.tif"):
        Image.new("RGBA", (32, 32), (200, 60, 30, 0)).save(tmp_path / name)
        with pytest.raises(PhotoError, match="transparent"):
            load(tmp_path / name)


# ── numbers that do not say what is white ────────────────────────────────


def tiff(pixels: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, photometric="rgb", **options)
    return stream.getvalue()


@pytest.mark.parametrize("top", [255.0, 65535.0])
@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_floats_that_count_like_integers_are_scaled_with_a_note(
    tmp_path: Path, top: float, kind: str
) -> None:
    (tmp_path / "a.tif").write_bytes(tiff((scene() * top).astype(kind)))
    photo = load(tmp_path / "a.tif")
    assert far(photo.rgb, scene()) < 1e-4
    assert f"{top:g} was taken for white" in photo.notes[0]
    alpha = np.full((*scene().shape[:2], 1), top / 2)
    pixels = np.dstack([scene() * top, alpha]).astype(kind)
    (tmp_path / "a.tif").write_bytes(tiff(pixels, extrasamples=["unassalpha"]))
    photo = load(tmp_path / "a.tif")
    assert photo.alpha is not None
    assert photo.alpha[0, 0] == pytest.approx(0.5, abs=0.01)


def test_floats_of_half_the_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(scene().astype("f2")))
    assert far(load(tmp_path / "a.tif").rgb, scene()) < 1e-3


def test_light_of_a_scene_with_some_beyond_white_is_clipped_with_a_note(tmp_path: Path) -> None:
    pixels: Picture = scene().copy()
    pixels[:5, :5] = 40.0  # a lamp
    (tmp_path / "a.tif").write_bytes(tiff(pixels))
    photo = load(tmp_path / "a.tif")
    assert "clipped" in photo.notes[0]
    assert far(photo.rgb[10:], scene()[10:]) < 1e-4


@pytest.mark.parametrize("pixels", [scene() * 3, scene() * 1e6, 1 + scene()], ids=["3", "1e6", "2"])
def test_floats_whose_white_is_anywhere_are_refused(tmp_path: Path, pixels: Picture) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(pixels.astype(np.float32)))
    with pytest.raises(PhotoError, match="which of them is white") as caught:
        load(tmp_path / "a.tif")
    assert "8 or 16 bits" in caught.value.remedy


@pytest.mark.parametrize("kind", ["u4", "i4", "i2", "u8", "i1"])
def test_integers_whose_white_is_anywhere_are_refused(tmp_path: Path, kind: str) -> None:
    (tmp_path / "a.tif").write_bytes(tiff((scene() * 100).astype(kind)))
    with pytest.raises(PhotoError, match="which of them is white"):
        load(tmp_path / "a.tif")
    stream = io.BytesIO()
    tifffile.imwrite(stream, (scene()[..., 0] * 100).astype(kind), photometric="minisblack")
    (tmp_path / "a.tif").write_bytes(stream.getvalue())
    with pytest.raises(PhotoError, match="which of them is white"):
        load(tmp_path / "a.tif")
