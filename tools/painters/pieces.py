"""Pictures put together of pieces: stained glass, mosaic and cut paper."""

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

from painters.cells import cells, settled
from painters.fields import (
    Colours,
    Plane,
    Random,
    blur,
    colour,
    grid,
    lit,
    mix,
    multiplied,
    noise,
    palette,
    ramp,
    sampled,
    smooth,
    varied,
)
from painters.ribbons import scattered


def stained_glass(side: int, rng: Random) -> Colours:
    """Build a window of glowing panes in lead: a sun with rays over blue hills and a red and gold meadow."""
    x, y = grid(side)
    part, seam = _design(x, y)
    seeds = settled(scattered(rng, 360), part.astype(np.float32) * 0.7, min(side, 256), 3, square=0.35)
    panes = cells(seeds, rng.uniform(0, np.pi, len(seeds)), side, square=0.35)
    # A pane is a cell cut by the lines of the design.
    number = panes.owner * 64 + part
    _, first, pane = np.unique(number, return_index=True, return_inverse=True)
    pane = pane.reshape(number.shape)
    glass = varied(rng, _glass(part.ravel()[first], rng), 0.20, 0.05)[pane]
    gap = np.minimum(panes.gap, seam)
    slant = rng.uniform(-1, 1, (2, len(first))).astype(np.float32)
    tilt = panes.right * slant[0][pane] + panes.down * slant[1][pane]
    streak = noise(rng, side, (10, 34), 3) * 0.10 + noise(rng, side, 130) * 0.045
    # Light falls off from the middle of a pane to its lead, and every pane has its own slant.
    glow = 0.50 + 0.66 * smooth(gap, 0.002, 0.04) + 6.0 * tilt + streak
    picture = glass * glow[..., None] + 0.12 * np.clip(glow - 1.0, 0, 1)[..., None]
    return _leaded(picture, gap, rng)


def _design(x: Plane, y: Plane) -> tuple[npt.NDArray[np.intp], Plane]:
    """Return the part of the design each pixel is in (0..13), and twice its distance to the next line."""
    dx, dy = x - 0.5, y - 0.36
    r, turn = np.hypot(dx, dy) + 1e-4, np.arctan2(dy, dx)
    rings = np.array([0.07, 0.145, 0.30, 0.47])
    ring = np.searchsorted(rings, r)
    to_ring = np.min(np.abs(r[..., None] - rings), axis=-1)
    spokes = 14 * (turn / (2 * np.pi) + 0.5) + 0.5 * (ring % 2)
    to_spoke = np.abs(np.mod(spokes + 0.5, 1.0) - 0.5) * (2 * np.pi / 14) * r
    to_spoke = np.where(ring == 0, 1.0, to_spoke)
    part = np.where(ring == 0, 0, ring * 2 + spokes.astype(np.intp) % 2)
    seam = np.minimum(to_ring, to_spoke)
    hills = ((0.64, 0.06, 8.0), (0.73, -0.05, 7.0), (0.81, 0.04, 6.0), (0.90, 0.03, 9.0))
    for number, (height, swing, pace) in enumerate(hills):
        line = height + swing * np.sin(x * pace)
        part = np.where(y > line, 10 + number, part)
        seam = np.where(y > line, np.abs(y - line), np.minimum(seam, np.abs(y - line)))
    return part, (2.0 * seam).astype(np.float32)


def _glass(part: npt.NDArray[np.intp], rng: Random) -> Colours:
    """Return the colours of panes by their part of the design, with the odd pane of another batch."""
    sun = "fff6b0 fff6b0 ffd23f ffb020 ff8c1a e5261f"
    sky, land = "2ec4d6 1b6fd0 1b3fb0 1b6fd0", "0f7a5a 36b06a d7263d ffb000"
    odd = palette("7fe0d0 4a2ac0 f4d35e c04cfd 8f1d5b f46036")[rng.integers(0, 6, len(part))]
    return mix(palette(f"{sun} {sky} {land}")[part], odd, (rng.uniform(0, 1, len(part)) < 0.16) * 0.8)


