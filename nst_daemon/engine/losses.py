"""Content, style and total-variation losses: pure functions of feature maps.

Every loss is made scale-free: divided by its own size at the target. So one set of weights serves every
photo, layer, network and resolution; the papers' losses are the same up to that constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.vgg import Trunk
from nst_daemon.recipe import Recipe, StyleLoss

TINY = 1e-12  # keeps a division by the energy of an all-black target finite
WHITENING_POWER = 0.2  # 0 is the plain Gram loss; 0.5 weighs all directions alike, and turns grey
WHITENING_FLOOR = 0.1  # of the mean eigenvalue; with less, colours wander


def gram(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """Return the channel-by-channel correlations of a feature map, all of it or where a guide is.

    Shapes: (B, C, H, W), (1, 1, H, W) -> (B, C, C), same device and type.
    Source: Gatys et al. 2015, arXiv:1508.06576, eq. 3. Differs: divided by H*W, so that
        one style weight fits every photo size. With a guide: Gatys et al. 2016, arXiv:1611.07865,
        eq. 4 and 5, features times the guide, whose squares sum to 1.
    """
    count = features.shape[-2] * features.shape[-1] if guide is None else guide.square().sum()
    return gram_sum(features, guide) / count


def gram_sum(features: Tensor, guide: Tensor | None = None) -> Tensor:
    """Return a Gram matrix before its division: parts of a picture add up. Shapes: as `gram`."""
    maps = (features if guide is None else features * guide).flatten(-2)  # (B, C, H*W)
    return maps @ maps.mT


def content_loss(features: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared error to the photo's features, relative to their own mean square.

    Shapes: (B, C, H, W), (B, C, H, W) -> ().
    Source: arXiv:1508.06576, eq. 1. Differs: a mean, not a sum; scale-free.
    """
    return functional.mse_loss(features, target) / target.square().mean().clamp_min(TINY)


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
class StyleTarget:
    """A style's statistics in one layer, ready to be compared with.

    `statistics` is (C, C); `whitening` (C, C), or None for the plain loss; `energy` a scalar tensor.
    """

    statistics: Tensor
    whitening: Tensor | None
    energy: Tensor

    @classmethod
    def of(cls, statistics: Tensor, kind: StyleLoss) -> "StyleTarget":
        """Prepare a Gram matrix (of one style, or a weighted mean of several) for `style_loss`."""
        if kind is StyleLoss.GRAM:
            return cls(statistics, None, statistics.square().mean().clamp_min(TINY))
        whitening = _whitening(statistics)
        whitened = whitening @ statistics @ whitening
        return cls(statistics, whitening, whitened.square().mean().clamp_min(TINY))

    def weighing(self, share: float) -> "StyleTarget":
        """Return the same with a loss of `share` times as much."""
        return StyleTarget(self.statistics, self.whitening, self.energy / share)


def style_loss(features: Tensor, target: StyleTarget, guide: Tensor | None = None) -> Tensor:
    """Return the mean squared error between Gram matrices, relative to the style's own mean square.

    With a whitening matrix W, W G W is compared with W A W: the plain loss is ruled by the few large
    directions of A, while fine strokes live in the small ones.

    Shapes: (B, C, H, W), (1, 1, H, W) -> ().
    Source: arXiv:1508.06576, eq. 4 and 5. Differs: scale-free; whitened on request.
    """
    return statistics_loss(gram(features, guide), target)


def statistics_loss(statistics: Tensor, target: StyleTarget) -> Tensor:
    """Return the style loss of a picture with these statistics. Shapes: (B, C, C) -> ()."""
    difference = statistics - target.statistics
    if target.whitening is not None:
        difference = target.whitening @ difference @ target.whitening
    return difference.square().mean() / target.energy


def _whitening(statistics: Tensor) -> Tensor:
    """Return (A + floor * mean eigenvalue * I) ** -power. Shapes: (C, C) -> (C, C)."""
    # Eigenvectors in double precision on the CPU: once a style, and some devices have neither.
    matrix = statistics.to("cpu", torch.float64)
    mean = matrix.diagonal().mean().clamp_min(TINY)
    values, vectors = torch.linalg.eigh(matrix)
    scaled = (values.clamp_min(0) / mean + WHITENING_FLOOR) ** -WHITENING_POWER
    whitening: Tensor = (vectors * scaled) @ vectors.mT
    return whitening.to(statistics)


Guided = tuple[Tensor | None, StyleTarget]  # where, (1, 1, H, W), or everywhere; and what


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
    ) -> None:
        self.trunk = trunk
        self.style = style
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
        features = self.trunk(picture, self.layers, self.recipe.pooling)
        zero = picture.new_zeros(())
        content = sum((content_loss(features[k], wanted) for k, wanted in self.content.items()), zero)
        pairs = [(features[k], target, guide) for k, parts in self.style.items() for guide, target in parts]
        style = sum((style_loss(maps, target, guide) for maps, target, guide in pairs), zero)
        content = content * self.content_weight
        style = style * (self.recipe.style_weight / len(self.style))
        tv = total_variation(picture) * self.recipe.tv_weight
        return torch.stack([content + style + tv, content, style, tv])
