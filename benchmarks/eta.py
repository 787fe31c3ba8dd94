"""How right the time left is: told at a tenth, a quarter and half of a painting, and before it.

    OMP_WAIT_POLICY=PASSIVE python benchmarks/eta.py --sizes 256 512 --out results/

Each size is painted twice: by an engine that has never painted, and by one that remembers the first time. Of
each moment the error is told of the time that was said to be left, of the one that pixels times steps would
have said, and, for the second painting, of `explain`'s forecast. A machine that does other work changes its
speed in the middle of a painting, which nothing can foresee: with `--cpu` the clock counts the CPU seconds of
the process instead, which other work disturbs less.
"""

import argparse
import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from PIL import Image

from nst_daemon.cli.paint import sample_photo
from nst_daemon.config.orders import Order, Progress
from nst_daemon.config.recipe import Recipe, Style, resolve
from nst_daemon.engine import speeds
from nst_daemon.engine.forecast import forecast
from nst_daemon.engine.schedule import pyramid_of
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.folders.library import BUILT_IN

MOMENTS = (0.1, 0.25, 0.5)  # of the painting's time


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One painting: what was told when, and what was true."""

    size: int
    painting: str
    seconds: float
    forecast: float | None  # before it, s
    told: list[tuple[float, float, float]]  # seconds since the first step, those left, and left by pixels

    def errors(self) -> dict[str, list[float]]:
        """Return the relative errors at the moments, of the time left as told and by pixels."""
        found: dict[str, list[float]] = {"told": [], "by pixels": []}
        for moment in MOMENTS:
            since, *lefts = next(each for each in self.told if each[0] >= moment * self.seconds)
            truth = self.seconds - since
            for name, left in zip(found, lefts, strict=True):
                found[name].append(left / truth - 1)
        return found


def painted(studio: Studio, order: Order, size: int, painting: str) -> Record:
    """Paint, and record what is told on the way."""
    history: list[Progress] = []
    with Image.open(order.photo) as photo:
        size_of_photo = photo.size
    free = psutil.virtual_memory().available
    before = forecast(size_of_photo, order.recipe, studio.settings, free=free).seconds
    studio.fulfil(order, history.append, lambda: False)
    last = history[-1]
    told = [(each.seconds, each.eta_seconds, _by_pixels(each, last, order.recipe)) for each in history]
    return Record(size=size, painting=painting, seconds=last.seconds, forecast=before, told=told)


def _by_pixels(now: Progress, last: Progress, recipe: Recipe) -> float:
    """Return the seconds left, if each pixel of each step took as long."""
    done, work, before = 0, 0, 0
    for scale in pyramid_of(last.width, last.height, recipe):
        pixels = scale.width * scale.height
        done += pixels * min(scale.steps, max(0, now.step - before))
        work += pixels * scale.steps
        before += scale.steps
    return now.seconds * (work - done) / done


def table(records: Sequence[Record]) -> None:
    """Print the errors in percent."""
    moments = "".join(f"{moment:>8.0%}" for moment in MOMENTS)
    print(f"{'':24}{'seconds':>8}{'before':>8}{moments}   by pixels{moments}")
    for record in records:
        before = "–" if record.forecast is None else f"{record.forecast / record.seconds - 1:+.0%}"
        told, by_pixels = (
            "".join(f"{each:>+8.0%}" for each in errors) for errors in record.errors().values()
        )
        named = f"{record.size} px, {record.painting}"
        print(f"{named:24}{record.seconds:8.1f}{before:>8}{told}            {by_pixels}")


def main() -> None:
    """Paint twice at each size; print a table, and write what was told when beside it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--preset", default="balanced")
    parser.add_argument("--style", default="mosaic")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cpu", action="store_true", help="count CPU seconds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    style = BUILT_IN / f"{arguments.style}.jpg"
    sha256 = hashlib.sha256(style.read_bytes()).hexdigest()
    records: list[Record] = []
    for size in arguments.sizes:
        folder = arguments.out / f"eta-{size}"
        shutil.rmtree(folder / "targets", ignore_errors=True)
        (folder / speeds.FILE).unlink(missing_ok=True)
        for painting in ("first", "second"):
            studio = Studio(EngineSettings(device=arguments.device, cache_dir=folder))
            if arguments.cpu:
                studio.painter.now = time.process_time
            order = Order(
                job=0,
                photo=sample_photo(),
                photo_name="sample",
                styles=(Style(name=arguments.style, path=style, sha256=sha256),),
                recipe=resolve({"preset": arguments.preset, "size": size}),
                result=folder / painting,
            )
            records.append(painted(studio, order, size, painting))
    table(records)
    told = [{"size": each.size, "painting": each.painting, "told": each.told} for each in records]
    (arguments.out / "eta.json").write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
