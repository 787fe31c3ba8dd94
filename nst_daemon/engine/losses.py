"""Content, style and total-variation losses: pure functions of feature maps.

Every loss is made scale-free: divided by its own size at the target. So one set of weights serves every
photo, layer, network and resolution; the papers' losses are the same up to that constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.config.recipe import Recipe, StyleLoss
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.wasserstein import FEW, TINY, WassersteinTarget

BAND = 1 << 22  # entries of feature maps at a time
WHITENING_POWER = 0.2  # 0 is the plain Gram loss; 0.5 weighs all directions alike, and turns grey
WHITENING_FLOOR = 0.1  # of the mean eigenvalue; with less, colours wander


def gram(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """Return the channel-by-channel correlations of a feature map, all of it or where a guide is.

    Shapes: (B, C, H, W), (1, 1, H, W) -> (B, C, C), same device, no less than float32.
    Source: Gatys et al. 2015, arXiv:1508.06576, eq. 3. Differs: divided by H*W, so that
        one style weight fits every photo size. With a guide: Gatys et al. 2016, arXiv:1611.07865,
        eq. 4 and 5, features times the guide, whose squares sum to 1.
    """
    return gram_sum(features, guide) / _count(features, guide)


def gram_sum(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """Return a Gram matrix before its division: parts of a picture add up. Shapes: as `gram`."""
    maps = features if guide is None else features * guide
    sums: Tensor = _Products.apply(maps)  # type: ignore[no-untyped-call, unused-ignore]  # torch < 2.14
    return sums


def _maps_of(features: Tensor, guide: Tensor | None) -> Tensor:
    """Return what a Gram matrix is the product of. Shapes: (B, C, H, W) -> (B, C, H*W)."""
    return _flat(features if guide is None else features * guide)


def _count(features: Tensor, guide: Tensor | None) -> Tensor | int:
    """Return what a Gram matrix is divided by. Shapes: (B, C, H, W), (1, 1, H, W) -> ()."""
    return features.shape[-2] * features.shape[-1] if guide is None else guide.square().sum()


class _Products(torch.autograd.Function):
    """F F^T in no less than float32, whatever F is; a gradient of F's own type, by one product, not two.

    Band by band: neither a copy in another type nor one that lies in one piece is ever as large as the maps.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor) -> Tensor:
        """Return F F^T. Shapes: (B, C, H, W) -> (B, C, C)."""
        ctx.save_for_backward(maps)
        return torch.stack([band @ band.mT for band in map(_wide, map(_flat, _bands(maps)))]).sum(0)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        """Return the gradient by F: (S + S^T) F. Shapes: (B, C, C) -> (B, C, H, W)."""
        maps: Tensor = ctx.saved_tensors[0]
        both = (slope + slope.mT).to(maps.dtype)
        gradient = torch.empty_like(maps)
        for into, band in zip(_bands(gradient), _bands(maps), strict=True):
            into.copy_((both @ _flat(band)).view(band.shape))
        return gradient


