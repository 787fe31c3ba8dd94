"""A picture at a camera's full resolution within a limit of memory: seconds, and the processes' peak.

    python benchmarks/large.py [--photo FILE] [--style STYLE] [--width 6000] [--height 4000] [--memory 4GB]
        [--set KEY=VALUE ...] [--out large.png]

Without a photo one is made here: a landscape of soft shapes with fine grain everywhere, so that a seam would
show. A photo is brought to this size, cut to its shape. The picture is painted by `nst-daemon render --set
size=original`, in its own processes. Seconds and CPU seconds are those of the whole command. Peak: the
largest sum of proportional set sizes (shared memory counts once) seen twice a second. The baseline is the
same command on a photo of 64 px. Beside the picture lie nine places of it at 1:1, and of the photo: look at
them.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
from PIL import Image, ImageOps

LOOK_SECONDS = 0.5
PIECES = 8  # the photo is made in so many strips
PLACE, GAP = 480, 8  # px, of a sheet
BUILT_IN_STYLE = "swirling_oil"


def main() -> None:
    """Paint, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--style", default=BUILT_IN_STYLE, help="a built-in one, or a picture")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="e.g. preset=fine")
    parser.add_argument("--out", type=Path, default=Path("large.png"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        base = painted(home, 64, 48, arguments, home / "base.png")
        whole = painted(home, arguments.width, arguments.height, arguments, arguments.out)
        sheet = nine_places(home / f"{arguments.width}.png", arguments.out)
    sheet.save(arguments.out.with_suffix(".places.png"))
    row = {
        "megapixels": arguments.width * arguments.height / 1e6,
        "memory_limit": arguments.memory,
        "settings": arguments.set,
        "seconds": round(whole.seconds, 1),
        "cpu_seconds": round(whole.cpu_seconds, 1),
        "peak_gb": round(whole.peak / 1e9, 2),
        "baseline_gb": round(base.peak / 1e9, 2),
        "load": round(os.getloadavg()[0], 1),
    }
    print(json.dumps(row))


@dataclass(frozen=True, slots=True)
class Took:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    peak: int  # bytes


def painted(home: Path, width: int, height: int, arguments: argparse.Namespace, out: Path) -> Took:
    """Paint a photo of this size; return what it took."""
    config = home / "config.yaml"
    config.write_text(
        f"inbox: inbox\noutbox: outbox\nstate_dir: state\nengine: {{memory_limit: {arguments.memory}}}\n"
    )
    photo = home / f"{width}.png"
    photo_of(arguments.photo, width, height).save(photo, compress_level=1)
    settings = ["size=original", "format=png", *arguments.set]
    words = [sys.executable, "-m", "nst_daemon", "render", str(photo), "--style", arguments.style]
    words += ["--output", str(out), "--config", str(config), *(f"--set={each}" for each in settings)]
    before = cpu_seconds()
    began = time.perf_counter()
    with subprocess.Popen(words) as process:
        peak = 0
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, bytes_of(tree))
            time.sleep(LOOK_SECONDS)
    if process.returncode != 0:
        raise SystemExit(f"render ended with {process.returncode}")
    return Took(time.perf_counter() - began, cpu_seconds() - before, peak)


def cpu_seconds() -> float:
    """Return what the processes that ended below this one have computed."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def nine_places(photo: Path, painting: Path) -> Image.Image:
    """Return nine places of a painting at 1:1, and below them those of its photo."""
    sheet = Image.new("RGB", (9 * (PLACE + GAP) - GAP, 2 * PLACE + GAP), "white")
    for row, path in enumerate((painting, photo)):
        with Image.open(path) as picture:
            for number in range(9):
                left, top = (
                    round((side - PLACE) * (0.05 + 0.45 * at))
                    for side, at in zip(picture.size, (number % 3, number // 3), strict=True)
                )
                place = picture.crop((left, top, left + PLACE, top + PLACE))
                sheet.paste(place, (number * (PLACE + GAP), row * (PLACE + GAP)))
    return sheet


def bytes_of(tree: psutil.Process) -> int:
    """Return the memory of a process and of all below it."""
    total = 0
    try:
        for each in (tree, *tree.children(recursive=True)):
            facts = each.memory_full_info()
            total += getattr(facts, "pss", facts.uss)
    except psutil.Error:  # one of them has just ended
        return total
    return total


def photo_of(path: Path | None, width: int, height: int) -> Image.Image:
    """Return a photo of this size: that of a file, or the made one."""
    if path is None:
        return photograph(width, height)
    with Image.open(path) as photo:
        return ImageOps.fit(photo.convert("RGB"), (width, height), Image.Resampling.LANCZOS)


def photograph(width: int, height: int) -> Image.Image:
    """Return a landscape, made in strips."""
    noise = np.random.default_rng(0)
    strips = []
    for rows in np.array_split(np.arange(height), PIECES):
        y, x = np.meshgrid(rows / height, np.arange(width) / width, indexing="ij")
        hills = 0.55 + 0.1 * np.sin(7 * x) + 0.05 * np.sin(19 * x + 1)
        sky = np.stack([0.35 + 0.5 * y, 0.5 + 0.3 * y, 0.85 - 0.1 * y], axis=-1)
        grain = noise.normal(0, 0.04, (*x.shape, 1))
        land = np.stack([0.25 + 0.3 * y, 0.35 + 0.1 * np.sin(90 * x + 60 * y), 0.15 + 0 * x], axis=-1)
        strip = np.where((y > hills)[..., None], land, sky) + grain
        strips.append((strip.clip(0, 1) * 255).astype(np.uint8))
    return Image.fromarray(np.concatenate(strips))


if __name__ == "__main__":
    main()
