"""Paint the built-in styles: `python tools/paint_styles.py [--out FOLDER] [--size 720] [NAME...]`.

Every picture is an original work of this program, the same pixels for the same seed and size.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from painters import oils, pieces, prints, water
from painters.fields import Colours, Random
from PIL import Image

Painter = Callable[[int, Random], Colours]

PAINTERS: dict[str, Painter] = {
    "cut_paper": pieces.cut_paper,
    "indigo_waves": prints.indigo_waves,
    "marbled_paper": water.marbled_paper,
    "mosaic": pieces.mosaic,
    "palette_knife": oils.palette_knife,
    "pastel": oils.pastel,
    "pointillism": water.pointillism,
    "stained_glass": pieces.stained_glass,
    "swirling_oil": oils.swirling_oil,
    "watercolour": water.watercolour,
    "woodcut": prints.woodcut,
}

QUALITY = 86  # at 4:4:4: strokes keep crisp coloured edges, and a style stays below 450 kB


def paint(name: str, size: int = 720, seed: int = 1) -> Image.Image:
    """Return the style `name`, size x size pixels."""
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    # Painted at twice the size and brought down: clean edges without any antialiasing in the painters.
    colours = PAINTERS[name](2 * size, rng)
    pixels = (np.clip(colours, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    return Image.fromarray(pixels).resize((size, size), Image.Resampling.BOX)


def _arguments(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Paint the built-in styles.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PAINTERS)}; none: all")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parents[1] / "nst_daemon" / "bundled" / "styles"
    )
    parser.add_argument("--size", type=int, default=720, help="side in pixels")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    unknown = sorted(set(options.names) - set(PAINTERS))
    if unknown:
        parser.error(f"no such style: {', '.join(unknown)} (there are {', '.join(PAINTERS)})")
    return options


def main(words: list[str] | None = None) -> int:
    """Paint the named styles, or all, and save them as <name>.jpg."""
    options = _arguments(words)
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or PAINTERS:
        began = time.perf_counter()
        target = options.out / f"{name}.jpg"
        picture = paint(name, options.size, options.seed)
        picture.save(target, quality=QUALITY, subsampling=0, optimize=True)
        seconds = time.perf_counter() - began
        print(f"{target}: {target.stat().st_size / 1000:.0f} kB, {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
