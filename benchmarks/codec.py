"""Seconds to decode and to encode a 24-megapixel photo, by format, as the engine does it.

    python benchmarks/codec.py [--megapixels 24] [--json benchmarks/results/codec.json]

The photo is made here: soft shapes and grain; in the last line with an Adobe RGB profile. "for 1024 px" is
the decoding for a painting of that size. "plain" is what Pillow alone takes for the same bytes, without
colours, floats and metadata: the floor.
"""

import argparse
import io
import json
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nst_daemon.config.recipe import Format
from nst_daemon.images.loading import load_photo
from nst_daemon.images.photo import Photo
from nst_daemon.images.saving import save_result

FORMATS = (Format.JPEG, Format.PNG, Format.TIFF, Format.WEBP, Format.AVIF)


def scene(megapixels: float) -> Image.Image:
    """Return a picture of 3:2 with shapes and grain, as hard on a codec as a photo is."""
    width = round((megapixels * 1e6 * 1.5) ** 0.5)
    height = round(width / 1.5)
    random = np.random.default_rng(1)
    soft = Image.fromarray(random.integers(0, 255, (height // 96, width // 96, 3), np.uint8))
    large = np.asarray(soft.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = random.integers(-9, 10, (height, width, 1), np.int16)
    return Image.fromarray(np.clip(large + grain, 0, 255).astype(np.uint8))


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Return the least seconds of some runs."""
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def adobe_profile() -> bytes:
    """Return the profile of the tests' Adobe RGB."""
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    from support.pictures import ADOBE_RGB, matrix_profile

    return matrix_profile(ADOBE_RGB, 2.2)


def plain_decode(path: Path) -> None:
    """Decode as Pillow does, and no more."""
    with Image.open(path) as image:
        image.load()


def row(folder: Path, photo: Photo, path: Path, format: Format) -> dict[str, object]:
    """Return the figures of one format, for a photo that lies in `path` in that format."""

    def load(longer: int | None = None) -> Photo:
        return load_photo(path, name=path.name, max_megapixels=1000, longer=longer)

    def save() -> None:
        save_result(photo.rgb, folder / "out", photo=photo, format=format, quality=95, provenance={})

    eight = Image.fromarray(np.rint(photo.rgb * 255).astype(np.uint8))
    return {
        "format": str(format),
        "megabytes": round(path.stat().st_size / 1e6, 1),
        "decode": round(seconds(load), 2),
        "for 1024 px": round(seconds(lambda: load(1024)), 2),
        "plain decode": round(seconds(lambda: plain_decode(path)), 2),
        "encode": round(seconds(save, 2), 2),
        "plain encode": round(seconds(lambda: eight.save(io.BytesIO(), str(format), quality=95), 2), 2),
    }


def measured(megapixels: float) -> list[dict[str, object]]:
    """Return the figures of every format, and of a JPEG in Adobe RGB."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        picture = scene(megapixels)
        first, wide = folder / "a.jpg", folder / "wide.jpg"
        picture.save(first, quality=95)
        picture.save(wide, quality=95, icc_profile=adobe_profile())
        photo = load_photo(first, name="a.jpg", max_megapixels=1000)
        for format in FORMATS:
            path, _ = save_result(
                photo.rgb, folder / f"in-{format}", photo=photo, format=format, quality=95, provenance={}
            )
            rows.append(row(folder, photo, path, format))
        deep = load_photo(wide, name="wide.jpg", max_megapixels=1000)
        rows.append(row(folder, deep, wide, Format.JPEG) | {"format": "jpeg, Adobe RGB"})
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--megapixels", type=float, default=24.0)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = measured(asked.megapixels)
    print("".join(f"{name:>18}" for name in rows[0]))
    for each in rows:
        print("".join(f"{value!s:>18}" for value in each.values()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{asked.megapixels:g} megapixels, seconds; peak memory {peak:.1f} GB")
    if asked.json:
        facts = {"megapixels": asked.megapixels, "peak_gigabytes": round(peak, 1), "rows": rows}
        asked.json.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
