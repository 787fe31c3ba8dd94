"""Paint without figures: what of a style picture counts as its style. Pure: tensors in and out.

A Gram matrix asks for as many eyes as the style picture has, wherever there is room. Only a layer that sees
an eye at once can ask for one: the deep ones see figures, at the coarse scales whole heads. So

1. a layer counts at a scale where what it sees is a small part of the style picture, and
2. where that part is large enough for an eye, an entry of its map counts as far as the picture has its like
   elsewhere: what recurs is paint, what occurs once is a figure.

Source: the second is a guided Gram matrix, of the style picture, by Gatys et al. 2016, arXiv:1611.07865,
    sect. 4; there its guides are drawn by hand.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.layers import field_of_view, stride_of

LIKE: Final = 4  # entries elsewhere that are most like an entry: their mean likeness is its recurrence
# Quantiles of the recurrence: entries below the first count nothing, above the other fully.
NONE, FULL = 0.15, 0.4
ALIKE: Final = 0.05  # a difference of recurrence that says nothing, as in a regular pattern
LEAST: Final = 1e-4  # of an entry that counts fully, has every other: there is always something
AT_ONCE: Final = 1 << 21  # likenesses, 8 MB: in whole rows of a map, one at least


def paint_guide(features: Tensor, layer: str) -> Tensor:
    """Return the guide of a style picture's map: how much each entry counts, as far as it recurs.

    Shapes: (1, C, H, W) -> (1, 1, H, W), float32.
    """
    height, width = features.shape[-2:]
    recurrence = _recurrence(features[0].float(), field_of_view(layer) / stride_of(layer))
    none, full = (recurrence.flatten().quantile(share) for share in (NONE, FULL))
    counts = (1 - (full - recurrence) / (full - none).clamp_min(ALIKE)).clamp(0, 1)
    # A guide multiplies features; in their Gram matrix it counts twice.
    return (counts + LEAST).sqrt().view(1, 1, height, width)


def _recurrence(maps: Tensor, apart: float) -> Tensor:
    """Return how like the most similar entries are that lie at least `apart` entries away, mean of a few.

    The likeness is the cosine between entries less their mean. Shapes: (C, H, W) -> (H, W).
    """
    height, width = maps.shape[-2:]
    apart = min(apart, max(height, width) / 3)  # somewhere there has to be an elsewhere
    entries = maps.flatten(1)
    entries = functional.normalize(entries - entries.mean(1, keepdim=True), dim=0)
    count = entries.shape[1]
    down, across = (_near(side, apart, maps.device) for side in (height, width))
    found = []
    step = max(1, AT_ONCE // (width * count))
    for top in range(0, height, step):
        bottom = min(top + step, height)
        likeness = entries[:, top * width : bottom * width].mT @ entries
        near = down[top:bottom, None, :, None] & across[:, None]
        likeness.view(near.shape).masked_fill_(near, -1.0)
        found.append(likeness.topk(min(LIKE, count), dim=1).values.mean(1))
    return torch.cat(found).view(height, width)


def _near(side: int, apart: float, device: torch.device) -> Tensor:
    """Return which of `side` places in a line are less than `apart` from which. Shapes: -> (N, N)."""
    places = torch.arange(side, device=device)
    return (places[:, None] - places).abs() < apart
