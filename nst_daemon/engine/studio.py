"""One order, from its files to its files: decode, paint, mend colours, encode."""

import json
import logging
import time
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import psutil
import torch
from numpy.typing import NDArray

import nst_daemon
from nst_daemon import colors, images, report_picture
from nst_daemon.engine import devices
from nst_daemon.engine.painter import OnProgress, Painter, ShouldStop, StyleSource
from nst_daemon.engine.pixels import resize, to_array, to_tensor
from nst_daemon.engine.schedule import fit, target_size
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.vgg import Trunk, least_side
from nst_daemon.engine.weights import load_weights
from nst_daemon.errors import OutOfMemoryError
from nst_daemon.recipe import Order, Painting, PreserveColor, Progress, Recipe, blend_name

logger = logging.getLogger(__name__)

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1

KEPT_STYLES: Final = 16  # decoded style pictures; 7 MB each at 768 px
SMALLER: Final = 0.7  # the side of the next try when memory ran out after all
LEAST_SIDE: Final = 256  # px; below this a painting is not worth its job


class Studio:
    """Fulfils orders, one after another, with the network loaded once. Not thread-safe."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings
        self.device = devices.choose_device(settings.device)
        weights = load_weights(settings.weights, cache_dir=settings.cache_dir)
        self.painter = Painter(Trunk(weights), self.device)
        self._styles: OrderedDict[str, Picture] = OrderedDict()

    def fulfil(self, order: Order, on_progress: OnProgress, should_stop: ShouldStop) -> Painting:
        """Return the finished files of one order.

        Raises:
            JobError: the photo or a style cannot be read, or the painting cannot be made.
        """
        began = time.monotonic()
        history: list[Progress] = []
        first_step: list[float] = []

        def watch(progress: Progress) -> None:
            if not first_step:
                first_step.append(time.monotonic() - began - progress.seconds)
            history.append(progress)
            on_progress(progress)

        photo = images.load_photo(
            order.photo, name=order.photo_name, max_megapixels=self.settings.max_megapixels
        )
        sources = [
            StyleSource(self._style(style.path, style.sha256), style.weight, style.sha256)
            for style in order.styles
        ]
        rgb, notes = self._paint(photo.rgb, sources, order, watch, should_stop)
        picture, lost = images.save_result(
            rgb,
            order.result,
            photo=photo,
            format=order.recipe.format,
            quality=order.recipe.quality,
            provenance=self._provenance(order),
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

    def _style(self, path: Path, sha256: str) -> Picture:
        """Return a style picture, kept from an earlier order if possible."""
        if sha256 not in self._styles:
            self._styles[sha256] = images.load_style(path)
            if len(self._styles) > KEPT_STYLES:
                self._styles.popitem(last=False)
        self._styles.move_to_end(sha256)
        return self._styles[sha256]

    def _paint(
        self,
        photo: Picture,
        sources: Sequence[StyleSource],
        order: Order,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> tuple[Picture, tuple[str, ...]]:
        """Return the painting at the asked size with the asked colours, and notes for the user."""
        recipe = order.recipe
        width, height = target_size(photo.shape[1], photo.shape[0], recipe)
        small = self._resized(photo, width, height)
        if recipe.strength == 0:
            return small, ()
        content, styles = _recoloured(small, sources, recipe, order.key)
        painted, notes = self._paint_what_fits(content, styles, recipe, on_progress, should_stop)
        painted = self._resized(painted, width, height)
        if recipe.preserve_color is PreserveColor.LUMINANCE:
            painted = colors.with_luminance_of(painted, small)
        return colors.mix(small, painted, recipe.strength), notes

    def _paint_what_fits(
        self,
        content: Picture,
        styles: Sequence[StyleSource],
        recipe: Recipe,
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> tuple[Picture, tuple[str, ...]]:
        """Paint at the asked size or, where memory does not allow it, at the largest that does."""
        height, width = content.shape[:2]
        asked = max(width, height)
        side = devices.largest_side(width, height, recipe, self._memory())
        while True:
            size = _at_least(*fit(width, height, side), least_side((*recipe.style_layers, "relu1_1")))
            try:
                painted = self.painter.paint(
                    content, styles, recipe, size=size, on_progress=on_progress, should_stop=should_stop
                )
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                side = self._smaller(side, error)
            else:
                break
        if side == asked:
            return painted, ()
        return painted, (
            f"Painted at {size[0]} x {size[1]} px, the largest that fits into memory, and enlarged.",
        )

    def _smaller(self, side: int, error: Exception) -> int:
        logger.warning("out of memory at %d px, trying a smaller picture", side)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if side * SMALLER < LEAST_SIDE:
            raise OutOfMemoryError(
                f"Not even a picture of {side} px fits into memory.",
                remedy="Close other programs, raise engine.memory_limit, or set engine.device to cpu.",
            ) from error
        return int(side * SMALLER)

    def _memory(self) -> int:
        """Return the bytes that a painting may take."""
        free = devices.free_bytes(self.device, psutil.virtual_memory().available)
        return min(free, self.settings.memory_limit or free)

    def _resized(self, picture: Picture, width: int, height: int) -> Picture:
        if picture.shape[:2] == (height, width):
            return picture
        return to_array(resize(to_tensor(picture, torch.device("cpu")), width, height))

    def _provenance(self, order: Order) -> dict[str, str]:
        return {
            "style": blend_name(order.styles),
            "settings": json.dumps(order.recipe.as_settings(), sort_keys=True),
            "seed": str(order.recipe.seed),
            "weights": self.settings.weights,
            "version": nst_daemon.__version__,
            "job_key": order.key,
        }

    def _report(
        self,
        order: Order,
        photo: Picture,
        sources: Sequence[StyleSource],
        result: Picture,
        history: Sequence[Progress],
    ) -> Path:
        path = order.result.with_name(order.result.name + ".report.png")
        named = [(style.name, source.rgb) for style, source in zip(order.styles, sources, strict=True)]
        report_picture.draw_report(
            photo,
            named,
            result,
            history,
            title=order.photo_name,
            settings=order.recipe.as_settings(),
            path=path,
        )
        return path


def _recoloured(
    photo: Picture, sources: Sequence[StyleSource], recipe: Recipe, key: str
) -> tuple[Picture, Sequence[StyleSource]]:
    """Return photo and styles as the network shall see them.

    Source: Gatys et al. 2016, arXiv:1606.05897: for `luminance` both lose their colours, for `histogram`
        the style takes the photo's.
    """
    if recipe.preserve_color is PreserveColor.OFF:
        return photo, sources
    if recipe.preserve_color is PreserveColor.LUMINANCE:
        photo = _grey(photo)
        sources = [StyleSource(_grey(each.rgb), each.weight, each.identity) for each in sources]
    return photo, [
        StyleSource(colors.match_colors(each.rgb, photo), each.weight, f"{key}:{each.identity}")
        for each in sources
    ]


def _grey(picture: Picture) -> Picture:
    return np.repeat(colors.luminance(picture)[..., None], 3, axis=-1)


def _at_least(width: int, height: int, side: int) -> tuple[int, int]:
    """Return a size that the network can halve often enough."""
    return max(width, side), max(height, side)


def _is_out_of_memory(error: Exception) -> bool:
    # The CPU allocator and MPS say it in words only.
    return not isinstance(error, RuntimeError) or "memory" in str(error).lower()
