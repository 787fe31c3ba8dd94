"""Camera raw: a DNG made here, developed by LibRaw."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from support.pictures import ABOUT, editor, exiftool, load

from nst_daemon.config.recipe import Format
from nst_daemon.errors import PhotoError
from nst_daemon.images.saving import save_result

WIDTH, HEIGHT = 64, 48
WHITE = 4000
# XYZ to camera: that of sRGB itself, so that the camera's colours are linear sRGB.
XYZ_TO_SRGB = ((3.2406, -1.5372, -0.4986), (-0.9689, 1.8758, 0.0415), (0.0557, -0.2040, 1.0570))


def _rational(values: Any) -> tuple[int, ...]:
    return tuple(part for value in values for part in (round(value * 10000), 10000))


def dng(path: Path, linear: tuple[float, float, float] = (0.6, 0.3, 0.1), orientation: int = 1) -> Path:
    """Write a minimal DNG of one colour behind an RGGB filter; its upper left quarter is black."""
    red, green, blue = (round(value * WHITE) for value in linear)
    mosaic = np.empty((HEIGHT, WIDTH), np.uint16)
    mosaic[0::2, 0::2], mosaic[0::2, 1::2], mosaic[1::2, 0::2], mosaic[1::2, 1::2] = red, green, green, blue
    mosaic[: HEIGHT // 2, : WIDTH // 2] = 0
    matrix = [value for row in XYZ_TO_SRGB for value in row]
    tags: list[tuple[Any, ...]] = [
        (271, "s", 0, "Fujica", True),
        (274, "H", 1, orientation, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, (0, 1, 1, 2), True),
        (50706, "B", 4, (1, 4, 0, 0), True),
        (50707, "B", 4, (1, 1, 0, 0), True),
        (50708, "s", 0, "Fujica ST", True),
        (50714, "H", 1, 0, True),
        (50717, "H", 1, WHITE, True),
        (50721, "2i", 9, _rational(matrix), True),
        (50728, "2I", 3, _rational((1.0, 1.0, 1.0)), True),
        (50778, "H", 1, 21, True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None)
    return path


def _encoded(linear: tuple[float, float, float]) -> NDArray[np.float64]:
    light = np.asarray(linear)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def test_a_raw_photo_is_developed_in_sixteen_bits(tmp_path: Path) -> None:
    photo = load(dng(tmp_path / "a.dng"))
    assert (photo.width, photo.height, photo.format, photo.bits) == (WIDTH, HEIGHT, "raw", 16)
    middle = photo.rgb[36:44, 40:56].reshape(-1, 3)
    assert np.ptp(middle, axis=0).max() < 0.01
    colour = middle.mean(0)
    expected = _encoded((0.6, 0.3, 0.1))
    # LibRaw brightens by a factor of its own: the colour is what must be right.
    light = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    assert light / light[0] == pytest.approx(np.array([0.6, 0.3, 0.1]) / 0.6, abs=0.03)
    assert colour[0] >= expected[0] - 0.02


def test_a_raw_photo_is_turned_upright(tmp_path: Path) -> None:
    photo = load(dng(tmp_path / "a.dng", orientation=6))
    assert (photo.width, photo.height) == (HEIGHT, WIDTH)
    assert photo.rgb[:20, -20:].max() < 0.05  # the black quarter, once at the upper left
    assert photo.rgb[-20:, :20, 0].min() > 0.5


def test_the_result_of_a_raw_photo_is_deep_and_keeps_what_was_said(tmp_path: Path) -> None:
    path = dng(tmp_path / "a.dng")
    subprocess.run([editor(), "-q", "-overwrite_original", "-Artist=Ada", str(path)], check=True)
    photo = load(path)
    result, notes = save_result(
        photo.rgb, tmp_path / "out", photo=photo, format=Format.SAME, quality=95, provenance=ABOUT
    )
    assert result.suffix == ".tif"
    assert any("RAW" in note for note in notes)
    facts = exiftool(result)
    assert (facts["IFD0:Artist"], facts["IFD0:Make"]) == ("Ada", "Fujica")
    assert facts["IFD0:BitsPerSample"] == "16 16 16"
    assert not [name for name in facts if "DNG" in name or "CFA" in name]


def test_without_rawpy_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(PhotoError, match="rawpy is not installed") as caught:
        load(dng(tmp_path / "a.dng"))
    assert "nst-daemon[raw]" in caught.value.remedy


def test_a_raw_photo_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PhotoError, match="megapixels"):
        load(dng(tmp_path / "a.dng"), max_megapixels=0.001)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_damaged_raw_photo_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = dng(tmp_path_factory.mktemp("raw") / "a.dng")
    content = bytearray(path.read_bytes())
    del content[data.draw(st.integers(len(content) // 10, len(content))) :]
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, min(700, len(content)) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    try:
        load(path)
    except PhotoError as error:
        assert "a.dng" in error.message
