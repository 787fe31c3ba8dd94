"""Colour profiles of the simple kinds: a curve a channel, and for RGB a matrix; to sRGB and back in float.

sRGB, Display P3, Adobe RGB, ProPhoto, Rec. 2020 and cameras' and scanners' matrix profiles are of this kind.
Profiles with tables (CMYK, Lab, some printers) are not: `profiles` hands those to LittleCMS, in 8 bits.
Pure: numpy in and out.

Source: ICC.1:2022, sections 8.3.3, 10.6 (curveType), 10.18 (parametricCurveType), F.3 (matrix and curves).
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Matrix = NDArray[np.float64]

GRID: Final = 1 << 14  # steps of resampled curves; linear between them, far below a step of 16 bits
MAX_PROFILE: Final = 16 << 20  # bytes; the largest printer profiles have 3 MB
SAME: Final = 0.002  # a profile that moves no colour by more than half a step of 8 bits is sRGB
# Linear sRGB to XYZ of D50, the profile connection space. Source: brucelindbloom.com, Bradford-adapted.
XYZ_FROM_SRGB: Final = np.array(
    [
        [0.4360747, 0.3850649, 0.1430804],
        [0.2225045, 0.7168786, 0.0606169],
        [0.0139322, 0.0971045, 0.7141733],
    ]
)
XYZ_FROM_ADOBE_RGB: Final = np.array(
    [
        [0.6097559, 0.2052401, 0.1492240],
        [0.3111242, 0.6256560, 0.0632197],
        [0.0194811, 0.0608902, 0.7448387],
    ]
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A channel's tone curve, sampled for quick use in both directions."""

    to_linear: Floats  # linear light of evenly spaced values
    to_encoded: Floats  # values of linear light, evenly spaced in its square root: dark tones need the steps

    def linear(self, encoded: Floats) -> Floats:
        """Return linear light."""
        return _lookup(self.to_linear, encoded)

    def encoded(self, linear: Floats) -> Floats:
        """Return the values of linear light."""
        return _lookup(self.to_encoded, np.sqrt(linear))


def curve(function: Callable[[Matrix], Matrix]) -> Curve:
    """Return the curve of a function from values to linear light, both 0..1."""
    grid = np.linspace(0.0, 1.0, GRID)
    linear = np.maximum.accumulate(np.clip(function(grid), 0.0, 1.0))
    fine = np.linspace(0.0, 1.0, 1 << 16) ** 2  # closer where curves are steep
    light = np.maximum.accumulate(np.clip(function(fine), 0.0, 1.0))
    inverse = np.interp(grid**2, light, fine)
    return Curve(linear.astype(np.float32), inverse.astype(np.float32))


def _lookup(table: Floats, values: Floats) -> Floats:
    """Return a table of evenly spaced values read at any value of 0..1, linear in between."""
    place = np.clip(values, 0.0, 1.0) * np.float32(len(table) - 1)
    below = np.minimum(place.astype(np.int32), len(table) - 2)
    share = place - below
    low = table[below]
    result: Floats = low + share * (table[below + 1] - low)
    return result


def _srgb(values: Matrix) -> Matrix:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


SRGB_CURVE: Final = curve(_srgb)


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile of one curve (grey) or of three curves and a matrix (RGB)."""

    curves: tuple[Curve, ...]
    matrix: Matrix  # from its linear light to that of sRGB

    @property
    def is_grey(self) -> bool:
        """Whether it describes one channel."""
        return len(self.curves) == 1

    def to_srgb(self, encoded: Floats) -> Floats:
        """Return sRGB values, clipped to 0..1. Shapes: (H, W, 1 or 3) -> (H, W, 3)."""
        linear = np.stack([c.linear(encoded[..., i]) for i, c in enumerate(self.curves)], axis=-1)
        if self.is_grey:
            return np.repeat(SRGB_CURVE.encoded(linear), 3, axis=-1)
        return SRGB_CURVE.encoded(np.clip(linear @ self.matrix.T.astype(np.float32), 0.0, 1.0))

    def from_srgb(self, rgb: Floats) -> Floats:
        """Return values of this profile's RGB for sRGB values. Shapes: (H, W, 3) -> (H, W, 3)."""
        inverse = np.linalg.inv(self.matrix).T.astype(np.float32)
        linear = np.clip(SRGB_CURVE.linear(rgb) @ inverse, 0.0, 1.0)
        return np.stack([c.encoded(linear[..., i]) for i, c in enumerate(self.curves)], axis=-1)

    def is_srgb(self) -> bool:
        """Whether it differs from sRGB by less than can be seen."""
        if self.is_grey:
            return False
        axis = np.linspace(0.0, 1.0, 9, dtype=np.float32)
        colors = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(1, -1, 3)
        return bool(np.abs(self.to_srgb(colors) - colors).max() < SAME)


