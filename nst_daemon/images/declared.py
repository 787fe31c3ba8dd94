"""Colours that a file declares without a profile: by CICP's numbers (HEIC, AVIF, PNG) or a gamma (PNG). Pure.

Source: ITU-T H.273, tables 2 and 3 (CICP); Rec. ITU-R BT.2100 (PQ, HLG), BT.2408 (203 cd/m² is white); Bruce
    Lindbloom, brucelindbloom.com (matrices of chromaticities, Bradford's adaptation).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from nst_daemon.images import icc
from nst_daemon.images.icc import Matrix

WHITE: Final = 203.0  # cd/m², of a white page in HDR
KNEE: Final = 0.75  # of white: brighter light is bent to end at it
D65: Final = (0.3127, 0.3290)  # x and y of the white that most spaces have
DCI: Final = (0.314, 0.351)  # of a cinema's projector
REC_709: Final = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060)  # x and y of red, green, blue
PRIMARIES: Final = {  # by CICP's number, and their white
    1: (REC_709, D65),
    4: ((0.67, 0.33, 0.21, 0.71, 0.14, 0.08), (0.310, 0.316)),  # BT.470 M
    5: ((0.64, 0.33, 0.29, 0.60, 0.15, 0.06), D65),  # BT.470 B and G
    6: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), D65),  # BT.601
    7: ((0.630, 0.340, 0.310, 0.595, 0.155, 0.070), D65),  # SMPTE 240M
    9: ((0.708, 0.292, 0.170, 0.797, 0.131, 0.046), D65),  # BT.2020
    11: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), DCI),  # DCI-P3
    12: ((0.680, 0.320, 0.265, 0.690, 0.150, 0.060), D65),  # Display P3
}
GAMMAS: Final = {4: 2.2, 5: 2.8, 8: 1.0, 17: 2.6}  # by CICP's number of a transfer that is a plain power
PQ, HLG = 16, 18  # the numbers of the transfers of HDR
BRADFORD: Final = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
NEAR: Final = 0.015  # of a gamma of 1/2.2 or a chromaticity: closer ones mean sRGB


@dataclass(frozen=True, slots=True)
class Declared:
    """The colours of a file."""

    profile: icc.Profile | None  # None: sRGB
    note: str = ""


SRGB: Final = Declared(None)


def of_cicp(primaries: int, transfer: int) -> Declared | None:
    """Return the colours of CICP's numbers; None where they say nothing that is known.

    Its curves of television count as sRGB's: what writes them into pictures means that.
    """
    known = PRIMARIES.get(primaries)
    is_bright = transfer in (PQ, HLG)
    if known is None and not is_bright and transfer not in GAMMAS:
        return None
    points, white = known or PRIMARIES[9 if is_bright else 1]
    if is_bright:
        curve = icc.curve(_of_pq if transfer == PQ else _of_hlg)
        name = "PQ" if transfer == PQ else "HLG"
        note = f"It is HDR ({name}): its light beyond white was bent to end at white."
        return Declared(icc.Profile((curve,) * 3, _to_srgb(points, white)), note)
    if transfer in GAMMAS:
        gamma = GAMMAS[transfer]
        return Declared(icc.Profile((icc.curve(lambda v: v**gamma),) * 3, _to_srgb(points, white)))
    if (points, white) == PRIMARIES[1]:
        return SRGB
    return Declared(icc.Profile((icc.SRGB_CURVE,) * 3, _to_srgb(points, white)))


def of_gamma(gamma: float, places: Sequence[float] | None) -> Declared | None:
    """Return the colours of a PNG's gAMA, and its cHRM (white, red, green, blue) where there is one."""
    if not 0.1 <= gamma <= 10:
        return None
    points, white = (REC_709, D65) if places is None else (tuple(places[2:]), tuple(places[:2]))
    try:
        matrix = _to_srgb(points, white)
    except ValueError:
        points, white, matrix = REC_709, D65, np.eye(3)
    is_plain = max(abs(one - two) for one, two in zip(points + white, REC_709 + D65, strict=True)) < NEAR
    if is_plain and abs(gamma * 2.2 - 1) < NEAR:
        return SRGB
    return Declared(icc.Profile((icc.curve(lambda v: v ** (1 / gamma)),) * 3, matrix))


def _to_srgb(points: Sequence[float], white: Sequence[float]) -> Matrix:
    """Return the matrix from linear light of these primaries to that of sRGB.

    Raises:
        ValueError: the points are no colours.
    """
    if min(*points[1::2], white[1]) <= 0:
        raise ValueError("chromaticities of no colours")
    matrix = np.linalg.inv(_to_xyz(REC_709, D65)) @ _adapted(white) @ _to_xyz(points, white)
    sums = matrix.sum(axis=1)
    if not np.isfinite(matrix).all() or np.abs(sums - 1).max() > 0.1 or abs(np.linalg.det(matrix)) < 1e-3:
        raise ValueError("chromaticities of no colours")
    return np.asarray(matrix / sums[:, None])


def _to_xyz(points: Sequence[float], white: Sequence[float]) -> Matrix:
    columns = np.array(
        [[x / y, 1.0, (1 - x - y) / y] for x, y in zip(points[::2], points[1::2], strict=True)]
    )
    try:
        return np.asarray(columns.T * np.linalg.solve(columns.T, _xyz(white)))
    except np.linalg.LinAlgError as error:
        raise ValueError("chromaticities of no colours") from error


def _xyz(white: Sequence[float]) -> Matrix:
    x, y = white
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _adapted(white: Sequence[float]) -> Matrix:
    """Return the matrix that moves colours seen under a white to those under D65."""
    factors = (BRADFORD @ _xyz(D65)) / (BRADFORD @ _xyz(white))
    return np.asarray(np.linalg.inv(BRADFORD) @ np.diag(factors) @ BRADFORD)


def _bent(light: Matrix) -> Matrix:
    """Return light, 1 being white, with all that is brighter than the knee bent below 1."""
    above = (light - KNEE) / (1 - KNEE)
    return np.where(light <= KNEE, light, KNEE + (1 - KNEE) * (1 - np.exp(-np.maximum(above, 0))))


def _of_pq(values: Matrix) -> Matrix:
    power = values ** (1 / 78.84375)
    light = np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)
    return _bent(light ** (1 / 0.1593017578125) * 10_000 / WHITE)


def _of_hlg(values: Matrix) -> Matrix:
    """Of HLG on a screen of 1000 cd/m²; its system gamma is taken of each channel, not of the luminance."""
    scene = np.where(
        values <= 0.5, values**2 / 3, (np.exp((values - 0.55991073) / 0.17883277) + 0.28466892) / 12
    )
    return _bent(scene**1.2 * 1000 / WHITE)
