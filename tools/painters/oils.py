"""Brush paintings: swirling oil, the palette knife and dry pastel, all laid down as ribbons along a flow."""

from typing import Any

import numpy as np
import numpy.typing as npt

from painters.fields import (
    Colours,
    Plane,
    Random,
    blur,
    colour,
    grid,
    lit,
    mix,
    noise,
    palette,
    ramp,
    sampled,
    smooth,
    varied,
)
from painters.ribbons import Brush, Painting, Paths, scattered, traced

# Whorls of the sky: x, y, radius, turn (its sign is the sense of rotation).
_WHORLS = (
    (0.27, 0.25, 0.24, 1.0),
    (0.66, 0.40, 0.20, -1.0),
    (0.86, 0.13, 0.15, 1.0),
    (0.50, 0.06, 0.10, -1.0),
)


def swirling_oil(side: int, rng: Random) -> Colours:
    """Paint whorls of light in a night-blue sky over a ripe field: long impasto strokes, coarse to fine."""
    colours, angle = _windy_evening(side, rng)
    painting = Painting(np.broadcast_to(colour("1a1b3a"), (side, side, 3)))
    layers = ((900, 0.040, 0.20, 0.25), (3200, 0.019, 0.15, 0.35), (5200, 0.0115, 0.105, 0.4))
    for count, width, length, dryness in layers:
        starts = scattered(rng, count)
        chosen = sampled(colours, starts[:, 0], starts[:, 1])
        brush = Brush(width=width, length=length, dryness=dryness, streaks=0.16, body=110 * width)
        painting.lay(rng, brush, traced(starts, angle, length), varied(rng, chosen, 0.13, 0.022))
    height = blur(painting.height * side / 1536, side / 1536)
    return lit(painting.colours, height, 0.42, shine=0.25)


def _windy_evening(side: int, rng: Random) -> tuple[Colours, Plane]:
    """Return the colours and the directions of a sky of whorls over hills and a field."""
    x, y = grid(side)
    sky, angle = _sky_of_whorls(side, rng, x, y)
    ridge = 0.63 + 0.035 * np.sin(x * 7.0 + 0.6) + 0.02 * np.sin(x * 17.0)
    hills = palette("0c1030 1c2a5a 15505c 2f7f78 0f1a3c")
    layers = ramp(np.mod((y - ridge) * 6.0 + 0.05 * noise(rng, side, 6), 1.0), hills)
    picture = mix(sky, layers, y > ridge)
    slope = np.arctan(0.035 * 7.0 * np.cos(x * 7.0 + 0.6))
    angle = np.where(y > ridge, slope, angle)
    meadow = 0.755 + 0.03 * np.sin(x * 4.0 + 2.0)
    furrow = np.arctan2(y - 0.62, (x - 0.62) * 1.5)
    rows = 0.5 + 0.5 * np.sin(furrow * 34.0) + 0.22 * noise(rng, side, (9, 22))
    corn = palette("3a1730 8a3420 d9741c f4b52a fbe69a")
    picture = mix(picture, ramp(np.clip(rows, 0, 1), corn), y > meadow)
    return picture, np.where(y > meadow, furrow, angle).astype(np.float32)


def _sky_of_whorls(side: int, rng: Random, x: Plane, y: Plane) -> tuple[Colours, Plane]:
    along, down = np.ones_like(x), 0.35 * np.sin(x * 9.0 + y * 5.0)
    tone = 0.34 + 0.13 * noise(rng, side, (4, 14), 2)
    glow = np.zeros_like(x)
    for cx, cy, radius, turn in _WHORLS:
        dx, dy = x - cx, y - cy
        r = np.hypot(dx, dy) + 1e-4
        near = np.exp(-((r / radius) ** 2))
        # Across the radius with a little of it: a spiral and not a ring.
        along += turn * 7.0 * near * (-dy + 0.22 * dx) / r
        down += turn * 7.0 * near * (dx + 0.22 * dy) / r
        spiral = np.cos(r / radius * 13.0 - 2.0 * turn * np.arctan2(dy, dx))
        tone += 0.30 * near * spiral + 0.16 * near
        glow = np.maximum(glow, smooth(r, radius * 0.42, radius * 0.05))
    night = palette("0f1440 1d2f86 2463b4 35a0c4 9ad8c8 f6efc4")
    suns = palette("f6efc4 fbd44f f59a22 d8431f")
    picture = mix(ramp(np.clip(tone, 0, 1), night), ramp(glow, suns), smooth(glow, 0.02, 0.18))
    return picture, np.arctan2(down, along).astype(np.float32)


