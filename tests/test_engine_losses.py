"""The losses against numbers worked out by hand."""

import pytest
import torch
from torch import Tensor

from nst_daemon.engine.losses import (
    RIDGE,
    StyleTarget,
    by_eigenvalues,
    by_newton_schulz,
    content_loss,
    gram,
    gram_sum,
    statistics_loss,
    style_loss,
    total_variation,
)
from nst_daemon.recipe import StyleLoss

# Two channels of a 1 x 2 map: (1, 2) and (3, -1).
MAPS = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]])


def test_a_gram_matrix_is_the_mean_product_of_two_channels() -> None:
    # Half of 1 + 4, of 3 - 2 and of 9 + 1.
    torch.testing.assert_close(gram(MAPS), torch.tensor([[[2.5, 0.5], [0.5, 5.0]]]))


def test_the_content_loss_is_relative_to_the_photos_own_features() -> None:
    # Mean square of the difference 2 is 4; of the target (1, 4, 9, 1)/4 = 3.75.
    torch.testing.assert_close(content_loss(MAPS + 2, MAPS), torch.tensor(4 / 3.75))


def test_the_plain_style_loss_is_relative_to_the_styles_own_gram_matrix() -> None:
    target = StyleTarget.of(gram(MAPS)[0], StyleLoss.GRAM)
    # Doubled maps have four times the Gram matrix: the difference is three times the target.
    torch.testing.assert_close(style_loss(2 * MAPS, target), torch.tensor(9.0))


@pytest.mark.parametrize("kind", list(StyleLoss))
def test_the_style_itself_has_no_style_loss(kind: StyleLoss) -> None:
    maps = torch.rand(1, 8, 5, 5, generator=torch.Generator().manual_seed(0))
    rounding = 1e-5 if kind is StyleLoss.WASSERSTEIN else 1e-9  # roots of eigenvalues near 0
    assert abs(style_loss(maps, StyleTarget.of(gram(maps)[0], kind)).item()) < rounding


def test_whitening_lifts_the_small_directions_of_the_style() -> None:
    statistics = torch.diag(torch.tensor([100.0, 1.0]))
    # One channel pair is off by the same amount in the large and in the small direction.
    large = torch.diag(torch.tensor([110.0, 1.0])).sqrt().view(1, 2, 1, 2) * 2**0.5
    small = torch.diag(torch.tensor([100.0, 11.0])).sqrt().view(1, 2, 1, 2) * 2**0.5
    plain = StyleTarget.of(statistics, StyleLoss.GRAM)
    whitened = StyleTarget.of(statistics, StyleLoss.WHITENED)

    assert style_loss(small, plain) == pytest.approx(style_loss(large, plain).item(), rel=1e-4)
    assert style_loss(small, whitened) > 4 * style_loss(large, whitened)


def test_whitening_takes_the_documented_power() -> None:
    target = StyleTarget.of(torch.diag(torch.tensor([3.0, 1.0])), StyleLoss.WHITENED)
    # Mean eigenvalue 2, floor 0.1 of it: (3/2 + 0.1) ** -0.2 and (1/2 + 0.1) ** -0.2.
    assert target.lens is not None
    torch.testing.assert_close(target.lens, torch.diag(torch.tensor([1.6**-0.2, 0.6**-0.2])))


def test_total_variation_of_a_step_is_worked_out_by_hand() -> None:
    picture = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]]]])
    # Across 1, down 0, both diagonals 1 at half weight.
    assert total_variation(picture).item() == pytest.approx(2.0)


def test_an_all_black_target_gives_finite_losses() -> None:
    black = torch.zeros(1, 4, 3, 3)
    for kind in StyleLoss:
        assert torch.isfinite(style_loss(black + 1, StyleTarget.of(gram(black)[0], kind)))
    assert torch.isfinite(content_loss(black + 1, black))


def _statistics(seed: int, channels: int = 12, entries: int = 40) -> Tensor:
    maps = torch.randn(
        1, channels, entries, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return gram_sum(maps[..., None]) / entries


def test_the_wasserstein_loss_is_the_distance_of_gaussians_in_one_dimension() -> None:
    target = StyleTarget.of(torch.tensor([[4.0]]), StyleLoss.WASSERSTEIN)
    loss = statistics_loss(torch.tensor([[[9.0]]]), target)
    assert float(loss) == pytest.approx((3 - 2) ** 2 / 4, rel=2 * RIDGE)


def test_the_wasserstein_loss_is_that_of_another_formula() -> None:
    one, other = _statistics(1), _statistics(2)[0]
    target = StyleTarget.of(other, StyleLoss.WASSERSTEIN)
    ridge = torch.eye(12) * RIDGE * torch.linalg.eigvalsh(other)[-1]
    singular = torch.linalg.svdvals(
        torch.linalg.cholesky(one[0] + ridge).mT @ torch.linalg.cholesky(other + ridge)
    )
    wanted = (one[0].trace() + other.trace() + 2 * ridge.trace() - 2 * singular.sum()) / other.trace()
    assert float(statistics_loss(one, target)) == pytest.approx(float(wanted))


def test_the_wasserstein_loss_of_the_style_itself_is_zero() -> None:
    statistics = _statistics(3)
    target = StyleTarget.of(statistics[0], StyleLoss.WASSERSTEIN)
    assert float(statistics_loss(statistics, target)) == pytest.approx(0, abs=1e-9)


def test_the_gradient_of_the_wasserstein_loss_is_right() -> None:
    target = StyleTarget.of(_statistics(4)[0], StyleLoss.WASSERSTEIN)
    maps = torch.randn(1, 12, 40, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda each: statistics_loss(each @ each.mT / 40, target), maps.requires_grad_(), atol=1e-6
    )


def test_the_wasserstein_loss_of_a_map_with_fewer_pixels_than_channels_has_a_finite_gradient() -> None:
    target = StyleTarget.of(_statistics(6)[0].float(), StyleLoss.WASSERSTEIN)
    maps = torch.rand(1, 12, 2, 2, requires_grad=True)
    (gradient,) = torch.autograd.grad(style_loss(maps, target), maps)
    assert torch.isfinite(gradient).all()
    assert gradient.abs().max() > 0


def test_a_map_that_is_not_finite_gives_a_loss_that_is_not() -> None:
    target = StyleTarget.of(_statistics(7)[0].float(), StyleLoss.WASSERSTEIN)
    maps = torch.full((1, 12, 4, 4), torch.nan, requires_grad=True)
    loss = style_loss(maps, target)
    (gradient,) = torch.autograd.grad(loss, maps)
    assert torch.isnan(loss)
    assert torch.isnan(gradient).all()


def test_the_iteration_for_accelerators_finds_nearly_the_same_root() -> None:
    matrix = _statistics(8).float()
    trace, inverse = by_eigenvalues(matrix)
    near_trace, near_inverse = by_newton_schulz(matrix)
    torch.testing.assert_close(near_trace, trace, rtol=1e-3, atol=0)
    torch.testing.assert_close(near_inverse @ matrix @ near_inverse, torch.eye(12)[None], rtol=0, atol=0.02)
    torch.testing.assert_close(inverse @ matrix @ inverse, torch.eye(12)[None], rtol=0, atol=1e-3)
