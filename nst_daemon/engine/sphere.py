"""Pictures whose left and right ends meet: 360° panoramas. Pure: numpy in and out.

A strip of the right end is painted once more at the left of the left end, where it continues into it; the
painting's right end then fades into that strip. So its ends meet as strokes do anywhere else.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]  # (H, W) or (H, W, C)

SHARE: Final = 1 / 16  # of the width that is painted twice
LEAST: Final = 8  # px


def margin_of(width: int) -> int:
    """Return how many columns are painted twice."""
    return min(width, max(LEAST, round(width * SHARE)))


def wrapped(picture: Picture, margin: int) -> Picture:
    """Return a picture with its last columns before its first ones.

    Shapes: (H, W[, 3]) -> (H, margin + W[, 3]).
    """
    return np.concatenate([picture[:, -margin:], picture], axis=1) if margin else picture


def unwrapped(picture: Picture, margin: int) -> Picture:
    """Return a wrapped picture as it was, its right end faded into what stands before its left end.

    Shapes: (H, margin + W[, 3]) -> (H, W[, 3]).
    """
    if not margin:
        return picture
    before, result = picture[:, :margin], picture[:, margin:].copy()
    share = ((np.arange(margin) + 0.5) / margin).astype(np.float32)
    share = share[:, None] if picture.ndim == 3 else share
    end = result[:, -margin:]
    end += share * (before - end)
    return result
