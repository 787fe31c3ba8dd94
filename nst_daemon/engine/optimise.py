"""Optimisers over one tensor of pixels. No step waits for the device.

Each is told the gradient and changes its variable in place.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

import torch
from torch import Tensor

BAND: Final = 1 << 22  # entries at a time: a second copy of a large picture would not fit beside it
EPSILON: Final = 1e-8  # of Adam, as in the paper
LEAST_CURVATURE: Final = 1e-10  # relative to the squared step; below it a difference of gradients is rounding
LEAST: Final = 1e-30  # keeps a division finite where the whole gradient is zero
PAIR: Final = ("moved", "change", "inverse")  # names of what L-BFGS keeps of each step


class Optimiser(Protocol):
    """Moves `variable` along its gradient."""

    variable: Tensor

    def step(self, gradient: Tensor) -> None:
        """Change `variable` in place. Shapes: `gradient` as `variable`."""
        ...

    def memory(self) -> dict[str, Tensor]:
        """Return what the next steps depend on beside `variable`, by name. Shapes: any."""
        ...

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from what `memory` returned. Shapes: as there."""
        ...


class Adam:
    """Adam. Source: Kingma and Ba 2014, arXiv:1412.6980."""

    def __init__(self, variable: Tensor, *, learning_rate: float, betas: tuple[float, float]) -> None:
        self.variable = variable
        self.learning_rate = learning_rate
        self.betas = betas
        self.mean = torch.zeros_like(variable)
        self.square = torch.zeros_like(variable)
        self.steps = 0

    def step(self, gradient: Tensor) -> None:
        """Change `variable` in place. Shapes: `gradient` as `variable`."""
        self.steps += 1
        first, second = self.betas
        self.mean.lerp_(gradient, 1 - first)
        self.square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        rate = -self.learning_rate / (1 - first**self.steps)
        bands = (torch.split(each.view(-1), BAND) for each in (self.variable, self.mean, self.square))
        for variable, mean, square in zip(*bands, strict=True):  # no copy of the whole picture
            root = (square / (1 - second**self.steps)).sqrt_().add_(EPSILON)
            variable.addcdiv_(mean, root, value=rate)

    def memory(self) -> dict[str, Tensor]:
        """Return both moments and the number of steps. Shapes: as `variable`, and ()."""
        return {"mean": self.mean, "square": self.square, "steps": torch.tensor(self.steps)}

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from what `memory` returned. Shapes: as there."""
        self.mean, self.square = memory["mean"], memory["square"]
        self.steps = int(memory["steps"])


class Lbfgs:
    """L-BFGS with a fixed step and one evaluation a step.

    A pair of differences whose curvature is not positive is weighted with zero instead of being
    left out: that needs no answer from the device.

    Source: Liu and Nocedal 1989, two-loop recursion. Differs: no line search; the first step is
        normalised by the gradient's L1 norm, as PyTorch's own does.
    """

    def __init__(self, variable: Tensor, *, learning_rate: float, history: int) -> None:
        self.variable = variable
        self.learning_rate = learning_rate
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=history)  # s, y, 1 / (s·y) or 0
        self.scale = torch.ones((), device=variable.device, dtype=variable.dtype)  # of the first Hessian
        self.gradient: Tensor | None = None
        self.moved: Tensor | None = None

    def step(self, gradient: Tensor) -> None:
        """Change `variable` in place. Shapes: `gradient` as `variable`."""
        gradient = gradient.flatten()
        self._note(gradient)
        direction = self._descend(gradient)
        if self.gradient is None:
            length = 1 / gradient.abs().sum().clamp_min(LEAST)
            direction = direction * length.clamp_max(1.0)
        self.moved = direction * self.learning_rate
        self.gradient = gradient.clone()
        self.variable.add_(self.moved.view_as(self.variable))

    def memory(self) -> dict[str, Tensor]:
        """Return the pairs of the history, and the last step. Shapes: (N,) each, and ()."""
        if self.gradient is None or self.moved is None:
            return {}
        memory = {"scale": self.scale, "gradient": self.gradient, "moved": self.moved}
        for number, pair in enumerate(self.pairs):
            memory |= {f"{name}.{number}": part for name, part in zip(PAIR, pair, strict=True)}
        return memory

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from what `memory` returned. Shapes: as there."""
        if not memory:
            return
        self.scale, self.gradient, self.moved = memory["scale"], memory["gradient"], memory["moved"]
        for number in range((len(memory) - 3) // len(PAIR)):
            moved, change, inverse = (memory[f"{name}.{number}"] for name in PAIR)
            self.pairs.append((moved, change, inverse))

    def _note(self, gradient: Tensor) -> None:
        """Keep how the gradient changed along the last step. Shapes: (N,)."""
        if self.gradient is None or self.moved is None:
            return
        change = gradient - self.gradient
        curvature = self.moved.dot(change)
        useful = curvature > LEAST_CURVATURE * self.moved.dot(self.moved)
        inverse = torch.where(useful, 1 / curvature, 0.0)
        self.pairs.append((self.moved, change, inverse))
        self.scale = torch.where(useful, curvature / change.dot(change).clamp_min(LEAST), self.scale)

    def _descend(self, gradient: Tensor) -> Tensor:
        """Return minus the inverse Hessian's estimate times the gradient. Shapes: (N,) -> (N,)."""
        direction = -gradient
        alphas: list[Tensor] = []
        for moved, change, inverse in reversed(self.pairs):
            alpha = inverse * moved.dot(direction)
            direction = direction - alpha * change
            alphas.append(alpha)
        direction = direction * self.scale
        for (moved, change, inverse), alpha in zip(self.pairs, reversed(alphas), strict=True):
            direction = direction + moved * (alpha - inverse * change.dot(direction))
        return direction


class Average:
    """A bias-corrected exponential moving average of the pictures of one scale.

    Source: Polyak averaging, with Adam's correction of the start.
    """

    def __init__(self, like: Tensor, decay: float) -> None:
        self.decay = decay
        self.sum = torch.zeros_like(like)
        self.weight = 0.0

    def add(self, picture: Tensor) -> None:
        """Take one more picture in. Shapes: (1, 3, H, W)."""
        self.sum.lerp_(picture, 1 - self.decay)
        self.weight = 1 - (1 - self.weight) * self.decay

    def mean(self) -> Tensor:
        """Return the average. Shapes: -> (1, 3, H, W)."""
        return self.sum / self.weight
