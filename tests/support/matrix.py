"""Every picture that a format can hold: its modes, profiles and orientations, written with all their tags.

What a format cannot hold is not in the matrix: GIF and BMP have no EXIF, so neither orientation nor tags, and
no profile that is read; PNG has no CMYK; WebP and AVIF know neither grey nor 16 bits here; HEIC is written by
libheif's program in 8 bits. Camera raw has tests of its own: LibRaw develops it.
"""

import functools
import io
import itertools
import subprocess
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from support.heic import write_heic
from support.pictures import (
    ADOBE_RGB,
    DISPLAY_P3,
    PROPHOTO,
    SRGB,
    XMP,
    camera_exif,
    editor,
    eight,
    grey_profile,
    iptc_app13,
    matrix_profile,
    png16,
    scene,
    sixteen,
    table_profile,
)

WIDTH, HEIGHT = 24, 16  # px, upright
ORIENTATIONS = range(1, 9)
INKS = [
    (100.0 * (1 - black) * (1 - inks / 3), 0.0, 0.0) for inks in (0, 1, 1, 2, 1, 2, 2, 3) for black in (0, 1)
]
PROFILES = {
    "none": None,
    "srgb": matrix_profile(SRGB),
    "adobe": matrix_profile(ADOBE_RGB, 2.2),
    "p3": matrix_profile(DISPLAY_P3),
    "prophoto": matrix_profile(PROPHOTO, 1.8),
    "grey": grey_profile(2.2),
    "cmyk": table_profile(b"CMYK", INKS),
}
RGB = ("none", "srgb", "adobe", "p3", "prophoto")
GREY = ("none", "grey", "adobe")
CMYK = ("none", "cmyk")
NONE = ("none",)
# Format -> mode -> the profiles that it can have. A mode is Pillow's, then bits, then a way of writing.
MODES: dict[str, dict[str, tuple[str, ...]]] = {
    "jpg": {"RGB": RGB, "RGB-progressive": RGB, "RGB-bare": RGB, "L": GREY, "CMYK": CMYK},
    "mpo": {"RGB": RGB},
    "png": {"RGB": RGB, "RGBA": RGB, "P": RGB, "PA": RGB, "L": GREY, "LA": GREY, "1": NONE}
    | {"RGB16": RGB, "RGBA16": RGB, "L16": GREY, "LA16": GREY}
    | {"RGB-interlaced": RGB, "RGBA16-interlaced": RGB},
    "tif": {"RGB": RGB, "RGBA": RGB, "P": RGB, "L": GREY, "LA": GREY, "1": NONE, "CMYK": CMYK, "LAB": NONE}
    | {"RGB-lzw": RGB, "RGB-tiles": RGB, "RGB-pages": RGB, "CMYK16": CMYK}
    | {"RGB16": RGB, "RGBA16": RGB, "L16": GREY, "LA16": GREY, "RGB16-tiles": RGB, "RGB32": RGB},
    "webp": {"RGB": RGB, "RGBA": RGB, "RGB-lossy": RGB},
    "avif": {"RGB": RGB, "RGBA": RGB},
    "heic": {"RGB": RGB, "RGBA": RGB},
    "gif": {"RGB": NONE, "RGBA": NONE},
    "bmp": {"RGB": NONE, "L": NONE, "P": NONE, "1": NONE},
}
WRITTEN = {"mpo": ".jpg", "heic": ".jpg", "gif": ".png", "bmp": ".png"}  # what `format: same` cannot write
KEPT = {
    "IFD0:Make": "Fujica",
    "IFD0:Artist": "Ada Ansel",
    "IFD0:Copyright": "(c) Ada",
    "ExifIFD:DateTimeOriginal": "2024:05:06 07:08:09",
    "XMP-xmp:Rating": 4,
    "XMP-dc:Title": "The tower & the river",
}
PLACE = {"GPS:GPSLatitude": 48.52, "GPS:GPSLongitude": 9.05667}


