"""One photo, some styles and a recipe in; a painting out: what each scale starts from and is painted towards.

The painter lives as long as the engine's process. It keeps the network and the style targets.
"""

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_daemon.config.recipe import Init, PreserveColor, Recipe, StartColors
from nst_daemon.engine import cuda_graphs
from nst_daemon.engine.budget import Budget, Plan
from nst_daemon.engine.checkpoint import Checkpoint, State
from nst_daemon.engine.clock import Clock
from nst_daemon.engine.costs import GUESS_ON_ACCELERATOR, GUESS_ON_CPU, Speed, costs_of
from nst_daemon.engine.descent import Descent, Keep, Losses, OnProgress, ShouldStop, stop_if
from nst_daemon.engine.losses import Guided, WholeLosses
from nst_daemon.engine.palette import Palette
from nst_daemon.engine.pixels import cover, resize, to_array, to_tensor
from nst_daemon.engine.preview import NO_PREVIEW, Preview
from nst_daemon.engine.regions import RegionSource, StyleSource, guides_of, normalised
from nst_daemon.engine.schedule import Scale, counting_at
from nst_daemon.engine.styles import Styles
from nst_daemon.engine.subject import Subject
from nst_daemon.engine.tiles import TiledLosses
from nst_daemon.engine.trial import Stage, Trial
from nst_daemon.engine.vgg import Trunk
from nst_daemon.images.colors import match_colors
from nst_daemon.system import malloc

