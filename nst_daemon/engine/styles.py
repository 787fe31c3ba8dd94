"""What the network is told of style pictures at a scale: their statistics, kept, and their detail."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.config.recipe import Figures, Recipe, StyleLoss
from nst_daemon.engine.budget import Budget
from nst_daemon.engine.detail import Details
from nst_daemon.engine.figures import paint_guide
from nst_daemon.engine.layers import map_size, sees_figures
from nst_daemon.engine.losses import StyleTarget, gram, style_target
from nst_daemon.engine.pixels import resize, to_tensor
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.schedule import Scale, least_side, style_size
from nst_daemon.engine.targets import Grams, Targets
from nst_daemon.engine.tiles import tiled_grams
from nst_daemon.engine.vgg import Trunk

Prepared = tuple[tuple[int, ...], tuple[float, ...], StyleLoss, tuple[str, ...]]

KEPT_PREPARED: Final = 8  # targets of a scale, ready for its loss; 7 MB each


class Styles:
    """Shows style pictures to one network on one device. Without a folder all is kept in memory only."""

    def __init__(self, trunk: Trunk, device: torch.device, folder: Path | None = None) -> None:
        self.trunk = trunk
        self.device = device
        self.kept = Targets(trunk, folder)
        self._prepared: OrderedDict[Prepared, tuple[list[Grams], Mapping[str, StyleTarget]]] = OrderedDict()

    def targets(
        self, styles: Sequence[StyleSource], recipe: Recipe, scale: Scale, budget: Budget
    ) -> Mapping[str, StyleTarget]:
        """Return what the statistics of each layer shall be: the weighted mean of the styles'."""
        in_all = sum(style.weight for style in styles)
        each = [self.grams_of(style, recipe, scale, budget) for style in styles]
        shares = [style.weight / in_all for style in styles]
        # While `each` is kept no other Gram matrices can have their identities.
        key = (tuple(map(id, each)), tuple(shares), recipe.style_loss, recipe.style_layers)
        if key not in self._prepared:
            prepared = {
                layer: style_target(
                    torch.stack(
                        [share * grams[layer] for share, grams in zip(shares, each, strict=True)]
                    ).sum(0),
                    recipe.style_loss,
                )
                for layer in recipe.style_layers
            }
            self._prepared[key] = each, prepared
            if len(self._prepared) > KEPT_PREPARED:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return self._prepared[key][1]

    def details(self, styles: Sequence[StyleSource], recipe: Recipe, scale: Scale, factor: float) -> Details:
        """Return the detail of the styles that a picture enlarged by a factor lacks at a scale."""
        in_all = sum(style.weight for style in styles)
        shown = (
            (resize(to_tensor(style.rgb, self.device), *_size(style, recipe, scale)), style.weight / in_all)
            for style in styles
            if style.weight
        )
        return Details.of(shown, factor)

    @torch.no_grad()
    def grams_of(
        self, style: StyleSource, recipe: Recipe, scale: Scale, budget: Budget
    ) -> Mapping[str, Tensor]:
        """Return the style's Gram matrices at this scale, kept from an earlier picture if possible.

        Shapes: -> (C, C) a layer.
        """
        size = _size(style, recipe, scale)
        side = budget.tile_side(*size)
        seeing = (
            tuple(layer for layer in recipe.style_layers if sees_figures(layer, max(size)))
            if recipe.figures is Figures.OFF
            else ()
        )

        def make() -> Mapping[str, Tensor]:
            picture = resize(to_tensor(style.rgb, self.device), *size)
            if side is None:
                features = self.trunk(picture, recipe.style_layers, recipe.pooling)
                guides = {layer: paint_guide(features[layer], layer) for layer in seeing}
                grams = {layer: gram(features[layer], guides.get(layer)) for layer in recipe.style_layers}
            else:
                guides = self._guides_of_large(picture, seeing, recipe, budget)
                grams = tiled_grams(self.trunk, picture, recipe.style_layers, recipe.pooling, side, guides)
            return {layer: each[0] for layer, each in grams.items()}

        # What it was reduced to before counts too: the same order is to give the same bytes tomorrow.
        key = (style.identity, style.rgb.shape[:2], size, recipe.style_layers, seeing, recipe.pooling, side)
        return self.kept.get(key, self.device, make)

    def _guides_of_large(
        self, picture: Tensor, layers: Sequence[str], recipe: Recipe, budget: Budget
    ) -> dict[str, Tensor]:
        """Return the guides of a style picture that does not fit into memory, as a smaller copy has them.

        Shapes: (1, 3, H, W) -> (1, 1, h, w) a layer.
        """
        height, width = picture.shape[-2:]
        small = width, height
        while budget.tile_side(*small) is not None and min(small) >= 2 * least_side(layers):
            small = small[0] // 2, small[1] // 2
        features = self.trunk(resize(picture, *small), layers, recipe.pooling)
        return {
            layer: functional.interpolate(
                paint_guide(features[layer], layer), map_size(layer, width, height), mode="bilinear"
            )
            for layer in layers
        }


def _size(style: StyleSource, recipe: Recipe, scale: Scale) -> tuple[int, int]:
    """Return the width and height in px at which a style picture is shown at a scale."""
    width, height = style_size(style.rgb.shape[1], style.rgb.shape[0], recipe, scale)
    least = least_side(recipe.style_layers)
    return max(width, least), max(height, least)
