"""The Wasserstein style loss: how far apart two Gaussians with these second moments are. Pure.

With A the style's Gram matrix and G the picture's, the squared Wasserstein-2 distance of two Gaussians
without means is tr G + tr A - 2 tr (A^1/2 G A^1/2)^1/2. Its root is smoothed: in directions in which a style
has next to nothing, float32 would take roots of rounding.

Source: Dowson and Landau 1982 for the distance, by crowsonkb/style-transfer-pytorch for pictures. Differs:
    the Gram matrices are means and covariances in one, so that blends, regions and tiles are what they are
    with the other losses; scale-free; smoothed.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor

TINY: Final = 1e-12  # keeps a division by the energy of an all-black target finite
SMOOTHING: Final = 1e-3  # of the largest eigenvalue: directions below it count less and less
FEW: Final = 0.75  # entries a channel; with fewer the loss is cheaper by the entries than by the channels
ROUNDS: Final = 15  # of Newton and Schulz: on VGG19's matrices the gradient's direction is right to cos 0.99


@dataclass(frozen=True, slots=True)
class WassersteinTarget:
    """A style's statistics A in one layer, ready for the smoothed distance.

    With d the floor, the loss of a Gram matrix G is
    tr W G - 2 tr (A^1/2 G A^1/2 + d)^1/2 + offset, over tr A, with W = A (A^2 + d)^-1/2.
    It is the distance itself where d is 0; it is convex, and 0 at G = A, where its gradient vanishes.
    """

    statistics: Tensor  # A, (C, C)
    root: Tensor  # A^1/2, (C, C)
    trace_weights: Tensor  # W, (C, C)
    floor: Tensor  # d, ()
    offset: Tensor  # ()
    energy: Tensor  # tr A, ()

    @classmethod
    def of(cls, statistics: Tensor) -> "WassersteinTarget":
        """Prepare a Gram matrix. Shapes: (C, C)."""
        # Eigenvectors in double precision on the CPU: once a style, and some devices have neither.
        values, vectors = torch.linalg.eigh(statistics.to("cpu", torch.float64))
        values = values.clamp_min(0)
        floor = (SMOOTHING * values[-1]).square()
        smooth = (values.square() + floor).sqrt().clamp_min(TINY)
        shares = values / smooth

        def spread(spectrum: Tensor) -> Tensor:
            matrix: Tensor = (vectors * spectrum) @ vectors.mT
            return matrix.to(statistics)

        return cls(
            statistics,
            spread(values.sqrt()),
            spread(shares),
            floor.to(statistics),
            (2 * smooth - shares * values).sum().to(statistics),
            values.sum().clamp_min(TINY).to(statistics),
        )

    def weighing(self, share: float) -> "WassersteinTarget":
        """Return the same with a loss of `share` times as much."""
        return replace(self, energy=self.energy / share)

    def loss(self, statistics: Tensor) -> Tensor:
        """Return the loss of a picture with these statistics. Shapes: (B, C, C) -> ()."""
        traces = (statistics * self.trace_weights).sum((-2, -1))
        shared = root_trace(self._raised(self.root @ statistics @ self.root))
        return ((traces - 2 * shared).mean() + self.offset) / self.energy

    def loss_of_maps(self, maps: Tensor, count: Tensor | int) -> Tensor:
        """Return the same for the Gram matrix `maps @ maps.mT / count`, which is not computed.

        A root has the same trace from either side: where there are fewer entries than channels, as in deep
        layers of small pictures, the smaller matrix is that of the entries.

        Shapes: (B, C, N) -> ().
        """
        maps = maps.float()
        channels, entries = maps.shape[-2:]
        traces = (maps * (self.trace_weights @ maps)).sum((-2, -1)) / count
        seen = maps.mT @ (self.statistics @ maps) / count
        shared = root_trace(self._raised(seen)) + (channels - entries) * self.floor.sqrt()
        return ((traces - 2 * shared).mean() + self.offset) / self.energy

    def _raised(self, matrix: Tensor) -> Tensor:
        """Return a matrix with the floor added to its eigenvalues. Shapes: (B, N, N) -> the same."""
        return matrix + self.floor * torch.eye(matrix.shape[-1], device=matrix.device, dtype=matrix.dtype)


def root_trace(matrix: Tensor) -> Tensor:
    """Return the trace of the square root of symmetric matrices without negative eigenvalues.

    NaN where the matrix is not finite. Shapes: (B, C, C) -> (B,).
    """
    trace: Tensor = _RootTrace.apply(matrix)  # type: ignore[no-untyped-call, unused-ignore]  # torch < 2.14
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
