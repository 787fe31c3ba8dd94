"""Pictures in ink: a woodcut, and a colour print of waves."""

import numpy as np

from painters.fields import Colours, Plane, Random, colour, grid, mix, noise, palette, ramp, smooth


def woodcut(side: int, rng: Random) -> Colours:
    """Cut a sunrise over mountains and a lake: black lines that swell with the tone over blocks of colour."""
    x, y = grid(side)
    cut = np.array([noise(rng, side, 9, 2), noise(rng, side, 9, 2)]) * 0.006
    phase, tone, block = _sunrise(side, rng, x + cut[0], y + cut[1])
    wave = np.abs(np.mod(phase + 0.05 * noise(rng, side, 60), 1.0) * 2.0 - 1.0)
    swell = tone + 0.09 * noise(rng, side, (30, 30)) + 0.05 * noise(rng, side, side / 8)
    inks = palette("f4e7c9 e9a93c cf4a2a 2f6f77")
    grain = 0.5 + 0.5 * np.sin((x + 0.02 * noise(rng, side, (3, 5), 2)) * 260 + 2 * noise(rng, side, (40, 2)))
    worn = smooth(noise(rng, side, (side / 5, side / 14)) + 0.8 * grain, 2.1, 1.5)
    shifted = np.roll(block, (side // 300, -side // 260), (0, 1))
    picture = mix(np.broadcast_to(inks[0], (side, side, 3)), inks[shifted], worn * (shifted > 0))
    key = mix(picture, colour("16151f"), (wave < swell) * (0.86 + 0.14 * worn))
    fibre = 1.0 + 0.02 * noise(rng, side, side / 8) + 0.02 * noise(rng, side, (20, 120))
    return (key * fibre[..., None]).astype(np.float32)


def _sunrise(side: int, rng: Random, x: Plane, y: Plane) -> tuple[Plane, Plane, np.ndarray]:
    """Return the phase of the cut lines, the tone (1 is black) and the number of the colour block."""
    r, turn = np.hypot(x - 0.62, y - 0.30), np.arctan2(y - 0.30, x - 0.62)
    rays = 0.5 + 0.5 * np.sin(turn * 15)
    phase = np.where(r < 0.115, r * 30, r * 52 + 0.35 * np.sin(turn * 7))
    tone = np.where(r < 0.115, 0.10, 0.12 + 0.62 * smooth(r, 0.10, 0.75) * (0.55 + 0.7 * rays))
    block = np.where(r < 0.115, 2, np.where(r < 0.34, 1, np.where(rays > 0.55, 2, 1)))
    for base, height, steep, lines, ink in ((0.50, 0.20, 3.1, 70, 3), (0.58, 0.15, 4.7, 60, 2)):
        peak = np.abs(np.mod(x * steep + base * 9, 2.0) - 1.0)
        crest = base - height * (peak - 0.35) + 0.012 * np.sin(x * 61) + 0.008 * np.sin(x * 133)
        facing = np.mod(x * steep + base * 9, 2.0) > 1.0
        below = y - crest
        shade = np.where(facing, 0.16 + 1.3 * below, 0.88 - 1.2 * below)
        cuts = (x * np.where(facing, 0.75, -0.85) + y * 0.9) * lines + 0.3 * np.sin(below * 60)
        on = below > 0
        phase, tone = np.where(on, cuts, phase), np.where(on, np.clip(shade, 0.12, 0.93), tone)
        tone = np.where((below > 0) & (below < 0.007), 1.0, tone)
        block = np.where(on, np.where(facing, 0, ink), block)
    return _lake(x, y, phase, tone, block, rng, side)


def _lake(
    x: Plane, y: Plane, phase: Plane, tone: Plane, block: np.ndarray, rng: Random, side: int
) -> tuple[Plane, Plane, np.ndarray]:
    water = y > 0.63
    depth = np.clip(y - 0.63, 0, 1)
    ripple = 44 * depth**0.75 + 0.5 * np.sin(x * 24 + depth * 40) + 0.3 * noise(rng, side, (8, 14))
    glitter = np.abs(x - 0.62 + 0.03 * np.sin(y * 130)) < 0.05 + 0.22 * depth
    phase = np.where(water, ripple, phase)
    tone = np.where(water, np.where(glitter, 0.18, 0.55 + 0.22 * np.sin(x * 9 + depth * 12)), tone)
    block = np.where(water, np.where(glitter, 1, 3), block)
    bank = y > 0.845 + 0.05 * np.sin(x * 5.0) + 0.016 * np.abs(np.sin(x * 43)) + 0.02 * np.sin(x * 91)
    blades = x * 62 + 9.0 * np.sin(x * 5) * (y - 0.8) + 0.4 * np.sin(y * 40)
    phase = np.where(bank, blades, phase)
    tone = np.where(bank, 0.80 - 1.5 * np.clip(y - 0.88, 0, 1) * (0.5 + 0.5 * np.sin(x * 21)), tone)
    return phase, tone.astype(np.float32), np.where(bank, 2, block)


def indigo_waves(side: int, rng: Random) -> Colours:
    """Print heaped-up waves in blues with cream foam below a glowing sky, each drawn with curling lines."""
    picture = _sky_of_clouds(side, rng)
    rows = 8
    for row in range(rows):
        near = row / (rows - 1)
        radius = 0.065 + 0.125 * near
        middle = 0.64 + 0.52 * near**1.15
        count = int(np.ceil(1.2 / (radius * 1.15)))
        shift = rng.uniform(0, radius)
        for at in rng.permutation(count):
            cx = at * radius * 1.15 - 0.1 + shift + rng.uniform(-0.2, 0.2) * radius
            cy = middle + rng.uniform(-0.35, 0.25) * radius
            _wave(picture, rng, (cx, cy, radius * rng.uniform(0.8, 1.3)))
    fibre = 1.0 + 0.02 * noise(rng, side, side / 8) + 0.03 * noise(rng, side, (6, 120))
    return (picture * fibre[..., None]).astype(np.float32)


def _sky_of_clouds(side: int, rng: Random) -> Colours:
    """Return an evening sky, a red sun in it, behind long streaming clouds drawn in lines."""
    x, y = grid(side)
    picture = ramp(np.clip(y / 0.68, 0, 1), palette("16284e 8a3b52 d9572f f09a4a f8d99a 7fb2cf"))
    picture = mix(picture, colour("c62a24"), smooth(np.hypot(x - 0.66, y - 0.30), 0.125, 0.123))
    flow = y * 21 + 1.6 * np.sin(x * 5.0 + y * 7) + 0.55 * noise(rng, side, (4, 3))
    band = np.mod(flow, 1.0)
    thick = 0.34 + 0.24 * noise(rng, side, (3, 9))
    cloud = band < thick
    shade = ramp(np.clip(band / np.maximum(thick, 0.05), 0, 1), palette("f7efda f4cf9a e58a52"))
    tones = np.mod(np.floor(flow), 2.0)[..., None]
    shade = np.where(tones > 0, shade, shade * colour("6f86b8")).astype(np.float32)
    picture = mix(picture, shade, cloud)
    line = (np.abs(band - thick) < 0.035) | ((band < 0.035) & cloud)
    return mix(picture, colour("0b1733"), line & (thick > 0.04))


def _wave(picture: Colours, rng: Random, wave: tuple[float, float, float]) -> None:
    """Draw one curling wave into the picture, in place."""
    side = picture.shape[0]
    cx, cy, radius = wave
    reach = radius * 1.35
    edges = np.array([cx - reach, cx + reach, cy - reach, cy + reach])
    x0, x1, y0, y1 = np.clip(edges * side, 0, side).astype(int)
    lean = rng.uniform(-1.0, 1.0)
    phase, curl = rng.uniform(0, 6), np.sign(lean) * rng.uniform(0.25, 0.5)
    if x0 >= x1 or y0 >= y1:
        return
    y, x = np.mgrid[y0:y1, x0:x1].astype(np.float32) / side
    dx, dy = (x - cx) / radius, (y - cy) / radius
    turn = np.arctan2(dy - 0.1, dx - 0.25 * lean)
    r = np.hypot(dx - 0.25 * lean * (1 - np.abs(dy)), dy) + 0.04 * np.sin(turn * 3 + phase)
    claws = 0.17 * (1.0 - np.abs(np.sin(turn * 9 + phase + 5.0 * lean * r))) ** 1.6
    curls = 0.045 * np.abs(np.sin(turn * 15 + phase * 2))
    area = picture[y0:y1, x0:x1]
    blues = palette("0d1f46 153a7a 2b6cb0 7fb2cf cfe3dc")
    rings = r * 9.0 + curl * turn
    body = ramp(np.clip(np.floor(np.mod(rings, 2.0) * 2.5) / 4.0 * 0.75 + 0.35 * (r - 0.3), 0, 1), blues)
    body = mix(body, colour("f5ecd3"), np.abs(np.mod(rings, 1.0) - 0.5) < 0.10)
    foam = r > 0.91 - claws
    body = mix(body, colour("f7efda"), foam)
    line = (np.abs(r - 0.91 + claws) < 0.015) | (r > 0.965 + curls)
    body = mix(body, colour("0b1733"), line)
    area[:] = mix(area, body, r < 1.0 + curls)
