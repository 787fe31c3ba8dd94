"""The same losses and the same gradient in bounded memory: a picture of any size, tile by tile.

A Gram matrix is a sum over pixels, so it can be summed over tiles. Once the sums are known, so is the
derivative of the style loss by each of them; what remains is local. Two passes over the tiles then give what
one pass over the whole picture would, up to rounding: no seams, because nothing is blended.

    1. without gradients: sum each layer's statistics over the cores of all tiles
    2. with gradients: each tile's share of the loss, given the derivatives by the statistics

A tile is its core and a halo. The halo is as wide as the network sees, so that the features of the core are
those of the whole picture; at the picture's own border there is none. Deeper blocks need less of it, and get
no more.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from nst_daemon.config.recipe import Pooling, Recipe
from nst_daemon.engine.layers import ALIGNMENT, halos_of, halvings_of, map_size
from nst_daemon.engine.losses import NO_GUIDES, Guided, gram_sum
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.wasserstein import TINY

BAND_ROWS: Final = 256  # rows of a picture whose total variation is taken at a time


@dataclass(frozen=True, slots=True)
class Span:
    """A tile along one axis, in px: the core, and what lies around it within the picture."""

    start: int
    end: int
    length: int  # of the picture
    halos: tuple[int, ...]  # of each block's maps

    def outer(self, halvings: int = 0) -> tuple[int, int]:
        """Return the bounds with the halo that a block's maps have."""
        halo = self.halos[halvings]
        return max(0, self.start - halo), min(self.length, self.end + halo)

    def core(self, halvings: int, size: int) -> slice:
        """Return where the core lies in a block's map of the outer tile, of `size` entries."""
        first = self.outer(halvings)[0]
        return slice((self.start - first) >> halvings, self._end(self.end, first, halvings, size))

    def whole(self, halvings: int, size: int) -> slice:
        """Return where the core lies in a block's map of the whole picture, of `size` entries."""
        return slice(self.start >> halvings, self._end(self.end, 0, halvings, size))

    def trimmed(self, halvings: int, size: int) -> slice:
        """Return what a block needs of a map as the pooling left it, of `size` entries."""
        (before, _), (first, last) = self.outer(halvings - 1), self.outer(halvings)
        return slice((first - before) >> halvings, self._end(last, before, halvings, size))

    def _end(self, end: int, first: int, halvings: int, size: int) -> int:
        """Return where an end lies in a map that begins at `first`; the picture's own is the map's."""
        return size if end == self.length else (end - first) >> halvings


