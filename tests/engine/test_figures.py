"""Which layers of a style count at a scale, when what the style picture shows shall stay there."""

import pytest
import torch

from nst_daemon.config.recipe import LAYERS
from nst_daemon.engine import figures as figures_module
from nst_daemon.engine.figures import paint_guide
from nst_daemon.engine.layers import MOST, field_of_view, layers_of_paint, sees_figures
from nst_daemon.engine.vgg import Trunk

PAINT = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def test_the_fields_of_view_are_those_of_the_network() -> None:
    assert [field_of_view(layer) for layer in PAINT] == [3, 10, 24, 68, 156]
    assert (field_of_view("conv2_2"), field_of_view("relu4_2")) == (14, 84)


@pytest.mark.parametrize("layer", ["relu1_1", "conv1_2", "relu2_1", "relu3_1", "relu4_1"])
def test_an_entry_sees_what_the_formula_says_and_nothing_beyond(trunk: Trunk, layer: str) -> None:
    """The gradient of the middle entry by the picture is nowhere wider, and in noise about as wide."""
    picture = torch.rand(1, 3, 192, 192, generator=torch.Generator().manual_seed(0)).requires_grad_()
    maps = trunk(picture, (layer,))[layer]
    middle = maps.shape[-1] // 2
    (gradient,) = torch.autograd.grad(maps[0, :, middle, middle].sum(), picture)
    columns = gradient.abs().amax((0, 1, 2))
    seen = (columns > 1e-4 * columns.max()).nonzero()  # Winograd's tiles leave their rounding beside it
    width = int(seen.max() - seen.min()) + 1
    assert width <= field_of_view(layer)
    assert width >= 0.8 * field_of_view(layer)


def test_a_layer_counts_where_it_sees_a_small_part_of_the_style_picture() -> None:
    counted = {longer: layers_of_paint(PAINT, longer) for longer in (64, 128, 256, 512, 1024)}
    assert counted == {
        64: PAINT[:2],
        128: PAINT[:3],
        256: PAINT[:3],
        512: PAINT[:4],
        1024: PAINT,
    }
    for longer, layers in counted.items():
        assert all(field_of_view(layer) <= MOST * longer for layer in layers)


def test_however_small_the_picture_one_layer_is_left() -> None:
    assert layers_of_paint(("relu5_1", "relu4_1"), 16) == ("relu4_1",)
    assert layers_of_paint(LAYERS, 1) == ("conv1_1",)


@pytest.mark.parametrize("layer", PAINT[2:])
def test_a_guide_is_asked_for_where_an_eye_is_seen_at_once(layer: str) -> None:
    field = field_of_view(layer)
    seen = [longer for longer in (64, 128, 256, 512, 1024, 2048, 4096) if sees_figures(layer, longer)]
    assert seen == [longer for longer in (64, 128, 256, 512, 1024, 2048, 4096) if longer <= 16 * field]
    assert sees_figures("relu3_1", 128)
    assert not sees_figures("relu3_1", 512)


def striped_with_a_spot() -> tuple[torch.Tensor, slice]:
    """Return features that recur everywhere but in one place, and the rows and columns of that."""
    rows = torch.arange(40).view(-1, 1)
    maps = torch.zeros(1, 8, 40, 40)
    for channel in range(4):
        maps[0, channel] = ((rows // 2) % 4 == channel).float()
    spot = slice(16, 20)
    maps[0, :4, spot, spot] = 0
    maps[0, 4:, spot, spot] = torch.rand(4, 4, 4, generator=torch.Generator().manual_seed(0)) + 1
    return maps, spot


def test_what_recurs_counts_and_what_occurs_once_does_not() -> None:
    maps, spot = striped_with_a_spot()
    guide = paint_guide(maps, "relu3_1")[0, 0]
    assert guide.shape == (40, 40)
    elsewhere = torch.ones(40, 40, dtype=torch.bool)
    elsewhere[spot, spot] = False
    assert guide[spot, spot].max() < 0.02
    assert guide[elsewhere].median() > 0.9


def test_what_is_like_its_neighbours_alone_does_not_recur() -> None:
    """A face is like itself: entries whose fields of view overlap are no elsewhere."""
    maps = torch.rand(1, 16, 40, 40, generator=torch.Generator().manual_seed(0)) * 0.1
    maps[0, :8] += (torch.arange(40) % 3 == 0).float()  # lines everywhere
    maps[0, :, 18:22, 18:22] = torch.arange(16).view(-1, 1, 1).float()  # one patch, of one kind
    guide = paint_guide(maps, "relu3_1")[0, 0]  # sees six entries
    assert guide[18:22, 18:22].max() < 0.3 * guide.median()


@pytest.mark.parametrize("shape", [(1, 4, 1, 1), (1, 4, 1, 9), (1, 4, 6, 6)])
def test_a_picture_without_anything_to_compare_counts_alike_everywhere(shape: tuple[int, ...]) -> None:
    guide = paint_guide(torch.ones(shape), "relu5_1")
    assert guide.shape == (1, 1, *shape[-2:])
    assert torch.isfinite(guide).all()
    assert guide.min() > 0
    assert torch.equal(guide, guide.flatten()[0].expand_as(guide))


def test_a_guide_is_the_same_however_it_is_taken_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = torch.rand(1, 16, 24, 30, generator=torch.Generator().manual_seed(0))
    whole = paint_guide(maps, "relu4_1")
    monkeypatch.setattr(figures_module, "AT_ONCE", 24 * 30 * 7 * 30)
    assert torch.allclose(paint_guide(maps, "relu4_1"), whole, atol=1e-5)
