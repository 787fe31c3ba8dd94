"""The margins of scans: found where there are some, and nowhere else."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

import nst_daemon
from nst_daemon.images.margins import without_margins

Picture = NDArray[np.float32]
PAPER, LID = (0.97, 0.94, 0.86), (0.03, 0.03, 0.04)
STYLES = sorted((Path(nst_daemon.__file__).parent / "bundled" / "styles").glob("*.jpg"))


def painting(height: int = 120, width: int = 90) -> Picture:
    """Return strokes of many colours, and no line of one colour."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    waves = 0.5 + 0.3 * np.sin((x + 2 * y) / 4)
    noise = np.random.default_rng(1).normal(0, 0.02, (height, width, 3))
    return (np.stack([waves, 0.4 * waves + 0.2, 0.6 - 0.4 * waves], -1) + noise).clip(0, 1).astype(np.float32)


def framed(
    inner: Picture, margins: tuple[int, int, int, int], color: tuple[float, float, float], noise: float = 0.0
) -> Picture:
    """Return a picture with a margin of so many px at its top, bottom, left and right."""
    top, bottom, left, right = margins
    height, width = inner.shape[:2]
    whole = np.empty((height + top + bottom, width + left + right, 3), np.float32)
    whole[:] = color
    whole = (whole + np.random.default_rng(0).normal(0, noise, whole.shape)).clip(0, 1).astype(np.float32)
    whole[top : top + height, left : left + width] = inner
    return whole


@pytest.mark.parametrize("color", [PAPER, LID])
@given(margins=st.tuples(*[st.integers(0, 12)] * 4), noise=st.sampled_from([0.0, 0.02]))
def test_a_margin_at_any_side_is_cut_and_nothing_of_the_painting(
    color: tuple[float, float, float], margins: tuple[int, int, int, int], noise: float
) -> None:
    inner = painting()
    cut = without_margins(framed(inner, margins, color, noise))
    assert cut.shape == inner.shape
    assert np.array_equal(cut, inner)


def test_paper_a_printed_frame_and_a_stamp_on_the_paper_go() -> None:
    inner = painting(200, 150)
    whole = framed(framed(inner, (2, 2, 2, 2), (0.05, 0.05, 0.05)), (20, 20, 12, 12), PAPER, 0.03)
    whole[2:10, 40:48] = (0.8, 0.2, 0.2)
    assert without_margins(whole).shape == inner.shape


def test_a_blurred_and_crooked_edge_of_a_scan_is_cut_to_the_painting() -> None:
    tilted = Image.fromarray((framed(painting(400, 300), (30, 30, 30, 30), PAPER) * 255).astype(np.uint8))
    tilted = tilted.rotate(0.2, Image.Resampling.BICUBIC, fillcolor=tuple(round(c * 255) for c in PAPER))
    cut = without_margins((np.asarray(tilted) / 255).astype(np.float32))
    assert cut.shape[0] <= 404
    assert cut.shape[1] <= 304
    assert min(cut.shape[:2]) >= 290


@pytest.mark.parametrize("path", STYLES, ids=lambda path: path.stem)
def test_a_built_in_style_has_no_margin(path: Path) -> None:
    picture = (np.asarray(Image.open(path).convert("RGB")) / 255).astype(np.float32)
    assert without_margins(picture).shape == picture.shape


def test_what_is_wide_has_no_straight_edge_or_is_coloured_is_meant() -> None:
    inner = painting()
    wide = framed(inner, (40, 0, 0, 0), PAPER)
    red = framed(inner, (10, 10, 10, 10), (0.8, 0.1, 0.1))
    fading = inner.copy()
    ramp = np.linspace(0, 1, 40, dtype=np.float32)[:, None, None]
    fading[:40] = np.array(PAPER, np.float32) * (1 - ramp) + fading[:40] * ramp
    sun = np.full((100, 100, 3), PAPER, np.float32)  # a poster: one figure on plain paper
    sun[30:70, 30:70] = (0.9, 0.3, 0.1)
    for picture in (wide, red, fading, sun):
        assert without_margins(picture).shape == picture.shape


@pytest.mark.parametrize("color", [(0, 0, 0), (1, 1, 1), (0.4, 0.5, 0.6)])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (64, 64)])
def test_a_picture_of_one_colour_stays(color: tuple[float, float, float], size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), color, np.float32)
    assert without_margins(picture).shape == picture.shape
