"""The tiled gradient against the one of the whole picture."""

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from nst_daemon.config.recipe import Pooling, Recipe, StyleLoss, resolve
from nst_daemon.engine import losses as losses_module
from nst_daemon.engine import wasserstein
from nst_daemon.engine.layers import halo_of, halos_of, stride_of
from nst_daemon.engine.losses import Guided, WholeLosses, gram, style_target
from nst_daemon.engine.tiles import TiledLosses, tiled_grams, tiles_of
from nst_daemon.engine.vgg import Trunk

DEFAULT_LAYERS = ("relu4_2", "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


@pytest.fixture(scope="module")
def exact(trunk: Trunk) -> Trunk:
    """The network in double precision: where two entries are nearly alike, rounding chooses none of them."""
    doubled = deepcopy(trunk).double()
    doubled.precision = torch.float64
    return doubled


def _noise(height: int, width: int, seed: int, dtype: torch.dtype = torch.float32) -> Tensor:
    rough = torch.rand(1, 3, height // 8 + 1, width // 8 + 1, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(rough, (height, width), mode="bilinear").to(dtype) ** 1.5


def _style(trunk: Trunk, recipe: Recipe, guides: list[Tensor | None]) -> dict[str, list[Guided]]:
    found: dict[str, list[Guided]] = {}
    for layer in recipe.style_layers:
        found[layer] = []
        for seed, guide in enumerate(guides):
            features = trunk(_noise(96, 80, seed + 10, trunk.precision), (layer,))[layer]
            target = style_target(gram(features)[0], recipe.style_loss)
            stride = stride_of(layer)
            small = None if guide is None else torch.nn.functional.avg_pool2d(guide, stride)
            found[layer].append((small, target))
    return found


def _whole(
    trunk: Trunk, picture: Tensor, photo: Tensor, style: dict[str, list[Guided]], recipe: Recipe
) -> tuple[Tensor, Tensor]:
    return WholeLosses(trunk, photo, style, recipe, content_weight=0.3)(picture)


def test_tiled_gram_matrices_are_those_of_the_whole_picture(trunk: Trunk) -> None:
    picture = _noise(180, 150, 5)
    layers = ("relu1_1", "relu3_1", "relu5_1")
    tiled = tiled_grams(trunk, picture, layers, Pooling.MAX, side=64)
    features = trunk(picture, layers)
    for layer in layers:
        whole = gram(features[layer])
        assert (tiled[layer] - whole).norm() / whole.norm() < 1e-4


def test_guided_grams_in_tiles_are_those_of_the_whole_picture(trunk: Trunk) -> None:
    picture, layers = _noise(130, 190, 3), ("relu2_1", "relu4_1")
    features = trunk(picture, layers)
    guide = torch.rand(1, 1, *features["relu4_1"].shape[-2:], generator=torch.Generator().manual_seed(0))
    tiled = tiled_grams(trunk, picture, layers, Pooling.MAX, side=64, guides={"relu4_1": guide})
    for layer, whole in (
        ("relu2_1", gram(features["relu2_1"])),
        ("relu4_1", gram(features["relu4_1"], guide)),
    ):
        assert (tiled[layer] - whole).norm() / whole.norm() < 1e-4


@pytest.fixture(autouse=True)
def exact_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the Wasserstein distance's roots in double precision: in single they lift rounding to 1e-3."""
    roots = wasserstein.by_eigenvalues

    def in_double(matrix: Tensor) -> tuple[Tensor, Tensor]:
        root, inverse = roots(matrix.double())
        return root.to(matrix.dtype), inverse.to(matrix.dtype)

    monkeypatch.setattr(wasserstein, "by_eigenvalues", in_double)
    monkeypatch.setattr(losses_module, "FEW", 0)  # from the same side, that of the channels


@pytest.mark.parametrize("size", [(187, 133), (64, 300)], ids=str)
@pytest.mark.parametrize("kind", list(StyleLoss))
def test_losses_and_gradient_are_those_of_the_whole_picture(
    exact: Trunk, size: tuple[int, int], kind: StyleLoss
) -> None:
    height, width = size
    recipe = resolve({"style_loss": kind, "tv_weight": 3.0})
    picture, photo = _noise(height, width, 1, torch.float64), _noise(height, width, 2, torch.float64)
    style = _style(exact, recipe, [None])
    losses, gradient = _whole(exact, picture, photo, style, recipe)

    tiled = TiledLosses(exact, photo, style, recipe, content_weight=0.3, side=64)
    assert len(tiled.tiles) > 3
    our_losses, our_gradient = tiled(picture)

    torch.testing.assert_close(our_losses, losses, rtol=1e-4, atol=0)
    assert (our_gradient - gradient).norm() / gradient.norm() < 1e-4


def test_in_single_precision_rounding_is_all_that_differs(trunk: Trunk) -> None:
    recipe = resolve({})
    picture, photo = _noise(187, 133, 1), _noise(187, 133, 2)
    style = _style(trunk, recipe, [None])
    losses, gradient = _whole(trunk, picture, photo, style, recipe)
    our_losses, our_gradient = TiledLosses(trunk, photo, style, recipe, content_weight=0.3, side=64)(picture)
    torch.testing.assert_close(our_losses, losses, rtol=1e-3, atol=0)
    # Where two entries are nearly alike a pooling may take the other one: here and there, and no seam.
    assert (our_gradient - gradient).norm() / gradient.norm() < 1e-2


def test_regions_are_tiled_as_the_whole_picture_is(exact: Trunk) -> None:
    recipe = resolve({})
    left = torch.zeros(1, 1, 128, 160)
    left[..., :90] = 1.0
    picture, photo = _noise(128, 160, 1, torch.float64), _noise(128, 160, 2, torch.float64)
    style = _style(exact, recipe, [left, 1 - left])
    losses, gradient = _whole(exact, picture, photo, style, recipe)
    our_losses, our_gradient = TiledLosses(exact, photo, style, recipe, content_weight=0.3, side=64)(picture)
    torch.testing.assert_close(our_losses, losses, rtol=1e-4, atol=0)
    assert (our_gradient - gradient).norm() / gradient.norm() < 1e-4


def test_what_counts_more_counts_so_in_tiles_too(exact: Trunk) -> None:
    recipe = resolve({"style_loss": "gram", "content_layers": ["relu2_1", "relu4_2"]})
    picture, photo = _noise(128, 160, 1, torch.float64), _noise(128, 160, 2, torch.float64)
    guide = 1 + 5 * torch.rand(1, 1, 128, 160, generator=torch.Generator().manual_seed(3))
    small = {
        layer: torch.nn.functional.avg_pool2d(guide, stride)
        for layer, stride in (("relu2_1", 2), ("relu4_2", 8))
    }
    style = _style(exact, recipe, [None])
    whole = WholeLosses(exact, photo, style, recipe, content_weight=0.3, content_guides=small)
    tiled = TiledLosses(exact, photo, style, recipe, content_weight=0.3, content_guides=small, side=64)
    plain = WholeLosses(exact, photo, style, recipe, content_weight=0.3)
    losses, gradient = whole(picture)
    our_losses, our_gradient = tiled(picture)
    assert losses[1] > 2 * plain(picture)[0][1]
    torch.testing.assert_close(our_losses, losses, rtol=1e-4, atol=0)
    assert (our_gradient - gradient).norm() / gradient.norm() < 1e-4


def test_there_is_no_seam_where_tiles_meet(trunk: Trunk) -> None:
    recipe = resolve({"tv_weight": 0.0})
    picture, photo = _noise(160, 160, 1), _noise(160, 160, 2)
    style = _style(trunk, recipe, [None])
    _, gradient = _whole(trunk, picture, photo, style, recipe)
    _, tiled = TiledLosses(trunk, photo, style, recipe, content_weight=0.3, side=64)(picture)
    error = (tiled - gradient).abs().mean((0, 1))
    at_seams = error[62:66].mean() + error[:, 126:130].mean()
    assert at_seams < 4 * error.mean() + 1e-9  # rounding everywhere, and no more of it at the borders


@given(width=st.integers(16, 700), height=st.integers(16, 700), side=st.integers(16, 300))
def test_every_pixel_belongs_to_one_core(width: int, height: int, side: int) -> None:
    covered = torch.zeros(height, width, dtype=torch.int)
    for tile in tiles_of(width, height, side, DEFAULT_LAYERS):
        covered[tile.rows.start : tile.rows.end, tile.columns.start : tile.columns.end] += 1
        for span in (tile.rows, tile.columns):
            bounds = [span.outer(halvings) for halvings in range(5)]
            assert all(first <= span.start < span.end <= last <= span.length for first, last in bounds)
            assert all(first % 32 == 0 for first, _ in bounds)
    assert (covered == 1).all()


@given(width=st.integers(16, 400), height=st.integers(16, 400), side=st.integers(16, 300))
def test_what_is_trimmed_block_by_block_has_the_size_of_its_bounds(
    width: int, height: int, side: int
) -> None:
    for tile in tiles_of(width, height, side, DEFAULT_LAYERS):
        maps = tile.cut(torch.empty(1, 1, height, width))
        for halvings in range(1, 5):
            halved = maps[..., : maps.shape[-2] // 2, : maps.shape[-1] // 2]  # as a pooling leaves them
            maps = tile.trim(halved, halvings)
            for span, size in ((tile.rows, maps.shape[-2]), (tile.columns, maps.shape[-1])):
                first, last = span.outer(halvings)
                assert size == (last >> halvings) - (first >> halvings)


def test_the_halo_is_what_the_deepest_layer_sees() -> None:
    # A convolution sees one entry further: 2 of 1 px, 2 of 2, 4 of 4, 4 of 8 and 1 of 16 are 70 px,
    # rounded up to 32.
    assert halo_of(DEFAULT_LAYERS) == 96
    assert halo_of(("relu1_2",)) == 32
    assert halo_of(("relu5_4",)) == 128
    # A block needs no more than it and those below it see: 16 and 8 px at relu4_1, 32 and 16 at relu4_2.
    assert halos_of(("relu4_1",)) == (32, 32, 32, 32)
    assert halos_of(("relu1_1", "relu4_2", "relu3_1")) == (64, 64, 32, 32)
    assert halos_of(DEFAULT_LAYERS) == (96, 96, 64, 64, 32)


def test_the_halo_covers_the_receptive_field(trunk: Trunk) -> None:
    picture = _noise(400, 32, 3).requires_grad_()
    middle = trunk(picture, ("relu5_1",))["relu5_1"][..., 12, :].sum()
    (gradient,) = torch.autograd.grad(middle, picture)
    size = gradient.abs().sum((0, 1, 3))
    seen = (size > 1e-6 * size.max()).nonzero()  # Winograd's rounding reaches a little further
    halo = halo_of(("relu5_1",))
    assert 12 * 16 - halo <= int(seen.min()) < 12 * 16
    assert 13 * 16 <= int(seen.max()) < 13 * 16 + halo