def _leaded(picture: Colours, gap: Plane, rng: Random) -> Colours:
    side = picture.shape[0]
    width = 0.0068 * (1.0 + 0.16 * noise(rng, side, 14))
    came = smooth(gap / width, 1.25, 0.9)
    bead = np.clip(1.0 - (gap / width) ** 2, 0, 1)
    lead = lit(colour("1d1a20"), 0.006 * side * np.sqrt(bead), 0.55, shine=0.35)
    return mix(picture, lead, came)


def mosaic(side: int, rng: Random) -> Colours:
    """Lay a mosaic of a sea monster's coils: square tesserae in rows that follow the forms, in dark grout."""
    picture, angle = _coils(side, rng)
    seeds = settled(scattered(rng, 1900), angle, min(side, 400), 10, square=1.0)
    tiles = cells(seeds, sampled(angle, seeds[:, 0], seeds[:, 1]), side, square=1.0)
    stone = varied(rng, sampled(picture, seeds[:, 0], seeds[:, 1]), 0.17, 0.028)
    face = smooth(tiles.gap, 0.0025, 0.0058)
    slant = rng.uniform(-1, 1, (2, len(seeds))).astype(np.float32)
    tilt = tiles.right * slant[0][tiles.owner] + tiles.down * slant[1][tiles.owner]
    grain = 1.0 + 10.0 * tilt + 0.03 * noise(rng, side, 160) + 0.05 * noise(rng, side, 40)
    grout = colour("2a2622") * (1.0 + 0.22 * noise(rng, side, 220)[..., None])
    laid = mix(grout.astype(np.float32), stone[tiles.owner] * grain[..., None], face)
    dome = blur(smooth(tiles.gap, 0.0, 0.010), side / 1200) * side * 0.004
    return lit(laid, dome, 0.55, shine=0.35)


# Coils in the sea of the mosaic: x, y, radius, sense of rotation.
_COILS = (
    (0.34, 0.37, 0.33, 1.0),
    (0.80, 0.74, 0.22, -1.0),
    (0.88, 0.17, 0.13, 1.0),
    (0.22, 0.88, 0.15, -1.0),
)


def _coils(side: int, rng: Random) -> tuple[Colours, Plane]:
    """Return colours and row directions of golden coils in a turquoise sea."""
    x, y = grid(side)
    waves = y * 15 + 0.8 * np.sin(x * 11 + y * 4) + 0.12 * noise(rng, side, 5)
    picture = ramp(0.5 + 0.5 * np.sin(waves * np.pi / 1.5), palette("0b2545 13518a 1f9aa8 7ed6c1 f1f5e0"))
    bend = 11 * x + 4 * y
    angle = np.arctan(-8.8 * np.cos(bend) / (15 + 3.2 * np.cos(bend)))
    for cx, cy, size, sense in _COILS:
        dx, dy = x - cx, y - cy
        r, turn = np.hypot(dx, dy) + 1e-4, np.arctan2(dy, dx)
        coil = np.abs(np.mod(r * 8.2 - sense * turn / (2 * np.pi), 1.0) - 0.5)
        body = ramp(coil / 0.33, palette("fff0c0 f7c548 e8891c b23a1e 2b0f1c"))
        body = body * (0.80 + 0.25 * np.sin(turn * 22 + r * 60))[..., None]
        picture = mix(picture, body, (coil < 0.33) & (r < size))
        angle = np.where(r < size, turn + np.pi / 2, angle)
    return picture, angle.astype(np.float32)


