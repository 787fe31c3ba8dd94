"""Photo and style files -> sRGB pictures, upright, as floats.

A file is read once, whole, and judged before it is decoded. Every failure of a picture is a `PhotoError` or
`StyleError`, every one of the machine a `ConditionError`; no other exception leaves. Pillow decodes all but
what it would cut from 16 bits to 8: that is done by `png` and `tiff_picture`.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin, features

from nst_daemon import disk
from nst_daemon.errors import IncompletePhotoError, PhotoError, StyleError
from nst_daemon.images import (
    bmp,
    boxes,
    camera_raw,
    colors,
    containers,
    declared,
    exif,
    gif,
    icc,
    jpeg,
    metadata,
    png,
    profiles,
    tiff,
    tiff_picture,
    xmp,
)
from nst_daemon.images.endings import is_raw
from nst_daemon.images.limits import Limits, cut, no_memory, not_loaded, read_file, shown, undecodable
from nst_daemon.images.metadata import Metadata
from nst_daemon.images.photo import Photo, Picture, filled, over_white, unit
from nst_daemon.images.reducing import least, reduced
from nst_daemon.images.wholeness import Wholeness, judge, may_be_unwritten

# What the readers raise on bytes that are no picture, or a broken one.
BROKEN: Final = (
    *(OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError),
    *(KeyError, IndexError, TypeError, AttributeError, ArithmeticError, RuntimeError),
)
# The limit is ours, `max_megapixels`, checked before a pixel is decoded; Pillow's own would warn below it.
Image.MAX_IMAGE_PIXELS = None
# Pillow's 1 MB refuses photos with a printer's profile or a long history of edits.
PngImagePlugin.MAX_TEXT_CHUNK = png.MAX_SIDE_CHUNK


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """Pixels as they lie in the file, before colour and orientation."""

    pixels: NDArray[Any]  # (H, W, C) of uint8, uint16 or float32; colours, and alpha last
    colors: int  # of the channels: 1, 3, or 4 for CMYK
    orientation: int
    metadata: Metadata
    size: tuple[int, int] | None = None  # width and height in px, of the file, where the pixels are fewer
    notes: tuple[str, ...] = ()


def load_photo(path: Path, *, name: str, max_megapixels: float, longer: int | None = None) -> Photo:
    """Return a photo, upright, its colours in sRGB.

    Where it is to be painted with a `longer` side of so many px, it may have fewer pixels than its file: at
    least twice as many on each side. The whole file is decoded all the same.

    Raises:
        IncompletePhotoError: it breaks off, or may be half written; or it is not there.
        PhotoError: it is no picture that can be read, or beyond a limit. Its bytes were read well.
        ConditionError: it cannot be read now, or there is no memory for it now.
    """
    name = shown(name)
    try:
        content = read_file(path, name)
        found = judge(content, hole=disk.first_hole(path), is_raw=is_raw(name))
        if found is Wholeness.CUT:
            raise cut(name)
        try:
            photo = _photo(content, Limits(name, max_megapixels), longer)
        except PhotoError as error:
            is_broken = isinstance(error.__cause__, BROKEN)
            if is_broken and (found is Wholeness.DOUBTFUL or may_be_unwritten(content)):
                raise cut(name) from error
            if found is Wholeness.DOUBTFUL:
                raise IncompletePhotoError(error.message, remedy=error.remedy) from error
            raise
    except MemoryError as error:
        raise no_memory(path, name) from error
    except ImportError as error:
        raise not_loaded(path, name, error) from error
    return replace(photo, may_grow=found is Wholeness.DOUBTFUL)


def _photo(content: bytes, limits: Limits, longer: int | None) -> Photo:
    kind = "raw" if is_raw(limits.name) else containers.kind(content)
    try:
        with quiet():
            return _finished(_decoded(content, kind, limits, longer), kind, limits.name, longer)
    except BROKEN as error:
        if "out of memory" in str(error).lower():  # in the words of Pillow's codecs
            raise MemoryError from error
        raise undecodable(content, limits.name, error) from error


def load_style(path: Path, *, name: str, max_megapixels: float, longer: int | None = None) -> Picture:
    """Return a style picture in sRGB; what is transparent becomes white. Shapes: (H, W, 3), 0..1.

    Where no painting needs it with more than a `longer` side of so many px, it may have fewer pixels, as a
    photo may.

    Raises:
        StyleError: it cannot be read.
    """
    try:
        photo = load_photo(path, name=name, max_megapixels=max_megapixels, longer=longer)
    except PhotoError as error:
        raise StyleError(f"Style picture {error.message}", remedy=error.remedy) from error
    return photo.rgb if photo.alpha is None else over_white(photo.rgb, photo.alpha)


def load_mask(path: Path, *, name: str, max_megapixels: float) -> Picture:
    """Return a mask: 0 where it is black or transparent, 1 where it is white. Shapes: (H, W).

    Raises:
        PhotoError: it cannot be read.
    """
    photo = load_photo(path, name=name, max_megapixels=max_megapixels)
    grey = colors.luminance(photo.rgb)
    return grey if photo.alpha is None else grey * photo.alpha


def _decoded(content: bytes, kind: str, limits: Limits, longer: int | None) -> Decoded:
    if kind == "raw":
        developed = camera_raw.read(content, limits)
        about, notes = camera_raw.about(content)
        return Decoded(pixels=developed, colors=3, orientation=1, metadata=about, notes=notes)
    if kind == "png" and (size := png.size_of_16_bits(content)):
        limits.check(*size)
        return _decoded_png16(content)
    if kind == "tiff" and (layout := tiff_picture.deep_layout(content)) is not None:
        limits.check(layout.width, layout.height)
        return _decoded_deep_tiff(layout)
    return _decoded_by_pillow(content, kind, limits, longer)


def _decoded_png16(content: bytes) -> Decoded:
    pixels, about = png.read16(content), read_metadata(content, "png")
    colors = 3 if pixels.shape[2] > 2 else 1
    return Decoded(pixels=pixels, colors=colors, orientation=_orientation(about), metadata=about)


def _decoded_deep_tiff(layout: tiff_picture.Layout) -> Decoded:
    pixels, notes = tiff_picture.as_light(layout, tiff_picture.read(layout, _unpacked))
    return Decoded(
        pixels=pixels,
        colors=layout.channels,
        orientation=layout.orientation,
        metadata=metadata.of_tiff(layout.block),
        notes=notes,
    )


def _unpacked(file: bytes, width: int, height: int) -> NDArray[np.uint8]:
    """Return the bytes of a TIFF file of one grey channel of 8 bits. Shapes: -> (height, width)."""
    with Image.open(io.BytesIO(file), formats=["TIFF"]) as image:
        grey = np.asarray(image)
    if grey.shape != (height, width) or grey.dtype != np.uint8:
        raise ValueError("its directory makes no sense")
    return grey


def _decoded_by_pillow(content: bytes, kind: str, limits: Limits, longer: int | None) -> Decoded:
    with opened(png.bare(content) if kind == "png" else content, kind, limits.name) as image:
        size = image.size
        limits.check(*size)
        is_jpeg = image.draft(None, least(*size, longer)) is not None  # no other can be decoded smaller
        image.load()
        if kind == "jpeg" and jpeg.is_short(image, content):
            raise cut(limits.name)
        about = read_metadata(content, kind, image)
        # Pillow turns TIFF on loading, and libheif HEIC; their own orientation is done with.
        orientation = 1 if kind in ("tiff", "heic") else _orientation(about)
        plain, notes = _plain(image, about.icc)
        pixels = np.atleast_3d(np.asarray(plain))
    colors = {"L": 1, "LA": 1, "CMYK": 4}.get(plain.mode, 3)
    return Decoded(
        pixels=pixels,
        colors=colors,
        orientation=orientation,
        metadata=about,
        size=size if is_jpeg else None,
        notes=notes,
    )


def _plain(image: Image.Image, profile: bytes | None) -> tuple[Image.Image, tuple[str, ...]]:
    """Return an image in one of the modes L, LA, RGB, RGBA and CMYK."""
    if image.mode in ("I", "F", "I;16", "I;16L", "I;16B", "I;16N"):
        raise ValueError(f"pixels of kind {image.mode} are not supported")
    if "transparency" in image.info or image.mode in ("PA", "RGBa", "La"):
        return image.convert("RGBA"), ()
    if image.mode == "CMYK" and icc.space(profile or b"") != "CMYK":
        return image.convert("RGB"), ("It is CMYK without a colour profile: its colours are a guess.",)
    if image.mode == "LAB":
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        return profiles.converted(image, lab), ()
    if image.mode in ("L", "LA", "RGB", "RGBA", "CMYK"):
        return image, ()
    return image.convert("L" if image.mode == "1" else "RGB"), ()


@contextmanager
def opened(content: bytes, kind: str, name: str) -> Iterator[Image.Image]:
    """Open an image of a known kind; nothing is decoded yet.

    Raises:
        PhotoError: what could read it is not installed.
        ImportError: it is installed, and cannot be loaded now.
    """
    if kind == "heic":
        _register_heic(name)
    if kind == "avif" and not features.check("avif"):
        raise PhotoError(f"{name} is AVIF, which this Pillow cannot read.", remedy="pip install -U pillow")
    pillow = {"jpeg": ["JPEG", "MPO"], "heic": ["HEIF"]}.get(kind, [kind.upper()])
    with Image.open(io.BytesIO(content), formats=pillow) as image:
        yield image


def _register_heic(name: str) -> None:
    try:
        import pi_heif
    except ModuleNotFoundError as error:
        raise PhotoError(
            f"{name} is HEIC, and pi-heif is not installed.",
            remedy="Run: pip install pi-heif, or export the photo as JPEG.",
        ) from error
    except OSError as error:
        raise ImportError(f"pi-heif: {error}") from error
    pi_heif.register_heif_opener()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Pillow's warnings of slightly broken files from the user: what matters is raised."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_metadata(content: bytes, kind: str, image: Image.Image | None = None) -> Metadata:
    """Return what lies beside the pixels."""
    if kind == "tiff":
        return metadata.of_tiff(tiff.parse(content))
    if kind == "png":
        return metadata.of_png(content)
    if kind == "gif":
        return metadata.of_parts({"xmp": gif.packet(io.BytesIO(content))})
    info = image.info if image else {}
    parts = {"exif": info.get("exif"), "xmp": info.get("xmp"), "icc": info.get("icc_profile")}
    if kind == "bmp":
        parts["icc"] = bmp.profile(content)
    found = metadata.of_parts(parts, resources=info.get("photoshop"), dpi=info.get("dpi"))
    if kind in ("avif", "heic"):
        with suppress(ValueError):  # a film's first picture has no items
            numbers = boxes.items(content).colors()
            found = replace(found, declared=numbers and declared.of_cicp(*numbers))
    return found


def _orientation(about: Metadata) -> int:
    return exif.orientation(about.exif) if about.exif else 1


def _finished(decoded: Decoded, kind: str, name: str, longer: int | None) -> Photo:
    """Return the photo of decoded pixels: sRGB, float, upright."""
    pixels = reduced(decoded.pixels, longer, decoded.colors)
    colors, rest = pixels[..., : decoded.colors], pixels[..., decoded.colors :]
    alpha = unit(rest[..., 0]) if rest.shape[-1] else None
    if alpha is not None and kind == "bmp" and not alpha.any():
        alpha = None  # whoever wrote it knew no alpha: every viewer shows it
    if alpha is not None and not alpha.any():
        raise PhotoError(f"{name} is wholly transparent.", remedy="Export it without the transparency.")
    rgb, about, notes = profiles.to_srgb(colors, decoded.metadata)
    rgb = rgb if alpha is None else filled(rgb, alpha)
    size = decoded.size or (decoded.pixels.shape[1], decoded.pixels.shape[0])
    width, height = size if decoded.orientation < 5 else reversed(size)
    return Photo(
        width=width,
        height=height,
        rgb=_upright(rgb, decoded.orientation),
        alpha=None if alpha is None or alpha.min() >= 1.0 else _upright(alpha, decoded.orientation),
        format=kind,
        bits=8 if decoded.pixels.dtype == np.uint8 else 16,
        metadata=about,
        wraps=decoded.orientation == 1 and xmp.is_sphere(about.xmp or b""),
        notes=decoded.metadata.notes + decoded.notes + notes,
    )


def _upright(pixels: Picture, orientation: int) -> Picture:
    """Return the pixels turned and mirrored as EXIF's orientation asks.

    Shapes: (H, W[, 3]) -> (H, W[, 3]) or (W, H[, 3]).
    """
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
