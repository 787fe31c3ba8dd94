"""A photo that is painted small is read small, and shows the same."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from support.pictures import (
    ADOBE_RGB,
    LOSSY,
    STEP,
    eight,
    image,
    matrix_profile,
    png16,
    scene,
    sixteen,
    stored,
)

from nst_daemon.errors import IncompletePhotoError
from nst_daemon.images.loading import load_photo
from nst_daemon.images.photo import Photo
from nst_daemon.images.reducing import least, reduced
from nst_daemon.images.saving import resize

WIDTH, HEIGHT = 203, 151
LONGER = 32


def _read(path: Path, longer: int | None) -> Photo:
    return load_photo(path, name=path.name, max_megapixels=1, longer=longer)


def _deep_png(folder: Path) -> Path:
    path = folder / "deep.png"
    png16(path, sixteen(scene(WIDTH, HEIGHT)))
    return path


def _deep_tiff(folder: Path) -> Path:
    path = folder / "deep.tif"
    tifffile.imwrite(path, sixteen(scene(WIDTH, HEIGHT)), photometric="rgb")
    return path


def _plain(name: str, mode: str = "RGB", **options: Any) -> Any:
    def make(folder: Path) -> Path:
        return stored(folder, name, image(scene(WIDTH, HEIGHT)).convert(mode), **options)

    return make


def _clear(folder: Path) -> Path:
    picture = image(scene(WIDTH, HEIGHT)).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    return stored(folder, "clear.png", picture)


def _turned(name: str, **options: Any) -> Any:
    def make(folder: Path) -> Path:
        exif = Image.Exif()
        exif[0x0112] = 6
        return stored(folder, name, image(scene(WIDTH, HEIGHT)), exif=exif, **options)

    return make


@pytest.mark.parametrize(
    ("make", "limit"),
    [
        (_plain("a.jpg", quality=98, subsampling=0), LOSSY / 2),
        (_plain("a.jpg", quality=98, progressive=True), LOSSY / 2),
        (_plain("grey.jpg", "L", quality=98), LOSSY / 2),
        (_plain("wide.jpg", quality=98, icc_profile=matrix_profile(ADOBE_RGB, 2.2)), LOSSY / 2),
        (_plain("cmyk.jpg", "CMYK", quality=98), LOSSY / 2),
        (_plain("broken.jpg", "CMYK", quality=98, icc_profile=b"none"), LOSSY / 2),
        (_turned("turned.jpg", quality=98), LOSSY / 2),
        (_turned("turned.tif"), 4 * STEP),
        (_turned("turned.png"), 4 * STEP),
        (_plain("a.png"), 4 * STEP),
        (_clear, 4 * STEP),
        (_deep_png, 4 * STEP),
        (_deep_tiff, 4 * STEP),
        (_plain("a.tif"), 4 * STEP),
        (_plain("a.webp", lossless=True), 4 * STEP),
        (_plain("a.bmp"), 4 * STEP),
    ],
)
def test_a_photo_read_small_looks_as_the_whole_one_does_at_that_size(
    tmp_path: Path, make: Any, limit: float
) -> None:
    whole, small = _read(make(tmp_path), None), _read(make(tmp_path), LONGER)
    assert (whole.height, whole.width) == whole.rgb.shape[:2]
    assert (small.width, small.height, small.bits) == (whole.width, whole.height, whole.bits)
    assert 2 * LONGER <= max(small.rgb.shape[:2]) < max(whole.rgb.shape[:2])
    assert small.metadata == whole.metadata
    size = LONGER, round(LONGER * HEIGHT / WIDTH)
    size = size if whole.width > whole.height else size[::-1]
    inner = np.s_[1:-1, 1:-1]  # the last blocks are smaller, and stand for less
    assert np.abs(resize(small.rgb, *size) - resize(whole.rgb, *size))[inner].max() < limit
    assert (small.alpha is None) == (whole.alpha is None)
    if small.alpha is not None and whole.alpha is not None:
        assert np.abs(resize(small.alpha, *size) - resize(whole.alpha, *size))[inner].max() < limit


def test_a_photo_of_less_than_twice_the_size_is_read_whole(tmp_path: Path) -> None:
    for name in ("a.jpg", "a.png"):
        path = stored(tmp_path, name, image(scene(WIDTH, HEIGHT)))
        assert _read(path, WIDTH).rgb.shape == _read(path, 100).rgb.shape == (HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_photo_that_breaks_off_is_refused_however_small_it_is_read(tmp_path: Path, name: str) -> None:
    grain = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
    path = stored(tmp_path, name, Image.fromarray(grain))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(IncompletePhotoError):
        _read(path, 16)


@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    longer=st.integers(1, 40),
    deep=st.booleans(),
)
def test_every_pixel_counts_in_the_mean_of_its_block(
    height: int, width: int, longer: int, deep: bool
) -> None:
    picture = np.random.default_rng(height * 71 + width).random((height, width, 3), np.float32)
    pixels: NDArray[Any] = sixteen(picture) if deep else eight(picture)
    small = reduced(pixels, longer, pixels.shape[2])
    wide, high = least(width, height, longer)
    block = min(width // wide, height // high)
    if block < 2:
        assert small is pixels
        return
    assert small.shape == (-(-height // block), -(-width // block), 3)
    plain = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    expected = [
        [plain[y : y + block, x : x + block].mean(axis=(0, 1)) for x in range(0, width, block)]
        for y in range(0, height, block)
    ]
    assert np.abs(small - np.array(expected)).max() < 1e-6
