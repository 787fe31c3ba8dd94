"""One photo, some styles and a recipe in; a painting out, from scale to scale.

The painter lives as long as the engine's process. It keeps the network and the style targets.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_daemon.config.recipe import Recipe
from nst_daemon.engine import cuda_graphs
from nst_daemon.engine.budget import Budget, Plan
from nst_daemon.engine.checkpoint import Checkpoint, State
from nst_daemon.engine.clock import Clock
from nst_daemon.engine.costs import GUESS_ON_ACCELERATOR, GUESS_ON_CPU, Speed, costs_of
from nst_daemon.engine.descent import Descent, Keep, Losses, OnProgress, ShouldStop, stop_if
from nst_daemon.engine.losses import Guided, WholeLosses
from nst_daemon.engine.palette import Palette
from nst_daemon.engine.pixels import resize, to_array
from nst_daemon.engine.preview import NO_PREVIEW, Preview
from nst_daemon.engine.regions import RegionSource, StyleSource, guides_of, normalised
from nst_daemon.engine.schedule import Scale, counting_at
from nst_daemon.engine.starts import Starts
from nst_daemon.engine.styles import Styles
from nst_daemon.engine.subject import Subject
from nst_daemon.engine.tiles import TiledLosses
from nst_daemon.engine.trial import Stage, Trial
from nst_daemon.engine.vgg import Trunk
from nst_daemon.system import malloc

logger = logging.getLogger(__name__)

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1


@dataclass(frozen=True, slots=True)
class Work:
    """One painting: of what, in what, how, and how long it takes."""

    subject: Subject
    parts: Sequence[RegionSource]
    recipe: Recipe
    plan: Plan
    clock: Clock
    should_stop: ShouldStop


class Painter:
    """Paints pictures with one network on one device. Not thread-safe."""

    def __init__(
        self,
        trunk: Trunk,
        device: torch.device,
        *,
        targets_dir: Path | None = None,
        captures: bool = False,
        speed: Speed | None = None,
        trial: Trial | None = None,
    ) -> None:
        self.device = device
        self.trial = trial  # which may find another network
        self._targets_dir = targets_dir
        self.speed = speed or (GUESS_ON_CPU if device.type == "cpu" else GUESS_ON_ACCELERATOR)
        self.now: Callable[[], float] = time.monotonic
        self.use(trunk, captures)

    def use(self, trunk: Trunk, captures: bool) -> None:
        """Compute by this network from now on."""
        self.trunk = trunk.to(self.device)
        self.captures = captures  # the kernels of small scales, as CUDA graphs
        self.styles = Styles(self.trunk, self.device, self._targets_dir)

    def paint(
        self,
        photo: Picture,
        styles: Sequence[StyleSource],
        recipe: Recipe,
        *,
        size: tuple[int, int],
        on_progress: OnProgress,
        should_stop: ShouldStop,
        regions: Sequence[RegionSource] = (),
        content_guide: NDArray[np.float32] | None = None,
        memory: int | None = None,
        checkpoint: Checkpoint | None = None,
        preview: Preview = NO_PREVIEW,
    ) -> Picture:
        """Return the painting, `size` = (width, height) px; `styles` hold where no region does.

        A `content_guide`, of any size, says how many times the photo counts where.

        A scale that would take more than `memory` bytes is painted in tiles. With a `checkpoint` the painting
        goes on from where an earlier attempt stood.

        Shapes: photo (H, W, 3) -> (height, width, 3).

        Raises:
            CancelledError: `should_stop` said so.
            EngineError: the losses stayed without a finite value.
        """
        plan, reached = self._planned(size, recipe, memory, len(regions), checkpoint)
        subject, parts = Subject.of(photo, content_guide, self.device), normalised(styles, regions)
        work = Work(subject, parts, recipe, plan, self._clock(plan, recipe, parts, reached), should_stop)
        keep = _keeper(checkpoint, preview, work.clock, plan.budget)
        picture: Tensor | None = None
        start: Tensor | None
        inverse_curvature: Tensor | None = None  # of the scale before
        for scale in plan.scales[reached.scale - 1 if reached else 0 :]:
            palette = Palette.of(parts, scale, self.device)
            losses = self._tried(work, scale, palette, reached)
            start = palette(self._start(work, scale, picture, reached))
            is_frugal = not plan.is_whole(scale)
            descent = Descent(losses, recipe, scale, start, inverse_curvature, is_frugal=is_frugal)
            start = picture = None  # the descent has its own: at full resolution each copy counts
            if reached is not None:
                descent.go_on(reached.numbers, reached.tensors)
                reached = None
            picture = palette(self._descended(descent, work, on_progress, keep))
            inverse_curvature = descent.inverse_curvature
            del losses, descent  # before the next scale makes its own
        assert picture is not None
        return to_array(picture)

    def _planned(
        self,
        size: tuple[int, int],
        recipe: Recipe,
        memory: int | None,
        regions: int,
        checkpoint: Checkpoint | None,
    ) -> tuple[Plan, State | None]:
        """Return how to paint, and from where; as the earlier attempt did, where memory allows it."""
        plan = Plan.of(size, recipe, self._budget(recipe, memory, regions))
        reached = checkpoint.load(self.device) if checkpoint else None
        if reached is None:
            return plan, None
        # What the first painting of an install began with may take twice the bytes of what it goes on with.
        entry = int(reached.numbers.get("entry", self.trunk.entry_bytes))
        earlier = Plan.of(size, recipe, self._budget(recipe, reached.memory, regions, entry))
        fits = memory is None or (reached.memory is not None and reached.memory <= memory)
        if (fits and entry >= self.trunk.entry_bytes) or earlier.sides == plan.sides:
            plan = earlier
        if earlier.scales != plan.scales:
            logger.info("less memory is free than before: the painting begins anew")
            return plan, None
        logger.info("going on from %.0f s of work", reached.seconds)
        return plan, reached

    def _descended(self, descent: Descent, work: Work, on_progress: OnProgress, keep: Keep) -> Tensor:
        """Return the picture behind the last step, and know the device better. Shapes: -> (1, 3, H, W)."""
        try:
            return descent.run(work.clock, on_progress, work.should_stop, keep)
        finally:
            self.speed = work.clock.learned

    def _clock(
        self, plan: Plan, recipe: Recipe, parts: Sequence[RegionSource], reached: State | None
    ) -> Clock:
        costs = costs_of(plan, recipe, _sizes(parts), len(parts) - 1)
        spent = reached.seconds if reached else 0.0
        return Clock(plan.scales, costs, self.speed, spent=spent, now=self.now)

    def _budget(self, recipe: Recipe, memory: int | None, regions: int, entry: int | None = None) -> Budget:
        return Budget(recipe, memory, regions=regions, entry=entry or self.trunk.entry_bytes)

    def _tried(self, work: Work, scale: Scale, palette: Palette, reached: State | None) -> Losses:
        """Return what a scale is painted towards; its steps, from where it was left, may be the trial."""

        def towards(painter: Painter) -> Losses:
            return painter._losses(work, scale, palette)

        if self.trial is None:
            return towards(self)
        stage = Stage(
            scale=scale,
            steps=scale.steps - (int(reached.numbers["step"]) if reached else 0),
            is_whole=work.plan.is_whole(scale),
            own=partial(towards, self),
            by=lambda trunk, captures: towards(Painter(trunk, self.device, captures=captures)),
            use=self.use,
            decided=work.clock.forget,  # what the trial of several networks took tells of none
            should_stop=work.should_stop,
        )
        losses = self.trial.losses(stage)
        to_come = work.plan.scales[scale.number - 1 :]
        work.clock.outlook = self.trial.outlook((each, work.plan.is_whole(each)) for each in to_come)
        return losses

    def _start(self, work: Work, scale: Scale, picture: Tensor | None, reached: State | None) -> Tensor:
        """Return what a scale starts from, given the picture of the one before, if there is one.

        Shapes: (1, 3, h, w) -> (1, 3, scale.height, scale.width).
        """
        if reached is not None:  # the checkpoint has it
            return torch.zeros(1, 3, scale.height, scale.width, device=self.device)
        starts = Starts(work.subject.photo, work.parts, work.recipe)
        return starts.first(scale) if picture is None else starts.grown(picture, scale, self.styles)

    def _losses(self, work: Work, scale: Scale, palette: Palette) -> Losses:
        """Return what the picture of a scale is painted towards."""
        subject, parts, budget = work.subject, work.parts, work.plan.budget
        photo = resize(subject.photo, scale.width, scale.height)
        recipe = counting_at(scale, work.recipe, _sizes(parts))
        style: dict[str, list[Guided]] = {layer: [] for layer in recipe.style_layers}
        for part in parts:
            guides = guides_of(part, recipe.style_layers, scale.width, scale.height, self.device)
            for layer, target in self.styles.targets(part.styles, recipe, scale, budget).items():
                weighed = target if part.mask is None else target.weighing(part.share)
                style[layer].append((guides[layer], weighed))
        side = budget.tile_side(scale.width, scale.height, steps=scale.steps)
        # Where memory is scarce, kept blocks would leave holes that the next ones do not fit into.
        malloc.keep_blocks(malloc.LARGE if side is None else malloc.SMALL)
        losses_of: Callable[..., Losses] = WholeLosses
        if side is not None:
            logger.info("%d x %d px are painted in tiles of %d px", scale.width, scale.height, side)
            losses_of = partial(TiledLosses, side=side, on_tile=partial(stop_if, work.should_stop))
        losses = losses_of(
            self.trunk,
            photo,
            style,
            recipe,
            content_weight=scale.content_weight,
            content_guides=subject.guides(recipe.content_layers, scale),
        )
        losses = palette.limiting(losses)
        is_small = side is None and scale.width * scale.height <= cuda_graphs.MOST_PIXELS
        return cuda_graphs.Captured(losses, photo) if self.captures and is_small else losses


def _sizes(parts: Sequence[RegionSource]) -> list[tuple[int, int]]:
    """Return the width and height in px of the style pictures of all parts."""
    return [(style.rgb.shape[1], style.rgb.shape[0]) for part in parts for style in part.styles]


def _keeper(checkpoint: Checkpoint | None, preview: Preview, clock: Clock, budget: Budget) -> Keep:
    """Return what shows a descent, and writes it down, from time to time."""

    def keep(descent: Descent, is_last: bool) -> None:
        if not is_last:
            preview.look(descent.result, is_scale_over=descent.step == descent.scale.steps)
        if checkpoint is None or not checkpoint.is_due(is_last=is_last):
            return
        numbers, tensors = descent.state()
        if torch.isfinite(tensors["variable"]).all():
            checkpoint.save(
                State(
                    scale=descent.scale.number,
                    seconds=clock.seconds,
                    memory=budget.memory,
                    numbers={**numbers, "entry": budget.entry},
                    tensors=tensors,
                )
            )

    return keep
