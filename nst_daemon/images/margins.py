"""The margin of a scan: paper or a scanner's black around a picture, which no painter painted.

To the network it is a long straight edge at the border, and comes back as a streak along the painting's.

Pure: numpy arrays (H, W, 3), float32 in 0..1, in and out.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]
Lines = NDArray[np.float32]  # (N, M, 3): lines of pixels, from a side inwards

WIDEST: Final = 0.15  # of the picture, at one side; a wider one is meant
ALIKE: Final = 0.15  # from the line's own colour: old paper is uneven
MOST: Final = 0.9  # of a line's pixels are of one colour in a margin: stamps and stains are not
LIGHT, DARK = 0.75, 0.12  # paper is lighter in its darkest channel, a scanner's lid darker in its lightest
OTHER: Final = 0.25  # from the margin's colour: there the picture begins …
ACROSS: Final = 0.6  # … along this much of the line where a margin ends: it ends in a straight edge
SOFT: Final = 0.01  # of the picture: a scan's edge is blurred and a little askew
ROUNDS: Final = 3  # a margin may have a printed frame and a margin once more


def without_margins(rgb: Picture) -> Picture:
    """Return the picture inside its margins, a view; all of it where it has none. Shapes: (H, W, 3)."""
    for _ in range(ROUNDS):
        height, width = rgb.shape[:2]
        across = rgb.transpose(1, 0, 2)
        top, bottom = _margin(rgb), _margin(rgb[::-1])
        left, right = _margin(across), _margin(across[::-1])
        if not top + bottom + left + right:
            break
        rgb = rgb[top : height - bottom, left : width - right]
    return rgb


def _margin(lines: Lines) -> int:
    """Return how many lines belong to a margin; 0 where they do not end in a straight edge."""
    color = np.median(lines[0], axis=0)
    if not (color.min() > LIGHT or color.max() < DARK):
        return 0
    widest = int(len(lines) * WIDEST)
    distance = np.abs(lines[: widest + 1] - color).max(axis=-1)  # (N, M)
    plain = (distance < ALIKE).mean(axis=1) >= MOST
    if plain.all():
        return 0  # wider than a margin is
    end = int(plain.argmin())
    if end == 0:
        return 0
    soft = max(2, round(len(lines) * SOFT))
    other = np.abs(lines[end : end + soft] - color).max(axis=-1) > OTHER  # (soft, M)
    if other.any(axis=0).mean() < ACROSS:
        return 0
    begun = other.mean(axis=1) >= ACROSS
    return end + (int(begun.argmax()) if begun.any() else soft)