def palette_knife(side: int, rng: Random) -> Colours:
    """Paint a lamp-lit avenue after rain with a knife: slabs of thick paint with pressed-up edges."""
    colours, angle = _avenue(side, rng)
    detail = _detail(colours)
    painting = Painting(np.broadcast_to(colour("120c22"), (side, side, 3)))
    for count, width, length, least in (
        (800, 0.070, 0.15, 0.0),
        (2600, 0.034, 0.10, 0.05),
        (6000, 0.017, 0.062, 0.2),
    ):
        starts = scattered(rng, count)
        starts = starts[sampled(detail, starts[:, 0], starts[:, 1]) >= least * rng.uniform(0, 2, count)]
        chosen = varied(rng, sampled(colours, starts[:, 0], starts[:, 1]), 0.20, 0.035)
        tilt = sampled(angle, starts[:, 0], starts[:, 1]) + 0.20 * rng.standard_normal(len(starts))
        brush = Brush(
            width=width, length=length, dryness=0.3, streaks=0.15, taper=0.10, body=170 * width, hairs=4
        )
        painting.lay(rng, brush, _straight(starts, tilt, length), chosen)
    height = blur(painting.height * side / 1536, side / 1400)
    return lit(painting.colours, height, 0.36, shine=0.35)


def _straight(starts: npt.NDArray[Any], tilt: npt.NDArray[Any], length: float) -> Paths:
    reach = np.linspace(-0.5, 0.5, 4) * length
    heading = np.stack([np.cos(tilt), np.sin(tilt)], axis=-1)
    return (starts[:, None] + heading[:, None] * reach[None, :, None]).astype(np.float32)


def _detail(colours: Colours) -> Plane:
    """Return how much happens near each pixel, 0..1: where a painter takes the small knife."""
    side = colours.shape[0]
    down, right = np.gradient(blur(colours.mean(axis=-1), side / 400))
    busy = blur(np.hypot(down, right), side / 100)
    return np.clip(busy / np.quantile(busy, 0.9), 0, 1)


def _avenue(side: int, rng: Random) -> tuple[Colours, Plane]:
    """Return the colours and directions of autumn trees over a wet street, a glow at its end."""
    x, y = grid(side)
    curb = 0.60
    # The wet street mirrors what is above it, drawn out downwards.
    up = np.where(y < curb, y, curb - (y - curb) * 1.15) + (y > curb) * 0.012 * noise(rng, side, (30, 60))
    glow = np.hypot(x - 0.5, (up - 0.47) * 0.8)
    picture = ramp(np.clip(glow * 1.9, 0, 1), palette("fff6cf ffd977 f39a4a 8a4a86 2b3c8c 141a4a"))
    leaf = np.clip(0.5 + 0.30 * noise(rng, side, 7, 2), 0, 1)
    leaves = ramp(leaf, palette("7a1030 d7262b f2641f fbb02a f6e27a 8fbf3a 1f7f74"))
    leaves = leaves * (0.45 + 0.75 * smooth(noise(rng, side, 16, 2), -1.2, 1.0))[..., None]
    crown = np.abs(x - 0.5) - 0.06 - 0.30 * smooth(up, 0.12, 0.56) + 0.045 * noise(rng, side, 14, 2)
    picture = mix(picture, leaves, (crown > 0) & (up < 0.56))
    for trunk, width in ((0.05, 0.020), (0.17, 0.016), (0.27, 0.011), (0.345, 0.007)):
        for foot in (trunk, 1.0 - trunk):
            stem = np.abs(x - foot + 0.012 * np.sin(up * 24 + foot * 30)) < width * (0.7 + 0.6 * up)
            picture = mix(picture, colour("1a0f24"), stem & (up > 0.16))
    for lamp, height, size in (
        (0.40, 0.40, 0.018),
        (0.60, 0.40, 0.018),
        (0.22, 0.30, 0.028),
        (0.78, 0.30, 0.028),
    ):
        ball = np.hypot(x - lamp, up - height)
        picture = mix(picture, colour("ffc85a"), 0.7 * smooth(ball, 3.2 * size, 0.0))
        picture = mix(picture, colour("fffbe6"), smooth(ball, size, 0.7 * size))
    ripple = smooth(
        np.sin(y * 75 + 2.5 * noise(rng, side, (4, 12))) + 0.4 * noise(rng, side, (8, 40)), -0.9, 0.6
    )
    street = mix(picture * np.float32(0.8), colour("1c2a66"), 0.75 * (1 - ripple))
    picture = np.where((y > curb)[..., None], street, picture)
    angle = np.where(up < 0.56, 0.8 + 1.1 * noise(rng, side, 4), np.pi / 2)
    return picture.astype(np.float32), np.where(y > curb + 0.01, 0.08 * noise(rng, side, 5), angle).astype(
        np.float32
    )


