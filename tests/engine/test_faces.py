"""Faces: found, and kept by the painting."""

import numpy as np
import pytest
from numpy.typing import NDArray

from nst_daemon.engine.faces import face_guide, find_faces

Picture = NDArray[np.float32]


def drawn_face(side: int) -> NDArray[np.float32]:
    """Return a face from the front, drawn of soft ellipses. Shapes: -> (side, side)."""
    y, x = np.mgrid[0:side, 0:side] / side
    face = np.full((side, side), 0.35)

    def put(at: tuple[float, float], radii: tuple[float, float], value: float, soft: float) -> None:
        distance = ((x - at[0]) / radii[0]) ** 2 + ((y - at[1]) / radii[1]) ** 2
        cover = 1 / (1 + np.exp(np.minimum((distance - 1) / soft, 50)))
        face[:] = face * (1 - cover) + value * cover

    put((0.5, 0.38), (0.34, 0.36), 0.15, 0.15)  # hair
    put((0.5, 0.52), (0.27, 0.36), 0.75, 0.15)  # head
    put((0.5, 0.50), (0.06, 0.16), 0.87, 0.4)  # bridge of the nose
    for side_of in (-1, 1):
        put((0.5 + side_of * 0.115, 0.445), (0.075, 0.045), 0.45, 0.5)  # eye
        put((0.5 + side_of * 0.115, 0.40), (0.085, 0.016), 0.30, 0.4)  # brow
        put((0.5 + side_of * 0.115, 0.455), (0.028, 0.022), 0.10, 0.3)  # pupil
        put((0.5 + side_of * 0.035, 0.60), (0.018, 0.012), 0.40, 0.4)  # nostril
        put((0.5 + side_of * 0.14, 0.60), (0.07, 0.06), 0.83, 0.5)  # cheek
    put((0.5, 0.71), (0.10, 0.022), 0.35, 0.4)  # mouth
    put((0.5, 0.75), (0.08, 0.02), 0.65, 0.5)  # lip
    return face.clip(0, 1).astype(np.float32)


def portrait(width: int = 320, height: int = 240, side: int = 100, at: tuple[int, int] = (60, 40)) -> Picture:
    grey = np.full((height, width), 0.5, np.float32)
    grey[at[1] : at[1] + side, at[0] : at[0] + side] = drawn_face(side)
    return np.repeat(grey[..., None], 3, axis=-1)


@pytest.mark.parametrize("times", [1, 4])
def test_a_face_is_found_where_it_is(times: int) -> None:
    (face,) = find_faces(np.kron(portrait(), np.ones((times, times, 1), np.float32)))
    assert face.left + face.width / 2 == pytest.approx(110 / 320, abs=0.03)
    assert face.top + face.height / 2 == pytest.approx(90 / 240, abs=0.06)


def test_every_face_of_a_group_is_found() -> None:
    group = portrait()
    group[120:220, 200:300] = drawn_face(100)[..., None]
    assert len(find_faces(group)) == 2


@pytest.mark.parametrize("size", [(1, 1), (16, 3), (3, 700)], ids=str)
def test_a_picture_too_small_for_faces_has_none(size: tuple[int, int]) -> None:
    assert find_faces(np.zeros((*size, 3), np.float32)) == []


def test_noise_has_no_guide() -> None:
    assert face_guide(np.random.default_rng(0).random((200, 300, 3), dtype=np.float32), 6.0) is None


def test_a_weight_of_one_looks_for_no_faces() -> None:
    assert face_guide(portrait(), 1.0) is None


def test_a_guide_weighs_the_face_and_nothing_far_from_it() -> None:
    guide = face_guide(portrait(), 6.0)
    assert guide is not None
    assert guide.shape == (192, 256)
    assert guide[72, 88] > 5.5  # the middle of the face
    assert guide[150:, 150:].max() < 1.01
    assert guide.min() >= 1