@dataclass(frozen=True)
class Case:
    suffix: str
    mode: str
    profile: str
    orientation: int

    @property
    def name(self) -> str:
        return f"{self.suffix}-{self.mode}-{self.profile}-{self.orientation}.{self.suffix}"

    @property
    def pixels(self) -> str:
        """The mode without the way of writing."""
        return self.mode.partition("-")[0]

    @property
    def is_grey(self) -> bool:
        return self.pixels.startswith(("L", "1")) and self.pixels != "LAB"

    @property
    def has_alpha(self) -> bool:
        return "A" in self.pixels and self.pixels != "LAB"

    @property
    def is_deep(self) -> bool:
        """16-bit CMYK is read in 8 bits, as all CMYK: docs/pictures.md."""
        return self.pixels.endswith(("16", "32")) and "CMYK" not in self.pixels

    @property
    def icc(self) -> bytes | None:
        return PROFILES[self.profile]

    @property
    def kept_icc(self) -> bytes | None:
        """The profile that its painting has, which is RGB."""
        return None if self.profile in ("grey", "cmyk") else self.icc

    @property
    def has_tags(self) -> bool:
        return self.suffix not in ("gif", "bmp")

    @property
    def has_iptc(self) -> bool:
        return self.suffix in ("jpg", "mpo", "tif")

    @property
    def written(self) -> str:
        if self.suffix == "heic" and self.has_alpha:
            return ".png"
        return WRITTEN.get(self.suffix, f".{self.suffix}")


def cases() -> Iterator[Case]:
    """Yield the whole matrix."""
    for suffix, modes in MODES.items():
        for mode, profiles in modes.items():
            one = Case(suffix, mode, "none", 1)
            orientations = ORIENTATIONS if one.has_tags else (1,)
            for profile, orientation in itertools.product(profiles, orientations):
                yield Case(suffix, mode, profile, orientation)


def representatives() -> Iterator[Case]:
    """Yield a case for each format and mode: the one with the most to keep."""
    for (suffix, mode), group in itertools.groupby(cases(), lambda case: (case.suffix, case.mode)):
        found = list(group)
        yield Case(suffix, mode, found[-1].profile, 6 if found[0].has_tags else 1)


LUMA = np.array([[0.299], [0.587], [0.114]], np.float32)
RAMP = np.linspace(0.2, 1, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH)


@functools.cache
def lying(orientation: int) -> Any:
    """Return the scene, and its alpha, as a camera stores it that is held as `orientation` says."""
    turns = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1),
        6: lambda p: p.swapaxes(0, 1)[::-1],
        7: lambda p: p.swapaxes(0, 1)[::-1, ::-1],
        8: lambda p: p.swapaxes(0, 1)[:, ::-1],
    }
    rgba = np.dstack([scene(WIDTH, HEIGHT), RAMP])
    return np.ascontiguousarray(turns[orientation](rgba.astype(np.float32)))


def write_all(wanted: Sequence[Case], folder: Path) -> list[Path]:
    """Write the photos of cases; TIFF and HEIC get their tags from exiftool, all in one go."""
    paths = [_write(case, folder / case.name) for case in wanted]
    said = {**KEPT, **PLACE, "GPSLatitudeRef": "N", "GPSLongitudeRef": "E", "XMP-dc:Subject": "river"}
    said["XMP-lr:HierarchicalSubject"] = "nst|starry_night"
    _tag([path for path in paths if path.suffix == ".heic"], {**said, "EXIF:Orientation": 6})
    _tag([path for path in paths if path.suffix in (".tif", ".mpo")], {**said, "IPTC:Keywords": "river"})
    return paths


def _tag(paths: Sequence[Path], said: Mapping[str, Any]) -> None:
    if paths:
        words = [f"-{tag}={value}" for tag, value in said.items()]
        program = [editor(), "-q", "-m", "-n", "-overwrite_original"]
        subprocess.run([*program, *words, *map(str, paths)], check=True)


def _write(case: Case, path: Path) -> Path:
    rgba = lying(case.orientation)
    if case.suffix == "png" and (case.is_deep or "interlaced" in case.mode):
        return _write_png(case, path, rgba)
    if case.suffix == "tif" and (case.pixels[-1].isdigit() or "tiles" in case.mode) and case.pixels != "1":
        return _write_tiff(case, path, rgba)
    picture = _picture(case, rgba)
    if case.suffix == "heic":
        picture.save(path.with_suffix(".png"), icc_profile=case.icc)
        return write_heic(path.with_suffix(".png"), path, case.orientation)
    picture.save(path, **_options(case, picture))
    if case.mode == "RGB-bare":
        path.write_bytes(_without_jfif(path.read_bytes()))
    return path


