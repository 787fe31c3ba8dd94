"""Our optimisers against PyTorch's, and on problems with a known answer."""

import pytest
import torch

from nst_daemon.engine.optimise import Adam, Average, Lbfgs

TARGET = torch.tensor([3.0, -1.0, 0.5, 2.0])
CURVATURE = torch.tensor([1.0, 10.0, 0.3, 50.0])


def _gradient(variable: torch.Tensor) -> torch.Tensor:
    return CURVATURE * (variable - TARGET) + 0.1 * (variable - TARGET) ** 3


def test_adam_takes_the_steps_of_pytorchs_adam() -> None:
    ours, theirs = torch.zeros(4), torch.zeros(4, requires_grad=True)
    adam = Adam(ours, learning_rate=0.02, betas=(0.9, 0.99))
    reference = torch.optim.Adam([theirs], lr=0.02, betas=(0.9, 0.99))
    for _ in range(25):
        adam.step(_gradient(ours))
        theirs.grad = _gradient(theirs.detach())
        reference.step()
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-4, atol=1e-5)


def test_lbfgs_takes_the_steps_of_pytorchs_lbfgs() -> None:
    ours, theirs = torch.zeros(4, dtype=torch.double), torch.zeros(4, dtype=torch.double, requires_grad=True)
    lbfgs = Lbfgs(ours, learning_rate=1.0, history=20)
    reference = torch.optim.LBFGS([theirs], lr=1.0, max_iter=10, max_eval=100, history_size=20)

    def closure() -> float:
        theirs.grad = _gradient(theirs.detach())
        return float((theirs.detach() - TARGET).square().sum())

    reference.step(closure)  # type: ignore[no-untyped-call]
    for _ in range(10):
        lbfgs.step(_gradient(ours))
    torch.testing.assert_close(ours, theirs.detach(), rtol=1e-6, atol=1e-8)


def test_lbfgs_finds_the_bottom_of_an_ill_shaped_valley() -> None:
    variable = torch.zeros(4)
    lbfgs = Lbfgs(variable, learning_rate=1.0, history=10)
    for _ in range(40):
        lbfgs.step(_gradient(variable))
    torch.testing.assert_close(variable, TARGET, rtol=1e-3, atol=1e-3)


def test_lbfgs_survives_a_gradient_that_does_not_change() -> None:
    variable = torch.zeros(3)
    lbfgs = Lbfgs(variable, learning_rate=1.0, history=5)
    for _ in range(6):
        lbfgs.step(torch.ones(3))
    assert torch.isfinite(variable).all()
    assert (variable < 0).all()


def test_lbfgs_keeps_no_more_than_its_history() -> None:
    lbfgs = Lbfgs(torch.zeros(2), learning_rate=0.1, history=3)
    for step in range(8):
        lbfgs.step(torch.tensor([1.0 + step, 2.0]))
    assert len(lbfgs.pairs) == 3


def test_the_average_of_a_constant_is_that_constant_from_the_start() -> None:
    average = Average(torch.zeros(2), decay=0.9)
    for _ in range(3):
        average.add(torch.tensor([2.0, -1.0]))
        torch.testing.assert_close(average.mean(), torch.tensor([2.0, -1.0]))


def test_the_average_weighs_by_its_decay() -> None:
    average = Average(torch.zeros(1), decay=0.5)
    average.add(torch.tensor([0.0]))
    average.add(torch.tensor([3.0]))
    # Weights 0.25 and 0.5, divided by 0.75.
    assert average.mean().item() == pytest.approx(2.0)


def test_with_a_known_curvature_the_first_step_of_lbfgs_is_a_full_one() -> None:
    known, unknown = torch.zeros(4), torch.zeros(4)
    Lbfgs(known, learning_rate=1.0, history=5, inverse_curvature=torch.tensor(0.02)).step(_gradient(known))
    Lbfgs(unknown, learning_rate=1.0, history=5).step(_gradient(unknown))
    torch.testing.assert_close(known, -0.02 * _gradient(torch.zeros(4)))
    assert unknown.abs().sum() <= 1.0


def test_lbfgs_remembers_its_curvature_before_the_first_step() -> None:
    first = Lbfgs(torch.zeros(4), learning_rate=1.0, history=5, inverse_curvature=torch.tensor(0.02))
    again = Lbfgs(torch.zeros(4), learning_rate=1.0, history=5)
    again.remember(first.memory())
    for lbfgs in (first, again):
        lbfgs.step(_gradient(torch.zeros(4)))
    torch.testing.assert_close(again.variable, first.variable, rtol=0, atol=0)
