"""Content, style and total-variation losses: pure functions of feature maps.

Every loss is made scale-free: divided by its own size at the target. So one set of weights serves every
photo, layer, network and resolution; the papers' losses are the same up to that constant.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.vgg import Trunk
from nst_daemon.recipe import Recipe, StyleLoss

TINY = 1e-12  # keeps a division by the energy of an all-black target finite
WHITENING_POWER = 0.2  # 0 is the plain Gram loss; 0.5 weighs all directions alike, and turns grey
WHITENING_FLOOR = 0.1  # of the mean eigenvalue; with less, colours wander
ROUNDS = 15  # of Newton and Schulz: on VGG19's matrices the gradient's direction is right to cos 0.99
RIDGE = 1e-3  # of the largest eigenvalue, on both sides: the roots of smaller ones would be roots of rounding


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

    `statistics` is (C, C); `lens` the (C, C) matrix that the loss looks through: the whitening, or the square
    root of the statistics for the Wasserstein distance, or None for the plain loss; `energy` a scalar tensor.
    """

    kind: StyleLoss
    statistics: Tensor
    lens: Tensor | None
    energy: Tensor
    ridge: Tensor | None = None  # (C, C), to be added to a picture's statistics; it is in ours

    @classmethod
    def of(cls, statistics: Tensor, kind: StyleLoss) -> "StyleTarget":
        """Prepare a Gram matrix (of one style, or a weighted mean of several) for `style_loss`."""
        if kind is StyleLoss.GRAM:
            return cls(kind, statistics, None, statistics.square().mean().clamp_min(TINY))
        if kind is StyleLoss.WASSERSTEIN:
            ridge = torch.eye(len(statistics)) * (RIDGE * torch.linalg.eigvalsh(statistics.cpu())[-1])
            ridge = ridge.to(statistics)
            trace = statistics.diagonal().sum().clamp_min(TINY)
            return cls(kind, statistics + ridge, _power(statistics + ridge, 0.5, floor=0.0), trace, ridge)
        whitening = _power(statistics, -WHITENING_POWER, floor=WHITENING_FLOOR)
        whitened = whitening @ statistics @ whitening
        return cls(kind, statistics, whitening, whitened.square().mean().clamp_min(TINY))

    def weighing(self, share: float) -> "StyleTarget":
        """Return the same with a loss of `share` times as much."""
        return replace(self, energy=self.energy / share)


def style_loss(features: Tensor, target: StyleTarget, guide: Tensor | None = None) -> Tensor:
    """Return how far a map's statistics are from the style's, in one of three measures. All are scale-free.

    `gram`: the mean squared error between Gram matrices, relative to the style's own mean square.
    `whitened`: with a whitening matrix W, W G W is compared with W A W: the plain loss is ruled by the few
    large directions of A, while fine strokes live in the small ones.
    `wasserstein`: the squared Wasserstein-2 distance of two Gaussians with these second moments and no mean,
    tr G + tr A - 2 tr (A^1/2 G A^1/2)^1/2, relative to tr A, with a small ridge on both.

    Shapes: (B, C, H, W), (1, 1, H, W) -> ().
    Source: arXiv:1508.06576, eq. 4 and 5; Dowson and Landau 1982 for the distance, by
        crowsonkb/style-transfer-pytorch for pictures. Differs: scale-free; whitened on request; the
        Wasserstein distance is that of the Gram matrices, means and covariances in one, so that blends and
        regions are what they are with the others.
    """
    return statistics_loss(gram(features, guide), target)


def statistics_loss(statistics: Tensor, target: StyleTarget) -> Tensor:
    """Return the style loss of a picture with these statistics. Shapes: (B, C, C) -> ()."""
    if target.ridge is not None and target.lens is not None:
        statistics = statistics + target.ridge
        shared = root_trace(target.lens @ statistics @ target.lens)
        traces = statistics.diagonal(dim1=-2, dim2=-1).sum(-1) + target.statistics.diagonal().sum()
        return (traces - 2 * shared).mean() / target.energy
    difference = statistics - target.statistics
    if target.lens is not None:
        difference = target.lens @ difference @ target.lens
    return difference.square().mean() / target.energy


def root_trace(matrix: Tensor) -> Tensor:
    """Return the trace of the square root of symmetric matrices without negative eigenvalues.

    NaN where the matrix is not finite. Shapes: (B, C, C) -> (B,).
    """
    trace: Tensor = _RootTrace.apply(matrix)  # type: ignore[no-untyped-call]
    return trace


class _RootTrace(torch.autograd.Function):
    """The derivative of tr M^1/2 is M^-1/2 / 2: what finds the one gives the other."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        root_of = by_eigenvalues if matrix.device.type == "cpu" else by_newton_schulz
        trace, inverse = root_of(matrix)
        ctx.save_for_backward(inverse)
        return trace

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        inverse: Tensor = ctx.saved_tensors[0]
        return slope[:, None, None] * inverse / 2


def by_eigenvalues(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return tr M^1/2 and M^-1/2, exactly; NaN where M is not finite. A fifth of the iteration's cost.

    Shapes: (B, C, C) -> (B,), (B, C, C).
    """
    try:
        values, vectors = torch.linalg.eigh(matrix)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        nothing = torch.full_like(matrix, torch.nan)
        return nothing[:, 0, 0], nothing
    roots = values.clamp_min(TINY).sqrt()
    inverse: Tensor = vectors / roots.unsqueeze(-2) @ vectors.mT
    return roots.sum(-1), inverse


def by_newton_schulz(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return tr M^1/2 and M^-1/2 nearly, by matrix products alone: nothing waits for the device.

    After so few rounds the smallest directions are underrated; with more of them float32 diverges.

    Shapes: (B, C, C) -> (B,), (B, C, C).
    Source: Higham 2008, Functions of Matrices, eq. 6.35.
    """
    norm = matrix.square().sum((-2, -1), keepdim=True).sqrt().clamp_min(TINY)
    identity = torch.eye(matrix.shape[-1], device=matrix.device, dtype=matrix.dtype)
    root, inverse = matrix / norm, identity.expand_as(matrix)
    for _ in range(ROUNDS):
        step = 1.5 * identity - 0.5 * inverse @ root
        root, inverse = root @ step, step @ inverse
    return (root.diagonal(dim1=-2, dim2=-1).sum(-1) * norm.flatten().sqrt()), inverse / norm.sqrt()


def _power(statistics: Tensor, power: float, *, floor: float) -> Tensor:
    """Return (A + floor * mean eigenvalue * I) ** power, relative to that mean but for a root.

    Shapes: (C, C) -> (C, C).
    """
    # Eigenvectors in double precision on the CPU: once a style, and some devices have neither.
    matrix = statistics.to("cpu", torch.float64)
    mean = matrix.diagonal().mean().clamp_min(TINY) if floor else 1.0
    values, vectors = torch.linalg.eigh(matrix)
    scaled = (values.clamp_min(0) / mean + floor) ** power
    result: Tensor = (vectors * scaled) @ vectors.mT
    return result.to(statistics)


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
