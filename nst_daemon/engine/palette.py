"""Where a style's colours can go, and the painting's with them: a grey style paints grey.

Where a photo is flat, neither content nor style says which way its colours go, and they would go
everywhere. A style picture whose colours lie on a line or in a plane keeps the painting's there. Pure:
tensors in and out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_daemon.engine.descent import Losses
from nst_daemon.engine.pixels import resize, to_view
from nst_daemon.engine.regions import RegionSource, StyleSource, guides_of
from nst_daemon.engine.schedule import Scale, fit
from nst_daemon.images.colors import mixed, statistics

LONGER: Final = 64  # px, at which colours are judged: a scan's noise and JPEG's are averaged out
NONE, FULL = 0.01, 0.025  # of the largest spread: less is no direction of colour, more is one
FLAT: Final = 0.01  # a spread of less, of 0..1, is one colour: of its directions nothing is known
GREY: Final = np.full(3, 3**-0.5)  # from dark to light
LIGHT: Final = 0.5  # of a step from dark to light, kept at least: else the scene would be gone

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Part:
    """The colours of one region: a mean, and what is taken of a step away from it."""

    mean: Tensor  # (1, 3, 1, 1)
    taken: Tensor  # (3, 3), symmetric, eigenvalues 0 to 1
    guide: Tensor | None  # (1, 1, H, W); None: all of the picture

    def of(self, steps: Tensor) -> Tensor:
        """Return what is taken of a step at every pixel. Shapes: (1, 3, H, W) -> the same."""
        taken = torch.einsum("ij,bjhw->bihw", self.taken, steps)
        return taken if self.guide is None else taken * self.guide


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a painting at one scale. Without parts every colour is one of its styles'."""

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, regions: Sequence[RegionSource], scale: Scale, device: torch.device) -> "Palette":
        """Return the palette of regions of styles."""
        parts = []
        for region in regions:
            mean, kept = colors_of(region.styles)
            if not np.allclose(kept, np.eye(3)):
                (guide,) = guides_of(region, ("relu1_1",), scale.width, scale.height, device).values()
                centre, taken = (
                    torch.from_numpy(each).float().to(device) for each in (mean, np.eye(3) - kept)
                )
                parts.append(Part(centre.view(1, 3, 1, 1), taken, guide))
        return cls(tuple(parts))

    def __call__(self, picture: Tensor) -> Tensor:
        """Return the picture with the nearest colours that it may have. Shapes: (1, 3, H, W) -> the same."""
        for part in self.parts:
            picture = picture - part.of(picture - part.mean)
        return picture

    def back(self, gradient: Tensor) -> Tensor:
        """Return the gradient by a picture, given the one by what `__call__` makes of it.

        Shapes: (1, 3, H, W) -> the same.
        """
        for part in reversed(self.parts):
            gradient = gradient - part.of(gradient)
        return gradient

    def limiting(self, losses: Losses) -> Losses:
        """Return the losses of a picture as the palette shows it."""
        return _Limited(losses, self) if self.parts else losses


@dataclass(frozen=True, slots=True)
class _Limited:
    """The losses of what a palette makes of a picture."""

    losses: Losses
    palette: Palette

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return the losses and their gradient. Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W)."""
        values, gradient = self.losses(self.palette(picture))
        return values, self.palette.back(gradient)


def colors_of(styles: Sequence[StyleSource]) -> tuple[Matrix, Matrix]:
    """Return the mean colour of styles, and the matrix that leaves only their directions of colour.

    It is the identity where they have all three, as most paintings do, and where they know no light and dark.

    Shapes: -> (3,), (3, 3).
    """
    in_all = sum(style.weight for style in styles)
    shares = [style.weight / in_all for style in styles]
    mean, covariance = mixed([_statistics(style) for style in styles], shares)
    values, vectors = np.linalg.eigh(covariance)
    spreads = np.sqrt(values.clip(0))
    if spreads[-1] < FLAT:
        return mean, np.eye(3)
    shares = ((spreads / spreads[-1] - NONE) / (FULL - NONE)).clip(0, 1)
    kept = (vectors * shares) @ vectors.T
    return mean, kept if np.linalg.norm(kept @ GREY) >= LIGHT else np.eye(3)


def _statistics(style: StyleSource) -> tuple[Matrix, Matrix]:
    """Return mean and covariance of a small copy's colours. Shapes: -> (3,), (3, 3)."""
    height, width = style.rgb.shape[:2]
    small = to_view(style.rgb, torch.device("cpu"))
    if max(width, height) > LONGER:
        small = resize(small, *fit(width, height, LONGER))
    return statistics(small[0].permute(1, 2, 0).numpy())
