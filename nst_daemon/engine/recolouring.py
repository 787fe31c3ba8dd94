"""Photo and styles in the colours that preserve the photo's, before anything is painted."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nst_daemon.config.recipe import PreserveColor, Recipe
from nst_daemon.engine.regions import RegionSource, StyleSource
from nst_daemon.images import colors

Picture = NDArray[np.float32]  # (H, W, 3), sRGB, 0..1


def recoloured(
    photo: Picture, parts: Sequence[RegionSource], recipe: Recipe, key: str
) -> tuple[Picture, Sequence[RegionSource]]:
    """Return photo and styles as the network shall see them.

    Shapes: (H, W, 3) each.
    Source: Gatys et al. 2016, arXiv:1606.05897: for `luminance` both lose their colours, for `histogram`
        the style takes the photo's; a region's style those of its part of the photo.
    """
    if recipe.preserve_color is PreserveColor.OFF:
        return photo, parts
    if recipe.preserve_color is PreserveColor.LUMINANCE:
        photo = _grey(photo)
    return photo, [
        RegionSource(
            _recoloured_styles(part, photo, recipe, f"{key}:{recipe.preserve_color}:{number}"), part.mask
        )
        for number, part in enumerate(parts)
    ]


def _recoloured_styles(part: RegionSource, photo: Picture, recipe: Recipe, key: str) -> list[StyleSource]:
    """Return the styles of a part with the colours that preserve the photo's. Shapes: photo (H, W, 3)."""
    to = photo if part.mask is None else colors.part(photo, part.mask)
    grey = recipe.preserve_color is PreserveColor.LUMINANCE
    return [
        StyleSource(
            colors.match_colors(_grey(each.rgb) if grey else each.rgb, to),
            each.weight,
            f"{key}:{each.identity}",
        )
        for each in part.styles
    ]


def _grey(picture: Picture) -> Picture:
    """Return a picture without its colours. Shapes: (H, W, 3) -> the same."""
    return np.repeat(colors.luminance(picture)[..., None], 3, axis=-1)
