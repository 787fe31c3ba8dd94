"""Planes over the canvas: grids, noise, blur, warps, colour ramps and light on relief. Draws no strokes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Plane = npt.NDArray[Any]  # (side, side)
Colours = npt.NDArray[Any]  # (..., 3), sRGB 0..1
Random = np.random.Generator


def grid(side: int) -> tuple[Plane, Plane]:
    """Return x and y of every pixel's centre, 0..1, y downwards."""
    line = ((np.arange(side) + 0.5) / side).astype(np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


def resized(plane: npt.NDArray[Any], side: int) -> Plane:
    """Return a plane stretched bicubically to side x side."""
    picture = Image.fromarray(plane.astype(np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)


def noise(rng: Random, side: int, cells: float | tuple[float, float], octaves: int = 1) -> Plane:
    """Return smooth noise of mean 0 and deviation 1, with about `cells` bumps across (or across and down)."""
    across, down = cells if isinstance(cells, tuple) else (cells, cells)
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        columns, rows = (max(2, round(count * 2**octave)) for count in (across, down))
        coarse = rng.standard_normal((rows, columns)).astype(np.float32)
        total += resized(coarse, side) * 0.5**octave
    spread: Plane = (total - total.mean()) / (total.std() + 1e-6)
    return spread


def blur(plane: Plane, sigma: float) -> Plane:
    """Return the plane blurred by three running means of together `sigma` pixels, borders held."""
    radius = max(1, round(sigma))
    for _ in range(3):
        plane = _mean_of_rows(_mean_of_rows(plane, radius).T, radius).T
    return plane


def _mean_of_rows(plane: Plane, radius: int) -> Plane:
    padded = np.pad(plane, ((0, 0), (radius + 1, radius)), mode="edge").astype(np.float64)
    sums = padded.cumsum(axis=1)
    mean: Plane = ((sums[:, 2 * radius + 1 :] - sums[:, : -2 * radius - 1]) / (2 * radius + 1)).astype(
        np.float32
    )
    return mean


def sampled(field: npt.NDArray[Any], x: npt.NDArray[Any], y: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the field's nearest values at x and y in 0..1; outside, the border's."""
    side = field.shape[0]
    columns = np.clip((x * side).astype(np.intp), 0, side - 1)
    rows = np.clip((y * side).astype(np.intp), 0, side - 1)
    return field[rows, columns]


def smooth(plane: Plane, low: float | Plane, high: float | Plane) -> Plane:
    """Return 0 below `low`, 1 above `high`, and an S-curve between (low may be the greater: falling)."""
    t = np.clip((plane - low) / (high - low), 0.0, 1.0)
    curve: Plane = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
    return curve


def colour(code: str) -> Colours:
    """Return the colour of a hexadecimal code such as 'f2c14e'."""
    return np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)], np.float32) / 255.0


def palette(codes: str) -> Colours:
    """Return the colours of codes separated by blanks, as (count, 3)."""
    return np.stack([colour(code) for code in codes.split()])


def ramp(t: npt.NDArray[Any], colours: Colours, stops: Sequence[float] | None = None) -> Colours:
    """Return the colour at t in 0..1 on a scale of evenly spaced colours, or of colours at `stops`."""
    where = np.linspace(0.0, 1.0, len(colours)) if stops is None else np.asarray(stops)
    return np.stack([np.interp(t, where, colours[:, i]) for i in range(3)], axis=-1).astype(np.float32)


def mix(below: Colours, above: Colours, cover: npt.NDArray[Any]) -> Colours:
    """Return `above`, a picture or one colour, laid over `below` where `cover` (no channel axis) is 1."""
    share = cover[..., None].astype(np.float32)
    mixed: Colours = below * (1.0 - share) + above * share
    return mixed


def multiplied(picture: Colours, factor: npt.NDArray[Any]) -> Colours:
    """Return the picture with every pixel's colour times its factor."""
    return (picture * factor[..., None]).astype(np.float32)


def lit(picture: Colours, height: Plane, strength: float, shine: float = 0.0) -> Colours:
    """Return the picture with the relief `height` lit from the upper left.

    `height` is in pixels of the canvas; `shine` adds the white glints of wet paint.
    """
    down, right = np.gradient(height)
    slope = np.clip((down + right) * -strength, -0.85, 0.85)
    shaded = picture * (1.0 + 0.75 * slope)[..., None]
    glint = shine * np.clip(slope - 0.25, 0.0, 1.0)
    return (shaded + glint[..., None]).astype(np.float32)


def varied(rng: Random, colours: Colours, light: float, hue: float) -> Colours:
    """Return the colours (count, 3) each with its own deviation in light, and in each channel by `hue`."""
    count = colours.shape[0]
    brighter = 1.0 + light * rng.standard_normal((count, 1))
    shifted = colours * brighter + hue * rng.standard_normal((count, 3))
    return np.clip(shifted, 0.0, 1.0).astype(np.float32)
