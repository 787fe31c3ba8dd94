"""Readers that are not ours: ImageMagick, libvips and exiftool say how a file looks and what is in it."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import ImageCms

Color = tuple[int, int, int]
Judge = Callable[[Path, tuple[int, int], Path], Color]


def _run(*words: object) -> bytes:
    return subprocess.run([str(word) for word in words], capture_output=True, check=True).stdout


def _srgb(folder: Path) -> Path:
    path = folder / "srgb.icc"
    path.write_bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    return path


def imagemagick(path: Path, place: tuple[int, int], folder: Path) -> Color:
    """Return a pixel in sRGB as ImageMagick shows it; skip the test where there is none."""
    program = shutil.which("convert")
    if program is None or b"ImageMagick" not in _run(program, "-version"):
        pytest.skip("ImageMagick, a judge of colours, is not installed")
    x, y = place
    words = ["-intent", "relative", "-profile", _srgb(folder), "-alpha", "off", "-crop", f"1x1+{x}+{y}"]
    red, green, blue = _run(program, f"{path}[0]", *words, "-colorspace", "sRGB", "-depth", "8", "rgb:-")[:3]
    return red, green, blue


def vips(path: Path, place: tuple[int, int], folder: Path) -> Color:
    """Return a pixel in sRGB as libvips shows it; skip the test where there is none."""
    program = shutil.which("vips")
    if program is None:
        pytest.skip("libvips, a judge of colours, is not installed")
    seen = folder / f"{path.name}.seen.png"
    words = ["--embedded", "--input-profile", _srgb(folder), "--intent", "relative", "--depth", "8"]
    _run(program, "icc_transform", path, seen, _srgb(folder), *words)
    red, green, blue = (round(float(word)) for word in _run(program, "getpoint", seen, *place).split()[:3])
    return red, green, blue


JUDGES: dict[str, Judge] = {"ImageMagick": imagemagick, "libvips": vips}
