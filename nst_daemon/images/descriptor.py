"""What a picture's colours and contrasts are, as numbers, so that a photo and a style can be compared.

Pure: numpy arrays (H, W, 3), float32 in 0..1, sRGB-encoded, in; plain numbers out.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from nst_daemon.images.layout import fitted
from nst_daemon.images.likeness import LEAST, Descriptor
from nst_daemon.images.saving import resize

Picture = NDArray[np.float32]
Plane = NDArray[np.float32]
Floats = NDArray[np.float64]

LONGEST: Final = 256  # px, longer side at which a picture is looked at
DIRECTIONS: Final = 32  # in which colours are projected
QUANTILES: Final = 32  # of each projection
OCTAVES: Final = 3  # of contrast: 2, 4 and 8 px, where strokes are
SPARSE: Final = 3  # every so many pixels each way are enough for colours
PATCH: Final = 16  # px each way: larger than a stroke, smaller than a sky
CALM: Final = 0.008  # of lightness, a patch's mean in the finest octave: less is a scan's noise and a shade
# Linear sRGB to Oklab. Source: Björn Ottosson, "A perceptual color space for image processing", 2020.
CONES: Final = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
OKLAB: Final = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def descriptor_of(rgb: Picture) -> Descriptor:
    """Return what a picture's colours and contrasts are. Shapes: (H, W, 3)."""
    height, width = rgb.shape[:2]
    lab = oklab(resize(rgb, *fitted(width, height, LONGEST)))
    return Descriptor(
        colors=tuple(colors_of(lab).tolist()),
        contrasts=tuple(contrasts_of(lab).tolist()),
        chroma=float(np.hypot(lab[..., 1], lab[..., 2]).mean()),
        plain=plain_part_of(lab),
    )


def oklab(rgb: Picture) -> Floats:
    """Return colours in Oklab. Shapes: (H, W, 3) -> (H, W, 3): lightness, green to red, blue to yellow."""
    encoded = rgb.astype(np.float64)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    lab: Floats = np.cbrt(linear @ CONES.T) @ OKLAB.T
    return lab


def colors_of(lab: Floats) -> Floats:
    """Return the quantiles of colours along directions of their space. Shapes: (H, W, 3) -> (N,).

    The Euclidean distance of two of them is the sliced Wasserstein-2 distance of their pictures' colours.

    Source: Rabin et al. 2011, "Wasserstein barycenter and its application to texture mixing". Differs: the
        directions are fixed and evenly spread, and quantiles stand for sorted lists, whose lengths differ.
    """
    number = np.arange(DIRECTIONS) + 0.5
    polar, turn = np.arccos(1 - number / DIRECTIONS), np.pi * (1 + 5**0.5) * number  # half a sphere
    axes = np.stack([np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)])  # (3, D)
    quantiles = np.quantile(
        lab[::SPARSE, ::SPARSE].reshape(-1, 3) @ axes, (np.arange(QUANTILES) + 0.5) / QUANTILES, axis=0
    )
    result: Floats = quantiles.ravel() / np.sqrt(quantiles.size)
    return result


def contrasts_of(lab: Floats) -> Floats:
    """Return the contrast of lightness in each octave as a logarithm, the finest first.

    Shapes: (H, W, 3) -> (OCTAVES,).
    """
    octaves = []
    plane = lab[..., 0].astype(np.float32)
    for _ in range(OCTAVES):
        finest, plane = _split(plane)
        octaves.append(np.sqrt(np.mean(finest**2)))
    result: Floats = np.log2(np.array(octaves, np.float64) + LEAST)
    return result


def plain_part_of(lab: Floats) -> float:
    """Return the part of a picture that has no strokes: patches that the finest octave leaves alone.

    Its contrast alone does not tell: soft strokes all over a picture have as much as a few hard edges around
    a large sky. Shapes: (H, W, 3).
    """
    finest = np.abs(_split(lab[..., 0].astype(np.float32))[0])
    tall, wide = (min(PATCH, side) for side in finest.shape)
    rows, columns = finest.shape[0] // tall, finest.shape[1] // wide
    patches = finest[: rows * tall, : columns * wide].reshape(rows, tall, columns, wide)
    return float(np.mean(patches.mean(axis=(1, 3)) < CALM))


def _split(plane: Plane) -> tuple[Plane, Plane]:
    """Return the finest octave of a plane, and all below it in half its size. Shapes: (H, W)."""
    height, width = plane.shape
    smaller = resize(plane, max(1, width // 2), max(1, height // 2))
    return plane - resize(smaller, width, height), smaller
