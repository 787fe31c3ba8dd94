"""The trunk: layers, cut, frozen weights, borders, pooling."""

import pytest
import torch

from nst_daemon.config.recipe import LAYERS, Pooling, canonical_layer
from nst_daemon.engine.layers import depth_of
from nst_daemon.engine.vgg import Trunk


@pytest.fixture
def picture() -> torch.Tensor:
    return torch.rand(1, 3, 32, 48, generator=torch.Generator().manual_seed(4))


def test_every_layer_can_be_read_and_has_the_shape_of_its_block(trunk: Trunk, picture: torch.Tensor) -> None:
    features = trunk(picture, LAYERS)
    assert set(features) == set(LAYERS)
    assert features["relu1_1"].shape == (1, 64, 32, 48)
    assert features["relu3_4"].shape == (1, 256, 8, 12)
    assert features["conv5_4"].shape == (1, 512, 2, 3)


def test_maps_before_the_rectifier_keep_their_negative_values(trunk: Trunk, picture: torch.Tensor) -> None:
    features = trunk(picture, ("conv2_2", "relu2_2"))
    assert features["conv2_2"].min() < 0
    torch.testing.assert_close(features["conv2_2"].clamp_min(0), features["relu2_2"])


def test_nothing_behind_the_deepest_layer_is_computed(
    trunk: Trunk, picture: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[str] = []
    convolve = trunk._convolve

    def spy(maps: torch.Tensor, name: str) -> torch.Tensor:
        computed.append(name)
        return convolve(maps, name)

    monkeypatch.setattr(trunk, "_convolve", spy)
    trunk(picture, ("relu2_1", "relu1_1"))
    assert computed == ["conv1_1", "conv1_2", "conv2_1"]


def test_the_gradient_reaches_the_picture_and_no_weight(trunk: Trunk, picture: torch.Tensor) -> None:
    picture.requires_grad_()
    trunk(picture, ("relu3_1",))["relu3_1"].square().mean().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0
    assert list(trunk.parameters()) == []
    assert not any(buffer.requires_grad for buffer in trunk.buffers())


def test_a_plain_colour_stays_plain_in_the_first_layer_up_to_its_border(trunk: Trunk) -> None:
    features = trunk(torch.full((1, 3, 8, 8), 0.7), ("conv1_1",))["conv1_1"]
    assert (features - features[..., 4:5, 4:5]).abs().max() < 1e-3 * features.abs().max()


def test_average_pooling_differs_from_max_pooling(trunk: Trunk, picture: torch.Tensor) -> None:
    by_max = trunk(picture, ("relu2_1",), Pooling.MAX)["relu2_1"]
    by_average = trunk(picture, ("relu2_1",), Pooling.AVERAGE)["relu2_1"]
    assert by_max.shape == by_average.shape
    assert not torch.allclose(by_max, by_average)


@pytest.mark.parametrize(
    ("by_count", "by_block"),
    [
        ("conv_1", "conv1_1"),
        ("conv_4", "conv2_2"),
        ("conv_5", "conv3_1"),
        ("conv_16", "conv5_4"),
        ("relu_4", "relu2_2"),
    ],
)
def test_layers_by_count_are_those_by_block(by_count: str, by_block: str) -> None:
    assert canonical_layer(by_count) == by_block


@pytest.mark.parametrize("name", ["conv_0", "conv_17", "relu6_1", "conv1_3", "pool_1", ""])
def test_a_layer_that_vgg19_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no layer of VGG19"):
        canonical_layer(name)


def test_depth_is_that_of_the_deepest_layer() -> None:
    assert depth_of(("relu1_1", "relu4_2", "relu3_1")) == 10
    assert depth_of(()) == 0