def _bands(maps: Tensor) -> tuple[Tensor, ...]:
    """Return views of some rows each. Shapes: (B, C, H, W) -> (B, C, h, W) each."""
    rows = max(1, BAND // (maps.shape[-3] * maps.shape[-1]))
    return torch.split(maps, rows, dim=-2)


def _flat(maps: Tensor) -> Tensor:
    """Return maps with their pixels in a row. Shapes: (B, C, H, W) -> (B, C, H*W)."""
    return maps.flatten(-2)


def content_loss(features: Tensor, target: Tensor, guide: Tensor | None = None) -> Tensor:
    """Return the mean squared error to the photo's features, relative to their own mean square.

    With a guide an error counts as many times as it says there.

    Shapes: (B, C, H, W), (B, C, H, W), (1, 1, H, W) -> ().
    Source: arXiv:1508.06576, eq. 1. Differs: a mean, not a sum; scale-free; guided on request.
    """
    features, target = _wide(features), _wide(target)
    energy = target.square().mean().clamp_min(TINY)
    if guide is None:
        return functional.mse_loss(features, target) / energy
    return ((features - target).square() * guide).mean() / energy


def _wide(maps: Tensor) -> Tensor:
    """Return maps in no less than float32. Shapes: (B, C, …) -> the same."""
    return maps.float() if maps.dtype is torch.bfloat16 else maps


def total_variation(picture: Tensor) -> Tensor:
    """Return the mean squared difference between neighbouring pixels, diagonals at half weight.

    Shapes: (B, 3, H, W) -> ().
    Source: Mahendran and Vedaldi 2014, arXiv:1412.0035, with beta = 2.
    """
    right = (picture[..., :, 1:] - picture[..., :, :-1]).square().mean()
    down = (picture[..., 1:, :] - picture[..., :-1, :]).square().mean()
    falling = (picture[..., 1:, 1:] - picture[..., :-1, :-1]).square().mean()
    rising = (picture[..., 1:, :-1] - picture[..., :-1, 1:]).square().mean()
    return right + down + (falling + rising) / 2


@dataclass(frozen=True, slots=True)
class GramTarget:
    """A style's statistics in one layer, ready for the mean squared error, plain or through a whitening."""

    statistics: Tensor  # (C, C)
    whitening: Tensor | None  # (C, C)
    energy: Tensor  # ()

    @classmethod
    def of(cls, statistics: Tensor, *, is_whitened: bool) -> "GramTarget":
        """Prepare a Gram matrix. Shapes: (C, C)."""
        if not is_whitened:
            return cls(statistics, None, statistics.square().mean().clamp_min(TINY))
        whitening = _power(statistics, -WHITENING_POWER, floor=WHITENING_FLOOR)
        whitened = whitening @ statistics @ whitening
        return cls(statistics, whitening, whitened.square().mean().clamp_min(TINY))

    def weighing(self, share: float) -> "GramTarget":
        """Return the same with a loss of `share` times as much."""
        return replace(self, energy=self.energy / share)

    def loss(self, statistics: Tensor) -> Tensor:
        """Return the loss of a picture with these statistics. Shapes: (B, C, C) -> ()."""
        difference = statistics - self.statistics
        if self.whitening is not None:
            difference = self.whitening @ difference @ self.whitening
        return difference.square().mean() / self.energy


StyleTarget = GramTarget | WassersteinTarget


def style_target(statistics: Tensor, kind: StyleLoss) -> StyleTarget:
    """Prepare a Gram matrix (of one style, or a weighted mean of several) for `style_loss`.

    Shapes: (C, C).
    """
    if kind is StyleLoss.WASSERSTEIN:
        return WassersteinTarget.of(statistics)
    return GramTarget.of(statistics, is_whitened=kind is StyleLoss.WHITENED)


def style_loss(features: Tensor, target: StyleTarget, guide: Tensor | None = None) -> Tensor:
    """Return how far a map's statistics are from the style's, in one of three measures. All are scale-free.

    `gram`: the mean squared error between Gram matrices, relative to the style's own mean square.
    `whitened`: with a whitening matrix W, W G W is compared with W A W: the plain loss is ruled by the few
    large directions of A, while fine strokes live in the small ones.
    `wasserstein`: the distance between Gaussians (`wasserstein.py`), relative to the style's energy.

    Shapes: (B, C, H, W), (1, 1, H, W) -> ().
    Source: arXiv:1508.06576, eq. 4 and 5. Differs: scale-free; whitened on request.
    """
    is_small = features.shape[-2] * features.shape[-1] < FEW * features.shape[-3]
    if isinstance(target, WassersteinTarget) and is_small:
        return target.loss_of_maps(_maps_of(features, guide), _count(features, guide))
    return target.loss(gram(features, guide))


def _power(statistics: Tensor, power: float, *, floor: float) -> Tensor:
    """Return (A + floor * mean eigenvalue * I) ** power, relative to that mean. Shapes: (C, C) -> (C, C)."""
    # Eigenvectors in double precision on the CPU: once a style, and some devices have neither.
    matrix = statistics.to("cpu", torch.float64)
    mean = matrix.diagonal().mean().clamp_min(TINY)
    values, vectors = torch.linalg.eigh(matrix)
    scaled = (values.clamp_min(0) / mean + floor) ** power
    result: Tensor = (vectors * scaled) @ vectors.mT
    return result.to(statistics)


Guided = tuple[Tensor | None, StyleTarget]  # where, (1, 1, H, W), or everywhere; and what


NO_GUIDES: Mapping[str, Tensor] = MappingProxyType({})


class WholeLosses:
    """The losses of one scale and their gradient, the whole picture at once."""

    def __init__(
        self,
        trunk: Trunk,
        photo: Tensor,
        style: Mapping[str, Sequence[Guided]],
        recipe: Recipe,
        *,
        content_weight: float,
        content_guides: Mapping[str, Tensor] = NO_GUIDES,
    ) -> None:
        self.trunk = trunk
        self.style = style
        self.content_guides = content_guides
        self.recipe = recipe
        self.content_weight = content_weight / max(1, len(recipe.content_layers))
        self.layers = tuple(dict.fromkeys((*recipe.content_layers, *recipe.style_layers)))
        with torch.no_grad():
            self.content = trunk(photo, recipe.content_layers, recipe.pooling)

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return total, content, style and total-variation loss, and the gradient by the picture.

        Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W).
        """
        with torch.enable_grad():
            leaf = picture.detach().requires_grad_()
            losses = self._losses(leaf)
            (gradient,) = torch.autograd.grad(losses[0], leaf)
        return losses.detach(), gradient.contiguous()

    def _losses(self, picture: Tensor) -> Tensor:
        """Return total, content, style and total-variation loss. Shapes: (1, 3, H, W) -> (4,)."""
        content = style = picture.new_zeros(())
        for layer, maps in self.trunk.walk(picture, self.layers, self.recipe.pooling):
            if (wanted := self.content.get(layer)) is not None:
                content = content + content_loss(maps, wanted, self.content_guides.get(layer))
            for guide, target in self.style.get(layer, ()):
                style = style + style_loss(maps, target, guide)
        content = content * self.content_weight
        style = style * (self.recipe.style_weight / len(self.style))
        tv = total_variation(picture) * self.recipe.tv_weight
        return torch.stack([content + style + tv, content, style, tv])