logger = logging.getLogger(__name__)

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1


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
        clock = self._clock(plan, recipe, parts, reached)
        picture: Tensor | None = None
        start: Tensor | None
        inverse_curvature: Tensor | None = None  # of the scale before
        for scale in plan.scales[reached.scale - 1 if reached else 0 :]:
            palette = Palette.of(parts, scale, self.device)
            losses = self._tried(subject, parts, recipe, scale, palette, plan, clock, should_stop, reached)
            start = palette(self._start(picture, subject.photo, parts, recipe, scale, reached))
            is_frugal = plan.sides[scale.number - 1] is not None
            descent = Descent(losses, recipe, scale, start, inverse_curvature, is_frugal=is_frugal)
            start = picture = None  # the descent has its own: at full resolution each copy counts
            if reached is not None:
                descent.go_on(reached.numbers, reached.tensors)
                reached = None
            keep = _keeper(checkpoint, preview, clock, plan.budget)
            picture = palette(self._descended(descent, clock, on_progress, should_stop, keep))
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
    ) -> tuple["Plan", State | None]:
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

    def _descended(
        self, descent: Descent, clock: Clock, on_progress: OnProgress, should_stop: ShouldStop, keep: Keep
    ) -> Tensor:
        """Return the picture behind the last step, and know the device better. Shapes: -> (1, 3, H, W)."""
        try:
            return descent.run(clock, on_progress, should_stop, keep)
        finally:
            self.speed = clock.learned

    def _clock(
        self, plan: Plan, recipe: Recipe, parts: Sequence[RegionSource], reached: State | None
    ) -> Clock:
        costs = costs_of(plan, recipe, _sizes(parts), len(parts) - 1)
        spent = reached.seconds if reached else 0.0
        return Clock(plan.scales, costs, self.speed, spent=spent, now=self.now)

    def _budget(self, recipe: Recipe, memory: int | None, regions: int, entry: int | None = None) -> Budget:
        return Budget(recipe, memory, regions=regions, entry=entry or self.trunk.entry_bytes)

    def _tried(
        self,
        subject: Subject,
        parts: Sequence[RegionSource],
        recipe: Recipe,
        scale: Scale,
        palette: Palette,
        plan: Plan,
        clock: Clock,
        should_stop: ShouldStop,
        reached: State | None,
    ) -> Losses:
        """Return what a scale is painted towards; its steps, from where it was left, may be the trial."""

        def towards(painter: Painter) -> Losses:
            return painter._losses(subject, parts, recipe, scale, palette, plan.budget, should_stop)

        if self.trial is None:
            return towards(self)
        stage = Stage(
            scale=scale,
            steps=scale.steps - (int(reached.numbers["step"]) if reached else 0),
            is_whole=plan.sides[scale.number - 1] is None,
            own=partial(towards, self),
            by=lambda trunk, captures: towards(Painter(trunk, self.device, captures=captures)),
            use=self.use,
            decided=clock.forget,  # what the trial of several networks took tells of none
            should_stop=should_stop,
        )
        losses = self.trial.losses(stage)
        to_come = list(zip(plan.scales, plan.sides, strict=True))[scale.number - 1 :]
        clock.outlook = self.trial.outlook((each, side is None) for each, side in to_come)
        return losses

    def _start(
        self,
        picture: Tensor | None,
        photo: Tensor,
        parts: Sequence[RegionSource],
        recipe: Recipe,
        scale: Scale,
        reached: State | None,
    ) -> Tensor:
        """Return what a scale starts from, given the picture of the one before, if there is one.

        Shapes: (1, 3, h, w), (1, 3, H, W) -> (1, 3, scale.height, scale.width).
        """
        if reached is not None:  # the checkpoint has it
            return torch.zeros(1, 3, scale.height, scale.width, device=self.device)
        if picture is None:
            return self._first(photo, parts, recipe, scale)
        return self._grown(picture, photo, parts, recipe, scale)

    def _first(self, content: Tensor, parts: Sequence[RegionSource], recipe: Recipe, scale: Scale) -> Tensor:
        """Return the picture that the first scale starts from. Shapes: (1, 3, H, W)."""
        if recipe.init is Init.NOISE:
            # Drawn on the CPU, so that a seed means the same on every device.
            generator = torch.Generator().manual_seed(recipe.seed)
            shape = (1, 3, scale.height, scale.width)
            return torch.rand(shape, generator=generator).mul_(0.5).add_(0.25).to(self.device)
        start = resize(content, scale.width, scale.height)
        keeps_colors = (
            recipe.start_colors is StartColors.PHOTO or recipe.preserve_color is not PreserveColor.OFF
        )
        if recipe.init is Init.CONTENT and keeps_colors:
            return start
        first = torch.zeros_like(start)
        for part in parts:
            (guide,) = guides_of(part, ("relu1_1",), scale.width, scale.height, self.device).values()
            picture = self._first_of(start, part.styles, recipe, None if guide is None else guide[0, 0])
            first += picture if guide is None else picture * guide
        return first

    @torch.no_grad()
    def _grown(
        self, picture: Tensor, photo: Tensor, parts: Sequence[RegionSource], recipe: Recipe, scale: Scale
    ) -> Tensor:
        """Return what a scale starts from, given the picture of the one before.

        Shapes: (1, 3, h, w), (1, 3, H, W) -> (1, 3, scale.height, scale.width).
        """
        factor = max(scale.width, scale.height) / max(picture.shape[-2:])
        grown = resize(picture, scale.width, scale.height)
        if not scale.is_detailed or factor <= 1:
            return grown
        light = resize(photo.mean(1, keepdim=True), scale.width, scale.height)
        detailed: Tensor | None = None
        for part in parts:
            (guide,) = guides_of(part, ("relu1_1",), scale.width, scale.height, self.device).values()
            details = self.styles.details(part.styles, recipe, scale, factor)
            of_part = details.on(grown)
            if scale.content_weight and recipe.content_layers:
                of_part += details.of_photo(light, factor)
            of_part = details.toned(of_part, guide)
            of_part = of_part if guide is None else of_part.mul_(guide)
            detailed = of_part if detailed is None else detailed.add_(of_part)
        assert detailed is not None
        return detailed.clamp_(0, 1)

    def _first_of(
        self, start: Tensor, styles: Sequence[StyleSource], recipe: Recipe, guide: Tensor | None
    ) -> Tensor:
        """Return a start in some styles: the first of them itself, or the photo in the colours of all.

        Shapes: (1, 3, H, W), guide (H, W) -> (1, 3, H, W).
        """
        if recipe.init is Init.STYLE:
            return cover(to_tensor(styles[0].rgb, self.device), start.shape[-1], start.shape[-2])
        within = None if guide is None else guide.cpu().numpy()
        weights = torch.tensor([style.weight for style in styles])
        recoloured = [match_colors(to_array(start), style.rgb, within=within) for style in styles]
        mixed = sum(
            share * to_tensor(picture, self.device)
            for share, picture in zip((weights / weights.sum()).tolist(), recoloured, strict=True)
        )
        assert isinstance(mixed, Tensor)
        return mixed

    def _losses(
        self,
        subject: Subject,
        parts: Sequence[RegionSource],
        recipe: Recipe,
        scale: Scale,
        palette: Palette,
        budget: Budget,
        should_stop: ShouldStop,
    ) -> Losses:
        """Return what the picture of a scale is painted towards."""
        photo = resize(subject.photo, scale.width, scale.height)
        recipe = counting_at(scale, recipe, _sizes(parts))
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
            losses_of = partial(TiledLosses, side=side, on_tile=partial(stop_if, should_stop))
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
