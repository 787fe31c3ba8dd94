"""Colours of a file <-> sRGB, by the profile that the file embeds.

Profiles of curves and a matrix are computed in float (`icc`), so that 16 bits stay 16 bits; those with
tables, CMYK among them, go through LittleCMS in 8 bits.
"""

import io
import logging
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from nst_daemon.images import exif, icc
from nst_daemon.images.metadata import Metadata
from nst_daemon.images.photo import Picture, stored, unit

logger = logging.getLogger(__name__)

BAND: Final = 1 << 20  # px converted at once
BAD_PROFILE: Final = "Its colour profile could not be used: sRGB assumed."
CHANNELS: Final = {"RGB": 3, "GRAY": 1, "CMYK": 4}
UNUSABLE: Final = (ImageCms.PyCMSError, OSError, ValueError, TypeError)


def to_srgb(colors: NDArray[Any], about: Metadata) -> tuple[Picture, Metadata, tuple[str, ...]]:
    """Return colours in sRGB, the metadata with the profile for the way back only, and notes.

    Shapes: (H, W, 1, 3 or 4) -> (H, W, 3).
    """
    space, profile = icc.space(about.icc or b""), _matrix_profile(about)
    note = "" if about.icc or about.declared is None else about.declared.note
    if profile is not None and not about.icc:  # there is none to write: the result is sRGB, and says so
        rgb = _by_bands(profile.to_srgb, np.repeat(colors, 3, axis=-1) if colors.shape[-1] == 1 else colors)
        return rgb, about.without_icc(), (note,) if note else ()
    if colors.shape[-1] == 1 and space != "GRAY":
        colors = np.repeat(colors, 3, axis=-1)
    if about.icc and CHANNELS.get(space) != colors.shape[-1]:
        logger.info("A colour profile of %r was left out", space)
        return unit(_three(colors)), about.without_icc(), (BAD_PROFILE,)
    kept = about if space == "RGB" else about.without_icc()
    if profile is not None:
        return (unit(colors) if profile.is_srgb() else _by_bands(profile.to_srgb, colors)), kept, ()
    if not about.icc:
        return unit(colors), kept, ()
    try:
        return _by_tables(colors, about.icc), kept, ()
    except UNUSABLE as error:
        logger.info("A colour profile was left out: %s", error)
        return unit(_three(colors)), about.without_icc(), (BAD_PROFILE,)


def from_srgb(rgb: Picture, about: Metadata) -> tuple[Picture, bytes | None, tuple[str, ...]]:
    """Return a result's colours in the photo's own profile, that profile, and notes.

    Shapes: (H, W, 3) -> the same.
    """
    profile = icc.parse(about.icc) if about.icc else None
    if profile is not None:
        return (rgb if profile.is_srgb() else _by_bands(profile.from_srgb, rgb)), about.icc, ()
    if not about.icc:
        return rgb, None, ()
    try:
        image = Image.fromarray(stored(rgb, 8))
        back = ImageCms.profileToProfile(image, _srgb(), _opened(about.icc), outputMode="RGB")
    except UNUSABLE as error:
        logger.info("A colour profile was left out: %s", error)
        return rgb, None, ("Its colour profile works one way only: the result is sRGB.",)
    return unit(np.asarray(back)), about.icc, ()


def converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    """Return an image in sRGB.

    Raises:
        ValueError: LittleCMS cannot.
    """
    result = ImageCms.profileToProfile(image, profile, _srgb(), outputMode="RGB")
    if result is None:
        raise ValueError("LittleCMS gave no picture")
    return result


def srgb() -> bytes:
    """Return the profile of sRGB, for a picture of ours that no photo gives one."""
    return _srgb().tobytes()


def _matrix_profile(about: Metadata) -> icc.Profile | None:
    """Return the photo's profile where it is one of curves and a matrix (matrix/TRC)."""
    if about.icc:
        return icc.parse(about.icc)
    if about.declared is not None:
        return about.declared.profile
    # Cameras set to Adobe RGB embed nothing; they say it in EXIF (DCF 2.0, R03).
    return icc.ADOBE_RGB if about.exif and exif.is_adobe_rgb(about.exif) else None


def _by_bands(function: Callable[[Picture], Picture], colors: NDArray[Any]) -> Picture:
    """Return what a function makes of a picture, band by band: 24 megapixels need no second copy.

    Shapes: (H, W, C) -> (H, W, 3).
    """
    height, width = colors.shape[:2]
    result = np.empty((height, width, 3), np.float32)
    step = max(1, BAND // width)
    for top in range(0, height, step):
        result[top : top + step] = function(unit(colors[top : top + step]))
    return result


def _by_tables(colors: NDArray[Any], profile: bytes) -> Picture:
    """Return colours in sRGB by LittleCMS, in 8 bits. Shapes: (H, W, 1, 3 or 4) -> (H, W, 3)."""
    small = stored(unit(colors), 8)
    return unit(np.asarray(converted(_image(small), _opened(profile))))


def _three(colors: NDArray[Any]) -> NDArray[Any]:
    """Return colours as RGB, without a profile. Shapes: (H, W, 1, 3 or 4) -> (H, W, 3)."""
    if colors.shape[-1] == 1:
        return np.repeat(colors, 3, axis=-1)
    if colors.shape[-1] == 4:
        return np.asarray(_image(stored(unit(colors), 8)).convert("RGB"))
    return colors


def _image(pixels: NDArray[np.uint8]) -> Image.Image:
    """Return 8-bit colours as Pillow has them. Shapes: (H, W, 1, 3 or 4)."""
    height, width, channels = pixels.shape
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())


def _opened(profile: bytes) -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(io.BytesIO(profile))


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
