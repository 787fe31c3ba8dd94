"""The detail that a larger scale starts with."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from nst_daemon.engine import detail
from nst_daemon.engine.detail import MOST_CONTRAST, MOST_TINT, Details, without_detail
from nst_daemon.images.colors import statistics


def _noise(height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def _stripes(height: int, width: int) -> Tensor:
    """Return vertical stripes of 2 px, half dark and half light. Shapes: -> (1, 3, height, width)."""
    line = torch.tensor([0.3, 0.3, 0.7, 0.7]).repeat(width // 4)
    return line.expand(1, 3, height, width).clone()


def test_a_style_gets_its_own_detail_back() -> None:
    style = _noise(48, 64)
    lost = without_detail(style, 2)
    found = Details.of([(style, 1.0)], 2).on(lost)
    before, after = ((style - each).square().mean() for each in (lost, found))
    assert after < 0.4 * before  # noise: the worst case, for overlapping patches average it out


def test_a_flat_style_adds_nothing() -> None:
    picture = _noise(40, 40) / 2 + 0.25
    flat = torch.full((1, 3, 32, 32), 0.4)
    torch.testing.assert_close(Details.of([(flat, 1.0)], 2).on(picture), picture)


@pytest.mark.parametrize(("jitter", "most"), [(0.0, 0.01), (detail.JITTER, 0.03)])
def test_each_patch_takes_the_detail_of_what_is_like_it(
    monkeypatch: pytest.MonkeyPatch, jitter: float, most: float
) -> None:
    monkeypatch.setattr(detail, "JITTER", jitter)
    style = torch.cat([torch.full((1, 3, 64, 64), 0.1), 0.5 + _stripes(64, 64) / 2], dim=-1)
    picture = torch.cat([torch.full((1, 3, 40, 40), 0.1), torch.full((1, 3, 40, 40), 0.75)], dim=-1)
    added = Details.of([(style, 1.0)], 4).on(picture) - picture
    dark, light = added[..., 4:36, 4:36], added[..., 4:36, 44:76]
    assert dark.abs().max() < most
    assert light.std() > 0.05


def test_even_paint_gets_no_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    details, even = Details.of([(0.5 + 0.1 * _noise(200, 200), 1.0)], 2), torch.full((1, 3, 99, 99), 0.55)

    def grid() -> float:
        """Return how much of the detail repeats itself at each patch."""
        added = (details.on(even) - even)[..., 6:-6, 6:-6]
        repeated = torch.stack([part.mean((-1, -2)) for part in _at_each_place(added)])
        return float(repeated.std(0).mean() / added.std())

    assert grid() < 0.3
    monkeypatch.setattr(detail, "JITTER", 0.0)
    assert grid() > 0.9


def _at_each_place(picture: Tensor) -> list[Tensor]:
    """Return the pixels at each place between two patches."""
    places = range(detail.STRIDE)
    return [
        picture[..., row :: detail.STRIDE, column :: detail.STRIDE] for row in places for column in places
    ]


@pytest.mark.parametrize(("height", "width"), [(5, 5), (16, 37), (191, 7), (192, 193), (389, 20)])
def test_pictures_of_any_size_are_covered_evenly(height: int, width: int) -> None:
    style = torch.zeros(1, 3, 32, 32)
    details = Details.of([(style, 1.0)], 2)
    ones = replace(details, details=torch.ones_like(details.details) / 4)
    picture = torch.full((1, 3, height, width), 0.5)
    torch.testing.assert_close(ones.on(picture), picture + 0.25)


def test_the_bands_leave_no_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    details, picture = Details.of([(_noise(64, 64), 1.0)], 2), _noise(100, 50, seed=1)
    whole = details.on(picture)
    monkeypatch.setattr(detail, "BAND", 7 * detail.STRIDE)
    torch.testing.assert_close(details.on(picture), whole)


def test_styles_have_as_many_patches_as_their_shares() -> None:
    dark, light = torch.zeros(1, 3, 300, 300), torch.ones(1, 3, 300, 300)
    details = Details.of([(dark, 0.25), (light, 0.75)], 2)
    means = (details.entries @ details.components.mT + details.mean)[:, -3:].mean(1)
    assert len(means) == detail.ENTRIES
    assert int((means < detail.MEAN * detail.SIDE / 2).sum()) == detail.ENTRIES // 4


def test_the_photos_detail_has_no_colour_and_is_less_than_the_paints() -> None:
    photo = _noise(64, 64).mean(1, keepdim=True)
    smooth, rough = (Details.of([(0.5 + share * (_noise(64, 64, 1) - 0.5), 1.0)], 2) for share in (0.02, 1.0))
    few, many = (each.of_photo(photo, 2) for each in (smooth, rough))
    assert few.shape == (1, 1, 64, 64)
    assert few.std() < 0.1 * many.std()
    lost = photo - without_detail(photo, 2)
    assert many.std() <= detail.PHOTO * lost.std() * 1.001


def test_a_flat_photo_has_no_detail() -> None:
    details = Details.of([(_noise(64, 64), 1.0)], 2)
    assert not details.of_photo(torch.full((1, 1, 32, 32), 0.5), 2).abs().max() > 1e-6


def _colors(picture: Tensor) -> Tensor:
    """Return the mean and the covariance of a picture's colours in one. Shapes: -> (4, 3)."""
    mean, covariance = statistics(picture[0].permute(1, 2, 0).numpy())
    return torch.cat([torch.from_numpy(mean)[None], torch.from_numpy(covariance)])


