"""The photo that is painted, at any scale, and how many times it counts where."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.layers import map_size
from nst_daemon.engine.pixels import to_view
from nst_daemon.engine.schedule import Scale

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1


@dataclass(frozen=True, slots=True)
class Subject:
    """The photo, and how many times it counts where."""

    photo: Tensor  # (1, 3, H, W)
    guide: Tensor | None  # (1, 1, h, w), of the same shape, on the CPU; None: alike everywhere

    @classmethod
    def of(cls, photo: Picture, guide: NDArray[np.float32] | None, device: torch.device) -> "Subject":
        """Bring a photo to the device. Shapes: (H, W, 3), (h, w)."""
        return cls(to_view(photo, device), None if guide is None else torch.from_numpy(guide)[None, None])

    def guides(self, layers: Sequence[str], scale: Scale) -> dict[str, Tensor]:
        """Return the guide over each layer's map at a scale. Shapes: -> (1, 1, h, w)."""
        if self.guide is None:
            return {}
        device = self.photo.device
        sizes = {layer: map_size(layer, scale.width, scale.height) for layer in layers}
        return {
            layer: functional.interpolate(self.guide, size, mode="bilinear", antialias=True).to(device)
            for layer, size in sizes.items()
        }
