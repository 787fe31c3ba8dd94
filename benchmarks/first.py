"""The first painting of an install that remembers no backend, tuned before its first step or within it.

    python benchmarks/first.py [PHOTO] [--preset balanced] [--size 256] [--turns 2]

Each painting has a process and a folder of its own, and the two ways take turns. Seconds count from the
loading of the network, with torch imported; CPU seconds are the honest ratio on a machine with other work.
"before" is a trial at noise ahead of the painting.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nst_daemon.config.orders import Order, Progress
from nst_daemon.config.recipe import Preset, Style, resolve
from nst_daemon.engine import autotune, devices
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.engine.weights import load_original

BUNDLED = Path(__file__).parent.parent / "nst_daemon" / "bundled"
SAMPLE = BUNDLED / "sample" / "chelsea.jpg"
STYLE = BUNDLED / "styles" / "mosaic.jpg"
WAYS = ("before", "within")


def painted(way: str, photo: Path, settings: dict[str, object], folder: Path) -> dict[str, object]:
    """Paint once, and return when what happened, in seconds."""
    style = Style(name=STYLE.stem, path=STYLE, sha256=hashlib.sha256(STYLE.read_bytes()).hexdigest())
    order = Order(
        job=0,
        photo=photo,
        photo_name=photo.name,
        styles=(style,),
        recipe=resolve(settings),
        result=folder / "result",
    )
    first: list[float] = []
    began, cpu_began = time.perf_counter(), time.process_time()

    def on_progress(progress: Progress) -> None:
        if not first:
            first.append(time.perf_counter() - began - progress.seconds)

    if way == "before":
        autotune.choose(load_original(), devices.choose_device("cpu"), autotune.Asked(), folder)
    studio = Studio(EngineSettings(device="cpu", cache_dir=folder))
    loaded = time.perf_counter() - began
    painting = studio.fulfil(order, on_progress, lambda: False)
    return {
        "loaded": round(loaded, 1),
        "first step": round(first[0], 1),
        "done": round(time.perf_counter() - began, 1),
        "CPU": round(time.process_time() - cpu_began, 1),
        "loss": round(painting.losses["total"], 4),
        "precision": studio.precision or "not chosen",
    }


def main() -> None:
    """Print one line a painting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--preset", type=Preset, default=Preset.BALANCED)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--settings", type=json.loads, default={}, metavar="JSON")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)  # in the process of one painting
    arguments = parser.parse_args()
    if arguments.way:
        with tempfile.TemporaryDirectory(prefix="nst-first-") as folder:
            settings = {"preset": arguments.preset, "size": arguments.size, **arguments.settings}
            figures = painted(arguments.way, arguments.photo, settings, Path(folder))
        print(json.dumps(figures))
        return
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}  # as in the engine's process
    for _ in range(arguments.turns):
        for way in WAYS:
            command = [sys.executable, __file__, *sys.argv[1:], "--way", way]
            told = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            print(way, told.stdout.strip(), flush=True)


if __name__ == "__main__":
    main()
