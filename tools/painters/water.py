"""Pictures that flow: watercolour washes, marbled paper, and dots of divided colour."""

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
from painters.ribbons import Brush, Painting, scattered, traced


def marbled_paper(side: int, rng: Random) -> Colours:
    """Marble a sheet: drops of colour that push each other aside, drawn out with a comb and a stylus."""
    x, y = grid(side)
    # The sheet is read backwards: from the finished paper through curls and combs to the drops as they fell.
    for cx, cy in scattered(rng, 7):
        x, y = _curled(x, y, float(cx), float(cy), rng.uniform(0.05, 0.11), rng.choice([-1.0, 1.0]) * 4.0)
    y = y + 0.045 * _teeth(x, 0.040)
    x = x + 0.10 * np.cos(y / 0.125 * np.pi)
    y = y + 0.12 * np.cos(x / 0.25 * np.pi)
    inks = palette("f3e3c3 14213d b5202e e8a33d 0f6b6b f3e3c3 1b1620 d9683c 7fb3a8 3b1d4a")
    ink = _dropped(x, y, rng, len(inks))
    sheet = inks[ink] * (1.0 + 0.04 * noise(rng, side, 90) + 0.03 * noise(rng, side, side / 4))[..., None]
    pooled = blur((np.gradient(ink.astype(np.float32))[0] != 0).astype(np.float32), side / 700)
    return (sheet * (1.0 - 0.35 * np.clip(pooled, 0, 1))[..., None]).astype(np.float32)


def _curled(x: Plane, y: Plane, cx: float, cy: float, radius: float, turns: float) -> tuple[Plane, Plane]:
    """Return the places turned about a centre, most near it: what a stylus does in a circle."""
    dx, dy = x - cx, y - cy
    turn = turns * np.exp(-((dx**2 + dy**2) / radius**2))
    cosine, sine = np.cos(turn), np.sin(turn)
    return cx + dx * cosine - dy * sine, cy + dx * sine + dy * cosine


def _teeth(across: Plane, spacing: float) -> Plane:
    """Return 0..1, sharp under each tooth of a comb."""
    off = np.abs(np.mod(across / spacing, 1.0) - 0.5) * 2.0
    return np.exp(-3.0 * off).astype(np.float32)


def _dropped(x: Plane, y: Plane, rng: Random, inks: int) -> npt.NDArray[np.intp]:
    """Return the number of the ink at x and y after many drops, the last fallen looked at first."""
    ink = np.zeros(x.shape, np.intp)
    bare = np.ones(x.shape, bool)
    for _ in range(320):
        cx, cy = rng.uniform(-0.25, 1.25, 2)
        radius = rng.choice([0.02, 0.035, 0.055, 0.08])
        number = int(rng.integers(0, inks))
        away = (x - cx) ** 2 + (y - cy) ** 2
        inside = away < radius**2
        ink[inside & bare] = number
        bare &= ~inside
        # Outside, the drop pushed the older paint outwards by its own area.
        back = np.sqrt(np.clip(1.0 - radius**2 / (away + 1e-9), 0.0, 1.0)).astype(np.float32)
        x, y = cx + (x - cx) * back, cy + (y - cy) * back
    return ink


def pointillism(side: int, rng: Random) -> Colours:
    """Dot a river bank at evening: pure pigments side by side that mix in the eye."""
    picture, angle = _river_bank(side, rng)
    warm = "fff4cf ffd84a f9a01b ee5a24 c81d3a e66aa6 7b2d8b 2a1236"
    cool = "3a2a8c 1c4fb8 3aa0e0 8fd6e8 0f8f7a 4fb34a b9d64a 17324f"
    pigments = palette(f"{warm} {cool}")
    painting = Painting(np.broadcast_to(colour("d9cfae"), (side, side, 3)))
    for count, width, spread in ((6000, 0.0175, 0.16), (8500, 0.0140, 0.17), (9500, 0.0110, 0.19)):
        starts = scattered(rng, count)
        wanted = sampled(picture, starts[:, 0], starts[:, 1]) + spread * rng.standard_normal((count, 3))
        dots = varied(rng, pigments[_nearest(wanted, pigments)], 0.06, 0.015)
        brush = Brush(width=width, length=width * 1.3, dryness=0.0, streaks=0.05, taper=0.5, body=3, hairs=3)
        painting.lay(rng, brush, traced(starts, angle, brush.length, 4), dots)
    return lit(painting.colours, blur(painting.height * side / 1536, side / 1536), 0.35, shine=0.1)


