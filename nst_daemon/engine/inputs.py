"""What an order names, read: photo, styles and masks. The bytes that are decoded are those that were hashed.

Styles are read no larger than a painting needs them, and kept for the next order within a limit of bytes.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from nst_daemon import disk
from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import Init, Mask, Recipe, Style
from nst_daemon.disk.files import file_sha256
from nst_daemon.engine.pixels import resize, to_array, to_view
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.schedule import fit
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import CopyError, JobError, MaskError, PhotoError, StyleError
from nst_daemon.images import saving
from nst_daemon.images.loading import load_mask, load_photo, load_style
from nst_daemon.images.margins import without_margins
from nst_daemon.images.photo import Photo

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1
# A style's sha256, the longer side in px that it was read for, and whether its margins are cut.
Kept = tuple[str, int, bool]

KEPT_BYTES: Final = 256 << 20  # of styles that the next order may need: some twenty at 1024 px
SHARE_OF_LIMIT: Final = 8  # … but no more than this part of engine.memory_limit
START: Final = 2  # times the painting's longer side: a style that it starts from has to cover it
AGAIN: Final = "It goes on by itself once the picture is whole again."


class Inputs:
    """Reads the pictures of orders. Not thread-safe."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        limit = settings.memory_limit
        most = KEPT_BYTES if limit is None else min(KEPT_BYTES, limit // SHARE_OF_LIMIT)
        self._most = most // settings.share
        self._styles: OrderedDict[Kept, Picture] = OrderedDict()

    def photo(self, order: Order) -> Photo:
        """Return the photo, no larger than it is needed.

        Raises:
            PhotoError: it cannot be read.
            CopyError: it is not the one that was ordered.
            ConditionError: its disk does not answer.
        """
        size = order.recipe.size

        def other(what: str) -> JobError:
            return CopyError(f"{order.photo_name}: what is to be painted {what}.")

        with unchanged(order.photo, order.photo_sha256, other):
            return load_photo(
                order.photo,
                name=order.photo_name,
                max_megapixels=self._settings.max_megapixels,
                longer=None if size == "original" else size,
            )

    def sources(
        self, styles: Sequence[Style], longer: int, *, cut_margins: bool = False
    ) -> list[StyleSource]:
        """Return styles as a painting needs them whose longest side of a style is `longer` px.

        With `cut_margins` without what a scan has around them.

        Raises:
            StyleError: one is not there, not whole, or not the one that was ordered.
            ConditionError: its disk does not answer.
        """
        pictures = (self._style(style, longer, cut_margins=cut_margins) for style in styles)
        return [
            StyleSource(picture, style.weight, style.sha256)
            for style, picture in zip(styles, pictures, strict=True)
        ]

    def mask(self, mask: Mask, width: int, height: int) -> Picture:
        """Return a mask at the result's size. Shapes: (H, W).

        Raises:
            MaskError: it is not there, not whole, or not the one that was ordered.
            ConditionError: its disk does not answer.
        """

        def other(what: str) -> JobError:
            return MaskError(f"Mask {mask.name} {what}.", remedy=f"Put it beside the photo again. {AGAIN}")

        try:
            with unchanged(mask.path, mask.sha256, other):
                grey = load_mask(mask.path, name=mask.name, max_megapixels=self._settings.max_megapixels)
        except PhotoError as error:
            raise MaskError(f"Mask {error.message}", remedy=error.remedy) from error
        return saving.resize(grey, width, height)

    def _style(self, style: Style, longer: int, *, cut_margins: bool) -> Picture:
        """Return a style picture, kept from an earlier order if possible. Shapes: -> (H, W, 3)."""
        key = style.sha256, longer, cut_margins
        picture = self._styles.get(key)
        if picture is None:
            read = self._read(style, longer, cut_margins=cut_margins)
            picture = self._styles[key] = self._shared(key, read)
        self._styles.move_to_end(key)
        while self._styles and self._held_bytes() > self._most:
            self._styles.popitem(last=False)
        return picture

    def _read(self, style: Style, longer: int, *, cut_margins: bool) -> Picture:
        """Return a style picture, no larger than its order needs it. Shapes: -> (H, W, 3)."""

        def other(what: str) -> JobError:
            return StyleError(
                f"Style picture {style.name} {what}.", remedy=f"Put it into the styles folder. {AGAIN}"
            )

        with unchanged(style.path, style.sha256, other):
            picture = load_style(
                style.path,
                name=f"{style.name}{style.path.suffix}",  # the path may be a private copy
                max_megapixels=self._settings.max_megapixels,
                longer=longer,
            )
        picture = without_margins(picture) if cut_margins else picture
        height, width = picture.shape[:2]
        if max(height, width) <= longer:
            return np.ascontiguousarray(picture)
        smaller = resize(to_view(picture, torch.device("cpu")), *fit(width, height, longer))
        return to_array(smaller)

    def _shared(self, key: Kept, picture: Picture) -> Picture:
        """Return the picture, as an order of another size has it already where that makes no difference.

        Shapes: (H, W, 3) -> the same.
        """
        sha256, _, cut_margins = key
        for (other, _, is_cut), kept in self._styles.items():
            if (other, is_cut, kept.shape) == (sha256, cut_margins, picture.shape):
                return kept
        return picture

    def _held_bytes(self) -> int:
        return sum({id(kept): kept.nbytes for kept in self._styles.values()}.values())


@contextmanager
def unchanged(path: Path, sha256: str, other: Callable[[str], JobError]) -> Iterator[None]:
    """Guard the reading of a file: it has this hash, before and after. Without a hash it is read as it is.

    Raises:
        JobError: what `other` makes of the words, e.g. "is not there".
        ConditionError: its disk does not answer.
    """
    try:
        stamp = disk.stamp_of(path)
        if stamp is None:
            raise other("is not there any more")
        if sha256 and file_sha256(path) != sha256:
            raise other("is another than the one that was asked for")
        yield
        if disk.stamp_of(path) != stamp:
            raise other("was changed while it was read")
    except FileNotFoundError as error:
        raise other("is not there any more") from error


def longest_style(recipe: Recipe, width: int, height: int) -> int:
    """Return how long in px the longer side of a style can be of use to a painting of this size."""
    times = max(recipe.style_scale, START) if recipe.init is Init.STYLE else recipe.style_scale
    return max(1, round(max(width, height) * times))
