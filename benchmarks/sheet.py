"""How long a sheet takes, warm: choosing the order, each sketch, and drawing the page.

    python benchmarks/sheet.py [PHOTO] [--size 256] [--styles a,b] [--out sheet.png]

One engine paints all styles twice: the first time it learns what it keeps, the fastest arithmetic and the
statistics of the style pictures, in a folder that is removed. CPU seconds suffer less from other programs.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from nst_daemon.config.orders import Order
from nst_daemon.engine.process import EngineProcess
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.folders.library import Library
from nst_daemon.images.layout import SIDE, Cell, ContactSheet
from nst_daemon.intake import sheets
from nst_daemon.intake.inspection import Unreadable
from nst_daemon.intake.reader import PhotoReader
from nst_daemon.intake.sheets import Sketch

SAMPLE = Path(__file__).parent.parent / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"


def paint(
    photo: Path,
    extent: tuple[int, int],
    asked: Sequence[Sketch],
    engine: EngineProcess,
    size: int,
    folder: Path,
) -> tuple[list[float], tuple[Cell, ...]]:
    """Paint every sketch; return how many seconds each took, and the cells."""
    recipe = sheets.sketch_recipe(extent, {}, side=size)
    seconds, cells = [], []
    for number, sketch in enumerate(asked):
        assert sketch.style is not None
        order = Order(
            job=number,
            photo=photo,
            photo_name=photo.name,
            styles=(sketch.style,),
            recipe=recipe,
            result=folder / str(number),
        )
        began = time.monotonic()
        painting = engine.paint(order, on_progress=lambda _: None, should_stop=lambda: False)
        seconds.append(time.monotonic() - began)
        cells.append(Cell(name=sketch.name, picture=painting.picture))
    return seconds, tuple(cells)


def _cpu_seconds(engine: EngineProcess) -> float:
    used = psutil.Process(engine.pid).cpu_times()
    return float(used.user + used.system)


def main() -> None:
    """Print a line for each part."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", nargs="?", type=Path, default=SAMPLE)
    parser.add_argument("--size", type=int, default=SIDE)
    parser.add_argument("--styles", default="")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    photo, library = arguments.photo.absolute(), Library(None)
    names = sheets.named_styles([arguments.styles] if arguments.styles else [], library)
    with PhotoReader() as reader, tempfile.TemporaryDirectory(prefix="nst-sheet-") as home:
        found = reader.inspect(photo)
        if isinstance(found, Unreadable):
            raise SystemExit(found.reason)
        extent = found.width, found.height
        began = time.monotonic()
        asked = sheets.ordered(photo, names, library, reader)
        print(f"order of {len(asked)} styles  {time.monotonic() - began:6.2f} s")
        engine = EngineProcess(EngineSettings(cache_dir=Path(home) / "weights"))
        try:
            engine.warm_up()
            for what in ("the first time", "warm"):
                used = _cpu_seconds(engine)
                seconds, cells = paint(photo, extent, asked, engine, arguments.size, Path(home))
                used = _cpu_seconds(engine) - used
                mean = sum(seconds) / len(seconds)
                print(f"{what:15} {sum(seconds):6.1f} s in all, {mean:.2f} s a style, {used:.0f} CPU seconds")
        finally:
            engine.end()
        sheet = ContactSheet(
            title=photo.name, note="", photo=photo, size=extent, side=arguments.size, cells=cells
        )
        began = time.monotonic()
        page = reader.draw(sheet, "png")
        print(f"drawing         {time.monotonic() - began:6.2f} s, {len(page) / 1e6:.1f} MB")
    if arguments.out:
        arguments.out.write_bytes(page)


if __name__ == "__main__":
    main()