def _nearest(wanted: npt.NDArray[Any], pigments: Colours) -> npt.NDArray[np.intp]:
    apart = ((wanted[:, None] - pigments[None]) ** 2).sum(axis=-1)
    return np.argmin(apart, axis=1)


def _river_bank(side: int, rng: Random) -> tuple[Colours, Plane]:
    x, y = grid(side)
    sky = ramp(
        np.clip(y / 0.42 + 0.07 * noise(rng, side, (4, 8)), 0, 1),
        palette("3f6fc4 8fb4e8 f4c8c0 ffd98a fff0b8"),
    )
    sun = np.hypot(x - 0.30, y - 0.30)
    sky = mix(sky, colour("fff6cc"), smooth(sun, 0.13, 0.05))
    far = 0.40 - 0.03 * np.sin(x * 6 + 1) - 0.012 * noise(rng, side, (26, 2))[:1]
    picture = mix(sky, ramp(np.clip((y - far) * 9, 0, 1), palette("9a7fc0 4a5fa8 2d6a6a")), y > far)
    water = ramp(
        np.clip((y - 0.46) / 0.30 + 0.1 * noise(rng, side, (5, 40)), 0, 1),
        palette("ffe2a0 f0a890 7f9fd8 2f5fa8"),
    )
    glitter = smooth(np.abs(x - 0.30 + 0.02 * np.sin(y * 120)), 0.10, 0.02)
    water = mix(water, colour("fff3b8"), 0.8 * glitter)
    picture = mix(picture, water, y > 0.46)
    bank = 0.70 + 0.16 * x - 0.05 * np.sin(x * 5)
    grass = ramp(
        np.clip(0.5 + 0.28 * noise(rng, side, (6, 12), 2), 0, 1),
        palette("17404a 2f8a4a a8cc3a ffe45a f08a2a"),
    )
    picture = mix(picture, grass, y > bank)
    for cx, cy, size in ((0.86, 0.26, 0.22), (0.66, 0.36, 0.13), (0.05, 0.38, 0.14)):
        dx, dy = (x - cx) / size, (y - cy) / size
        crown = np.hypot(dx, dy * 0.85) + 0.13 * noise(rng, side, 12)
        light = np.clip(0.5 - 0.42 * (dx + dy) * 0.7 + 0.16 * noise(rng, side, 18), 0, 1)
        leaves = ramp(light, palette("1a1440 17405a 1f7a4a 9ac43a ffd84a"))
        trunk = (np.abs(dx + 0.05 * np.sin(y * 30)) < 0.07) & (dy > 0) & (y < cy + size * 2.1)
        picture = mix(picture, colour("3a1740"), trunk)
        picture = mix(picture, leaves, crown < 1.0)
        shade = (np.hypot(dx / 1.3 - 0.2, (y - cy - size * 2.15) / (size * 0.28)) < 1.0) & (y > 0.46)
        picture = mix(picture, picture * colour("4a4a9a"), 0.8 * shade)
    return picture, (0.6 * noise(rng, side, 4)).astype(np.float32)


