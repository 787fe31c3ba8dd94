"""The losses against numbers worked out by hand."""

import pytest
import torch

from nst_daemon.config.recipe import StyleLoss
from nst_daemon.engine.losses import (
    GramTarget,
    content_loss,
    gram,
    gram_sum,
    style_loss,
    style_target,
    total_variation,
)

# Two channels of a 1 x 2 map: (1, 2) and (3, -1).
MAPS = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])


def test_a_gram_matrix_is_the_mean_product_of_two_channels() -> None:
    # Half of 1 + 4, of 3 - 2 and of 9 + 1.
    torch.testing.assert_close(gram(MAPS), torch.tensor([[[2.5, 0.5], [0.5, 5.0]]]))


def test_the_content_loss_is_relative_to_the_photos_own_features() -> None:
    # Mean square of the difference 2 is 4; of the target (1, 4, 9, 1)/4 = 3.75.
    torch.testing.assert_close(content_loss(MAPS + 2, MAPS), torch.tensor(4 / 3.75))


def test_the_plain_style_loss_is_relative_to_the_styles_own_gram_matrix() -> None:
    target = style_target(gram(MAPS)[0], StyleLoss.GRAM)
    # Doubled maps have four times the Gram matrix: the difference is three times the target.
    torch.testing.assert_close(style_loss(2 * MAPS, target), torch.tensor(9.0))


@pytest.mark.parametrize("kind", list(StyleLoss))
def test_the_style_itself_has_no_style_loss(kind: StyleLoss) -> None:
    maps = torch.rand(1, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    rounding = 1e-5 if kind is StyleLoss.WASSERSTEIN else 1e-9  # roots of eigenvalues near 0
    assert abs(style_loss(maps, style_target(gram(maps)[0], kind)).item()) < rounding


def test_whitening_lifts_the_small_directions_of_the_style() -> None:
    statistics = torch.diag(torch.tensor([100.0, 1.0]))
    # One channel pair is off by the same amount in the large and in the small direction.
    large = torch.diag(torch.tensor([110.0, 1.0])).sqrt().view(1, 2, 1, 2) * 2**0.5
    small = torch.diag(torch.tensor([100.0, 11.0])).sqrt().view(1, 2, 1, 2) * 2**0.5
    plain = style_target(statistics, StyleLoss.GRAM)
    whitened = style_target(statistics, StyleLoss.WHITENED)

    assert style_loss(small, plain) == pytest.approx(style_loss(large, plain).item(), rel=1e-4)
    assert style_loss(small, whitened) > 4 * style_loss(large, whitened)


def test_whitening_takes_the_documented_power() -> None:
    target = GramTarget.of(torch.diag(torch.tensor([3.0, 1.0])), is_whitened=True)
    # Mean eigenvalue 2, floor 0.1 of it: (3/2 + 0.1) ** -0.2 and (1/2 + 0.1) ** -0.2.
    assert target.whitening is not None
    torch.testing.assert_close(target.whitening, torch.diag(torch.tensor([1.6**-0.2, 0.6**-0.2])))


def test_total_variation_of_a_step_is_worked_out_by_hand() -> None:
    picture = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    # Across 1, down 0, both diagonals 1 at half weight.
    assert total_variation(picture).item() == pytest.approx(2.0)


def test_an_all_black_target_gives_finite_losses() -> None:
    black = torch.zeros(1, 4, 3, 3)
    for kind in StyleLoss:
        assert torch.isfinite(style_loss(black + 1, style_target(gram(black)[0], kind)))
    assert torch.isfinite(content_loss(black + 1, black))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_gradient_of_a_gram_matrix_is_that_of_the_product(dtype: torch.dtype) -> None:
    maps = torch.rand(1, 4, 3, 5, generator=torch.Generator().manual_seed(2)).to(dtype).requires_grad_()
    weights = torch.rand(1, 4, 4, generator=torch.Generator().manual_seed(3))
    wide = maps.detach().double().requires_grad_()
    product = wide.flatten(-2) @ wide.flatten(-2).mT
    (wanted,) = torch.autograd.grad((product * weights).sum(), wide)

    found = gram_sum(maps)
    (gradient,) = torch.autograd.grad((found * weights).sum(), maps)

    assert found.dtype == (torch.float32 if dtype is torch.bfloat16 else dtype)
    torch.testing.assert_close(found.double(), product, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(
        gradient.double(), wanted, rtol=2e-2 if dtype is torch.bfloat16 else 1e-5, atol=1e-6
    )
