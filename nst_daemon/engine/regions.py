"""Styles by region: masks -> guides that share a picture out among styles. Pure: tensors in and out.

Source: Gatys et al. 2016, "Controlling Perceptual Factors in Neural Style Transfer", arXiv:1611.07865,
    sect. 4. Differs: each region's loss counts by its share of the picture, so that content and style stay
    balanced in small regions too; guides are reduced by averaging at every layer alike; style pictures have
    none drawn by hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.layers import map_size

LEAST_SHARE: Final = 1e-3  # of the picture; a smaller region is left to its neighbours
Picture = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StyleSource:
    """One style picture, its share, and the name under which its targets are kept."""

    rgb: Picture
    weight: float
    identity: str  # sha256 of the picture's bytes


@dataclass(frozen=True, slots=True)
class RegionSource:
    """Where on the photo which styles hold; no mask: all of it."""

    styles: Sequence[StyleSource]
    mask: Picture | None = None  # (H, W), 0..1

    @property
    def share(self) -> float:
        """Its part of the picture, 0 to 1."""
        return 1.0 if self.mask is None else float(self.mask.mean())


def normalised(main: Sequence[StyleSource], regions: Sequence[RegionSource]) -> tuple[RegionSource, ...]:
    """Return regions whose masks are a partition of unity: what no mask covers has the main styles.

    Where masks overlap they share. A region of next to nothing is left out.
    """
    masks = [region.mask for region in regions if region.mask is not None]
    if not masks:
        return (RegionSource(main),)
    stack = np.stack(masks).astype(np.float32)
    total = stack.sum(0)
    stack /= np.maximum(total, 1.0)
    rest = RegionSource(main, np.clip(1.0 - total, 0.0, 1.0))
    found = [RegionSource(region.styles, mask) for region, mask in zip(regions, stack, strict=True)]
    kept = tuple(region for region in (rest, *found) if region.share >= LEAST_SHARE)
    return kept or (RegionSource(main),)


def guides_of(
    region: RegionSource, layers: Sequence[str], width: int, height: int, device: torch.device
) -> dict[str, Tensor | None]:
    """Return a region's guide over each layer's map at a scale; None over all of it. Shapes: (1, 1, h, w)."""
    if region.mask is None:
        return dict.fromkeys(layers)
    mask = torch.from_numpy(np.ascontiguousarray(region.mask))[None, None]
    sizes = {layer: map_size(layer, width, height) for layer in layers}
    # On the CPU: some devices average only where sizes divide.
    return {layer: functional.adaptive_avg_pool2d(mask, size).to(device) for layer, size in sizes.items()}