def cut_paper(side: int, rng: Random) -> Colours:
    """Paste a clearing in a jungle of paper leaves: light ones within, dark ones around, all with shadows."""
    warm = palette("fdf3d8 f9d15a f2a03d e9b7c0 e4572e fdf3d8 8fc7c9")
    cool = palette("14213d 0f5f6b 1f7a5a 6a2e6f c2343a 27408a 0f2a2f 7a9e3b")
    x, y = grid(side)
    glow = np.hypot(x - 0.52, y - 0.45)
    picture = ramp(np.clip(glow * 1.8, 0, 1), palette("fdf3d8 f9d15a e4572e 14213d"))
    for count, size in ((40, 0.34), (80, 0.26), (130, 0.19), (110, 0.14)):
        for cx, cy in scattered(rng, count):
            leaf = _leaf(side, rng, float(cx), float(cy), size * rng.uniform(0.75, 1.25))
            far = np.hypot(cx - 0.52, cy - 0.45) + 0.13 * rng.standard_normal()
            inks = cool if far > 0.36 else warm
            _paste(picture, leaf, inks[rng.integers(0, len(inks))] * np.float32(rng.uniform(0.86, 1.06)))
    return multiplied(picture, 1.0 + 0.025 * noise(rng, side, side / 4) + 0.025 * noise(rng, side, 60))


def _leaf(side: int, rng: Random, cx: float, cy: float, size: float) -> tuple[int, int, Image.Image]:
    """Return where a leaf's box begins and its shape (white): an oval or a frond of lobes, with slits."""
    box = max(8, int(size * side * 1.15))
    t = np.linspace(-1.0, 1.0, 60)
    half = np.cos(t * np.pi / 2) ** 0.8 * rng.uniform(0.24, 0.40)
    lobes = int(rng.integers(0, 3)) * 5
    half = half * (1.0 - 0.34 * (np.abs(np.sin(t * lobes)) if lobes else 0.0))
    bend = rng.uniform(-0.35, 0.35) * (1.0 - t**2)
    turn = rng.uniform(0, 2 * np.pi)
    shape = Image.new("L", (box, box))
    pen = ImageDraw.Draw(shape)
    outline = np.concatenate([bend + half, (bend - half)[::-1]])
    pen.polygon(_placed(np.concatenate([t, t[::-1]]), outline, turn, box), fill=255)
    pen.line(_placed(t[:52], bend[:52], turn, box), fill=0, width=max(1, int(box * 0.014)))
    for at in range(8, 52, 5):
        for way in (-1, 1):
            tip = bend[at + 6] + way * half[at + 6] * 0.86
            slit = _placed(t[[at, at + 6]], np.array([bend[at], tip]), turn, box)
            pen.line(slit, fill=0, width=max(1, int(box * 0.012)))
    return int(cx * side - box / 2), int(cy * side - box / 2), shape


def _placed(
    along: npt.NDArray[Any], across: npt.NDArray[Any], turn: float, box: int
) -> list[tuple[float, float]]:
    """Return the pixels of points in a leaf's own axes (-1..1), turned about the middle of its box."""
    x = (along * np.cos(turn) - across * np.sin(turn)) * 0.48 + 0.5
    y = (along * np.sin(turn) + across * np.cos(turn)) * 0.48 + 0.5
    return [(float(a) * box, float(b) * box) for a, b in zip(x, y, strict=True)]


def _paste(picture: Colours, leaf: tuple[int, int, Image.Image], ink: Colours) -> None:
    """Lay a leaf on the picture, in place, with its shadow to the lower right."""
    side = picture.shape[0]
    left, top, shape = leaf
    drop = max(1, side // 150)
    wide = Image.new("L", (shape.width + 6 * drop, shape.height + 6 * drop))
    wide.paste(shape, (4 * drop, 4 * drop))
    shadow = np.asarray(wide.filter(ImageFilter.GaussianBlur(drop)), np.float32) * (0.55 / 255.0)
    cover = np.asarray(ImageChops.offset(wide, -drop, -drop), np.float32) / 255.0
    left, top = left - drop * 3, top - drop * 3
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + wide.width, side), min(top + wide.height, side)
    if x0 >= x1 or y0 >= y1:
        return
    cut = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
    area = picture[y0:y1, x0:x1]
    area *= (1.0 - shadow[cut])[..., None]
    area[:] = mix(area, ink, cover[cut])