def test_a_start_that_nearly_has_the_styles_colours_gets_them() -> None:
    style = 0.5 + 0.4 * (_noise(48, 64) - 0.5) * torch.tensor([1.0, 0.8, 0.6]).view(1, 3, 1, 1)
    start = 0.51 + 0.39 * (_noise(200, 60, seed=1) - 0.5) * torch.tensor([0.95, 0.85, 0.6]).view(1, 3, 1, 1)
    toned = Details.of([(style, 1.0)], 2).toned(start.clone())
    torch.testing.assert_close(_colors(toned), _colors(style), atol=1e-6, rtol=0)
    assert (_colors(start) - _colors(style)).abs().max() > 0.005


def test_a_start_in_other_colours_goes_a_part_of_the_way() -> None:
    style, start = 0.7 + 0.3 * (_noise(48, 64) - 0.5), 0.4 + 0.1 * (_noise(48, 64, seed=1) - 0.5)
    before, after = start, Details.of([(style, 1.0)], 2).toned(start.clone())
    torch.testing.assert_close(after.mean() - before.mean(), torch.tensor(MOST_TINT), atol=1e-4, rtol=0)
    torch.testing.assert_close(after.std() / before.std(), torch.tensor(1 + MOST_CONTRAST), atol=2e-3, rtol=0)


def test_a_style_of_one_colour_leaves_the_scene() -> None:
    start = _noise(40, 40)
    toned = Details.of([(torch.full((1, 3, 32, 32), 0.4), 1.0)], 2).toned(start.clone())
    assert toned.std() > 0.99 * (1 - MOST_CONTRAST) * start.std()


def test_colours_count_where_the_guide_says_so() -> None:
    style = 0.5 + 0.4 * (_noise(48, 64) - 0.5)
    own, others = 0.51 + 0.39 * (_noise(300, 20, seed=1) - 0.5), torch.zeros(1, 3, 300, 30)
    guide = torch.cat([torch.ones(1, 1, 300, 20), torch.zeros(1, 1, 300, 30)], dim=-1)
    toned = Details.of([(style, 1.0)], 2).toned(torch.cat([own, others], dim=-1), guide)
    torch.testing.assert_close(_colors(toned[..., :20]), _colors(style), atol=1e-6, rtol=0)


def test_a_blend_has_the_colours_of_all_its_styles() -> None:
    styles = [0.2 + 0.1 * _noise(40, 40), 0.6 + 0.2 * _noise(40, 40, seed=1)]
    mean, covariance = Details.of([(styles[0], 0.5), (styles[1], 0.5)], 2).colors
    together = _colors(torch.cat(styles, dim=-1))
    torch.testing.assert_close(torch.from_numpy(mean), together[0])
    torch.testing.assert_close(torch.from_numpy(covariance), together[1:])
