"""A painting's colours go where its style's go: a grey style paints grey, whatever the photo leaves open."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nst_daemon.config.recipe import resolve
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.palette import Palette, colors_of
from nst_daemon.engine.regions import RegionSource, StyleSource, normalised
from nst_daemon.engine.schedule import pyramid_of
from nst_daemon.engine.vgg import Trunk

Picture = NDArray[np.float32]

SIZE = (64, 48)
CPU = torch.device("cpu")
(SCALE,) = pyramid_of(*SIZE, resolve({"preset": "classic"}))
WHITE = np.ones((48, 64, 3), np.float32)


def drawing(seed: int = 0, size: int = 256) -> Picture:
    """Return dark strokes on light paper, grey. Shapes: -> (H, W, 3)."""
    x, y = np.meshgrid(np.arange(size), np.arange(size))
    strokes = 0.5 + 0.45 * np.sin((x + (2 + seed) * y) / 25) * np.sin(y / (17 + seed))
    picture: Picture = np.repeat(strokes[..., None], 3, axis=-1).astype(np.float32)
    return picture


def toned(grey: Picture, dark: tuple[float, ...], light: tuple[float, ...]) -> Picture:
    """Return a grey picture on a straight line between two colours."""
    picture: Picture = (np.array(dark) + grey * (np.array(light) - np.array(dark))).astype(np.float32)
    return picture


def noisy(picture: Picture, spread: float) -> Picture:
    """Return a picture as a scanner saw it."""
    noise = np.random.default_rng(0).normal(0, spread, picture.shape)
    return (picture + noise).clip(0, 1).astype(np.float32)


def source(picture: Picture, weight: float = 1.0) -> StyleSource:
    return StyleSource(picture, weight, str(id(picture)))


GREY = source(drawing())
SEPIA = source(toned(drawing(1), (0.16, 0.1, 0.06), (0.95, 0.88, 0.75)))
COLOURED = source(np.stack([drawing(0)[..., 0], drawing(3)[..., 0], drawing(7)[..., 0]], -1))


def colorfulness(picture: Picture) -> float:
    """Return Hasler and Süsstrunk's measure, of 255: 0 is grey, 30 moderate, 100 loud."""
    red, green, blue = np.moveaxis(picture.astype(np.float64) * 255, -1, 0)
    across, along = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), along.std()) + 0.3 * np.hypot(across.mean(), along.mean()))


@pytest.fixture(scope="module")
def painter(trunk: Trunk) -> Painter:
    return Painter(trunk, CPU)


def paint(painter: Painter, photo: Picture, style: StyleSource, **settings: object) -> Picture:
    recipe = resolve({"steps": 12, "pyramid": 32, **settings})
    return painter.paint(
        photo, [style], recipe, size=SIZE, on_progress=lambda _: None, should_stop=lambda: False
    )


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
@pytest.mark.parametrize("init", ["content", "noise"])
def test_a_grey_style_paints_a_plain_white_photo_grey(painter: Painter, optimizer: str, init: str) -> None:
    painted = paint(painter, WHITE, GREY, optimizer=optimizer, init=init)
    assert colorfulness(painted) < 0.01
    assert painted.std() > 0.02  # and it is painted


def test_a_scans_noise_is_no_colour(painter: Painter) -> None:
    scanned = source(noisy(drawing(size=768), 0.02))
    assert colorfulness(scanned.rgb) > 5
    assert colorfulness(paint(painter, WHITE, scanned)) < 0.5


def test_a_coloured_photo_in_a_grey_style_is_grey(painter: Painter) -> None:
    photo = np.random.default_rng(0).random((48, 64, 3)).astype(np.float32)
    assert colorfulness(paint(painter, photo, GREY)) < 0.01


def test_sepia_stays_on_its_line(painter: Painter) -> None:
    painted = paint(painter, WHITE, SEPIA)
    line = np.array([0.79, 0.78, 0.69])
    line /= np.linalg.norm(line)
    away = painted.reshape(-1, 3) - SEPIA.rgb.reshape(-1, 3).mean(0)
    beside = away - np.outer(away @ line, line)
    assert np.abs(beside).max() < 0.03
    assert colorfulness(painted) < 1.2 * colorfulness(SEPIA.rgb)


def test_a_style_with_all_colours_is_painted_as_without_a_palette() -> None:
    palette = Palette.of([RegionSource([COLOURED])], SCALE, CPU)
    assert palette.parts == ()

    def losses(picture: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return picture, picture

    assert palette.limiting(losses) is losses
    picture = torch.rand(1, 3, 48, 64)
    assert palette(picture) is picture


@pytest.mark.parametrize("color", [0.0, 0.4, 1.0])
def test_a_style_of_one_colour_limits_nothing(color: float) -> None:
    _, kept = colors_of([source(np.full((8, 8, 3), color, np.float32))])
    assert np.array_equal(kept, np.eye(3))


def test_a_style_without_light_and_dark_takes_no_scene_away() -> None:
    stripes = toned(drawing(), (0.9, 0.2, 0.1), (0.1, 0.3, 0.8))
    _, kept = colors_of([source(stripes)])
    assert np.array_equal(kept, np.eye(3))


def test_a_blend_has_the_colours_of_all_its_styles() -> None:
    _, kept = colors_of([GREY, source(COLOURED.rgb, 0.5)])
    assert np.allclose(kept, np.eye(3))
    _, kept = colors_of([GREY, SEPIA])
    assert 1.5 < np.trace(kept) < 2.5  # a plane: two lines span it


def test_only_a_grey_regions_part_is_grey() -> None:
    mask = np.zeros((48, 64), np.float32)
    mask[:, :32] = 1
    regions = normalised([COLOURED], [RegionSource([GREY], mask)])
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    shown = Palette.of(regions, SCALE, CPU)(picture)
    assert colorfulness(shown[0, :, :, :32].permute(1, 2, 0).numpy()) < 0.01
    assert torch.equal(shown[..., 32:], picture[..., 32:])


def test_the_gradient_is_that_of_what_is_shown() -> None:
    soft = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (48, 1))
    regions = normalised([SEPIA], [RegionSource([GREY], soft)])
    palette = Palette.of(regions, SCALE, CPU)
    picture = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(1))
    (wanted,) = torch.autograd.grad((palette(picture) * weights).sum(), picture)
    assert torch.allclose(palette.back(weights), wanted, atol=1e-5)
