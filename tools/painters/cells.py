"""Pieces that fill the canvas: cells around seeds, round or square, and the distance to their borders."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from painters.fields import Plane

Points = npt.NDArray[Any]  # (count, 2): x and y, 0..1


@dataclass(frozen=True, slots=True)
class Cells:
    """Which seed owns each pixel, and what a painter needs to draw the piece."""

    owner: npt.NDArray[np.intp]  # (side, side)
    gap: Plane  # distance to the second nearest seed less that to the nearest; 0 on a border
    right: Plane  # offset from the owner, in its own turned axes
    down: Plane


def cells(seeds: Points, angles: npt.NDArray[Any], side: int, *, square: float = 0.0) -> Cells:
    """Return the cells of seeds that are spread about evenly.

    `angles` turns each seed's axes; `square` blends from round distances (0) to square ones (1).
    Looks only at seeds up to two buckets away: a seed alone in a wide gap would not reach across it.
    """
    columns = max(1, int(np.sqrt(len(seeds) / 1.5)))
    buckets = _bucketed(seeds, columns)
    line = ((np.arange(side) + 0.5) / side).astype(np.float32)
    x, y = np.meshgrid(line, line)
    column, row = (np.minimum((axis * columns).astype(np.intp), columns - 1) for axis in (x, y))
    near = np.full((side, side), 9.0, np.float32)
    second = near.copy()
    owner = np.zeros((side, side), np.intp)
    turn = np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            for candidates in buckets[:, row + dy + 2, column + dx + 2]:
                across, along = _offsets(seeds, turn, candidates, x, y)
                away = _distance(across, along, square)
                away = np.where(candidates < 0, 9.0, away).astype(np.float32)
                closer = away < near
                second = np.where(closer, near, np.minimum(second, away))
                near = np.where(closer, away, near)
                owner = np.where(closer, candidates, owner)
    right, down = _offsets(seeds, turn, owner, x, y)
    return Cells(owner, second - near, right, down)


def settled(seeds: Points, angle: Plane, side: int, rounds: int, *, square: float = 0.0) -> Points:
    """Return the seeds after `rounds` moves to the middles of their cells: evenly spaced, or in rows."""
    for _ in range(rounds):
        found = cells(seeds, _angles_at(seeds, angle), side, square=square)
        seeds = _middles(found.owner, seeds)
    return seeds


def _angles_at(seeds: Points, angle: Plane) -> npt.NDArray[Any]:
    side = angle.shape[0]
    column, row = (np.clip((seeds[:, axis] * side).astype(np.intp), 0, side - 1) for axis in (0, 1))
    return angle[row, column]


def _middles(owner: npt.NDArray[np.intp], seeds: Points) -> Points:
    side, count = owner.shape[0], len(seeds)
    line = (np.arange(side) + 0.5) / side
    flat = owner.ravel()
    size = np.bincount(flat, minlength=count)
    x = np.bincount(flat, weights=np.tile(line, side), minlength=count)
    y = np.bincount(flat, weights=np.repeat(line, side), minlength=count)
    middles = np.stack([x, y], axis=1) / np.maximum(size, 1)[:, None]
    return np.where(size[:, None] > 0, middles, seeds).astype(np.float32)


def _bucketed(seeds: Points, columns: int) -> npt.NDArray[np.intp]:
    """Return the seeds' numbers by bucket, (most in one, rows + 4, columns + 4), -1 for none."""
    column, row = np.clip((seeds.T * columns).astype(np.intp), 0, columns - 1)
    place = row * columns + column
    order = np.argsort(place, kind="stable")
    ranks = np.arange(len(seeds)) - np.searchsorted(place[order], place[order])
    table = np.full((ranks.max() + 1, columns + 4, columns + 4), -1, np.intp)
    table[ranks, row[order] + 2, column[order] + 2] = order
    return table


def _offsets(
    seeds: Points, turn: npt.NDArray[Any], owner: npt.NDArray[np.intp], x: Plane, y: Plane
) -> tuple[Plane, Plane]:
    dx, dy = x - seeds[owner, 0], y - seeds[owner, 1]
    cosine, sine = turn[0][owner], turn[1][owner]
    return dx * cosine + dy * sine, dy * cosine - dx * sine


def _distance(across: Plane, along: Plane, square: float) -> Plane:
    blocky = np.maximum(np.abs(across), np.abs(along))
    if square >= 1.0:
        return blocky
    return (1.0 - square) * np.hypot(across, along) + square * blocky
