"""Gradient descent at one scale: losses, gradient, optimiser, and the rollback of a step that failed.

Not here: what the picture is painted towards, and where the scales begin (`painter`).
"""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import Optimizer, Recipe
from nst_daemon.engine.clock import Clock
from nst_daemon.engine.optimise import Adam, Average, Lbfgs, Optimiser
from nst_daemon.engine.pixels import Pixels
from nst_daemon.engine.schedule import FRUGAL_HISTORY, LBFGS_HISTORY, Scale
from nst_daemon.errors import CancelledError, EngineError

logger = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]

LOSS_NAMES: Final = ("total", "content", "style", "tv")
READ_EVERY_STEPS: Final = 10  # losses are read back, and the device waited for, this seldom
READ_EVERY_SECONDS: Final = 0.5  # … or this seldom where a step is slow
CAREFUL_TRIES: Final = 6  # halvings of the step before giving up
BLOW_UP: Final = 4.0  # a loss this many times the last one is a failed step
ADAM_BETAS: Final = (0.9, 0.99)  # the second below the usual 0.999: a scale has but tens of steps


def stop_if(should_stop: ShouldStop) -> None:
    """Raise CancelledError once the painting is to stop."""
    if should_stop():
        raise CancelledError("The painting was cancelled.")


class Losses(Protocol):
    """What a scale is painted towards."""

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return total, content, style and total-variation loss, weighted, and the gradient of the total.

        The gradient is a tensor of its own: it may be overwritten, and kept.

        Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W); all on the device.
        """
        ...


@dataclass(frozen=True, slots=True)
class RollbackPoint:
    """A picture to return to, in half precision: two of them are kept, and hardly ever needed."""

    variable: Tensor
    step: int

    @classmethod
    def of(cls, variable: Tensor, step: int) -> "RollbackPoint":
        """Note the variable as it is after `step` steps. Shapes: (1, 3, H, W)."""
        return cls(variable.to(torch.float16), step)


Keep = Callable[["Descent", bool], None]  # told of every sound reading, and of a stop: then with True


class Descent:
    """The steps of one scale, by one optimiser. Lives in the engine's main thread."""

    def __init__(
        self,
        losses: Losses,
        recipe: Recipe,
        scale: Scale,
        start: Tensor,
        inverse_curvature: Tensor | None = None,
        *,
        is_frugal: bool = False,
    ) -> None:
        """Begin at `start`; `inverse_curvature` is what the scale before found.

        If it is frugal, L-BFGS keeps little: for a picture that fits into memory in tiles only.

        Shapes: (1, 3, H, W), ().
        """
        self.losses = losses
        self.recipe = recipe
        self.scale = scale
        self.is_frugal = is_frugal
        self.pixels = Pixels(scale.optimizer)
        self.step_scale = 1.0  # of the learning rate; halved after each failed step
        self.step = 0
        self.last_loss = float("inf")  # of the last sound reading
        self.tries = 0  # failed steps so far
        self.optimiser = self._optimiser(self.pixels.variable(start), inverse_curvature)
        self.average = Average(start, scale.averaging)
        # Losses tell of the picture *before* their step: only the point before the last is proven.
        self.rollback_points = deque([RollbackPoint.of(self.optimiser.variable, 0)], maxlen=2)

    def run(
        self,
        clock: Clock,
        on_progress: OnProgress,
        should_stop: ShouldStop,
        keep: Keep = lambda descent, is_last: None,
    ) -> Tensor:
        """Take all steps of the scale and return its picture, detached. Shapes: (1, 3, H, W)."""
        read_step, read_at = self.step, clock.now()
        while self.step < self.scale.steps:
            try:
                stop_if(should_stop)
                clock.start()
                losses = self._step()
            except CancelledError:  # before the step or between two of its tiles: nothing of it has happened
                keep(self, True)
                raise
            self.step += 1
            last = self.step == self.scale.steps
            soon = self.step - read_step < READ_EVERY_STEPS and clock.now() - read_at < READ_EVERY_SECONDS
            if soon and not last:
                continue
            total, *parts = losses.tolist()
            clock.notice(self.scale, self.step - read_step, clock.now() - read_at)
            if self._is_sound(total, self.last_loss, last=last):
                self.last_loss = total
                self.rollback_points.append(RollbackPoint.of(self.optimiser.variable, self.step))
                named = dict(zip(LOSS_NAMES, (total, *parts), strict=True))
                on_progress(clock.progress(self.scale, self.step, named))
                keep(self, False)
            else:
                self._roll_back(total)
            read_step, read_at = self.step, clock.now()
        return self.result()

    def state(self) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return all that the rest of the scale depends on: numbers and tensors, by name.

        The names are those of a checkpoint of format 1: what an earlier version wrote is read by them.

        Shapes: (1, 3, H, W), and what the optimiser has.
        """
        numbers = {
            "caution": self.step_scale,
            "step": self.step,
            "good": self.last_loss,
            "tries": self.tries,
            "weight": self.average.weight,
        }
        tensors = {f"optimiser.{name}": each for name, each in self.optimiser.memory().items()}
        tensors |= {"variable": self.optimiser.variable, "average": self.average.sum}
        for number, point in enumerate(self.rollback_points):
            numbers[f"mark.{number}"] = point.step
            tensors[f"mark.{number}"] = point.variable
        return numbers, tensors

    def go_on(self, numbers: Mapping[str, float], tensors: Mapping[str, Tensor]) -> None:
        """Go on from what `state` returned, in this process or in another. Shapes: as there."""
        self.step_scale, self.last_loss = numbers["caution"], numbers["good"]
        self.step, self.tries = int(numbers["step"]), int(numbers["tries"])
        self.optimiser = self._optimiser(tensors["variable"])
        part = "optimiser."
        self.optimiser.remember(
            {name.removeprefix(part): each for name, each in tensors.items() if name.startswith(part)}
        )
        self.average.sum, self.average.weight = tensors["average"], numbers["weight"]
        names = sorted(name for name in tensors if name.startswith("mark."))
        points = [RollbackPoint(tensors[name], int(numbers[name])) for name in names]
        self.rollback_points = deque(points, maxlen=2)

    def _step(self) -> Tensor:
        """Take one step and return the losses before it, on the device. Shapes: -> (4,)."""
        variable = self.optimiser.variable
        picture = self.pixels.picture(variable)
        losses, gradient = self.losses(picture)
        gradient = self.pixels.gradient(picture, gradient)
        del picture  # at full resolution each copy counts
        self.optimiser.step(gradient)
        self.pixels.project(variable)
        if self.scale.averaging:
            self.average.add(self.pixels.picture(variable))
        return losses

    def _is_sound(self, total: float, before: float, *, last: bool) -> bool:
        """Whether the steps since the last reading led somewhere: finite, and not far uphill."""
        if not np.isfinite(total) or total > BLOW_UP * before:
            return False
        return not last or bool(torch.isfinite(self.optimiser.variable).all())

    def _roll_back(self, total: float) -> None:
        """Return to the last sound picture, with half the learning rate and no memory."""
        self.tries += 1
        if self.tries > CAREFUL_TRIES:
            raise EngineError(
                f"The loss became {total:g} at {self.scale.width} x {self.scale.height} px, "
                f"and smaller steps did not help.",
                remedy="Lower style_weight or learning_rate, or choose preset: balanced.",
            )
        self.step_scale /= 2
        logger.warning("the loss became %g: going on with steps %g times as long", total, self.step_scale)
        point = self.rollback_points[0]
        self.rollback_points = deque([point], maxlen=2)
        self.step = point.step
        self.optimiser = self._optimiser(point.variable.float())
        self.average = Average(self.optimiser.variable, self.scale.averaging)

    @property
    def inverse_curvature(self) -> Tensor | None:
        """What L-BFGS made out of how far a step leads down, for one pixel; of another optimiser None.

        The losses are means, so that a pixel's part, and its curvature, is the less the more there are.

        Shapes: -> ().
        """
        if not isinstance(self.optimiser, Lbfgs):
            return None
        return self.optimiser.scale / (self.scale.width * self.scale.height)

    def _optimiser(self, variable: Tensor, inverse_curvature: Tensor | None = None) -> Optimiser:
        """Return what moves this variable, without memory of earlier steps.

        Shapes: (1, 3, H, W), () of one pixel.
        """
        if self.scale.optimizer is Optimizer.LBFGS:
            pixels = self.scale.width * self.scale.height
            return Lbfgs(
                variable,
                learning_rate=self.step_scale,
                history=FRUGAL_HISTORY if self.is_frugal else LBFGS_HISTORY,
                kept=torch.bfloat16 if self.is_frugal else None,
                inverse_curvature=None if inverse_curvature is None else inverse_curvature * pixels,
            )
        return Adam(variable, learning_rate=self.recipe.learning_rate * self.step_scale, betas=ADAM_BETAS)

    def result(self) -> Tensor:
        """Return the picture by now, detached. Shapes: (1, 3, H, W)."""
        if self.average.weight:
            return self.average.mean().clamp_(0, 1)
        return self.pixels.picture(self.optimiser.variable)