def _picture(case: Case, rgba: Any) -> Image.Image:
    whole = Image.fromarray(eight(rgba))
    if case.suffix == "gif" and case.has_alpha:
        whole.putalpha(Image.fromarray(np.where(rgba[..., 3] > 0.5, 255, 0).astype(np.uint8)))
    if case.pixels == "PA":
        return whole.quantize(200, method=Image.Quantize.FASTOCTREE)
    if case.pixels == "LAB":
        return Image.merge("LAB", [whole.convert("L"), *[Image.new("L", whole.size, 128)] * 2])
    plain = whole.convert("RGBA" if case.has_alpha else "RGB")
    if case.pixels == "P":
        return plain.quantize(200)
    if case.pixels == "1":
        return plain.convert("L").point(lambda value: 255 * (value > 115), "1")
    return plain.convert(case.pixels)


def _options(case: Case, picture: Image.Image) -> dict[str, Any]:
    """Return what Pillow is to write beside the pixels."""
    exif = camera_exif(orientation=case.orientation)
    options: dict[str, Any] = {"icc_profile": case.icc}
    if case.suffix == "png":
        about = PngImagePlugin.PngInfo()
        about.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options |= {"pnginfo": about, "exif": exif}
    elif case.suffix == "tif":
        tags = Image.Exif()
        tags[274] = case.orientation
        options |= {"exif": tags, "compression": "tiff_lzw" if "lzw" in case.mode else None}
        options["tiffinfo"] = {274: case.orientation}
        if "pages" in case.mode:
            options |= {"save_all": True, "append_images": [picture.transpose(Image.Transpose.ROTATE_180)]}
    elif case.has_tags:
        options |= {"exif": exif, "xmp": XMP, "quality": 98}
    if case.suffix in ("jpg", "mpo"):
        options |= {"extra": iptc_app13("river"), "progressive": "progressive" in case.mode}
    if case.suffix == "mpo":
        options |= {"save_all": True, "append_images": [picture.transpose(Image.Transpose.ROTATE_180)]}
    if case.suffix == "webp" and "lossy" not in case.mode:
        options |= {"lossless": True, "exact": True}
    return {key: value for key, value in options.items() if value is not None}


def _without_jfif(raw: bytes) -> bytes:
    """Return a JPEG without its JFIF segment, as cameras write it: EXIF comes first."""
    assert raw[2:4] == b"\xff\xe0"
    return raw[:2] + raw[4 + int.from_bytes(raw[4:6], "big") :]


def _channels(case: Case, rgba: Any) -> Any:
    """Return the scene in the channels of a mode."""
    color = rgba[..., :3] @ LUMA if case.is_grey else rgba[..., :3]
    if case.pixels.startswith("CMYK"):
        color = np.dstack([1 - color, np.zeros(color.shape[:2], np.float32)])
    return np.dstack([color, rgba[..., 3:]]) if case.has_alpha else color


def _write_png(case: Case, path: Path, rgba: Any) -> Path:
    pixels = _channels(case, rgba)
    exif = camera_exif(orientation=case.orientation)[6:]
    beside = [(b"eXIf", exif), (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)]
    if case.icc:
        beside.append((b"iCCP", b"icc\0\0" + zlib.compress(case.icc)))
    return png16(
        path,
        sixteen(pixels) if case.is_deep else eight(pixels),
        interlaced="interlaced" in case.mode,
        beside=tuple(beside),
    )


def _write_tiff(case: Case, path: Path, rgba: Any) -> Path:
    pixels = _channels(case, rgba)
    stored = pixels if "32" in case.mode else sixteen(pixels) if "16" in case.mode else eight(pixels)
    tags: list[Any] = [(274, "H", 1, case.orientation, True)]
    if case.icc:
        tags.append((34675, "B", len(case.icc), case.icc, True))
    kind = "minisblack" if case.is_grey else "separated" if "CMYK" in case.mode else "rgb"
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        stored[..., 0] if stored.shape[-1] == 1 else stored,
        photometric=kind,
        planarconfig="contig",
        extrasamples=["unassalpha"] if case.has_alpha else None,
        extratags=tags,
        metadata=None,
        compression="zlib",
        tile=(16, 16) if "tiles" in case.mode else None,
    )
    path.write_bytes(stream.getvalue())
    return path
