import math

import numpy as np
import pytest
from numpy.typing import NDArray

from nst_daemon.images.descriptor import OCTAVES, colors_of, contrasts_of, descriptor_of, oklab
from nst_daemon.images.likeness import BURIES, UNLIKE, Descriptor, suits

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
    calm = Descriptor(colors=(0.0,), contrasts=(-4.0, -4.0))
    loud = Descriptor(colors=(0.0,), contrasts=(-3.0, -3.0))
    assert suits(loud, calm) == 1.0
    assert suits(calm, loud) == pytest.approx(math.exp(-BURIES / UNLIKE))


@pytest.mark.parametrize("size", [(16, 1024), (1024, 16), (16, 16)])
def test_every_shape_of_picture_can_be_described(size: tuple[int, int]) -> None:
    found = descriptor_of(plain(0.5, 0.4, 0.3, size=size))
    assert all(map(math.isfinite, (*found.colors, *found.contrasts)))
