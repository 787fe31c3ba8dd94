"""Where a larger scale starts: the picture of the one before, with the detail that style and photo have.

An enlarged picture has nothing in its finest octave, and the first steps there would only invent what the
style picture can give at once. So the style picture is reduced and enlarged likewise: what it lost is its
detail. Each patch of the enlarged picture gets the detail of the patch of the style picture that looks most
like it without. The photo adds some of the light and dark that it lost: edges, windows, eyes. Of few steps
some would go into contrast and tint; so these are the style's from the start, unless they are far off, which
is the photo's doing. It is a start and no more: all losses follow. Pure: tensors in and out.

Source: patches' detail by likeness is Freeman, Jones and Pasztor's 2002, "Example-Based Super-Resolution",
    IEEE Computer Graphics and Applications 22(2). Differs: the one example is the style picture; patches
    are compared in a few principal components, with jitter; where they overlap their details are averaged.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.pixels import resize
from nst_daemon.images.colors import covariance_map, mixed

SIDE: Final = 5  # px, of a patch
STRIDE: Final = 3  # px, between patches of the picture: they overlap
ENTRIES: Final = 20_000  # patches of the style pictures, drawn evenly; more change little, and take longer
COMPONENTS: Final = 20  # of a patch's 75 numbers
JITTER: Final = 0.1  # of each component at most, up or down: with twice as much, even paint gets specks
MEAN: Final = 0.5  # how much a patch's mean colour counts, beside how it differs from that
PHOTO: Final = 0.6  # of the photo's own detail: all of it would show the photo through the paint …
LESS_THAN_PAINT: Final = 0.5  # … but no more than this, relative to the styles': smooth paint has no grain
MARGIN: Final = SIDE - 1  # px around the picture, so that its border is overlapped as all of it
BAND: Final = 64 * STRIDE  # rows at a time
AT_ONCE: Final = 1 << 23  # distances, 32 MB
MOST_CONTRAST: Final = 0.1  # by which a spread of colours is corrected at most, relative to itself
MOST_TINT: Final = 0.025  # by which the mean colour is, of 0..1
TINY: Final = 1e-6  # keeps a quotient finite where a photo is flat

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Details:
    """What the patches of some style pictures look like without their detail, and that detail."""

    mean: Tensor  # (D,)
    components: Tensor  # (D, K)
    entries: Tensor  # (N, K)
    details: Tensor  # (N, 3 * SIDE * SIDE)
    colors: tuple[Matrix, Matrix]  # the mean of the styles' colours, and their covariance

    @classmethod
    def of(cls, styles: Iterable[tuple[Tensor, float]], factor: float) -> "Details":
        """Return those of style pictures, each with its share, as a picture enlarged by `factor` lacks them.

        Shapes: (1, 3, H, W) each.
        """
        seen, lost, colors, shares = [], [], [], []
        for picture, share in styles:
            height, width = picture.shape[-2:]
            chosen = _drawn((height - SIDE + 1) * (width - SIDE + 1), round(ENTRIES * share))
            blurred = without_detail(picture, factor)
            seen.append(_features(_patches_at(blurred, chosen)))
            lost.append(_patches_at(picture - blurred, chosen))
            colors.append(_colors_of(picture, None))
            shares.append(share)
        features = torch.cat(seen)
        mean = features.mean(0)
        centred = (features - mean).double().cpu()
        _, vectors = torch.linalg.eigh(centred.mT @ centred)  # on the CPU: some devices have no double
        components = vectors[:, -COMPONENTS:].to(features)
        entries = (features - mean) @ components
        return cls(mean, components, entries, torch.cat(lost), mixed(colors, shares))

    def nearest(self, patches: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the detail of the entry that is most like each patch; with a generator nearly the most.

        Shapes: (N, 3 * SIDE²) -> the same.
        """
        query = (_features(patches) - self.mean) @ self.components
        if generator is not None:
            query += torch.rand(query.shape, generator=generator).mul_(2).sub_(1).mul_(JITTER).to(query)
        norms = self.entries.square().sum(1)
        found = [
            torch.addmm(norms, part, self.entries.mT, alpha=-2).argmin(1)
            for part in torch.split(query, max(1, AT_ONCE // len(self.entries)))
        ]
        return self.details[torch.cat(found)]

    def of_photo(self, light: Tensor, factor: float) -> Tensor:
        """Return the photo's part of a start, given its light and dark. Shapes: (1, 1, H, W) -> the same."""
        lost = without_detail(light, factor).neg_().add_(light)
        paint = self.details.view(-1, 3, SIDE * SIDE).mean(1).square().mean().sqrt()
        most = LESS_THAN_PAINT * paint / lost.square().mean().sqrt().clamp_min(TINY)
        return lost.mul_(most.clamp_max(PHOTO))

    def toned(self, start: Tensor, guide: Tensor | None = None) -> Tensor:
        """Return a start in the mean and the covariance of the styles' colours, if it nearly has them.

        What is far off goes a part of the way. `guide`: where the styles hold. Changes `start`.

        Shapes: (1, 3, H, W), (1, 1, H, W) -> (1, 3, H, W).
        """
        mean, covariance = _colors_of(start, guide)
        wanted_mean, wanted = self.colors
        factors, axes = np.linalg.eigh(covariance_map(covariance, wanted))
        contrast = (axes * factors.clip(1 - MOST_CONTRAST, 1 + MOST_CONTRAST)) @ axes.T
        tinted = mean + (wanted_mean - mean).clip(-MOST_TINT, MOST_TINT)
        matrix = torch.from_numpy(contrast).float().to(start.device)
        offset = torch.from_numpy(tinted - contrast @ mean).float().to(start.device).view(3, 1, 1)
        for band in torch.split(start[0], BAND, dim=1):
            band.copy_(torch.einsum("ij,jhw->ihw", matrix, band).add_(offset))
        return start.clamp_(0, 1)

    def on(self, picture: Tensor) -> Tensor:
        """Return an enlarged picture with the details that it lacks. Shapes: (1, 3, H, W) -> the same."""
        height, width = picture.shape[-2:]
        result = picture.clone()
        window = _window().to(picture)
        generator = torch.Generator().manual_seed(0)  # on the CPU: the same jitter on every device
        for top in range(-MARGIN, height, BAND):
            bottom = top + BAND + SIDE - STRIDE
            rows = torch.arange(top, bottom, device=picture.device).clamp(0, height - 1)
            band = functional.pad(picture[..., rows, :], (MARGIN, SIDE + STRIDE, 0, 0), mode="replicate")
            patches = functional.unfold(band, SIDE, stride=STRIDE)[0].mT
            weighed = (self.nearest(patches, generator) * window).mT[None]
            detail = functional.fold(weighed, band.shape[-2:], SIDE, stride=STRIDE)
            inside = slice(max(0, top), min(height, bottom))
            part = detail[..., inside.start - top : inside.stop - top, MARGIN : MARGIN + width]
            result[..., inside, :] += part
        return result.clamp_(0, 1)


def without_detail(picture: Tensor, factor: float) -> Tensor:
    """Return a picture reduced by a factor and enlarged again. Shapes: (1, C, H, W) -> the same."""
    height, width = picture.shape[-2:]
    smaller = max(SIDE, round(width / factor)), max(SIDE, round(height / factor))
    return resize(resize(picture, *smaller), width, height)


def _colors_of(picture: Tensor, guide: Tensor | None) -> tuple[Matrix, Matrix]:
    """Return the mean and the covariance of a picture's colours, where a guide says that they count.

    Shapes: (1, 3, H, W), (1, 1, H, W) -> (3,), (3, 3), float64.
    """
    count, total, products = 0.0, np.zeros(3), np.zeros((3, 3))
    guides = (None,) if guide is None else torch.split(guide[0], BAND, dim=1)
    for band, weights in zip(torch.split(picture[0], BAND, dim=1), cycle(guides)):
        colors = band.flatten(1) - 0.5  # near zero: sums keep their digits
        weighed = colors if weights is None else colors * weights.flatten(1)
        count += colors.shape[1] if weights is None else float(weights.sum())
        total += weighed.sum(1).cpu().numpy()
        products += (weighed @ colors.mT).cpu().numpy()
    mean = total / max(count, 1.0)
    return mean + 0.5, products / max(count, 1.0) - np.outer(mean, mean)


def _drawn(count: int, wanted: int) -> Tensor:
    """Return which of `count` patches are taken: all, or as many as wanted, always the same ones."""
    if wanted >= count:
        return torch.arange(count)
    return torch.randint(count, (max(1, wanted),), generator=torch.Generator().manual_seed(0))


def _patches_at(picture: Tensor, chosen: Tensor) -> Tensor:
    """Return patches by the number of their first pixel. Shapes: (1, 3, H, W), (N,) -> (N, 3 * SIDE²)."""
    across = picture.shape[-1] - SIDE + 1
    steps = torch.arange(SIDE)
    rows = (chosen // across)[:, None, None] + steps[:, None]
    columns = (chosen % across)[:, None, None] + steps
    return picture[0][:, rows.to(picture.device), columns.to(picture.device)].transpose(0, 1).flatten(1)


def _features(patches: Tensor) -> Tensor:
    """Return what patches are compared by: how they differ from their mean colour, and that.

    Shapes: (N, 3 * SIDE²) -> (N, D).
    """
    colors = patches.view(-1, 3, SIDE * SIDE)
    mean = colors.mean(2)
    return torch.cat([(colors - mean[..., None]).flatten(1), MEAN * SIDE * mean], 1)


def _window() -> Tensor:
    """Return how much a patch's pixels count: where patches overlap, 1 in all. Shapes: -> (3 * SIDE²,)."""
    steps = torch.arange(1, SIDE + 1)
    line = torch.minimum(steps, steps.flip(0)).float().square()  # the middle counts most: details stay crisp
    line = torch.stack([each / line[number % STRIDE :: STRIDE].sum() for number, each in enumerate(line)])
    return (line[:, None] * line).flatten().repeat(3)
