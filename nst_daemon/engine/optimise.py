"""Optimisers over one tensor of pixels. No step waits for the device.

Each is told the gradient and changes its variable in place.
"""

from collections import deque
from collections.abc import Iterator, Mapping
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
        """Change `variable` in place, and `gradient` with it. Shapes: `gradient` as `variable`."""
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
        whole = (each.view(-1) for each in (self.variable, self.mean, self.square))
        for variable, mean, square in _bands_of(*whole):  # no copy of the whole picture
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

    It keeps what it knows of earlier steps as `kept`: in bfloat16 half as large.

    A pair of differences whose curvature is not positive is weighted with zero instead of being
    left out: that needs no answer from the device.

    What the first step shall be, nobody knows; normalised by the gradient's L1 norm, it is hardly one. Given
    the inverse curvature of a problem alike, it is a full one.

    Source: Liu and Nocedal 1989, two-loop recursion. Differs: no line search; the first step, without a
        curvature as PyTorch's own.
    """

    def __init__(
        self,
        variable: Tensor,
        *,
        learning_rate: float,
        history: int,
        inverse_curvature: Tensor | None = None,
        kept: torch.dtype | None = None,
    ) -> None:
        self.variable = variable
        self.kept = kept or variable.dtype
        self.learning_rate = learning_rate
        self.is_curvature_known = inverse_curvature is not None
        self.pairs: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=history)  # s, y, 1 / (s·y) or 0
        one = torch.ones((), device=variable.device, dtype=variable.dtype)
        self.scale = one if inverse_curvature is None else inverse_curvature  # of the first Hessian
        self.gradient: Tensor | None = None
        self.moved: Tensor | None = None

    def step(self, gradient: Tensor) -> None:
        """Change `variable` in place. Shapes: `gradient` as `variable`."""
        gradient = gradient.flatten()
        self._note(gradient)
        kept = gradient.to(self.kept)
        step = self._descend(-gradient if kept is gradient else gradient.neg_())
        if self.gradient is None and not self.is_curvature_known:
            length = 1 / step.abs().sum().clamp_min(LEAST)
            step.mul_(length.clamp_max(1.0))
        step.mul_(self.learning_rate)
        self.variable.add_(step.view_as(self.variable))
        self.moved, self.gradient = step.to(self.kept), kept

    def memory(self) -> dict[str, Tensor]:
        """Return the pairs of the history, and the last step. Shapes: (N,) each, and ()."""
        if self.gradient is None or self.moved is None:
            return {"scale": self.scale} if self.is_curvature_known else {}
        memory = {"scale": self.scale, "gradient": self.gradient, "moved": self.moved}
        for number, pair in enumerate(self.pairs):
            memory |= {f"{name}.{number}": part for name, part in zip(PAIR, pair, strict=True)}
        return memory

    def remember(self, memory: Mapping[str, Tensor]) -> None:
        """Go on from what `memory` returned. Shapes: as there."""
        if not memory:
            return
        self.scale, self.is_curvature_known = memory["scale"], True
        if "gradient" not in memory:
            return
        self.gradient, self.moved = memory["gradient"], memory["moved"]
        for number in range((len(memory) - 3) // len(PAIR)):
            moved, change, inverse = (memory[f"{name}.{number}"] for name in PAIR)
            self.pairs.append((moved, change, inverse))

    def _note(self, gradient: Tensor) -> None:
        """Keep how the gradient changed along the last step. Shapes: (N,)."""
        if self.gradient is None or self.moved is None:
            return
        change = torch.empty_like(self.gradient)
        for into, now, before in _bands_of(change, gradient, self.gradient):
            torch.sub(now, before, out=into)
        curvature = _dot(self.moved, change)
        useful = curvature > LEAST_CURVATURE * _dot(self.moved, self.moved)
        inverse = torch.where(useful, 1 / curvature, 0.0)
        self.pairs.append((self.moved, change, inverse))
        self.scale = torch.where(useful, curvature / _dot(change, change).clamp_min(LEAST), self.scale)

    def _descend(self, direction: Tensor) -> Tensor:
        """Return the inverse Hessian's estimate times a direction, which it changes. Shapes: (N,) -> (N,)."""
        alphas: list[Tensor] = []
        for moved, change, inverse in reversed(self.pairs):
            alpha = inverse * _dot(moved, direction)
            _add(direction, change, -alpha)
            alphas.append(alpha)
        direction.mul_(self.scale)
        for (moved, change, inverse), alpha in zip(self.pairs, reversed(alphas), strict=True):
            _add(direction, moved, alpha - inverse * _dot(change, direction))
        return direction


def _bands_of(*vectors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield views of some entries each, the same of all. Shapes: (N,) each -> (n,) each."""
    return zip(*(torch.split(each, BAND) for each in vectors), strict=True)


def _add(vector: Tensor, other: Tensor, times: Tensor) -> None:
    """Add a multiple of another vector, which may be of another type, in place. Shapes: (N,), (N,), ()."""
    for band, part in _bands_of(vector, other):
        band.addcmul_(part, times)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Return the product of two vectors, in no less than float32; of bfloat16 band by band.

    Shapes: (N,), (N,) -> ().
    """
    if one.dtype == other.dtype != torch.bfloat16:
        return one.dot(other)
    products = [each.float().dot(beside.float()) for each, beside in _bands_of(one, other)]
    return torch.stack(products).sum()


class Average:
    """A bias-corrected exponential moving average of the pictures of one scale.

    Source: Polyak averaging, with Adam's correction of the start.
    """

    def __init__(self, like: Tensor, decay: float) -> None:
        self.decay = decay
        self.sum = torch.zeros_like(like) if decay else like.new_zeros(0)
        self.weight = 0.0

    def add(self, picture: Tensor) -> None:
        """Take one more picture in. Shapes: (1, 3, H, W)."""
        self.sum.lerp_(picture, 1 - self.decay)
        self.weight = 1 - (1 - self.weight) * self.decay

    def mean(self) -> Tensor:
        """Return the average. Shapes: -> (1, 3, H, W)."""
        return self.sum / self.weight
