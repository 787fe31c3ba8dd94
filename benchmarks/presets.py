"""Every preset on one pair: seconds, final losses, and the pictures side by side.

    python benchmarks/presets.py PHOTO STYLE [--size 256] [--presets classic draft balanced fine]

The losses are weighted by the own weights of each preset; compare them only between presets with
the same layers and style loss. The contact sheet goes to benchmarks/results/presets.png: look at it.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import resolve
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.schedule import fit
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import load_original
from nst_daemon.images.loading import load_photo, load_style
from nst_daemon.images.saving import resize

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Print a table and draw a contact sheet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--presets", nargs="+", default=["classic", "draft", "balanced", "fine"])
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    photo = load_photo(arguments.photo, name=arguments.photo.name, max_megapixels=200).rgb
    style = load_style(arguments.style, name=arguments.style.name, max_megapixels=200)
    width, height = fit(photo.shape[1], photo.shape[0], arguments.size)
    painter = Painter(Trunk(load_original()), torch.device(arguments.device))
    RESULTS.mkdir(exist_ok=True)
    sheet = [resize(photo, width, height), resize(style, *fit(style.shape[1], style.shape[0], height))]
    rows = {}
    for preset in arguments.presets:
        history: list[Progress] = []
        began = time.perf_counter()
        painted = painter.paint(
            photo,
            [StyleSource(style, 1.0, "style")],
            resolve({"preset": preset}),
            size=(width, height),
            on_progress=history.append,
            should_stop=lambda: False,
        )
        seconds = time.perf_counter() - began
        rows[preset] = {"seconds": seconds, "steps": history[-1].steps, "losses": dict(history[-1].losses)}
        losses = "  ".join(f"{name} {value:.4f}" for name, value in history[-1].losses.items())
        print(f"{preset:9} {seconds:7.1f} s  {history[-1].steps:4} steps  {losses}", flush=True)
        sheet.append(painted)
    (RESULTS / "presets.json").write_text(json.dumps(rows, indent=2))
    tall = [np.pad(each, ((0, height - each.shape[0]), (0, 8), (0, 0)), constant_values=1) for each in sheet]
    Image.fromarray((np.concatenate(tall, axis=1) * 255 + 0.5).astype(np.uint8)).save(RESULTS / "presets.png")


if __name__ == "__main__":
    main()
