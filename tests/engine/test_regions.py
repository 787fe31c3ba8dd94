"""Styles by region: guides, guided Gram matrices, and what a mask leaves of the photo."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from support.pictures import scene

from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import Areas, Mask, Recipe, Region, Style, StyleLoss, resolve
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine.losses import gram, style_loss, style_target
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import RegionSource, StyleSource, guides_of, normalised
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.engine.vgg import Trunk
from nst_daemon.errors import MaskError

Picture = NDArray[np.float32]

WIDTH, HEIGHT = 48, 32
RED = StyleSource(np.full((32, 32, 3), (0.9, 0.1, 0.1), np.float32), 1.0, "red")
BLUE = StyleSource(np.full((32, 32, 3), (0.1, 0.1, 0.9), np.float32), 1.0, "blue")
FEW = {"steps": 4, "pyramid": 0, "content_weight": 0.0}


def left_half() -> Picture:
    mask = np.zeros((HEIGHT, WIDTH), np.float32)
    mask[:, : WIDTH // 2] = 1
    return mask


def grey(width: int = WIDTH, height: int = HEIGHT) -> Picture:
    x = np.linspace(0.3, 0.7, width, dtype=np.float32)
    return np.repeat(np.tile(x, (height, 1))[..., None], 3, axis=-1)


# ── guides ───────────────────────────────────────────────────────────────


def test_without_regions_the_whole_picture_has_the_main_styles_and_no_guide() -> None:
    (part,) = normalised([RED], [])
    assert part.mask is None
    assert list(guides_of(part, ("relu1_1",), 8, 8, torch.device("cpu")).values()) == [None]


def test_shares_sum_to_one_where_masks_overlap_and_where_none_is() -> None:
    masks = [np.array([[1.0, 1.0, 0.5, 0.0]], np.float32), np.array([[0.0, 1.0, 0.25, 0.0]], np.float32)]
    parts = normalised([RED], [RegionSource([BLUE], mask) for mask in masks])
    stack = np.stack([part.mask for part in parts if part.mask is not None])
    assert np.allclose(stack.sum(0), 1)
    assert np.allclose(stack[0], [[0, 0, 0.25, 1]])  # the main styles
    assert np.allclose(stack[1], [[1, 0.5, 0.5, 0]])
    assert sum(part.share for part in parts) == pytest.approx(1)


def test_a_region_of_nothing_is_left_out() -> None:
    (part,) = normalised([RED], [RegionSource([BLUE], np.zeros((4, 4), np.float32))])
    assert part.styles == [RED]


def test_guides_have_the_size_of_each_layers_map(trunk: Trunk) -> None:
    layers = ("relu1_1", "conv2_2", "relu5_1")
    guides = guides_of(RegionSource([RED], left_half()), layers, 45, 33, torch.device("cpu"))
    features = trunk(torch.rand(1, 3, 33, 45), layers)
    for layer, guide in guides.items():
        assert guide is not None
        assert guide.shape[-2:] == features[layer].shape[-2:]
        assert guide.mean() == pytest.approx(0.5, abs=0.03)


# ── guided Gram matrices ─────────────────────────────────────────────────


def test_a_guided_gram_matrix_by_hand() -> None:
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])  # two channels, 1 x 2 px
    guide = torch.tensor([[[[1.0, 0.5]]]])
    # Guided: (1, 1) and (3, 2); products (2, 5, 13), over 1 + 0.25.
    expected = torch.tensor([[[2.0, 5.0], [5.0, 13.0]]]) / 1.25
    assert torch.allclose(gram(features, guide), expected)


def test_a_guide_of_ones_changes_nothing() -> None:
    features = torch.rand(1, 5, 6, 7)
    assert torch.allclose(gram(features, torch.ones(1, 1, 6, 7)), gram(features), atol=1e-6)


@pytest.mark.parametrize("kind", StyleLoss)
def test_a_guided_loss_counts_by_its_share_and_sees_its_region_only(kind: StyleLoss) -> None:
    target = style_target(gram(torch.rand(1, 3, 8, 8))[0], kind)
    features = torch.rand(1, 3, 8, 8)
    guide = torch.zeros(1, 1, 8, 8)
    guide[..., :4] = 1
    loss = style_loss(features, target, guide)
    changed = features.clone()
    changed[..., 4:] += 5
    assert torch.allclose(style_loss(changed, target, guide), loss)
    assert torch.allclose(style_loss(features, target.weighing(0.25), guide), loss / 4)


# ── painting ─────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def painter(trunk: Trunk) -> Painter:
    return Painter(trunk, torch.device("cpu"))


def _painted(painter: Painter, recipe: Recipe, *regions: RegionSource) -> Picture:
    return painter.paint(
        grey(),
        [RED],
        recipe,
        size=(WIDTH, HEIGHT),
        on_progress=lambda _: None,
        should_stop=lambda: False,
        regions=regions,
    )


@pytest.mark.parametrize("settings", [{}, {"init": "style"}], ids=str)
def test_each_region_has_its_own_style(painter: Painter, settings: dict[str, object]) -> None:
    painted = _painted(painter, resolve({**FEW, **settings}), RegionSource([BLUE], left_half()))
    left, right = painted[:, : WIDTH // 2 - 4].mean((0, 1)), painted[:, WIDTH // 2 + 4 :].mean((0, 1))
    assert left[2] - left[0] > 0.1  # blue
    assert right[0] - right[2] > 0.1  # red


def test_a_region_that_is_everywhere_replaces_the_main_style(painter: Painter) -> None:
    everywhere = RegionSource([RED], np.ones((HEIGHT, WIDTH), np.float32))
    recipe = resolve(FEW)
    assert np.abs(_painted(painter, recipe, everywhere) - _painted(painter, recipe)).max() < 0.02


# ── the studio ───────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, cache: Callable[[Path], Path]) -> Studio:
    return Studio(EngineSettings(device="cpu", cache_dir=cache(tmp_path_factory.mktemp("cache"))))


def _png(path: Path, rgb: Picture) -> Path:
    Image.fromarray(np.rint(rgb * 255).astype(np.uint8)).save(path)
    return path


def _style(path: Path, rgb: Picture) -> Style:
    return Style(name=path.stem, path=_png(path, rgb), sha256=file_sha256(path))


def _order(folder: Path, areas: Areas, **settings: object) -> Order:
    return Order(
        job=1,
        photo=_png(folder / "photo.png", grey()),
        photo_name="photo.png",
        styles=(_style(folder / "red.png", RED.rgb),),
        recipe=resolve({"size": WIDTH, "steps": 2, "pyramid": 0, **settings}),
        result=folder / "painting",
        areas=areas,
    )


def _pixels(studio: Studio, order: Order) -> Picture:
    painting = studio.fulfil(order, lambda _: None, lambda: False)
    with Image.open(painting.picture) as image:
        return (np.asarray(image, np.float32) / 255).astype(np.float32)


def _mask(path: Path, grey: Picture) -> Mask:
    Image.fromarray(np.rint(grey * 255).astype(np.uint8)).save(path)
    return Mask(name=path.name, path=path, sha256=file_sha256(path))


def test_black_stays_photo_white_is_painted_and_grey_mixes(studio: Studio, tmp_path: Path) -> None:
    whole = _pixels(studio, _order(tmp_path, Areas()))
    ramp = np.tile(np.repeat(np.array([0, 0.5, 1], np.float32), 8), (16, 1))  # half the size of the photo
    areas = Areas(mask=_mask(tmp_path / "photo.mask.png", ramp))
    painted = _pixels(studio, _order(tmp_path, areas))
    photo = np.rint(grey() * 255) / 255
    assert np.abs(painted[:, :10] - photo[:, :10]).max() == 0
    assert np.abs(painted[:, 36:] - whole[:, 36:]).max() <= 1 / 255
    middle = (whole + photo)[:, 20:28] / 2
    assert np.abs(painted[:, 20:28] - middle).max() <= 2 / 255
    assert np.abs(whole - photo).mean() > 0.05


def test_a_black_mask_gives_the_photo_at_once(studio: Studio, tmp_path: Path) -> None:
    areas = Areas(mask=_mask(tmp_path / "m.png", np.zeros((20, 20), np.float32)))
    steps: list[object] = []
    studio.fulfil(_order(tmp_path, areas), steps.append, lambda: False)
    assert not steps


@pytest.mark.parametrize("mode", ["off", "luminance", "histogram"])
def test_regions_go_with_kept_colours_and_with_a_report(studio: Studio, tmp_path: Path, mode: str) -> None:
    blue = _style(tmp_path / "blue.png", BLUE.rgb)
    areas = Areas(regions=(Region(mask=_mask(tmp_path / "sky.png", left_half()), styles=(blue,)),))
    order = _order(tmp_path, areas, preserve_color=mode, report=True)
    painting = studio.fulfil(order, lambda _: None, lambda: False)
    assert painting.report is not None
    with Image.open(painting.picture) as image:
        left, right = np.hsplit(np.asarray(image, np.float32) / 255, 2)
    colour = (left - right).mean((0, 1))
    assert bool(colour[2] - colour[0] > 0.2) is (mode == "off")  # the photo is grey


@pytest.mark.parametrize("mode", ["off", "luminance", "histogram"])
def test_tiles_paint_masks_and_regions_as_the_whole_picture_does(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    """A picture that does not fit into memory, from file to file."""
    stripes = np.tile(np.array([[[0.1, 0.1, 0.9]], [[0.2, 0.8, 0.9]]], np.float32), (16, 32, 1))
    blue = _style(tmp_path / "blue.png", stripes)
    sky, ground = (
        _mask(tmp_path / f"{n}.png", m) for n, m in (("sky", left_half()), ("ground", 1 - left_half()))
    )
    fade = np.tile(np.linspace(0, 1, WIDTH, dtype=np.float32), (HEIGHT, 1))
    areas = Areas(
        mask=_mask(tmp_path / "photo.mask.png", fade),
        regions=(Region(mask=sky, styles=(blue,)), Region(mask=ground, styles=(blue,))),
    )
    order = _order(tmp_path, areas, size=112, preserve_color=mode, style_layers=["relu1_1", "relu2_1"])
    order = replace(order, photo=_png(tmp_path / "scene.png", scene(112, 75)))
    whole = _pixels(studio, order)
    sides: list[int] = []

    def tile_side(*_: object, **__: object) -> int:
        sides.append(32)
        return 32

    monkeypatch.setattr("nst_daemon.engine.budget.Budget.tile_side", tile_side)
    tiled = _pixels(studio, order)
    assert sides
    apart = np.abs(tiled - whole)  # L-BFGS makes much of the last digits of a gradient
    assert apart.max() <= 0.1
    assert apart.mean() < 1e-3
    assert np.abs(whole - scene(112, 75)).mean() > 0.01  # something was painted


def test_a_mask_that_cannot_be_read_is_named(studio: Studio, tmp_path: Path) -> None:
    (tmp_path / "sky.png").write_text("this is no picture")
    sha256 = file_sha256(tmp_path / "sky.png")
    areas = Areas(mask=Mask(name="sky.png", path=tmp_path / "sky.png", sha256=sha256))
    with pytest.raises(MaskError, match=r"Mask sky\.png is no picture"):
        studio.fulfil(_order(tmp_path, areas), lambda _: None, lambda: False)
