"""A picture at a camera's full resolution within a limit of memory: seconds, and the processes' peak.

    python benchmarks/large.py [--width 6000] [--height 4000] [--memory 4GB] [--steps 2] [--out large.png]

The photo is made here: a landscape of soft shapes with fine grain everywhere, so that a seam would show.
The picture is painted by `nst-daemon render --set size=original`, in its own processes, on one scale. Peak:
the largest sum of proportional set sizes (shared memory counts once) seen twice a second.
The baseline is the same command on a photo of 64 px.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

LOOK_SECONDS = 0.5
PIECES = 8  # the photo is made in so many strips
BUILT_IN_STYLE = "swirling_oil"


def main() -> None:
    """Paint, and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--width", type=int, default=6000)
    parser.add_argument("--height", type=int, default=4000)
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--style", default=BUILT_IN_STYLE)
    parser.add_argument("--out", type=Path, default=Path("large.png"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        base, _ = painted(home, 64, 48, arguments, home / "base.png")
        peak, seconds = painted(home, arguments.width, arguments.height, arguments, arguments.out)
    row = {
        "megapixels": arguments.width * arguments.height / 1e6,
        "memory_limit": arguments.memory,
        "steps": arguments.steps,
        "seconds": round(seconds, 1),
        "peak_gb": round(peak / 1e9, 2),
        "baseline_gb": round(base / 1e9, 2),
    }
    print(json.dumps(row))


def painted(
    home: Path, width: int, height: int, arguments: argparse.Namespace, out: Path
) -> tuple[int, float]:
    """Paint a photo of this size; return the peak of its processes in bytes, and the seconds."""
    config = home / "config.yaml"
    config.write_text(
        f"inbox: inbox\noutbox: outbox\nstate_dir: state\nengine: {{memory_limit: {arguments.memory}}}\n"
    )
    photo = home / f"{width}.png"
    photograph(width, height).save(photo, compress_level=1)
    settings = ["size=original", f"steps={arguments.steps}", "pyramid=0", "format=png"]
    words = [sys.executable, "-m", "nst_daemon", "render", str(photo), "--style", arguments.style]
    words += ["--output", str(out), "--config", str(config), *(f"--set={each}" for each in settings)]
    began = time.perf_counter()
    with subprocess.Popen(words) as process:
        peak = 0
        tree = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, bytes_of(tree))
            time.sleep(LOOK_SECONDS)
    if process.returncode != 0:
        raise SystemExit(f"render ended with {process.returncode}")
    return peak, time.perf_counter() - began


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
