"""A photo read no larger than its painting needs it. Pure: numpy in and out.

A painting of 1024 px from a photo of 6000 px sees a thirtieth of its pixels. Decoding, floats and colours of
the others would be most of the time before its first step.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nst_daemon.images.photo import unit

SPARE: Final = 2  # times the asked size that is left at least: a good filter does the rest of the way
BAND: Final = 1 << 22  # entries reduced at once


def least(width: int, height: int, longer: int | None) -> tuple[int, int]:
    """Return the size in px that is enough for a painting of `longer` px; None: all of the photo's."""
    factor = 1.0 if longer is None else min(1.0, SPARE * longer / max(width, height))
    return max(1, round(width * factor)), max(1, round(height * factor))


def reduced(pixels: NDArray[Any], longer: int | None, colors: int) -> NDArray[Any]:
    """Return stored pixels as means of blocks, if enough are left; blocks at the far edges may be smaller.

    Channels behind the `colors` are alpha: what is transparent counts as little for a block's colour.

    Shapes: (H, W, C) -> (h, w, C), float32 in 0..1; the same array where there is nothing to spare.
    """
    height, width, channels = pixels.shape
    wide, high = least(width, height, longer)
    block = min(width // wide, height // high)
    if block < 2:
        return pixels
    rows = max(1, BAND // (width * channels * block)) * block
    parts = []
    for top in range(0, height, rows):
        values = unit(pixels[top : top + rows])
        if channels > colors:
            alpha = values[..., colors : colors + 1]
            values = np.concatenate([values[..., :colors] * alpha, alpha], axis=-1)
        shorter = _means(values, block)
        parts.append(_means(shorter.swapaxes(0, 1), block).swapaxes(0, 1))
    result = np.concatenate(parts)
    if channels > colors:
        result[..., :colors] /= np.maximum(result[..., colors:], np.float32(1e-6))
        np.clip(result, 0.0, 1.0, out=result)
    return result


def _means(values: NDArray[np.float32], block: int) -> NDArray[np.float32]:
    """Return the means of blocks of rows. Shapes: (H, W, C) -> (⌈H / block⌉, W, C), float32."""
    count = len(values)
    sums = values[::block].copy()
    for row in range(1, block):
        others = values[row::block]
        sums[: len(others)] += others
    sizes = np.diff(np.arange(0, count, block), append=count).astype(np.float32)
    sums /= sizes[:, None, None]
    return sums