def watercolour(side: int, rng: Random) -> Colours:
    """Wash a garden of poppies wet in wet: translucent blots with dark rims, granulating on rough paper."""
    tooth = 0.6 * noise(rng, side, side / 6) + 0.4 * noise(rng, side, side / 14)
    density = np.zeros((side, side, 3), np.float32)
    plan = (
        (12, 0.34, 1.5, "8fc7d8 f2c879 d7a6c9 9fd0b0 f3b49a", 0.75),
        (46, 0.12, 2.5, "2f7f6a 1f5f8a 5a9a3f 27406a 7a5fa0", 0.50),
        (60, 0.085, 6.0, "163a4a 2a5a2f 3f6a2f 1f2f5f", 0.8),
    )
    for count, size, stretch, codes, strength in plan:
        inks = _absorbing(codes)
        for cx, cy in scattered(rng, count):
            ink = inks[rng.integers(0, len(inks))] * strength * rng.uniform(0.6, 1.15)
            turn = np.pi / 2 + 0.5 * rng.standard_normal()
            _blot(density, rng, (cx, cy, size * rng.uniform(0.6, 1.4)), (turn, stretch), ink, tooth)
    for cx, cy in scattered(rng, 30):
        _poppy(density, rng, float(cx), float(cy), tooth)
    drops = _absorbing("c8302a 1f4f7a f0932a 1a2a4a 3f7a3a")
    for cx, cy in scattered(rng, 260):
        ink = drops[rng.integers(0, len(drops))]
        _blot(density, rng, (cx, cy, 0.009 * rng.uniform(0.4, 1.4)), (0.0, 1.1), ink, tooth)
    paper = colour("fbf6ea") * (1.0 + 0.03 * tooth)[..., None]
    return (paper * np.exp(-density)).astype(np.float32)


def _absorbing(codes: str) -> Colours:
    """Return the densities of pigments that give these colours on white."""
    return -np.log(np.clip(palette(codes), 0.03, 0.97))


def _poppy(density: Colours, rng: Random, cx: float, cy: float, tooth: Plane) -> None:
    """Add a poppy: five petals about a dark heart."""
    petals = _absorbing("d8302a e8622a c81f56 f0932a e03a3a")
    size, petal = rng.uniform(0.035, 0.075), petals[rng.integers(0, len(petals))]
    first = rng.uniform(0, np.pi)
    for turn in first + np.arange(5) * 2 * np.pi / 5:
        place = (
            cx + size * 0.75 * np.cos(turn),
            cy + size * 0.6 * np.sin(turn),
            size * rng.uniform(0.8, 1.05),
        )
        _blot(density, rng, place, (turn, 1.25), petal * rng.uniform(0.5, 1.0), tooth)
    heart = _absorbing("1a1228")[0]
    _blot(density, rng, (cx, cy, size * 0.34), (first, 1.2), heart, tooth)
    for turn in rng.uniform(0, 2 * np.pi, 9):
        place = (cx + size * 0.55 * np.cos(turn), cy + size * 0.5 * np.sin(turn), size * 0.07)
        _blot(density, rng, place, (turn, 1.5), heart, tooth)


def _blot(
    density: Colours,
    rng: Random,
    blot: tuple[float, float, float],
    form: tuple[float, float],
    ink: Colours,
    tooth: Plane,
) -> None:
    """Add one translucent blot to the densities, in place."""
    side = density.shape[0]
    cx, cy, radius = blot
    half = max(4, int(radius * side * 1.5))
    left, top = int(cx * side) - half, int(cy * side) - half
    line = np.linspace(-1.5, 1.5, 2 * half, dtype=np.float32)
    dx, dy = np.meshgrid(line, line)
    turn, stretch = form
    across, along = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    detail = 4 if radius > 0.02 else 1  # a splash is too small for more
    wander = noise(rng, 2 * half, 4, detail)
    edge = np.hypot(across, along * stretch) + 0.13 * wander
    inside = smooth(edge, 1.0, 0.97)
    # Pigment wanders to the rim of a drying wash; within, blooms push it about.
    rim = np.exp(-(((edge - 0.965) / 0.03) ** 2))
    bloom = 0.30 * wander[::-1, ::-1]
    wash = inside * np.clip(0.55 + bloom + 0.75 * rim, 0.12, 1.6)
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + 2 * half, side), min(top + 2 * half, side)
    if x0 >= x1 or y0 >= y1:
        return
    cut = wash[y0 - top : y1 - top, x0 - left : x1 - left]
    grains = 1.0 + 0.22 * tooth[y0:y1, x0:x1]
    density[y0:y1, x0:x1] += (cut * grains)[..., None] * ink
