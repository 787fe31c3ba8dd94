"""One order, from its files to its files: decode, paint, mend colours, encode."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

from nst_daemon.config.orders import Order, Painting, Progress
from nst_daemon.config.recipe import Figures, Mask, PreserveColor, Recipe
from nst_daemon.engine import devices, speeds, sphere
from nst_daemon.engine.autotune import Asked
from nst_daemon.engine.checkpoint import Checkpoint
from nst_daemon.engine.descent import OnProgress, ShouldStop
from nst_daemon.engine.faces import face_guide
from nst_daemon.engine.inputs import Inputs, longest_style
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.pixels import resize, to_array, to_tensor
from nst_daemon.engine.preview import LONGEST, Preview
from nst_daemon.engine.recolouring import recoloured
from nst_daemon.engine.regions import RegionSource, StyleSource
from nst_daemon.engine.schedule import fit, least_side, target_size
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.trial import Trial
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import identity_of, load_weights
from nst_daemon.errors import EngineError, JobError, OutOfMemoryError
from nst_daemon.images import colors, provenance, saving
from nst_daemon.images.photo import Photo
from nst_daemon.system import extras, malloc
from nst_daemon.system.extras import Extra

logger = logging.getLogger(__name__)

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1

# What allocators without an error of their own begin their words with.
# Source: c10/core/impl/alloc_cpu.cpp, aten/src/ATen/mps/MPSAllocator.mm, c10/cuda/CUDAException.cpp (of what
#     does not go through CUDA's caching allocator), aten/src/ATen/cuda/Exceptions.cpp of PyTorch.
ALLOCATORS: Final = (
    "DefaultCPUAllocator: ",
    "MPS backend out of memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
MEMORY_TRIES: Final = 5  # the last in a sixteenth of the memory: with less a tile is all halo
LESS: Final = 0.5  # of the memory, for the next try when it ran out after all


class Studio:
    """Fulfils orders, one after another, with the network loaded once. Not thread-safe."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        if settings.share > 1:
            devices.share_cores(settings.share)
        self.device = devices.choose_device(settings.device)
        malloc.keep_blocks()
        weights = load_weights(settings.weights, cache_dir=settings.cache_dir)
        asked = Asked(precision=settings.precision, graphs=settings.graphs)
        self.network = identity_of(settings.weights, weights)
        self.trial = Trial(weights, self.device, asked, settings.cache_dir)
        known = speeds.known_of(settings.cache_dir, self._speed_key)
        self.painter = Painter(
            self.trial.backend.trunk(weights),
            self.device,
            targets_dir=settings.cache_dir / "targets",
            captures=self.trial.backend.graphs,
            trial=self.trial,
            speed=known.speed if known else None,
        )
        self._inputs = Inputs(settings)

    @property
    def precision(self) -> str:
        """Of the convolutions; empty until it is chosen, with the first painting of an install."""
        return self.trial.backend.precision if self.trial.is_over else ""

    def fulfil(self, order: Order, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        """Return the finished files of one order.

        Raises:
            JobError: the photo or a style cannot be read, or the painting or its report cannot be made.
        """
        try:
            return self._fulfil(order, on_progress, should_stop)
        finally:
            malloc.give_back()

    @property
    def _speed_key(self) -> str:
        """What has a speed of its own: the device, and how it computes."""
        how = (f"{name} {value}" for name, value in asdict(self.trial.backend).items())
        return ", ".join((devices.identify(self.device), f"torch {torch.__version__}", *how))

    def _remember_speed(self) -> None:
        known = speeds.Known(
            asked=speeds.asked_of(self.settings),
            device=devices.describe(self.device),
            memory=self._memory(self.device, 0),
            entry=self.painter.trunk.entry_bytes,
            speed=self.painter.speed,
        )
        speeds.remember(self.settings.cache_dir, self._speed_key, known)

    def _fulfil(self, order: Order, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        began = time.monotonic()
        if order.recipe.report:
            _check_report()
        key = f"{order.key} by {self.network}" if self.network else order.key
        checkpoint = Checkpoint(order.checkpoint, key) if order.checkpoint else None
        history = checkpoint.history if checkpoint else []
        first_step: list[float] = []

        def watch(progress: Progress) -> None:
            if not first_step:
                spent = history[-1].seconds if history else 0.0  # by an earlier attempt
                first_step.append(time.monotonic() - began - (progress.seconds - spent))
            history.append(progress)
            on_progress(progress)

        photo = self._inputs.photo(order)
        size = target_size(photo.width, photo.height, order.recipe)
        longer = longest_style(order.recipe, *size)
        everywhere_and_in_regions = (order.styles, *(region.styles for region in order.areas.regions))
        cut_margins = order.recipe.figures is Figures.OFF
        sources = [
            self._inputs.sources(styles, longer, cut_margins=cut_margins)
            for styles in everywhere_and_in_regions
        ]
        rgb, notes = self._paint(photo, size, sources, order, watch, should_stop, checkpoint)
        picture, lost = saving.save_result(
            rgb,
            order.result,
            photo=photo,
            format=order.recipe.format,
            quality=order.recipe.quality,
            provenance=provenance.of_order(order, weights=self.settings.weights),
            strip_gps=order.recipe.strip_gps,
        )
        report = self._report(order, photo.rgb, sources, rgb, history) if order.recipe.report else None
        return Painting(
            picture=picture,
            report=report,
            width=rgb.shape[1],
            height=rgb.shape[0],
            seconds=time.monotonic() - began,
            seconds_to_first_step=first_step[0] if first_step else 0.0,
            device=devices.describe(self.device),
            losses=history[-1].losses if history else {},
            notes=(*photo.notes, *notes, *lost),
        )

    def _paint(
        self,
        photo: Photo,
        size: tuple[int, int],
        sources: Sequence[Sequence[StyleSource]],
        order: Order,
        on_progress: OnProgress,
        should_stop: ShouldStop,
        checkpoint: Checkpoint | None,
    ) -> tuple[Picture, tuple[str, ...]]:
        """Return the painting of `size` = (width, height) px in the asked colours, and notes for the user.

        `sources` are the styles of the whole, then those of each region.

        Shapes: -> (height, width, 3).
        """
        recipe = order.recipe
        width, height = size
        margin = sphere.margin_of(width) if photo.wraps else 0
        small = sphere.wrapped(self._resized(photo.rgb, width, height), margin)
        mask, regions = self._areas(order, sources[1:], size, margin)
        width += margin
        if recipe.strength == 0 or (mask is not None and not mask.any()):
            return sphere.unwrapped(small, margin), ()
        content, parts = recoloured(small, [RegionSource(sources[0]), *regions], recipe, order.key)
        preview = Preview(order.preview, finish=_preview_finish(small, recipe, mask))
        guide = face_guide(small, recipe.face_weight)

        def paint(painter: Painter, memory: int) -> Picture:
            return painter.paint(
                content,
                parts[0].styles,
                recipe,
                size=_at_least(width, height, least_side(recipe.content_layers + recipe.style_layers)),
                on_progress=on_progress,
                should_stop=should_stop,
                regions=parts[1:],
                content_guide=guide,
                memory=memory,
                checkpoint=checkpoint,
                preview=preview,
            )

        held = {id(style.rgb): style.rgb.nbytes for part in (*parts, *regions) for style in part.styles}
        painted, notes = self._paint_what_fits(paint, checkpoint, sum(held.values()))
        finished = _finished(self._resized(painted, width, height), small, recipe, mask)
        return sphere.unwrapped(finished, margin), notes

    def _areas(
        self, order: Order, sources: Sequence[Sequence[StyleSource]], size: tuple[int, int], margin: int
    ) -> tuple[Picture | None, list[RegionSource]]:
        """Return where is painted, and where which styles hold, each as large as the painting.

        Shapes: -> masks (height, width).
        """

        def mask_of(asked: Mask) -> Picture:
            return sphere.wrapped(self._inputs.mask(asked, *size), margin)

        regions = zip(order.areas.regions, sources, strict=True)
        everywhere = None if order.areas.mask is None else mask_of(order.areas.mask)
        return everywhere, [RegionSource(styles, mask_of(region.mask)) for region, styles in regions]

    def _paint_what_fits(
        self, paint: Callable[[Painter, int], Picture], checkpoint: Checkpoint | None, held: int
    ) -> tuple[Picture, tuple[str, ...]]:
        """Return what `paint` returns on the first rung that has the memory, with notes for the user.

        `held`: the bytes that its styles take already.
        """
        before = self.painter.speed
        try:
            return self._painted_on_a_rung(paint, checkpoint, held)
        finally:
            if self.painter.speed != before:
                self._remember_speed()

    def _painted_on_a_rung(
        self, paint: Callable[[Painter, int], Picture], checkpoint: Checkpoint | None, held: int
    ) -> tuple[Picture, tuple[str, ...]]:
        reason: Exception | None = None
        for painter, memory, notes in self._rungs(held):
            try:
                return paint(painter, memory), notes
            except EngineError:
                if checkpoint is not None:
                    checkpoint.drop()  # it would lead to the same end
                raise
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                logger.warning("out of memory with %.1f GB on %s", memory / 1e9, painter.device)
                reason = error.with_traceback(None)  # its frames hold the painting's tensors
            if self.device.type != "cpu":
                torch.accelerator.empty_cache()
        raise OutOfMemoryError(
            "The picture does not fit into memory, not even in small tiles.",
            remedy="Close other programs, or lower `size`.",
        ) from reason

    def _rungs(self, held: int) -> Iterator[tuple[Painter, int, tuple[str, ...]]]:
        """Yield who paints, in how many bytes, and what to say of it: smaller tiles, then the CPU."""
        memory = self._memory(self.device, held)
        for attempt in range(MEMORY_TRIES):
            notes = ("Memory ran out; painted in smaller tiles.",) if attempt else ()
            yield self.painter, int(memory * LESS**attempt), notes
        if self.device.type != "cpu":
            cpu = torch.device("cpu")
            weights = load_weights(self.settings.weights, cache_dir=self.settings.cache_dir)
            note = f"Memory ran out on {self.device}; painted on the CPU."
            yield Painter(Trunk(weights), cpu), self._memory(cpu, held), (note,)

    def _memory(self, device: torch.device, held: int) -> int:
        """Return the bytes that a painting may take: this engine's part of a device.

        What its styles hold already counts against the limit, up to half of it.
        """
        free = devices.free_bytes(device, psutil.virtual_memory().available)
        limit = self.settings.memory_limit
        if limit is None:
            return free // self.settings.share
        part = limit // self.settings.share
        return min(free // self.settings.share, part - min(held, part // 2))

    def _resized(self, picture: Picture, width: int, height: int) -> Picture:
        """Return a picture at another size, on the CPU. Shapes: (H, W, 3) -> (height, width, 3)."""
        if picture.shape[:2] == (height, width):
            return picture
        return to_array(resize(to_tensor(picture, torch.device("cpu")), width, height))

    def _report(
        self,
        order: Order,
        photo: Picture,
        sources: Sequence[Sequence[StyleSource]],
        result: Picture,
        history: Sequence[Progress],
    ) -> Path:
        """Draw the report of a painting beside its result; return its file. Shapes: (H, W, 3) each."""
        from nst_daemon.engine.report import draw_report  # matplotlib: half a second, and most want none

        path = order.result.with_name(order.result.name + ".report.png")
        named = [(style.name, source.rgb) for style, source in zip(order.styles, sources[0], strict=True)]
        for region, of_region in zip(order.areas.regions, sources[1:], strict=True):
            where = region.mask.name.removesuffix(".png")
            shown = zip(region.styles, of_region, strict=True)
            named += [(f"{style.name} ({where})", source.rgb) for style, source in shown]
        draw_report(
            photo,
            named,
            result,
            history,
            title=order.photo_name,
            settings=order.recipe.as_settings(),
            path=path,
        )
        return path


def _check_report() -> None:
    """Refuse, before hours of painting, what could not be drawn behind them. Raises: JobError."""
    if lack := extras.lacking(Extra.REPORT):
        raise JobError(
            f"A report needs {lack}, which is not installed.",
            remedy=f"{extras.remedy(Extra.REPORT)}, or set report: false.",
            code="report_not_installed",
        )


def _finished(painted: Picture, photo: Picture, recipe: Recipe, mask: Picture | None) -> Picture:
    """Return a painting in the colours and the strength that were asked for, where the mask is.

    Shapes: (H, W, 3) each, mask (H, W) -> (H, W, 3).
    """
    if recipe.preserve_color is PreserveColor.LUMINANCE:
        painted = colors.with_luminance_of(painted, photo)
    painted = colors.mix(photo, painted, recipe.strength)
    return painted if mask is None else colors.masked(photo, painted, mask)


def _preview_finish(photo: Picture, recipe: Recipe, mask: Picture | None) -> Callable[[Picture], Picture]:
    """Return what does with a preview, of any size, what is done with the painting.

    Shapes: photo (H, W, 3), mask (H, W); previews (h, w, 3).
    """
    if mask is None and recipe.strength == 1 and recipe.preserve_color is not PreserveColor.LUMINANCE:
        return lambda seen: seen
    height, width = photo.shape[:2]
    size = fit(width, height, min(LONGEST, max(width, height)))
    photo = saving.resize(photo, *size)  # once: the whole photo may have 200 megapixels
    mask = None if mask is None else saving.resize(mask, *size)

    def finish(seen: Picture) -> Picture:
        height, width = seen.shape[:2]
        small = None if mask is None else saving.resize(mask, width, height)
        return _finished(seen, saving.resize(photo, width, height), recipe, small)

    return finish


def _at_least(width: int, height: int, side: int) -> tuple[int, int]:
    """Return a size that the network can halve often enough."""
    return max(width, side), max(height, side)


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an allocator had no memory left: by its type or, where it has none, by its own mark.

    Never by a word: "an illegal memory access was encountered" is a broken kernel.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(mark in str(error) for mark in ALLOCATORS)
