"""One photo, some styles and a recipe in; a painting out: the pyramid of scales and the loop of steps.

The painter lives as long as the engine's process. It keeps the network and the style targets.
"""

import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_daemon.colors import match_colors
from nst_daemon.engine.losses import StyleTarget, content_loss, gram, style_loss, total_variation
from nst_daemon.engine.optimise import Adam, Average, Lbfgs, Optimiser
from nst_daemon.engine.pixels import Pixels, cover, resize, to_array, to_tensor
from nst_daemon.engine.schedule import Scale, fit, plan
from nst_daemon.engine.vgg import Trunk, least_side
from nst_daemon.errors import CancelledError, EngineError
from nst_daemon.recipe import Init, Optimizer, PreserveColor, Progress, Recipe, StartColors

logger = logging.getLogger(__name__)

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1
OnProgress = Callable[[Progress], None]
ShouldStop = Callable[[], bool]

LOSS_NAMES: Final = ("total", "content", "style", "tv")
READ_EVERY_STEPS: Final = 10  # losses are read back, and the device waited for, this seldom
READ_EVERY_SECONDS: Final = 0.5  # … or this seldom where a step is slow
CAREFUL_TRIES: Final = 6  # halvings of the learning rate before giving up
BLOW_UP: Final = 4.0  # a loss this many times the last one is a failed step
ADAM_BETAS: Final = (0.9, 0.99)
LBFGS_HISTORY: Final = 20  # more changes little (measured), and costs memory
KEPT_TARGETS: Final = 64  # style targets of this many pairs of style and scale; 1.4 MB each


@dataclass(frozen=True, slots=True)
class StyleSource:
    """One style picture, its share, and the name under which its targets are kept."""

    rgb: Picture
    weight: float
    identity: str  # sha256 of the picture's bytes


@dataclass(frozen=True, slots=True)
class Goal:
    """What one scale is painted towards."""

    content: Mapping[str, Tensor]  # layer -> (1, C, H, W)
    style: Mapping[str, StyleTarget]


class Clock:
    """Counts the work done over all scales, for progress and the time left."""

    def __init__(self, scales: tuple[Scale, ...]) -> None:
        self.scales = scales
        self.work = sum(scale.work for scale in scales)
        self.started: float | None = None

    def start(self) -> None:
        """Note the moment of the first step; later calls change nothing."""
        self.started = self.started or time.monotonic()

    def progress(self, scale: Scale, step: int, losses: Mapping[str, float]) -> Progress:
        """Return where the painting stands after `step` steps of this scale."""
        before = self.scales[: scale.number - 1]
        done = sum(each.work for each in before) + scale.width * scale.height * step
        fraction = done / self.work
        seconds = time.monotonic() - (self.started or time.monotonic())
        return Progress(
            scale=scale.number,
            scales=len(self.scales),
            width=scale.width,
            height=scale.height,
            step=sum(each.steps for each in before) + step,
            steps=sum(each.steps for each in self.scales),
            fraction=fraction,
            losses=losses,
            seconds=seconds,
            eta_seconds=seconds * (1 - fraction) / fraction,
        )


@dataclass(frozen=True, slots=True)
class Mark:
    """A place to go back to."""

    variable: Tensor
    step: int


