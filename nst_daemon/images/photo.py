"""A photo in memory, and the small arithmetic of pixels that reading and writing share. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nst_daemon.images.metadata import Metadata

Picture = NDArray[np.float32]
NOTHING = Metadata()


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A decoded photo, upright, in sRGB."""

    width: int  # px, of the file
    height: int
    rgb: Picture  # (H, W, 3), 0..1; of fewer pixels than the file, where fewer were asked for
    alpha: Picture | None = None  # (H, W), 0..1
    format: str  # of the file: "jpeg", "png", "tiff", "webp", "avif", "heic", "gif", "bmp", "raw"
    bits: int = 8  # a channel: 8, or 16 for all that is deeper
    metadata: Metadata = NOTHING
    may_grow: bool = False  # it decodes, but its room may have been reserved: somebody may still be writing
    wraps: bool = False  # its left and right ends meet: all of a 360° panorama
    notes: tuple[str, ...] = ()  # what a user should know of how it was read


def unit(values: NDArray[Any]) -> Picture:
    """Return stored numbers as 0..1. Shapes: any -> the same, float32."""
    if values.dtype == np.float32:
        return values
    return values.astype(np.float32) / np.float32(np.iinfo(values.dtype).max)


def stored(values: Picture, bits: int) -> NDArray[Any]:
    """Return 0..1 as the nearest numbers of 8 or 16 bits. Shapes: any -> the same, uint8 or uint16."""
    top, dtype = (255, np.uint8) if bits == 8 else (65535, np.uint16)
    scaled = values * np.float32(top)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, top, out=scaled).astype(dtype)


def over_white(rgb: Picture, alpha: Picture) -> Picture:
    """Return a picture without its transparency, laid over white. Shapes: (H, W, 3), (H, W) -> (H, W, 3)."""
    return 1 - (1 - rgb) * alpha[..., None]


def filled(rgb: Picture, alpha: Picture) -> Picture:
    """Return a picture whose invisible pixels have colours of the visible ones around them.

    What a program left under full transparency is nobody's colour: it must not tint what is seen, by a
    filter, by statistics or by a search for faces.

    Shapes: (H, W, 3), (H, W) -> (H, W, 3).
    """
    is_seen = (alpha > 0)[..., None]
    if is_seen.all():
        return rgb
    weights = alpha[..., None]
    return np.where(is_seen, rgb, _spread(rgb * weights, weights)).astype(np.float32, copy=False)


def _spread(weighed: Picture, weights: Picture) -> Picture:
    """Return means of the weighed colours; where nothing weighs, those of a picture of half the size.

    Shapes: (H, W, 3), (H, W, 1) -> (H, W, 3).
    """
    known = weights > 0
    own: Picture = (weighed / np.where(known, weights, 1)).astype(np.float32)
    if known.all() or weights.size == 1:
        return own
    spread = _spread(_halved(weighed), _halved(weights))
    height, width = weights.shape[:2]
    return np.where(known, own, spread.repeat(2, axis=0).repeat(2, axis=1)[:height, :width])


def _halved(values: Picture) -> Picture:
    """Return the sums of blocks of four. Shapes: (H, W, C) -> (⌈H / 2⌉, ⌈W / 2⌉, C)."""
    height, width = values.shape[:2]
    even = np.pad(values, ((0, height % 2), (0, width % 2), (0, 0)))
    rows = even[0::2] + even[1::2]
    return np.asarray(rows[:, 0::2] + rows[:, 1::2])
