"""Colours on the way in and out, with nothing painted: ΔE2000, by the photo's own profile."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from support.pictures import ADOBE_RGB, DISPLAY_P3, PROPHOTO, SRGB, eight, matrix_profile, sixteen

from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import resolve
from nst_daemon.engine.inputs import Inputs
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio


def _ciede2000(one: Any, other: Any) -> Any:
    """Return ΔE2000 of CIE Lab. Source: Sharma, Wu and Dalal 2005, eq. 2 to 22."""
    (l1, a1, b1), (l2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    mean_chroma = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_chroma**7 / (mean_chroma**7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where(c1 * c2 == 0, 0, turn)
    hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    mean = np.where(c1 * c2 == 0, h1 + h2, (h1 + turn / 2) % 360)
    t = (
        1
        - 0.17 * np.cos(np.radians(mean - 30))
        + 0.24 * np.cos(np.radians(2 * mean))
        + 0.32 * np.cos(np.radians(3 * mean + 6))
        - 0.20 * np.cos(np.radians(4 * mean - 63))
    )
    sl = 1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2)
    sc, sh = 1 + 0.045 * chroma, 1 + 0.015 * chroma * t
    rotation = -2 * np.sqrt(chroma**7 / (chroma**7 + 25.0**7))
    rotation = rotation * np.sin(np.radians(60 * np.exp(-(((mean - 275) / 25) ** 2))))
    parts = (l2 - l1) / sl, (c2 - c1) / sc, hue / sh
    return np.sqrt(sum(part**2 for part in parts) + rotation * parts[1] * parts[2])


def _lab(encoded: Any, columns: Any, gamma: float) -> Any:
    """Return CIE Lab of D50 by a profile's own colorants."""
    xyz = (encoded**gamma) @ np.asarray(columns) / np.array([0.9642, 1.0, 0.8249])
    f = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_the_measure_of_colour_is_the_published_one() -> None:
    pairs = np.array(
        [
            [[50.0, 2.6772, -79.7751], [50.0, 0.0, -82.7485]],
            [[50.0, 2.5, 0.0], [73.0, 25.0, -18.0]],
            [[60.2574, -34.0099, 36.2677], [60.4626, -34.1751, 39.4387]],
            [[2.0776, 0.0795, -1.1350], [0.9033, -0.0636, -0.5514]],
        ]
    )
    found = _ciede2000(pairs[:, 0], pairs[:, 1])
    assert found == pytest.approx([2.0425, 27.1492, 1.2644, 0.9082], abs=1e-4)


@pytest.mark.parametrize(
    ("columns", "gamma"), [(ADOBE_RGB, 2.19921875), (DISPLAY_P3, 2.19921875), (PROPHOTO, 1.80078125)]
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_colours_within_srgb_come_back_within_one_delta_e(
    tmp_path: Path, columns: Any, gamma: float, suffix: str
) -> None:
    """What sRGB can show of a wide-gamut picture goes in and out unpainted with ΔE2000 below 1."""
    profile = matrix_profile(columns, gamma)
    to_profile = np.linalg.inv(np.asarray(columns))
    steps = np.linspace(0.04, 0.96, 8)
    patches = np.array(list(itertools.product(steps, steps, steps))).reshape(16, 32, 3)
    linear = np.where(patches <= 0.04045, patches / 12.92, ((patches + 0.055) / 1.055) ** 2.4)
    encoded = np.clip(linear @ np.asarray(SRGB) @ to_profile, 0, 1) ** (1 / gamma)
    stored = sixteen(encoded.astype(np.float32))
    path = tmp_path / f"wide.{suffix}"
    if suffix == "tif":
        tags: list[Any] = [(34675, "B", len(profile), profile, True)]
        tifffile.imwrite(path, stored, photometric="rgb", extratags=tags)
    else:
        stored = (eight(encoded.astype(np.float32)) * np.uint16(257)).astype(np.uint16)
        Image.fromarray((stored // 257).astype(np.uint8)).save(path, icc_profile=profile)
    order = Order(
        job=1,
        photo=path,
        photo_name=path.name,
        styles=(),
        recipe=resolve({"size": "original", "strength": 0}),
        result=tmp_path / "out",
    )
    studio = Studio.__new__(Studio)  # strength 0 needs no network
    studio.settings = EngineSettings(device="cpu", cache_dir=tmp_path)
    studio._inputs = Inputs(studio.settings)
    studio.device = torch.device("cpu")
    studio.network = ""
    painting = studio.fulfil(order, lambda _: None, lambda: False)
    if suffix == "tif":
        back = tifffile.imread(painting.picture) / 65535
    else:
        with Image.open(painting.picture) as image:
            back = np.asarray(image) / 255
            assert image.info["icc_profile"] == profile
    difference = _ciede2000(_lab(stored / 65535, columns, gamma), _lab(back, columns, gamma))
    assert difference.max() < (0.05 if suffix == "tif" else 1.0)
