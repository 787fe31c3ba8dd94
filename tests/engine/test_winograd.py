"""Winograd's convolution against PyTorch's direct one."""

import pytest
import torch
from torch.nn import functional

from nst_daemon.engine import winograd
from nst_daemon.engine.vgg import Trunk

SHAPES = [(4, 4, 8, 8), (3, 5, 1, 1), (8, 4, 7, 13), (2, 2, 5, 64), (130, 6, 18, 9)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_gives_the_direct_convolution_and_its_gradient(shape: tuple[int, int, int, int]) -> None:
    ins, outs, height, width = shape
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(outs, ins, 3, 3, generator=generator)
    maps = torch.randn(2, ins, height, width, generator=generator)
    weight = torch.randn(2, outs, height, width, generator=generator)
    one, other = maps.clone().requires_grad_(), maps.clone().requires_grad_()

    direct = functional.conv2d(one, kernel, padding=1)
    ours = winograd.convolve(other, winograd.transform(kernel))
    (direct_gradient,) = torch.autograd.grad((direct * weight).sum(), one)
    (our_gradient,) = torch.autograd.grad((ours * weight).sum(), other)

    torch.testing.assert_close(ours, direct, rtol=1e-4, atol=1e-4 * float(direct.detach().abs().max()))
    torch.testing.assert_close(
        our_gradient, direct_gradient, rtol=1e-4, atol=1e-4 * float(direct_gradient.abs().max())
    )


def test_strips_cover_every_row_of_tiles_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winograd, "STRIP_BYTES", 1)
    kernel, maps = torch.randn(3, 2, 3, 3), torch.randn(1, 2, 23, 11)
    torch.testing.assert_close(
        winograd.convolve(maps, winograd.transform(kernel)),
        functional.conv2d(maps, kernel, padding=1),
        rtol=1e-3,
        atol=1e-4,
    )


def test_the_network_gives_the_same_features_either_way(trunk: Trunk) -> None:
    picture = torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(1))
    layers = ("relu2_2", "relu3_4", "relu5_1")
    fast, direct = trunk(picture, layers), _without_winograd(trunk)(picture, layers)
    for layer in layers:
        error = (fast[layer] - direct[layer]).abs().max() / direct[layer].abs().max()
        assert error < 1e-4, layer


def _without_winograd(trunk: Trunk) -> Trunk:
    import copy

    direct = copy.copy(trunk)
    direct.use_winograd = False
    return direct