ADOBE_RGB: Final = Profile(
    (curve(lambda values: values ** (563 / 256)),) * 3,  # the gamma that its specification gives
    np.linalg.inv(XYZ_FROM_SRGB) @ XYZ_FROM_ADOBE_RGB,
)


def space(icc: bytes) -> str:
    """Return a profile's colour space, e.g. "RGB", "GRAY" or "CMYK"; empty for what is no profile."""
    if not 132 <= len(icc) <= MAX_PROFILE or icc[36:40] != b"acsp":
        return ""
    return icc[16:20].decode("ascii", "replace").strip()


@lru_cache(maxsize=4)  # a photo's is asked for twice, and an album's photos share theirs
def parse(icc: bytes) -> Profile | None:
    """Return a profile of this module's kind; None for one with tables, and for a broken one."""
    try:
        tags = _tags(icc)
        if space(icc) == "GRAY" and icc[20:24] == b"XYZ ":
            return Profile((_curve(tags[b"kTRC"]),), np.eye(1))
        if space(icc) != "RGB" or b"A2B0" in tags or icc[20:24] != b"XYZ ":
            return None
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        columns = [_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]
    except (struct.error, KeyError, ValueError, IndexError):
        return None
    matrix = np.linalg.inv(XYZ_FROM_SRGB) @ np.stack(columns, axis=1)
    sums = matrix.sum(axis=1)
    if np.abs(sums - 1).max() > 0.1 or abs(np.linalg.det(matrix)) < 1e-3:
        return None
    return Profile(curves, matrix / sums[:, None])  # rounding of the file must not tint grey


def _tags(icc: bytes) -> dict[bytes, bytes]:
    (count,) = struct.unpack_from(">I", icc, 128)
    if count > 200:
        raise ValueError("too many tags")
    found = {}
    for index in range(count):
        name, offset, size = struct.unpack_from(">4sII", icc, 132 + 12 * index)
        found[name] = icc[offset : offset + size]
    return found


def _xyz(tag: bytes) -> Matrix:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536.0


def _curve(tag: bytes) -> Curve:
    if tag[:4] == b"para":
        return curve(_parametric(tag))
    if tag[:4] != b"curv":
        raise ValueError("no curve")
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return curve(lambda values: values)
    if count == 1:
        gamma = struct.unpack_from(">H", tag, 12)[0] / 256
        return curve(lambda values: values**gamma)
    table = np.frombuffer(tag, ">u2", count, 12) / 65535.0
    if table[-1] <= table[0]:
        raise ValueError("a falling curve")
    places = np.linspace(0.0, 1.0, count)
    return curve(lambda values: np.interp(values, places, table))


def _parametric(tag: bytes) -> Callable[[Matrix], Matrix]:
    """Return the function of a parametricCurveType: Y = (aX + b)^g + e from X = d on, cX + f below."""
    (kind,) = struct.unpack_from(">H", tag, 8)
    count = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
    numbers = [n / 65536 for n in struct.unpack_from(f">{count}i", tag, 12)]
    g, a, b, c, d, e, f = numbers + [0.0] * (7 - count)
    if kind == 0:
        a, d = 1.0, 0.0
    elif kind in (1, 2):
        c, d, e, f = 0.0, -b / a if a else 0.0, c, c  # c is an offset here, and below d all is c
    if not 0.1 <= g <= 10:
        raise ValueError("a gamma beyond reason")

    def function(values: Matrix) -> Matrix:
        above: Matrix = np.maximum(a * values + b, 0.0) ** g + e
        return np.where(values >= d, above, c * values + f)

    return function