def pastel(side: int, rng: Random) -> Colours:
    """Draw northern lights over mountains in dry pastel: chalk on the tooth of black-violet paper."""
    colours, angle = _northern_lights(side, rng)
    tooth = np.clip(0.5 * noise(rng, side, side / 5) + 0.35 * noise(rng, side, side / 11), -1, 1)
    paper = colour("14101f") * (1.0 + 0.35 * tooth[..., None])
    painting = Painting(paper)
    for count, width, length, dryness in (
        (1500, 0.030, 0.13, 0.45),
        (4200, 0.013, 0.09, 0.5),
        (4800, 0.006, 0.07, 0.4),
    ):
        starts = scattered(rng, count)
        chosen = sampled(colours, starts[:, 0], starts[:, 1])
        brush = Brush(width=width, length=length, dryness=dryness, streaks=0.12, taper=0.08)
        painting.lay(rng, brush, traced(starts, angle, length), varied(rng, chosen, 0.16, 0.03), tooth=tooth)
    return painting.colours


def _northern_lights(side: int, rng: Random) -> tuple[Colours, Plane]:
    x, y = grid(side)
    hue = 0.5 + 0.22 * noise(rng, side, (5, 3), 2)
    bright = np.zeros_like(x)
    lean = 0.25 * np.sin(x * 6.0 + 1.0)
    for base, swing, phase in ((0.30, 0.07, 0.0), (0.47, 0.05, 2.2), (0.60, 0.04, 4.0)):
        hem = base + swing * np.sin(x * 9.0 + phase) + 0.03 * np.sin(x * 21.0 + phase)
        bright = np.maximum(bright, smooth(y, hem - 0.24, hem) * (y < hem))
    bright *= 0.75 + 0.25 * np.sin((x + lean * y) * 95.0 + 2.0 * noise(rng, side, (7, 2)))
    lights = ramp(np.clip(hue + 0.25 * (y - 0.3), 0, 1), palette("ff4fa0 b45cff 3fd0ff 36f2b0 d9ff66 ffe26a"))
    sky = ramp(np.clip(y * 1.3 + 0.08 * noise(rng, side, 8), 0, 1), palette("140b33 2b1760 3c2f8f 7a3c9a"))
    picture = mix(sky, lights, bright)
    angle = np.pi / 2 - 0.9 * lean + 0.15 * noise(rng, side, 5)
    for height, rough, ink in ((0.66, 0.07, "2a2f6e 5566c0 f7b7d2"), (0.79, 0.06, "0e0c22 1e4a5a 58d0b0")):
        ridge = (
            height
            + rough * (np.abs(np.mod(x * 3.3 + height * 7, 2.0) - 1.0) - 0.5)
            + 0.012 * noise(rng, side, (30, 2))[:1]
        )
        face = 0.5 + 0.4 * np.sin((x * 3.0 + y) * 22.0) + 0.25 * noise(rng, side, 12)
        picture = mix(picture, ramp(np.clip(face, 0, 1), palette(ink)), y > ridge)
        angle = np.where(y > ridge, 0.75 * np.sign(np.sin((x * 3.3 + height * 7) * np.pi)), angle)
    return picture, angle.astype(np.float32)
