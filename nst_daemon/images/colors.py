"""Colour statistics of pictures, and moving colours from one picture to another.

Pure: numpy arrays (H, W, 3), float32 in 0..1, sRGB-encoded, in and out. Reads no file and knows no profile.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

BLOCK = 1 << 20  # px worked on at once, so that 24 megapixels need no second picture in float64
LUMA = np.array([0.299, 0.587, 0.114])  # BT.601, of sRGB-encoded values, as in YIQ
RANK = 1e-7  # variances below this share of the largest are taken for zero: a flat or one-coloured picture


def statistics(rgb: Picture) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean colour and the covariance of the colours.

    Shapes: (H, W, 3) -> (3,), (3, 3), float64.
    """
    total, products, count = np.zeros(3), np.zeros((3, 3)), 0
    for _, block in _blocks(rgb):
        pixels = block.reshape(-1, 3).astype(np.float64) - 0.5  # near zero: sums keep their digits
        total += pixels.sum(axis=0)
        products += pixels.T @ pixels
        count += len(pixels)
    mean = total / count
    return mean + 0.5, products / count - np.outer(mean, mean)


def mixed(
    each: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]], shares: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean and the covariance of the colours of pictures taken together, by their shares of 1.

    Shapes: (3,), (3, 3) each -> (3,), (3, 3).
    """
    shared = list(zip(shares, each, strict=True))
    mean = np.sum([share * own for share, (own, _) in shared], axis=0)
    apart = [share * (own + np.outer(at - mean, at - mean)) for share, (at, own) in shared]
    return mean, np.sum(apart, axis=0)


def match_colors(rgb: Picture, to: Picture, *, within: Picture | None = None) -> Picture:
    """Return `rgb` with the mean and the covariance of the colours of `to`, clipped to 0..1.

    `within`: a mask (H, W) of the part of `rgb` that shall have them; the rest moves along.

    Colours that `rgb` does not vary in, a grey photo's say, stay unvaried: nothing is divided by zero.

    Shapes: (H, W, 3), (h, w, 3) -> (H, W, 3).
    Source: Gatys et al. 2016, "Preserving Color in Neural Artistic Style Transfer", arXiv:1606.05897,
        linear colour matching (after Hertzmann's image analogies). Differs: instead of two plain
        square roots, which may turn hues, the symmetric map that moves colours least (Pitié and Kokaram
        2007, "The linear Monge-Kantorovitch linear colour mapping for example-based colour transfer").
    """
    mean, covariance = statistics(rgb if within is None else part(rgb, within))
    wanted_mean, wanted = statistics(to)
    matrix = covariance_map(covariance, wanted)
    return _affine(rgb, matrix, wanted_mean - matrix @ mean)


def part(rgb: Picture, mask: Picture) -> Picture:
    """Return the pixels where a mask is more white than black; all where it nowhere is.

    Shapes: (H, W, 3), (H, W) -> (1, N, 3).
    """
    chosen = rgb[mask > 0.5]
    return chosen[None] if len(chosen) else rgb


def covariance_map(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the symmetric A with A · source · A = target.

    Where `source` has no variance A is zero there: those directions stay flat.

    Shapes: (3, 3), (3, 3) -> (3, 3).
    """
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    return inverse @ _power(root @ target @ root, 0.5) @ inverse


def _power(matrix: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Return a power of a symmetric matrix; directions without variance stay zero.

    Shapes: (N, N) -> (N, N).
    """
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    kept = values > max(values.max() * RANK, 1e-15)
    powers = np.zeros_like(values)
    powers[kept] = values[kept] ** exponent
    result: NDArray[np.float64] = (vectors * powers) @ vectors.T
    return result


def luminance(rgb: Picture) -> Picture:
    """Return the luma Y of every pixel. Shapes: (H, W, 3) -> (H, W)."""
    luma: Picture = rgb @ LUMA.astype(np.float32)
    return luma


def with_luminance_of(painting: Picture, photo: Picture) -> Picture:
    """Return the painting's lightness in the photo's colours; both of one size.

    Shapes: (H, W, 3) each -> (H, W, 3).
    Source: Gatys et al. 2016, arXiv:1606.05897, luminance-only transfer: Y of the painting, I and Q of the
        photo.
        Differs: where the sum lies outside of 0..1, chroma is lowered at that lightness; clipping would
        change hue and lightness.
    """
    result = np.empty_like(photo)
    for rows, colors in _blocks(photo):
        grey = luminance(colors)[..., None]
        light = luminance(painting[rows])[..., None]
        chroma = colors - grey
        result[rows] = light + chroma * _room(light, chroma)
    return np.clip(result, 0.0, 1.0, out=result)


def _room(light: Picture, chroma: Picture) -> Picture:
    """Return the largest factor, at most 1, by which each pixel's chroma fits into 0..1.

    Shapes: (H, W, 1), (H, W, 3) -> (H, W, 1).
    """
    above = chroma.max(axis=-1, keepdims=True)
    below = -chroma.min(axis=-1, keepdims=True)
    tiny = np.float32(1e-6)
    factor: Picture = np.minimum((1 - light) / np.maximum(above, tiny), light / np.maximum(below, tiny))
    np.clip(factor, 0.0, 1.0, out=factor)
    return factor


def masked(photo: Picture, painting: Picture, mask: Picture) -> Picture:
    """Return the painting where a mask is white, the photo where it is black. Shapes: mask (H, W)."""
    return np.clip(photo + mask[..., None] * (painting - photo), 0.0, 1.0)


def mix(photo: Picture, painting: Picture, strength: float) -> Picture:
    """Return the painting laid over the photo: 0 is the photo, 1 the painting.

    Shapes: (H, W, 3) each -> (H, W, 3).
    """
    if strength >= 1.0:
        return painting
    if strength <= 0.0:
        return photo
    mixed = photo + np.float32(strength) * (painting - photo)
    return np.clip(mixed, 0.0, 1.0, out=mixed)


def _affine(rgb: Picture, matrix: NDArray[np.float64], offset: NDArray[np.float64]) -> Picture:
    """Return matrix · pixel + offset of every pixel, clipped to 0..1.

    Shapes: (H, W, 3), (3, 3), (3,) -> (H, W, 3).
    """
    result = np.empty(rgb.shape, np.float32)
    columns, shift = matrix.T.astype(np.float32), offset.astype(np.float32)
    for rows, block in _blocks(rgb):
        result[rows] = block @ columns + shift
    return np.clip(result, 0.0, 1.0, out=result)


def _blocks(rgb: Picture) -> Iterator[tuple[slice, Picture]]:
    """Yield a picture in bands of rows of about `BLOCK` pixels. Shapes: (H, W, 3) -> (rows, W, 3) each."""
    step = max(1, BLOCK // max(1, rgb.shape[1]))
    for top in range(0, rgb.shape[0], step):
        rows = slice(top, top + step)
        yield rows, rgb[rows]
