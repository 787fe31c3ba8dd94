"""Make the pictures of the documentation: photo, style and result side by side, and a sheet of all styles.

    python tools/make_figures.py [--size 640] [--only hero|close|styles|sheet|portrait] [--portrait PICTURE]

Uses nothing but the sample photo and the built-in styles, by way of `nst-daemon render` and `sheet`; and a
portrait whose painter is long dead, as style, to show the setting `figures` (`benchmarks/figures.py`).
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
PHOTO = ROOT / "nst_daemon" / "bundled" / "sample" / "chelsea.jpg"
STYLES = ROOT / "nst_daemon" / "bundled" / "styles"
FIGURES = ROOT / "docs" / "images"
HERO_STYLE = "swirling_oil"
CLOSE = 0.36, 0.3  # of width and height: where the piece at 1:1 begins, an eye and the fur beside it
GAP = 10  # px
PAPER = (255, 255, 255)


def command(folder: Path, *words: str) -> None:
    """Run one of our commands, with a config of its own in a folder."""
    config = folder / "config.yaml"
    config.write_text("inbox: inbox\noutbox: outbox\nstate_dir: state\n")
    subprocess.run([sys.executable, "-m", "nst_daemon", *words, "--config", str(config)], check=True)


def render(style: str, folder: Path, *settings: str) -> Image.Image:
    """Return the sample photo painted in a style, by its name or its file's path."""
    target = folder / f"{Path(style).stem}.png"
    chosen = [part for setting in settings for part in ("--set", setting)]
    command(folder, "render", str(PHOTO), "--style", style, "-o", str(target), *chosen)
    return Image.open(target).convert("RGB")


def fitted(image: Image.Image, height: int) -> Image.Image:
    """Return the picture at this height."""
    return image.resize((round(image.width * height / image.height), height), Image.Resampling.LANCZOS)


def strip(images: list[Image.Image]) -> Image.Image:
    """Return pictures of one height side by side."""
    width = sum(image.width for image in images) + GAP * (len(images) - 1)
    sheet = Image.new("RGB", (width, images[0].height), PAPER)
    left = 0
    for image in images:
        sheet.paste(image, (left, 0))
        left += image.width + GAP
    return sheet


def hero(folder: Path, size: int) -> Image.Image:
    """Return photo, style and result."""
    result = render(HERO_STYLE, folder, f"size={size}")
    height = result.height
    with Image.open(PHOTO) as photo, Image.open(STYLES / f"{HERO_STYLE}.jpg") as style:
        return strip([fitted(photo.convert("RGB"), height), fitted(style.convert("RGB"), height), result])


def close(folder: Path) -> Image.Image:
    """Return a painting of the default size, reduced, and a piece of it at 1:1."""
    result = render(HERO_STYLE, folder)
    height = 440
    left, top = (round(share * length) for share, length in zip(CLOSE, result.size, strict=True))
    piece = result.crop((left, top, left + round(height * 1.5), top + height))
    return strip([fitted(result, height), piece])


def portrait(style: Path, folder: Path, size: int) -> Image.Image:
    """Return photo, portrait, and the painting with `figures: on` and off."""
    paintings = [
        render(str(style), folder, f"size={size}", f"figures={figures}") for figures in ("on", "off")
    ]
    height = paintings[0].height
    with Image.open(PHOTO) as photo, Image.open(style) as picture:
        return strip(
            [fitted(photo.convert("RGB"), height), fitted(picture.convert("RGB"), height), *paintings]
        )


def sheet_of_styles(folder: Path, size: int) -> Image.Image:
    """Return every built-in style beside the sample photo painted in it, three pairs a row."""
    height = 200
    pairs = []
    for path in sorted(STYLES.glob("*.jpg")):
        with Image.open(path) as style:
            pairs.append(
                strip(
                    [
                        fitted(style.convert("RGB"), height),
                        fitted(render(path.stem, folder, f"size={size}"), height),
                    ]
                )
            )
    columns, width = 3, pairs[0].width
    rows = -(-len(pairs) // columns)
    sheet = Image.new("RGB", (columns * (width + 2 * GAP) - 2 * GAP, rows * (height + GAP) - GAP), PAPER)
    for index, pair in enumerate(pairs):
        row, column = divmod(index, columns)
        sheet.paste(pair, (column * (width + 2 * GAP), row * (height + GAP)))
    return sheet


def main() -> None:
    """Write the pictures into docs/images: hero, close, styles, sheet and, given a portrait, figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--styles-size", type=int, default=384)
    parser.add_argument("--only", choices=["hero", "close", "styles", "sheet", "portrait"])
    parser.add_argument(
        "--portrait", type=Path, help="a style picture with a face, for docs/images/figures.jpg"
    )
    arguments = parser.parse_args()
    FIGURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.only in (None, "hero"):
            hero(folder, arguments.size).save(FIGURES / "hero.jpg", quality=88)
        if arguments.only in (None, "close"):
            close(folder).save(FIGURES / "close.jpg", quality=88)
        if arguments.only in (None, "styles"):
            sheet_of_styles(folder, arguments.styles_size).save(FIGURES / "styles.jpg", quality=85)
        if arguments.only in (None, "sheet"):
            command(folder, "sheet", str(PHOTO), "-o", str(folder / "sheet.png"))
            Image.open(folder / "sheet.png").save(FIGURES / "sheet.jpg", quality=76)
        if arguments.only in (None, "portrait") and arguments.portrait is not None:
            portrait(arguments.portrait, folder, 448).save(FIGURES / "figures.jpg", quality=88)


if __name__ == "__main__":
    main()
