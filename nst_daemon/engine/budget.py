"""How large a picture fits into memory, and in which tiles a larger one is painted. Pure: no torch."""

import math
from dataclasses import dataclass, replace
from typing import Final

from nst_daemon.config.recipe import CONVS_IN_BLOCK, Recipe
from nst_daemon.engine.layers import depth_of, halo_of, halvings_of, stride_of
from nst_daemon.engine.schedule import FRUGAL_HISTORY, LBFGS_HISTORY, Scale, pyramid_of, seen_at

CHANNELS: Final = (64, 128, 256, 512, 512)  # of VGG19's five blocks
BYTES: Final = 4  # of a float32
INDEX_BYTES: Final = 8  # of where a pooling found its largest entry
# Measured peak over what is kept for the way back: the convolutions' own space, and holes between blocks.
OVERHEAD: Final = 1.65
TILES_OVERHEAD: Final = 1.25  # in tiles fewer holes are let stand
FIXED_BYTES: Final = 400 * 2**20  # transformed kernels, style targets; torch and the network are there before
# A pixel of what is never tiled: photo, picture, variable and gradient in float32; two rollback points, and
# L-BFGS's last step and gradient, in half of that …
PICTURE_BYTES: Final = 4 * 12 + 4 * 6
PAIR_BYTES: Final = 2 * 6  # … and each pair of differences that it knows by then
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
    # Entries a pixel, in three channels: L-BFGS keeps two differences of each step, Adam its two moments.
    kept = 3 * 2 * (history if recipe.optimizer == "lbfgs" else 1)
    maps = OVERHEAD * _maps_bytes(recipe, regions, entry)
    return FIXED_BYTES + int(width * height * (maps + BYTES * kept))


def _maps_bytes(recipe: Recipe, regions: int, entry: int) -> float:
    """Return the bytes a pixel of a step's maps, at the deepest point or where the way back ends in block 1.

    The maps there are the largest, and float32 as they come and go.
    """
    layers = (*recipe.content_layers, *recipe.style_layers)
    entries, pooled, depth = 0.0, 0.0, depth_of(layers)
    for block, convs in enumerate(CONVS_IN_BLOCK):
        here = max(0, min(convs, depth - sum(CONVS_IN_BLOCK[:block])))
        entries += here * CHANNELS[block] / 4**block
        pooled += CHANNELS[block - 1] / 4**block if block and here else 0.0
    for layer in recipe.style_layers if regions else ():  # a guided copy of the maps, there and back
        halvings = halvings_of(layer)
        entries += 2 * (regions + 1) * CHANNELS[halvings] / 4**halvings
    deepest = entry * (entries + pooled) + INDEX_BYTES * pooled + BYTES * CHANNELS[0]
    return max(deepest, 5 * entry * CHANNELS[0] + 2 * BYTES * CHANNELS[0])


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

    def tile_side(self, width: int, height: int, *, steps: int = LBFGS_HISTORY) -> int | None:
        """Return the side of a tile's core in px; None if the picture is painted whole.

        `steps`: how many are taken at this size.
        """
        if self.memory is None or width * height <= self.whole_pixels:
            return None
        left = self.memory - FIXED_BYTES - width * height * self._bytes_beside_tiles(steps)
        outer = math.sqrt(max(0.0, left / self._bytes_a_tiles_pixel()))
        return max(LEAST_TILE, int(outer) - 2 * self._halo(width, height))

    def peak(self, scale: Scale) -> int:
        """Return a forecast of the bytes that the painting of a scale takes."""
        side = self.tile_side(scale.width, scale.height, steps=scale.steps)
        if side is None:
            recipe, history = replace(self.recipe, optimizer=scale.optimizer), min(LBFGS_HISTORY, scale.steps)
            size = scale.width, scale.height
            return bytes_needed(*size, recipe, self.regions, entry=self.entry, history=history)
        outer = side + 2 * self._halo(scale.width, scale.height)
        tile = min(scale.width, outer) * min(scale.height, outer)
        beside = scale.width * scale.height * self._bytes_beside_tiles(scale.steps)
        return FIXED_BYTES + int(beside + tile * self._bytes_a_tiles_pixel())

    def _halo(self, width: int, height: int) -> int:
        """Return the halo of a tile at a size, as wide as the layers need that count there."""
        return halo_of((*self.recipe.content_layers, *seen_at(width, height, self.recipe)))

    def _bytes_beside_tiles(self, steps: int) -> float:
        """Return what a pixel takes of what is not tiled: the photo's maps are, but all are kept."""
        pairs = max(0, min(FRUGAL_HISTORY, steps - 2))  # there while the last step looks at its tiles
        layers = self.recipe.content_layers
        wanted = sum(CHANNELS[halvings_of(layer)] / stride_of(layer) ** 2 for layer in layers)
        return PICTURE_BYTES + PAIR_BYTES * pairs + self.entry * wanted

    def _bytes_a_tiles_pixel(self) -> float:
        """Return what a tile's maps take: the optimiser's part is counted with the picture."""
        return TILES_OVERHEAD * _maps_bytes(self.recipe, self.regions, self.entry)

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
        return cls(
            budget,
            scales,
            tuple(budget.tile_side(each.width, each.height, steps=each.steps) for each in scales),
        )

    def is_whole(self, scale: Scale) -> bool:
        """Whether a scale is painted without tiles."""
        return self.sides[scale.number - 1] is None

    @property
    def peak(self) -> int:
        """A forecast of the bytes that the painting takes at its largest scale."""
        return max(map(self.budget.peak, self.scales))
