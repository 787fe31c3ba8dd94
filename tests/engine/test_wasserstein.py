"""The smoothed Wasserstein loss: against other formulas, and from both sides."""

import pytest
import torch
from torch import Tensor

from nst_daemon.config.recipe import StyleLoss
from nst_daemon.engine import wasserstein
from nst_daemon.engine.losses import gram, gram_sum, style_loss, style_target
from nst_daemon.engine.wasserstein import WassersteinTarget, by_eigenvalues, by_newton_schulz


def maps_of(seed: int, channels: int = 12, entries: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, channels, entries, generator=generator, dtype=torch.float64)


def statistics(seed: int, channels: int = 12, entries: int = 40) -> Tensor:
    return gram_sum(maps_of(seed, channels, entries)[..., None]) / entries


def test_it_is_the_distance_of_gaussians_in_one_dimension() -> None:
    target = WassersteinTarget.of(torch.tensor([[4.0]]))
    assert float(target.loss(torch.tensor([[[9.0]]]))) == pytest.approx((3 - 2) ** 2 / 4, rel=1e-3)


def test_it_is_the_distance_of_another_formula_where_it_is_not_smoothed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wasserstein, "SMOOTHING", 1e-9)
    one, other = statistics(1), statistics(2)[0]
    singular = torch.linalg.svdvals(torch.linalg.cholesky(one[0]).mT @ torch.linalg.cholesky(other))
    wanted = (one[0].trace() + other.trace() - 2 * singular.sum()) / other.trace()
    assert float(WassersteinTarget.of(other).loss(one)) == pytest.approx(float(wanted))


def test_the_style_itself_has_no_loss_and_no_gradient() -> None:
    own = statistics(3)
    # Next to nothing in half of the directions, where the root is smoothed most.
    own[..., 6:] *= 1e-4
    own[..., 6:, :] *= 1e-4
    target = WassersteinTarget.of(own[0])
    loss = target.loss(own.requires_grad_())
    (gradient,) = torch.autograd.grad(loss, own)
    assert loss.item() == pytest.approx(0, abs=1e-9)
    assert gradient.abs().max() < 1e-6


def test_its_gradient_is_right() -> None:
    target = WassersteinTarget.of(statistics(4)[0])
    assert torch.autograd.gradcheck(
        lambda each: target.loss(each @ each.mT / 40), maps_of(5).requires_grad_(), atol=1e-6
    )


@pytest.mark.parametrize("entries", [1, 4, 8])
def test_few_entries_give_the_same_loss_and_gradient_from_their_side(entries: int) -> None:
    target = WassersteinTarget.of(statistics(6)[0].float())
    maps = maps_of(7, entries=entries).float().requires_grad_()
    by_channels = target.loss(maps @ maps.mT / entries)
    by_entries = target.loss_of_maps(maps, entries)
    assert by_entries.item() == pytest.approx(by_channels.item(), rel=1e-3)
    (wanted,) = torch.autograd.grad(by_channels, maps)
    (found,) = torch.autograd.grad(by_entries, maps)
    assert (found - wanted).norm() / wanted.norm() < 1e-2


def test_a_small_map_takes_the_side_of_its_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    target = style_target(statistics(6)[0].float(), StyleLoss.WASSERSTEIN)
    sides: list[int] = []
    exact = wasserstein.by_eigenvalues

    def spy(matrix: Tensor) -> tuple[Tensor, Tensor]:
        sides.append(matrix.shape[-1])
        return exact(matrix)

    monkeypatch.setattr(wasserstein, "by_eigenvalues", spy)
    generator = torch.Generator().manual_seed(8)
    style_loss(torch.rand(1, 12, 2, 2, generator=generator), target)
    style_loss(torch.rand(1, 12, 4, 4, generator=generator), target)
    assert sides == [4, 12]


def test_a_guide_counts_from_either_side() -> None:
    target = style_target(statistics(6)[0].float(), StyleLoss.WASSERSTEIN)
    features = torch.rand(1, 12, 2, 2, generator=torch.Generator().manual_seed(9))
    guide = torch.tensor([[[[1.0, 0.5], [0.0, 0.2]]]])
    by_channels = target.loss(gram(features, guide))
    assert float(style_loss(features, target, guide)) == pytest.approx(float(by_channels), rel=1e-3)


def test_a_map_that_is_not_finite_gives_a_loss_that_is_not() -> None:
    target = style_target(statistics(7)[0].float(), StyleLoss.WASSERSTEIN)
    for side in (2, 4):
        maps = torch.full((1, 12, side, side), torch.nan, requires_grad=True)
        loss = style_loss(maps, target)
        (gradient,) = torch.autograd.grad(loss, maps)
        assert torch.isnan(loss)
        assert torch.isnan(gradient).all()


def test_the_iteration_for_accelerators_finds_nearly_the_same_root() -> None:
    matrix = statistics(8).float()
    trace, inverse = by_eigenvalues(matrix)
    near_trace, near_inverse = by_newton_schulz(matrix)
    torch.testing.assert_close(near_trace, trace, rtol=1e-3, atol=0)
    torch.testing.assert_close(near_inverse @ matrix @ near_inverse, torch.eye(12)[None], rtol=0, atol=0.02)
    torch.testing.assert_close(inverse @ matrix @ inverse, torch.eye(12)[None], rtol=0, atol=1e-3)
