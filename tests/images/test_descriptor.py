import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import nst_daemon
from nst_daemon.images.descriptor import OCTAVES, colors_of, contrasts_of, descriptor_of, oklab, plain_part_of
from nst_daemon.images.likeness import BURIES, UNLIKE, Descriptor, suits, words_of
from nst_daemon.images.loading import load_style

BUNDLED = Path(nst_daemon.__file__).parent / "bundled"
PLAIN = "large plain areas: plain paintings"
Picture = NDArray[np.float32]


def plain(*color: float, size: tuple[int, int] = (48, 64)) -> Picture:
    return np.full((*size, 3), color, np.float32)


def noise(seed: int, strength: float, block: int = 1) -> Picture:
    values = np.random.default_rng(seed).normal(0.5, strength, (64 // block, 64 // block, 1))
    picture = values.repeat(block, axis=0).repeat(block, axis=1).repeat(3, axis=2)
    return np.clip(picture, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("rgb", "lab"),  # of Ottosson's own table
    [((1, 1, 1), (1, 0, 0)), ((0, 0, 0), (0, 0, 0)), ((1, 0, 0), (0.628, 0.225, 0.126))],
)
def test_oklab_is_that_of_its_author(rgb: tuple[float, ...], lab: tuple[float, ...]) -> None:
    assert oklab(plain(*rgb))[0, 0] == pytest.approx(lab, abs=1e-3)


def test_colours_are_as_far_apart_as_plain_pictures_are() -> None:
    """Of the square of a distance each direction sees a third, on average."""
    one, other = oklab(plain(0.2, 0.2, 0.2)), oklab(plain(0.8, 0.8, 0.8))
    apart = math.dist(one[0, 0], other[0, 0])
    assert math.dist(colors_of(one), colors_of(other)) == pytest.approx(apart / math.sqrt(3), rel=0.02)


def test_where_colours_lie_makes_no_difference_and_their_share_does() -> None:
    left = np.concatenate([plain(1, 0, 0), plain(0, 0, 1)], axis=1)
    assert math.dist(colors_of(oklab(left)), colors_of(oklab(left[:, ::-1]))) < 1e-9
    more = np.concatenate([plain(1, 0, 0), plain(1, 0, 0), plain(0, 0, 1)], axis=1)
    assert math.dist(colors_of(oklab(left)), colors_of(oklab(more))) > 0.05


def test_contrast_stands_in_the_octave_of_its_size() -> None:
    for octave in range(OCTAVES):
        loud = contrasts_of(oklab(noise(1, 0.3, block=2**octave)))
        assert loud.argmax() == octave


def test_a_picture_suits_itself_wholly_and_another_the_less_the_more_differs() -> None:
    photo = noise(1, 0.1)
    own = descriptor_of(photo)
    near, far = (
        descriptor_of(np.clip(photo * 1.1, 0, 1)),
        descriptor_of(photo * np.array([1, 0.2, 0.2], np.float32)),
    )
    assert suits(own, own) == 1.0
    assert 1.0 > suits(own, near) > suits(own, far) > 0.0


def test_loud_strokes_bury_a_calm_photo_and_calm_ones_calm_a_loud_photo() -> None:
    calm = Descriptor(colors=(0.0,), contrasts=(-4.0, -4.0), chroma=0.0, plain=0.0)
    loud = replace(calm, contrasts=(-3.0, -3.0))
    assert suits(loud, calm) == 1.0
    assert suits(calm, loud) == pytest.approx(math.exp(-BURIES / UNLIKE))


@pytest.mark.parametrize("size", [(16, 1024), (1024, 16), (16, 16)])
def test_every_shape_of_picture_can_be_described(size: tuple[int, int]) -> None:
    found = descriptor_of(plain(0.5, 0.4, 0.3, size=size))
    assert all(map(math.isfinite, (*found.colors, *found.contrasts)))


# ── what is told of a style ─────────────────────────────────────────────────────────────────────────────


def style(name: str) -> Picture:
    return load_style(BUNDLED / name, name=name, max_megapixels=10, longer=256)


def test_of_the_bundled_styles_four_are_told_to_have_strong_strokes_and_none_to_be_plain() -> None:
    names = [path.name for path in (BUNDLED / "styles").iterdir()]
    told = {name.partition(".")[0]: words_of(descriptor_of(style(f"styles/{name}"))) for name in names}
    strong = {name for name, words in told.items() if words}
    assert strong == {"indigo_waves", "marbled_paper", "mosaic", "woodcut"}
    assert {words for name, words in told.items() if name in strong} == {("strong strokes",)}


def test_a_photo_that_is_blurred_behind_is_a_style_with_large_plain_areas() -> None:
    assert words_of(descriptor_of(style("sample/chelsea.jpg"))) == (PLAIN,)


def test_a_painting_with_a_plain_sky_above_it_is_plain_and_one_with_soft_strokes_is_not() -> None:
    oil = style("styles/swirling_oil.jpg")
    sky = np.full_like(oil, oil.mean(axis=(0, 1)))
    assert PLAIN in words_of(descriptor_of(np.concatenate([sky, oil], axis=0)))
    soft = oil.mean() + 0.6 * (oil - oil.mean())
    assert descriptor_of(soft).contrasts[0] < descriptor_of(style("sample/chelsea.jpg")).contrasts[0] + 0.3
    assert words_of(descriptor_of(soft)) == ()


def test_a_style_without_colours_is_grey_and_a_faded_one_is_not() -> None:
    woodcut = style("styles/woodcut.jpg")
    grey = woodcut.mean(axis=2, keepdims=True).repeat(3, axis=2)
    assert words_of(descriptor_of(grey)) == ("grey", "strong strokes")
    assert words_of(descriptor_of((grey + woodcut) / 2)) == ("strong strokes",)


def test_the_part_without_strokes_is_counted_by_patches() -> None:
    half = np.concatenate([plain(0.5, 0.5, 0.5, size=(64, 64)), noise(1, 0.3)], axis=1)
    assert plain_part_of(oklab(half)) == pytest.approx(0.5, abs=0.01)
    assert plain_part_of(oklab(plain(0.5, 0.5, 0.5, size=(3, 5)))) == 1.0
