"""Colours move between pictures as worked out by hand."""

import numpy as np
import pytest
from support.pictures import Picture, scene

from nst_daemon.images import colors


def pixels(*values: tuple[float, float, float]) -> Picture:
    """Return a picture of one row."""
    return np.array([values], np.float32)


def test_mean_and_covariance_are_those_worked_out_by_hand() -> None:
    mean, covariance = colors.statistics(pixels((0.2, 0.5, 0.1), (0.4, 0.5, 0.5)))
    assert mean == pytest.approx([0.3, 0.5, 0.3])
    assert covariance == pytest.approx(np.array([[0.01, 0, 0.02], [0, 0, 0], [0.02, 0, 0.04]]), abs=1e-8)


def test_statistics_do_not_depend_on_the_bands_in_which_they_are_summed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = colors.statistics(scene())
    monkeypatch.setattr(colors, "BLOCK", 100)
    assert np.allclose(colors.statistics(scene())[0], whole[0], atol=1e-12)
    assert np.allclose(colors.statistics(scene())[1], whole[1], atol=1e-12)


def test_the_map_of_two_diagonal_covariances_scales_each_axis() -> None:
    # Deviations of 1, 2 and 3 become 2, 1 and 6: factors 2, 1/2 and 2.
    matrix = colors.covariance_map(np.diag([1.0, 4.0, 9.0]), np.diag([4.0, 1.0, 36.0]))
    assert matrix == pytest.approx(np.diag([2.0, 0.5, 2.0]))


def test_the_map_carries_one_covariance_into_the_other_and_is_symmetric() -> None:
    rng = np.random.default_rng(0)
    one, other = (m @ m.T for m in rng.normal(size=(2, 3, 3)))
    matrix = colors.covariance_map(one, other)
    assert matrix == pytest.approx(matrix.T)
    assert matrix @ one @ matrix == pytest.approx(other)


def test_a_picture_matched_to_itself_does_not_change() -> None:
    assert np.allclose(colors.match_colors(scene(), scene()), scene(), atol=1e-5)


def test_matched_colours_have_the_mean_and_covariance_of_the_other_picture() -> None:
    rng = np.random.default_rng(1)
    target = np.clip(rng.normal((0.5, 0.4, 0.6), (0.05, 0.08, 0.03), (40, 50, 3)), 0, 1).astype(np.float32)
    matched = colors.match_colors(scene(), target)
    for ours, theirs in zip(colors.statistics(matched), colors.statistics(target), strict=True):
        assert np.allclose(ours, theirs, atol=1e-5)


def test_two_pixels_take_the_contrast_of_two_others() -> None:
    # Grey 0.4 and 0.6 (deviation 0.1) to the mean 0.5 and deviation 0.2 of 0.3 and 0.7.
    matched = colors.match_colors(pixels((0.4,) * 3, (0.6,) * 3), pixels((0.3,) * 3, (0.7,) * 3))
    assert matched == pytest.approx(pixels((0.3,) * 3, (0.7,) * 3), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_a_flat_picture_becomes_the_other_s_mean_and_nothing_is_divided_by_zero(value: float) -> None:
    flat = np.full((8, 8, 3), value, np.float32)
    matched = colors.match_colors(flat, scene())
    assert np.allclose(matched, scene().mean(axis=(0, 1)), atol=1e-5)


def test_a_grey_photo_stays_without_hue_variations_of_its_own() -> None:
    grey = np.repeat(scene()[..., :1], 3, axis=-1)
    matched = colors.match_colors(grey, scene())
    assert np.isfinite(matched).all()
    assert np.linalg.matrix_rank(colors.statistics(matched)[1], tol=1e-6) == 1


def test_a_colour_matched_to_a_flat_picture_becomes_that_colour() -> None:
    flat = np.full((4, 4, 3), (0.2, 0.3, 0.4), np.float32)
    assert np.allclose(colors.match_colors(scene(), flat), (0.2, 0.3, 0.4), atol=1e-6)


def test_matched_colours_stay_within_black_and_white() -> None:
    harsh = np.zeros((8, 8, 3), np.float32)
    harsh[:4] = 1
    matched = colors.match_colors(scene(), harsh)
    assert (matched.min(), matched.max()) == (0, 1)


def test_luminance_is_the_weighted_sum_of_the_channels() -> None:
    values = colors.luminance(pixels((1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.5, 0.5)))
    assert values[0] == pytest.approx([0.299, 0.587, 0.114, 0.5], abs=1e-6)


def test_the_painting_s_luminance_comes_with_the_photo_s_colour_differences() -> None:
    # Photo: Y = 0.299·0.5 + 0.587·0.4 + 0.114·0.3 = 0.4185.
    # Painting: grey 0.5, so each channel rises by 0.0815.
    result = colors.with_luminance_of(pixels((0.5, 0.5, 0.5)), pixels((0.5, 0.4, 0.3)))
    assert result == pytest.approx(pixels((0.5815, 0.4815, 0.3815)), abs=1e-6)


def test_luminance_is_kept_exactly_where_the_colour_does_not_fit() -> None:
    photo = pixels((1, 0, 0), (0, 0, 1), (0.1, 0.9, 0.2))
    painting = pixels((0.9, 0.9, 0.9), (0, 0, 0), (1, 1, 1))
    result = colors.with_luminance_of(painting, photo)
    assert colors.luminance(result)[0] == pytest.approx([0.9, 0.0, 1.0], abs=1e-6)
    assert result.min() >= 0
    assert result.max() <= 1
    assert result[0, 0, 0] > result[0, 0, 1] == pytest.approx(result[0, 0, 2])  # still red, only paler


def test_a_picture_with_its_own_luminance_does_not_change() -> None:
    assert np.allclose(colors.with_luminance_of(scene(), scene()), scene(), atol=1e-6)


@pytest.mark.parametrize(("strength", "expected"), [(0.0, 0.2), (0.25, 0.3), (0.5, 0.4), (1.0, 0.6)])
def test_strength_goes_from_the_photo_to_the_painting(strength: float, expected: float) -> None:
    mixed = colors.mix(pixels((0.2,) * 3), pixels((0.6,) * 3), strength)
    assert mixed == pytest.approx(pixels((expected,) * 3), abs=1e-6)
    assert mixed.dtype == np.float32
