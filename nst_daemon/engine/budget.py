"""How large a picture fits into memory, and in which tiles a larger one is painted. Pure: no torch."""

import math
from dataclasses import dataclass, replace
from typing import Final

from nst_daemon.config.recipe import CONVS_IN_BLOCK, Optimizer, Recipe
from nst_daemon.engine.layers import depth_of, halo_of, halvings_of
from nst_daemon.engine.schedule import LBFGS_HISTORY, Scale, pyramid_of

CHANNELS: Final = (64, 128, 256, 512, 512)  # of VGG19's five blocks
BYTES: Final = 4  # of a float32
# Measured peak over the sum of all maps: gradients on the way back, the convolutions' own space.
OVERHEAD: Final = 1.45
FIXED_BYTES: Final = 400 * 2**20  # transformed kernels, style targets; torch and the network are there before
# A pixel of what is never tiled: photo, picture, gradient, what the optimiser keeps, rollback points.
PICTURE_BYTES: Final = 104
SHARE_OF_FREE: Final = 0.8  # of a device's memory: the photo editor beside us needs some too
LEAST_TILE: Final = 128  # px; smaller ones are nearly all halo


def bytes_needed(
    width: int,
    height: int,
    recipe: Recipe,
    regions: int = 0,
    *,
    entry: int = BYTES,
    history: int = LBFGS_HISTORY,
) -> int:
    """Return a forecast of the bytes that one step takes, with `entry` bytes an entry of a feature map.

    `history`: the steps that L-BFGS keeps.
    """
    layers = (*recipe.content_layers, *recipe.style_layers)
    per_pixel, depth = 0.0, depth_of(layers)
    for block, convs in enumerate(CONVS_IN_BLOCK):
        here = max(0, min(convs, depth - sum(CONVS_IN_BLOCK[:block])))
        per_pixel += 2 * here * CHANNELS[block] / 4**block  # before and behind the rectifier
    for layer in recipe.style_layers if regions else ():  # a guided copy of the maps, there and back
        halvings = halvings_of(layer)
        per_pixel += 2 * (regions + 1) * CHANNELS[halvings] / 4**halvings / OVERHEAD
    # Entries a pixel, in three channels: L-BFGS keeps two differences of each step, Adam its two moments.
    kept = 3 * 2 * (history if recipe.optimizer == "lbfgs" else 1)
    # The first layer's maps are float32 for a moment all the same, as they come and as a Gram matrix is made.
    wide = 2 * CHANNELS[0] * BYTES if entry < BYTES else 0
    return FIXED_BYTES + int(width * height * (entry * per_pixel * OVERHEAD + wide + BYTES * kept))


class Budget:
    """Which scales fit into memory whole, and how large the tiles of the others may be."""

    def __init__(self, recipe: Recipe, memory: int | None, *, regions: int = 0, entry: int = BYTES) -> None:
        self.recipe = recipe
        self.memory = memory  # bytes; None: no limit
        self.entry = entry  # bytes, of a feature map
        self.regions = regions

    @property
    def whole_pixels(self) -> float:
        """The largest picture that is painted whole, in px."""
        if self.memory is None:
            return math.inf
        return max(0.0, (self.memory - FIXED_BYTES) / self._bytes_a_pixel())

    def tile_side(self, width: int, height: int) -> int | None:
        """Return the side of a tile's core in px; None if the picture is painted whole."""
        if self.memory is None or width * height <= self.whole_pixels:
            return None
        left = self.memory - FIXED_BYTES - width * height * PICTURE_BYTES
        outer = math.sqrt(max(0.0, left / self._bytes_a_tiles_pixel()))
        layers = (*self.recipe.content_layers, *self.recipe.style_layers)
        return max(LEAST_TILE, int(outer) - 2 * halo_of(layers))

    def peak(self, scale: Scale) -> int:
        """Return a forecast of the bytes that the painting of a scale takes."""
        side, pixels = self.tile_side(scale.width, scale.height), scale.width * scale.height
        if side is None:
            recipe, history = replace(self.recipe, optimizer=scale.optimizer), min(LBFGS_HISTORY, scale.steps)
            size = scale.width, scale.height
            return bytes_needed(*size, recipe, self.regions, entry=self.entry, history=history)
        outer = side + 2 * halo_of((*self.recipe.content_layers, *self.recipe.style_layers))
        tile = min(scale.width, outer) * min(scale.height, outer)
        return FIXED_BYTES + pixels * PICTURE_BYTES + int(tile * self._bytes_a_tiles_pixel())

    def _bytes_a_tiles_pixel(self) -> float:
        """Return what a tile's maps take: the optimiser's part is counted with the picture."""
        by_adam = replace(self.recipe, optimizer=Optimizer.ADAM)
        return (bytes_needed(1000, 1000, by_adam, self.regions, entry=self.entry) - FIXED_BYTES) / 1e6

    def _bytes_a_pixel(self) -> float:
        return (bytes_needed(1000, 1000, self.recipe, self.regions, entry=self.entry) - FIXED_BYTES) / 1e6


@dataclass(frozen=True, slots=True)
class Plan:
    """The scales of the pyramid from the first to the last, and the tiles that each is painted in."""

    budget: Budget
    scales: tuple[Scale, ...]
    sides: tuple[int | None, ...]  # of each scale's tiles, px; None: painted whole

    @classmethod
    def of(cls, size: tuple[int, int], recipe: Recipe, budget: Budget) -> "Plan":
        """Return the plan for a picture of `size` = (width, height) px within a budget."""
        scales = pyramid_of(*size, recipe, whole_pixels=budget.whole_pixels)
        return cls(budget, scales, tuple(budget.tile_side(each.width, each.height) for each in scales))

    @property
    def peak(self) -> int:
        """A forecast of the bytes that the painting takes at its largest scale."""
        return max(map(self.budget.peak, self.scales))