@dataclass(frozen=True, slots=True)
class Tile:
    """A rectangle of the picture: a core and a halo, which is the narrower the deeper the block."""

    rows: Span
    columns: Span

    def cut(self, picture: Tensor) -> Tensor:
        """Return the outer tile as a view. Shapes: (..., H, W)."""
        (top, bottom), (left, right) = self.rows.outer(), self.columns.outer()
        return picture[..., top:bottom, left:right]

    def trim(self, maps: Tensor, halvings: int) -> Tensor:
        """Return what a block needs of the outer tile's maps behind its pooling. Shapes: (..., h, w)."""
        rows = self.rows.trimmed(halvings, maps.shape[-2])
        return maps[..., rows, self.columns.trimmed(halvings, maps.shape[-1])]

    def core(self, maps: Tensor, layer: str) -> Tensor:
        """Return the core of an outer tile's feature maps. Shapes: (..., h, w)."""
        halvings = halvings_of(layer)
        rows = self.rows.core(halvings, maps.shape[-2])
        return maps[..., rows, self.columns.core(halvings, maps.shape[-1])]

    def of_whole(self, maps: Tensor, layer: str) -> Tensor:
        """Return the core's part of a map of the whole picture. Shapes: (..., h, w)."""
        halvings = halvings_of(layer)
        rows = self.rows.whole(halvings, maps.shape[-2])
        return maps[..., rows, self.columns.whole(halvings, maps.shape[-1])]

    def walk(
        self, trunk: Trunk, picture: Tensor, layers: Sequence[str], pooling: Pooling
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield each of `layers` with the outer tile's maps, given its pixels.

        Shapes: (1, 3, H, W) -> (1, C, h, w) each.
        """
        return trunk.walk(picture, layers, pooling, self.trim)

    def gram_sum(self, maps: Tensor, layer: str, guide: Tensor | None) -> Tensor:
        """Return the core's part of a Gram matrix before its division; `guide` is the whole picture's.

        Shapes: (B, C, h, w), (1, 1, H, W) -> (B, C, C).
        """
        return gram_sum(self.core(maps, layer), None if guide is None else self.of_whole(guide, layer))


def tiles_of(width: int, height: int, side: int, layers: Sequence[str]) -> list[Tile]:
    """Return tiles whose cores of at most `side` px cover the picture, each pixel once.

    Their halos are as wide as these layers need.
    """
    halos = halos_of(layers)
    return [
        Tile(rows, columns) for rows in _spans(height, side, halos) for columns in _spans(width, side, halos)
    ]


def _spans(length: int, side: int, halos: tuple[int, ...]) -> list[Span]:
    step = max(ALIGNMENT, side // ALIGNMENT * ALIGNMENT)
    starts = list(range(0, length, step))
    if len(starts) > 1 and length - starts[-1] < ALIGNMENT:
        starts.pop()  # what is left is too little for four poolings
    ends = [*starts[1:], length]
    return [Span(start, end, length, halos) for start, end in zip(starts, ends, strict=True)]


@torch.no_grad()
def tiled_grams(
    trunk: Trunk,
    picture: Tensor,
    layers: Sequence[str],
    pooling: Pooling,
    side: int,
    guides: Mapping[str, Tensor] = NO_GUIDES,
) -> dict[str, Tensor]:
    """Return the Gram matrices of a picture that does not fit into memory at once, guided where there is one.

    Shapes: (1, 3, H, W), (1, 1, h, w) a layer -> a (1, C, C) a layer.
    """
    height, width = picture.shape[-2:]
    sums: dict[str, Tensor] = {}
    for tile in tiles_of(width, height, side, layers):
        for layer, maps in tile.walk(trunk, tile.cut(picture), layers, pooling):
            part = tile.gram_sum(maps, layer, guides.get(layer))
            sums[layer] = sums[layer] + part if layer in sums else part
    return {layer: each / _count(picture, layer, guides.get(layer)) for layer, each in sums.items()}


def _count(picture: Tensor, layer: str, guide: Tensor | None) -> Tensor | int:
    """Return what a layer's sum is divided by. Shapes: (1, 3, H, W), (1, 1, h, w) -> ()."""
    return _entries(picture, layer) if guide is None else guide.square().sum()


def _entries(picture: Tensor, layer: str) -> int:
    """Return how many entries a layer's map of the whole picture has. Shapes: (1, 3, H, W)."""
    rows, columns = map_size(layer, picture.shape[-1], picture.shape[-2])
    return rows * columns


class TiledLosses:
    """The losses of one scale and their gradient, for a picture that does not fit into memory at once."""

    def __init__(
        self,
        trunk: Trunk,
        photo: Tensor,
        style: Mapping[str, Sequence[Guided]],
        recipe: Recipe,
        *,
        content_weight: float,
        content_guides: Mapping[str, Tensor] = NO_GUIDES,
        side: int,
        on_tile: Callable[[], None] = lambda: None,
    ) -> None:
        self.trunk = trunk
        self.style = style
        self.recipe = recipe
        self.content_guides = content_guides
        self.on_tile = on_tile  # called before each: a step of a large picture takes minutes
        self.layers = tuple(dict.fromkeys((*recipe.content_layers, *recipe.style_layers)))
        height, width = photo.shape[-2:]
        self.tiles = tiles_of(width, height, side, self.layers)
        self.style_tiles = tiles_of(width, height, side, tuple(style))  # they see less
        self.wanted: list[dict[str, Tensor]] = []  # of each tile's core, the photo's maps
        self.content_factors = self._look_at(photo, content_weight)

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return total, content, style and total-variation loss, and the gradient by the picture.

        Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W).
        """
        style, slopes = self._style(picture)
        gradient = torch.zeros_like(picture)
        content = picture.new_zeros(())
        for tile, wanted in zip(self.tiles, self.wanted, strict=True):
            self.on_tile()
            with torch.enable_grad():
                part = tile.cut(picture).detach().clone().requires_grad_()
                share, along = self._shares(part, tile, wanted, slopes)
                (slope,) = torch.autograd.grad(share + along, part)
            content += share.detach()
            tile.cut(gradient).add_(slope)
        tv = self._total_variation(picture, gradient)
        return torch.stack([content + style + tv, content, style, tv]), gradient

    @torch.no_grad()
    def _look_at(self, photo: Tensor, content_weight: float) -> dict[str, float]:
        """Keep the photo's maps; return, by layer, what turns squared errors into the weighted content loss.

        Shapes: (1, 3, H, W).
        """
        layers = self.recipe.content_layers
        squares = dict.fromkeys(layers, 0.0)
        for tile in self.tiles:
            self.on_tile()
            found = tile.walk(self.trunk, tile.cut(photo), layers, self.recipe.pooling)
            cores = {layer: tile.core(maps, layer) for layer, maps in found}
            for layer, core in cores.items():
                squares[layer] += float(core.double().square().sum())
            self.wanted.append({layer: core.clone() for layer, core in cores.items()})  # not with their halos
        # The mean over all entries and the division by the photo's own mean square: their counts cancel.
        return {layer: content_weight / len(squares) / max(each, TINY) for layer, each in squares.items()}

    def _shares(
        self,
        part: Tensor,
        tile: Tile,
        wanted: Mapping[str, Tensor],
        slopes: Mapping[str, Sequence[Tensor]],
    ) -> tuple[Tensor, Tensor]:
        """Return the core's part of the weighted content loss, and what has the slopes of the style loss.

        Shapes: (1, 3, H, W), (1, C, h, w) a layer, (1, C, C) a layer and region -> (), ().
        """
        share = along = part.new_zeros(())
        for layer, maps in tile.walk(self.trunk, part, self.layers, self.recipe.pooling):
            if layer in wanted:
                share = share + self._content(tile.core(maps, layer), wanted[layer], layer, tile)
            if layer in slopes:
                parts = zip(slopes[layer], self._parts(maps, tile, layer), strict=True)
                along = along + torch.stack([(slope * each).sum() for slope, each in parts]).sum()
        return share, along

    def _content(self, core: Tensor, wanted: Tensor, layer: str, tile: Tile) -> Tensor:
        """Return a core's part of the weighted content loss in a layer. Shapes: (1, C, h, w) twice -> ()."""
        squares = (core.float() - wanted.float()).square()
        if (guide := self.content_guides.get(layer)) is not None:
            squares = squares * tile.of_whole(guide, layer)
        return squares.sum() * self.content_factors[layer]

    def _style(self, picture: Tensor) -> tuple[Tensor, dict[str, list[Tensor]]]:
        """Return the weighted style loss and its derivatives by each layer's sums.

        Shapes: (1, 3, H, W) -> (), (1, C, C) a layer and region.
        """
        with torch.no_grad():
            sums = self._sums(picture)
        with torch.enable_grad():
            leaves = [each.requires_grad_() for layer in self.style for each in sums[layer]]
            loss = picture.new_zeros(())
            for layer, parts in self.style.items():
                for (guide, target), each in zip(parts, sums[layer], strict=True):
                    loss = loss + target.loss(each / _count(picture, layer, guide))
            loss = loss * (self.recipe.style_weight / len(self.style))
            slopes = iter(torch.autograd.grad(loss, leaves))
        return loss.detach(), {layer: [next(slopes) for _ in parts] for layer, parts in self.style.items()}

    def _sums(self, picture: Tensor) -> dict[str, list[Tensor]]:
        """Return the sums over all pixels, by layer and region. Shapes: -> (1, C, C) each."""
        sums: dict[str, list[Tensor]] = {}
        layers = tuple(self.style)
        for tile in self.style_tiles:
            self.on_tile()
            for layer, maps in tile.walk(self.trunk, tile.cut(picture), layers, self.recipe.pooling):
                parts = list(self._parts(maps, tile, layer))
                before = sums.get(layer)
                sums[layer] = parts if before is None else [a + b for a, b in zip(before, parts, strict=True)]
        return sums

    def _parts(self, maps: Tensor, tile: Tile, layer: str) -> Iterator[Tensor]:
        """Yield a layer's statistics over the core of a tile, region by region.

        Shapes: (1, C, h, w) -> (1, C, C) a region.
        """
        for guide, _ in self.style[layer]:
            yield tile.gram_sum(maps, layer, guide)

    def _total_variation(self, picture: Tensor, gradient: Tensor) -> Tensor:
        """Return the weighted total variation, and add its gradient, in bands of rows.

        Shapes: (1, 3, H, W) each -> ().
        """
        height, width = picture.shape[-2:]
        loss = picture.new_zeros(())
        if not self.recipe.tv_weight:
            return loss
        for top in range(0, height, BAND_ROWS):
            bottom = min(height, top + BAND_ROWS)
            with torch.enable_grad():
                band = picture[..., top : min(height, bottom + 1), :].detach().clone().requires_grad_()
                share = _band_variation(band, bottom - top, height, width) * self.recipe.tv_weight
                (slope,) = torch.autograd.grad(share, band)
            loss = loss + share.detach()
            gradient[..., top : top + band.shape[-2], :].add_(slope)
        return loss


def _band_variation(band: Tensor, rows: int, height: int, width: int) -> Tensor:
    """Return a band's part of `losses.total_variation`; it may carry one row of the next band.

    Shapes: (1, 3, rows or rows + 1, W) -> ().
    """
    channels = band.shape[-3]
    right = (band[..., :rows, 1:] - band[..., :rows, :-1]).square().sum() / max(1, height * (width - 1))
    down = (band[..., 1:, :] - band[..., :-1, :]).square().sum() / max(1, (height - 1) * width)
    falling = (band[..., 1:, 1:] - band[..., :-1, :-1]).square().sum()
    rising = (band[..., 1:, :-1] - band[..., :-1, 1:]).square().sum()
    diagonal = (falling + rising) / (2 * max(1, (height - 1) * (width - 1)))
    return (right + down + diagonal) / channels
