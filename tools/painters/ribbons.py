"""Brush strokes: paths along a flow, laid down as ribbons of bristles that carry colour and thickness."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from painters.fields import Colours, Plane, Random, sampled

Paths = npt.NDArray[Any]  # (strokes, points, 2): x and y, 0..1

_CHUNK = 2_000_000  # points laid at once: some 200 MB of intermediate arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class Brush:
    """What a stroke looks like; lengths are shares of the canvas's side."""

    width: float
    length: float
    streaks: float = 0.10  # deviation of colour between the bristles of one stroke
    dryness: float = 0.3  # 0: covers wholly; 1: runs dry and leaves gaps towards the end
    taper: float = 0.25  # share of the length that narrows at each end
    body: float = 1.0  # thickness of the paint, for the light
    hairs: int = 14  # bristles or, for a knife, bands across the stroke


class Painting:
    """The canvas while strokes are laid on it: colours and the thickness of the paint."""

    def __init__(self, ground: Colours) -> None:
        """Begin with a ground (side, side, 3)."""
        self.side = ground.shape[0]
        self.colours: Colours = ground.astype(np.float32).copy()
        self.height: Plane = np.zeros(ground.shape[:2], np.float32)

    def lay(
        self, rng: Random, brush: Brush, paths: Paths, colours: Colours, *, tooth: Plane | None = None
    ) -> None:
        """Lay one stroke a path, in this order; `tooth` (-1..1) keeps dry paint off the paper's hollows."""
        length = brush.length * self.side
        along, across = max(4, int(length * 1.5)), max(2, int(brush.width * self.side * 1.6))
        chunk = max(1, _CHUNK // (along * across))
        for first in range(0, len(paths), chunk):
            part = slice(first, first + chunk)
            self._lay_chunk(rng, brush, paths[part], colours[part], (along, across), tooth)

    def _lay_chunk(
        self,
        rng: Random,
        brush: Brush,
        paths: Paths,
        colours: Colours,
        shape: tuple[int, int],
        tooth: Plane | None,
    ) -> None:
        along, across = shape
        x, y = _ribbon(paths, brush, along, across)
        bristles = _bristles(rng, len(paths), brush.hairs, across)  # (strokes, 1, across)
        u = np.linspace(0.0, 1.0, along, dtype=np.float32)[None, :, None]
        load = 1.0 - brush.dryness * (0.25 + 1.1 * u) + 0.28 * bristles
        if tooth is not None:
            load = load - 0.55 * sampled(tooth, x, y)
        ragged = 0.06 * bristles
        wet = (load > 0.25) & (u > 0.05 + ragged) & (u < 0.95 + ragged)
        wet &= (x >= 0) & (x < 1) & (y >= 0) & (y < 1)
        pixels = (y[wet] * self.side).astype(np.intp) * self.side + (x[wet] * self.side).astype(np.intp)
        self._put(pixels, wet, colours, bristles, brush, across)

    def _put(
        self,
        pixels: npt.NDArray[np.intp],
        wet: npt.NDArray[np.bool_],
        colours: Colours,
        bristles: npt.NDArray[Any],
        brush: Brush,
        across: int,
    ) -> None:
        v = np.linspace(-1.0, 1.0, across, dtype=np.float32)
        # Paint is pressed out to the sides of the brush: a ridge along each edge.
        ridge = 0.55 + 0.45 * v**2 - 0.9 * np.abs(v) ** 8
        stroke, _, bristle = np.nonzero(wet)
        streak = 1.0 + brush.streaks * bristles[stroke, 0, bristle]
        # Where an index comes twice, numpy keeps the last value: the later stroke lies on top.
        self.colours.reshape(-1, 3)[pixels] = colours[stroke] * streak[:, None]
        relief = brush.body * (ridge[bristle] + 0.35 * bristles[stroke, 0, bristle])
        self.height.reshape(-1)[pixels] = relief


def _bristles(rng: Random, strokes: int, hairs: int, across: int) -> npt.NDArray[Any]:
    """Return the colour and load, about -1..1, of each stroke's bristles at `across` places."""
    raw = rng.uniform(-1.0, 1.0, (strokes, 1, hairs + 2)).astype(np.float32)
    at = np.linspace(0.0, hairs + 0.999, across)
    low = at.astype(np.intp)
    share = (at - low).astype(np.float32)
    return 1.15 * (raw[..., low] * (1.0 - share) + raw[..., low + 1] * share)


def _ribbon(paths: Paths, brush: Brush, along: int, across: int) -> tuple[Plane, Plane]:
    """Return x and y (strokes, along, across) of the points that fill each path's ribbon."""
    corners = paths.shape[1]
    at = np.linspace(0.0, corners - 1.001, along)
    low = at.astype(np.intp)
    share = (at - low).astype(np.float32)[None, :, None]
    line = paths[:, low] * (1.0 - share) + paths[:, low + 1] * share
    tangent = np.gradient(line, axis=1)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-9
    u = np.linspace(0.0, 1.0, along, dtype=np.float32)
    ends = np.minimum(u, 1.0 - u) / max(brush.taper, 1e-3)
    half = 0.5 * brush.width * np.sqrt(np.clip(ends, 0.0, 1.0)) + 0.1 * brush.width
    v = np.linspace(-1.0, 1.0, across, dtype=np.float32)
    offset = half[None, :, None] * v[None, None, :]
    x = line[..., 0:1] - tangent[..., 1:2] * offset
    y = line[..., 1:2] + tangent[..., 0:1] * offset
    return x.astype(np.float32), y.astype(np.float32)


def scattered(rng: Random, count: int) -> npt.NDArray[np.float32]:
    """Return `count` points (count, 2) spread evenly with jitter over the canvas, in random order."""
    columns = int(np.ceil(np.sqrt(count)))
    cell = np.stack(np.meshgrid(np.arange(columns), np.arange(columns)), axis=-1).reshape(-1, 2)
    points = (cell + rng.uniform(0.0, 1.0, cell.shape)) / columns
    return (rng.permutation(points)[:count] * 1.06 - 0.03).astype(np.float32)


def traced(starts: npt.NDArray[Any], angle: Plane, length: float, points: int = 24) -> Paths:
    """Return the paths through `starts` (as their middles) that follow the directions in `angle`."""
    half = points // 2
    forth = _walk(starts, angle, length / (points - 1), half)
    back = _walk(starts, angle, -length / (points - 1), points - half)
    return np.concatenate([back[:, ::-1], forth[:, 1:]], axis=1)


def _walk(starts: npt.NDArray[Any], angle: Plane, step: float, count: int) -> Paths:
    here: Paths = starts.astype(np.float32)
    path = [here]
    # The nearest angle and not a mean of neighbours: angles jump from pi to -pi.
    for _ in range(count):
        turn = sampled(angle, here[:, 0], here[:, 1])
        here = here + step * np.stack([np.cos(turn), np.sin(turn)], axis=-1)
        path.append(here)
    return np.stack(path, axis=1).astype(np.float32)
