"""torchvision as referee: our trunk is its VGG19, layer by layer, and our normalisation the one it states."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import VGG19_Weights, vgg19

from nst_daemon.config.recipe import LAYERS
from nst_daemon.engine import weights
from nst_daemon.engine.vgg import Trunk


@pytest.fixture(scope="module")
def theirs() -> Iterator[nn.Sequential]:
    """Return the convolutional part of torchvision's network, with random weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        network = vgg19(weights=None).features.eval().requires_grad_(False)
        for layer in network:
            if isinstance(layer, nn.Conv2d):
                assert layer.bias is not None
                layer.bias.normal_(std=0.1)  # it begins with zeros: nobody would see that one is lost
    yield network


@pytest.fixture
def picture() -> Tensor:
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(6))


def _normalised(picture: Tensor) -> Tensor:
    stated = VGG19_Weights.IMAGENET1K_V1.transforms()
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (stated.mean, stated.std))
    return (picture - mean) / std


def _maps(network: nn.Sequential, picture: Tensor) -> dict[str, Tensor]:
    """Return what every layer of torchvision's network makes of a picture, by our names.

    Its first convolution gets the picture's own border, as ours does: the one departure.
    """
    first = network[0]
    assert isinstance(first, nn.Conv2d)
    padded = functional.pad(_normalised(picture), (1, 1, 1, 1), mode="replicate")
    names = iter(weights.CONV_NAMES)
    found: dict[str, Tensor] = {}
    name, maps = "", picture
    for layer in network:
        if isinstance(layer, nn.Conv2d):
            name = next(names)
            maps = functional.conv2d(padded, layer.weight, layer.bias) if layer is first else layer(maps)
            found[name] = maps
        elif isinstance(layer, nn.ReLU):
            maps = functional.relu(maps)  # theirs works in place
            found[name.replace("conv", "relu")] = maps
        else:
            maps = layer(maps)
    return found


@pytest.mark.parametrize("use_winograd", [False, True])
def test_every_layer_of_the_trunk_is_torchvisions(
    theirs: nn.Sequential, picture: Tensor, use_winograd: bool
) -> None:
    state = {f"features.{name}": tensor for name, tensor in theirs.state_dict().items()}
    trunk = Trunk(weights._from_torchvision(state), use_winograd=use_winograd)
    ours, expected = trunk(picture, LAYERS), _maps(theirs, picture)
    assert set(expected) == set(LAYERS)
    for layer in LAYERS:
        scale = expected[layer].abs().max().item()
        assert scale > 0.0
        torch.testing.assert_close(ours[layer], expected[layer], rtol=0.0, atol=1e-4 * scale, msg=layer)


def test_the_trunk_departs_from_torchvision_at_the_border_alone(
    theirs: nn.Sequential, picture: Tensor
) -> None:
    state = {f"features.{name}": tensor for name, tensor in theirs.state_dict().items()}
    ours = Trunk(weights._from_torchvision(state))(picture, ("conv1_1",))["conv1_1"]
    plain = theirs[0](_normalised(picture))
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], plain[..., 1:-1, 1:-1], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(ours, plain, atol=1e-2)


def test_our_normalisation_is_the_one_that_the_weights_state() -> None:
    stated = VGG19_Weights.IMAGENET1K_V1.transforms()
    assert tuple(stated.mean) == weights.TORCHVISION_MEAN
    assert tuple(stated.std) == weights.TORCHVISION_STD