class Painter:
    """Paints pictures with one network on one device. Not thread-safe."""

    def __init__(self, trunk: Trunk, device: torch.device) -> None:
        self.trunk = trunk.to(device)
        self.device = device
        self._grams: OrderedDict[tuple[object, ...], dict[str, Tensor]] = OrderedDict()

    def paint(
        self,
        photo: Picture,
        styles: Sequence[StyleSource],
        recipe: Recipe,
        *,
        size: tuple[int, int],
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> Picture:
        """Return the painting, `size` = (width, height) px.

        Shapes: photo (H, W, 3) -> (height, width, 3).

        Raises:
            CancelledError: `should_stop` said so.
            EngineError: the losses stayed without a finite value.
        """
        width, height = size
        scales = plan(width, height, recipe)
        clock = Clock(scales)
        content = to_tensor(photo, self.device)
        generator = torch.Generator().manual_seed(recipe.seed)
        picture: Tensor | None = None
        for scale in scales:
            if picture is None:
                picture = self._first(content, styles, recipe, scale, generator)
            picture = resize(picture, scale.width, scale.height)
            goal = self._goal(content, styles, recipe, scale)
            climb = Climb(self.trunk, goal, recipe, scale, picture)
            picture = climb.run(clock, on_progress, should_stop)
        assert picture is not None
        return to_array(picture)

    def _first(
        self,
        content: Tensor,
        styles: Sequence[StyleSource],
        recipe: Recipe,
        scale: Scale,
        generator: torch.Generator,
    ) -> Tensor:
        """Return the picture that the first scale starts from. Shapes: (1, 3, H, W)."""
        shape = (1, 3, scale.height, scale.width)
        if recipe.init is Init.NOISE:
            # Drawn on the CPU, so that a seed means the same on every device.
            return torch.rand(shape, generator=generator).mul_(0.5).add_(0.25).to(self.device)
        if recipe.init is Init.STYLE:
            return cover(to_tensor(styles[0].rgb, self.device), scale.width, scale.height)
        start = resize(content, scale.width, scale.height)
        if recipe.start_colors is StartColors.PHOTO or recipe.preserve_color is not PreserveColor.OFF:
            return start
        weights = torch.tensor([style.weight for style in styles])
        recoloured = [match_colors(to_array(start), style.rgb) for style in styles]
        mixed = sum(
            share * to_tensor(picture, self.device)
            for share, picture in zip((weights / weights.sum()).tolist(), recoloured, strict=True)
        )
        assert isinstance(mixed, Tensor)
        return mixed

    @torch.no_grad()
    def _goal(self, content: Tensor, styles: Sequence[StyleSource], recipe: Recipe, scale: Scale) -> Goal:
        photo = resize(content, scale.width, scale.height)
        features = self.trunk(photo, recipe.content_layers, recipe.pooling) if recipe.content_layers else {}
        in_all = sum(style.weight for style in styles)
        each = [self._grams_of(style, recipe, scale) for style in styles]
        shares = [style.weight / in_all for style in styles]
        targets = {
            layer: StyleTarget.of(
                torch.stack([share * grams[layer] for share, grams in zip(shares, each, strict=True)]).sum(0),
                recipe.style_loss,
            )
            for layer in recipe.style_layers
        }
        return Goal(features, targets)

    def _grams_of(self, style: StyleSource, recipe: Recipe, scale: Scale) -> dict[str, Tensor]:
        """Return the style's Gram matrices at this scale, kept from an earlier picture if possible."""
        longer = round(max(scale.width, scale.height) * recipe.style_scale)
        width, height = fit(style.rgb.shape[1], style.rgb.shape[0], longer)
        if longer > max(style.rgb.shape[:2]):  # enlarging it would teach the network blur
            height, width = style.rgb.shape[:2]
        least = least_side(recipe.style_layers)
        size = max(width, least), max(height, least)
        key = (style.identity, size, recipe.style_layers, recipe.pooling)
        if key not in self._grams:
            picture = resize(to_tensor(style.rgb, self.device), *size)
            features = self.trunk(picture, recipe.style_layers, recipe.pooling)
            self._grams[key] = {layer: gram(features[layer])[0] for layer in recipe.style_layers}
            if len(self._grams) > KEPT_TARGETS:
                self._grams.popitem(last=False)
        self._grams.move_to_end(key)
        return self._grams[key]


class Climb:
    """The steps of one scale."""

    def __init__(self, trunk: Trunk, goal: Goal, recipe: Recipe, scale: Scale, start: Tensor) -> None:
        self.trunk = trunk
        self.goal = goal
        self.recipe = recipe
        self.scale = scale
        self.layers = tuple(dict.fromkeys((*recipe.content_layers, *recipe.style_layers)))
        self.pixels = Pixels(scale.optimizer)
        self.caution = 1.0  # halved after each failed step
        self.optimiser = self._optimiser(self.pixels.variable(start))
        self.average = Average(start, scale.averaging)

    def run(self, clock: Clock, on_progress: OnProgress, should_stop: ShouldStop) -> Tensor:
        """Take all steps of the scale and return its picture, detached. Shapes: (1, 3, H, W)."""
        # Losses tell of the picture *before* their step: only the mark before the last is proven.
        marks = deque([Mark(self.optimiser.variable.clone(), 0)], maxlen=2)
        good, tries, step, read_step, read_at = float("inf"), 0, 0, 0, time.monotonic()
        while step < self.scale.steps:
            if should_stop():
                raise CancelledError("The painting was cancelled.")
            clock.start()
            losses = self._step()
            step += 1
            last = step == self.scale.steps
            soon = step - read_step < READ_EVERY_STEPS and time.monotonic() - read_at < READ_EVERY_SECONDS
            if soon and not last:
                continue
            total, *parts = losses.tolist()
            if self._is_sound(total, good, last=last):
                good = total
                marks.append(Mark(self.optimiser.variable.clone(), step))
                on_progress(
                    clock.progress(self.scale, step, dict(zip(LOSS_NAMES, (total, *parts), strict=True)))
                )
            else:
                tries += 1
                self._go_back(marks[0], tries, total)
                marks = deque([marks[0]], maxlen=2)
                step = marks[0].step
            read_step, read_at = step, time.monotonic()
        return self._result()

    def _step(self) -> Tensor:
        """Take one step and return the losses before it, on the device. Shapes: -> (4,)."""
        variable = self.optimiser.variable.requires_grad_()
        losses = self._losses(self.pixels.picture(variable))
        (gradient,) = torch.autograd.grad(losses[0], variable)
        variable.requires_grad_(False)
        self.optimiser.step(gradient.contiguous())
        self.pixels.project(variable)
        if self.scale.averaging:
            self.average.add(self.pixels.picture(variable))
        return losses.detach()

    def _losses(self, picture: Tensor) -> Tensor:
        """Return total, content, style and total-variation loss, weighted. Shapes: (1, 3, H, W) -> (4,)."""
        recipe = self.recipe
        features = self.trunk(picture, self.layers, recipe.pooling)
        zero = picture.new_zeros(())
        content = sum((content_loss(features[k], t) for k, t in self.goal.content.items()), zero)
        style = sum((style_loss(features[k], t) for k, t in self.goal.style.items()), zero)
        content = content * (self.scale.content_weight / max(1, len(self.goal.content)))
        style = style * (recipe.style_weight / len(self.goal.style))
        tv = total_variation(picture) * recipe.tv_weight
        return torch.stack([content + style + tv, content, style, tv])

    def _is_sound(self, total: float, before: float, *, last: bool) -> bool:
        """Whether the steps since the last reading led somewhere: finite, and not far uphill."""
        if not np.isfinite(total) or total > BLOW_UP * before:
            return False
        return not last or bool(torch.isfinite(self.optimiser.variable).all())

    def _go_back(self, mark: Mark, tries: int, total: float) -> None:
        """Return to the last sound picture, with half the learning rate and no memory."""
        if tries > CAREFUL_TRIES:
            raise EngineError(
                f"The loss became {total:g} at {self.scale.width} x {self.scale.height} px, "
                f"and smaller steps did not help.",
                remedy="Lower style_weight or learning_rate, or choose preset: balanced.",
            )
        self.caution /= 2
        logger.warning("the loss became %g: going on with steps %g times as long", total, self.caution)
        self.optimiser = self._optimiser(mark.variable.clone())
        self.average = Average(mark.variable, self.scale.averaging)

    def _optimiser(self, variable: Tensor) -> Optimiser:
        if self.scale.optimizer is Optimizer.LBFGS:
            return Lbfgs(variable, learning_rate=self.caution, history=LBFGS_HISTORY)
        return Adam(variable, learning_rate=self.recipe.learning_rate * self.caution, betas=ADAM_BETAS)

    def _result(self) -> Tensor:
        if self.average.weight:
            return self.average.mean().clamp(0, 1)
        return self.pixels.picture(self.optimiser.variable).detach()
