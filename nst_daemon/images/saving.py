"""Results -> files that carry what the photo carried, and their own provenance."""

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from nst_daemon import disk
from nst_daemon.config.recipe import Format
from nst_daemon.errors import ConditionError
from nst_daemon.images import exif, icc, iptc, png, profiles, tiff_picture, xmp_result
from nst_daemon.images.endings import RESULTS
from nst_daemon.images.limits import no_memory
from nst_daemon.images.loading import quiet
from nst_daemon.images.made import Made, identity
from nst_daemon.images.photo import Photo, Picture, over_white, stored
from nst_daemon.images.tags import Tag

WITH_ALPHA: Final = frozenset({"png", "tiff", "webp", "avif"})
DEEP: Final = frozenset({"png", "tiff"})
OWN_TURNS: Final = frozenset({"heic", "tiff", "raw"})  # formats that are turned by other words than EXIF's
CLOSE_QUALITY: Final = 95  # to be compared at 100 %, without JPEG's own marks
PREVIEW_QUALITY: Final = 88  # to be looked at for seconds, and written every few
MAX_WEBP_SIDE: Final = 16_383  # px, of the format
# Bytes: what a segment of 65,533 has room for behind its heading.
MAX_JPEG_XMP: Final = 65_504  # "http://ns.adobe.com/xap/1.0/" and a zero
MAX_JPEG_EXIF: Final = 65_527  # "Exif" and two zeros
MAX_JPEG_RESOURCES: Final = 65_519  # "Photoshop 3.0" and a zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What is written into a file: pixels, and all that lies beside them."""

    pixels: NDArray[Any]  # (H, W, 3 or 4), uint8 or uint16
    icc: bytes | None
    exif: bytes | None
    xmp: bytes
    bare_xmp: bytes  # with our provenance only, where the whole does not fit
    resources: Mapping[int, bytes]
    dpi: tuple[float, float] | None


def resize(rgb: Picture, width: int, height: int) -> Picture:
    """Return a picture at another size: Lanczos, antialiased, within 0..1. Shapes: (H, W, 3) or (H, W)."""
    if rgb.shape[:2] == (height, width):
        return rgb
    planes = [rgb] if rgb.ndim == 2 else [rgb[..., channel] for channel in range(rgb.shape[2])]
    result = np.empty((height, width, len(planes)), np.float32)
    for channel, plane in enumerate(planes):
        image = Image.fromarray(np.ascontiguousarray(plane, np.float32))
        result[..., channel] = np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
    np.clip(result, 0.0, 1.0, out=result)
    return result[..., 0] if rgb.ndim == 2 else result


def save_result(
    rgb: Picture,
    stem: Path,
    *,
    photo: Photo,
    format: Format,
    quality: int,
    provenance: Mapping[str, str],
    strip_gps: bool = False,
) -> tuple[Path, tuple[str, ...]]:
    """Write a result to `stem` with its format's extension; return the file, and notes on what was lost.

    Metadata, profile, transparency and depth are the photo's, as far as the format has room for them.

    Shapes: (H, W, 3).

    Raises:
        ConditionError: it cannot be written now.
    """
    if strip_gps:
        photo = replace(photo, metadata=photo.metadata.without_gps())
    kind, notes = choose_format(photo, format, rgb.shape[1], rgb.shape[0])
    parts, more = _parts(rgb, photo, kind, provenance)
    path = stem.with_name(stem.name + RESULTS[kind][0])
    try:
        data, lost = _encoder_of(kind)(parts, quality)
    except MemoryError as error:
        raise no_memory(path, path.name) from error
    _write(path, data)
    return path, (*notes, *more, *lost)


def encoded(pixels: NDArray[np.uint8], kind: str, *, quality: int, provenance: Mapping[str, str]) -> bytes:
    """Return a page of our own, in sRGB, as a file of a format; it says so, and what it is.

    Shapes: (H, W, 3).
    """
    height, width = pixels.shape[:2]
    made = Made(
        width=width,
        height=height,
        of_width=width,
        of_height=height,
        identity=identity(provenance, width, height, kind),
        mime=f"image/{kind}",
    )
    packet = xmp_result.for_result(None, provenance, made)[0]
    parts = Parts(
        pixels=pixels, icc=profiles.srgb(), exif=None, xmp=packet, bare_xmp=packet, resources={}, dpi=None
    )
    return _encoder_of(kind)(parts, quality)[0]


def _encoder_of(kind: str) -> Callable[[Parts, int], tuple[bytes, list[str]]]:
    return {"png": _png, "tiff": _tiff, "jpeg": _jpeg, "webp": _webp, "avif": _avif}[kind]


def _write(path: Path, data: bytes) -> None:
    """Write a file anew; a part of one never stays."""
    disk.remove(path)
    try:
        with disk.created(path) as file:
            file.write(data)
    except ConditionError:
        with suppress(ConditionError):  # the first is the one to tell
            disk.remove(path)
        raise


def save_preview(rgb: Picture, path: Path) -> None:
    """Write a picture as a small JPEG in sRGB, under whatever name.

    Shapes: (H, W, 3).

    Raises:
        ConditionError: it cannot be written now.
    """
    _write(path, _small_jpeg(Image.fromarray(stored(rgb, 8))))


def thumbnail(rgb: Picture, longest: int | None) -> bytes:
    """Return a JPEG of a picture, in sRGB, no longer than so many px; None: as it is, for a close look.

    Shapes: (H, W, 3), 0..1.
    """
    picture = Image.fromarray(stored(rgb, 8))
    if longest is None:
        stream = io.BytesIO()
        picture.save(stream, "JPEG", quality=CLOSE_QUALITY, subsampling=0)
        return stream.getvalue()
    picture.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return _small_jpeg(picture)


def _small_jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=PREVIEW_QUALITY)
    return stream.getvalue()


def choose_format(photo: Photo, format: Format, width: int, height: int) -> tuple[str, tuple[str, ...]]:
    """Return the format that a result is written in, and notes where it is not the one that was asked for."""
    notes: tuple[str, ...] = ()
    kind = photo.format if format is Format.SAME else format.value
    if kind not in RESULTS or (kind == "avif" and not features.check("avif")):
        lossless = photo.alpha is not None or kind in ("gif", "bmp")
        written = "png" if lossless else "tiff" if kind == "raw" else "jpeg"  # raw is deep: so is TIFF
        notes = (f"{kind.upper()} is not written: the result is {written.upper()}.",)
        kind = written
    if kind == "webp" and max(width, height) > MAX_WEBP_SIDE:
        kind, notes = "png", (*notes, f"WebP ends at {MAX_WEBP_SIDE} px: the result is PNG.")
    return kind, notes


def _parts(
    rgb: Picture, photo: Photo, kind: str, provenance: Mapping[str, str]
) -> tuple[Parts, tuple[str, ...]]:
    """Return what goes into the file, and what could not be kept. Shapes: (H, W, 3)."""
    height, width = rgb.shape[:2]
    about, notes = photo.metadata, []
    alpha = None if photo.alpha is None else resize(photo.alpha, width, height)
    if alpha is not None and kind not in WITH_ALPHA:
        rgb, alpha = over_white(rgb, alpha), None
        notes.append(f"{kind.upper()} has no transparency: it was laid over white.")
    colors, profile, lost = profiles.from_srgb(rgb, about)
    made = _made(photo, width, height, profile, provenance, kind)
    block = exif.for_result(about.exif, made) if about.exif else None
    if about.exif and block is None:
        notes.append("Its EXIF is broken and was left out.")
    packet, is_kept = xmp_result.for_result(about.xmp, provenance, made)
    if not is_kept:
        notes.append("Its XMP is broken or too large and was left out.")
    elif about.xmp and b"HasExtendedXMP" in about.xmp:
        notes.append("The second part of its XMP, in segments of its own, was left out.")
    channels = colors if alpha is None else np.dstack([colors, alpha])
    parts = Parts(
        pixels=stored(channels, 16 if photo.bits == 16 and kind in DEEP else 8),
        icc=profile,
        exif=block,
        xmp=packet,
        bare_xmp=xmp_result.for_result(None, provenance, made)[0],
        resources=iptc.for_result(about.resources or {}),
        dpi=about.dpi,
    )
    return parts, (*notes, *lost)


def _made(
    photo: Photo, width: int, height: int, profile: bytes | None, provenance: Mapping[str, str], kind: str
) -> Made:
    """Return what the tags are to say of a painting."""
    simple = icc.parse(profile) if profile else None
    exif_block = photo.metadata.exif
    return Made(
        width=width,
        height=height,
        of_width=photo.width,
        of_height=photo.height,
        turned=exif.orientation(exif_block) if exif_block and photo.format not in OWN_TURNS else 1,
        is_srgb=profile is None or (simple is not None and simple.is_srgb()),
        identity=identity(provenance, width, height, kind),
        mime=f"image/{kind}",
    )


def _png(parts: Parts, quality: int) -> tuple[bytes, list[str]]:
    stream = io.BytesIO()
    png.write(
        stream,
        parts.pixels,
        icc=parts.icc,
        exif=parts.exif,
        xmp=parts.xmp,
        resources=iptc.resources_block(parts.resources),
        dpi=parts.dpi,
    )
    return stream.getvalue(), []


def _tiff(parts: Parts, quality: int) -> tuple[bytes, list[str]]:
    side: dict[int, bytes] = {Tag.XMP: parts.xmp}
    if parts.icc:
        side[Tag.ICC] = parts.icc
    record, others = iptc.split(parts.resources)
    if others:
        side[Tag.RESOURCES] = iptc.resources_block(others)
    if record:
        side[Tag.IPTC] = record
    about = exif.tree_of(parts.exif) if parts.exif else None
    return tiff_picture.write(parts.pixels, about=about, side=side, dpi=parts.dpi), []


def _jpeg(parts: Parts, quality: int) -> tuple[bytes, list[str]]:
    parts, notes = _fitted(parts)
    extra = b""
    if parts.resources:
        block = iptc.PHOTOSHOP + iptc.resources_block(parts.resources)
        extra = b"\xff\xed" + (len(block) + 2).to_bytes(2, "big") + block
    options = {"quality": quality, "subsampling": "4:4:4", "optimize": True, "extra": extra}
    return _by_pillow(parts, "JPEG", options), notes


def _fitted(parts: Parts) -> tuple[Parts, list[str]]:
    """Return what fits into JPEG's segments of 64 kB, and notes on the rest."""
    notes = []
    if len(parts.xmp) > MAX_JPEG_XMP:
        parts = replace(parts, xmp=parts.bare_xmp)
        notes.append("Its XMP is larger than JPEG allows and was left out.")
    if parts.exif and len(parts.exif) > MAX_JPEG_EXIF:
        parts = replace(parts, exif=exif.without_maker_note(parts.exif))
        notes.append("Its EXIF is larger than JPEG allows: the camera's private notes were left out.")
    if parts.exif and len(parts.exif) > MAX_JPEG_EXIF:
        parts = replace(parts, exif=None)
        notes.append("Its EXIF is larger than JPEG allows and was left out.")
    if len(iptc.resources_block(parts.resources)) > MAX_JPEG_RESOURCES:
        parts = replace(parts, resources={})
        notes.append("Its IPTC is larger than JPEG allows and was left out.")
    return parts, notes


def _webp(parts: Parts, quality: int) -> tuple[bytes, list[str]]:
    options = {"quality": quality, "lossless": quality == 100, "method": 4, "exact": True}
    return _by_pillow(parts, "WEBP", options), _without_iptc(parts, "WebP")


def _avif(parts: Parts, quality: int) -> tuple[bytes, list[str]]:
    # Pillow writes EXIF with an orientation anew, and breaks the camera's private notes; AVIF has its own.
    block = exif.without_orientation(parts.exif) if parts.exif else None
    parts = replace(parts, exif=block)
    options = {"quality": quality, "subsampling": "4:4:4"}
    return _by_pillow(parts, "AVIF", options), _without_iptc(parts, "AVIF")


def _by_pillow(parts: Parts, name: str, options: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    beside = {
        "icc_profile": parts.icc,
        "exif": exif.PREFIX + parts.exif if parts.exif else None,
        "xmp": parts.xmp,
        "dpi": parts.dpi,
    }
    given = {key: value for key, value in beside.items() if value}
    with quiet():  # Pillow reads the EXIF that it is given for AVIF, which may be a little broken
        Image.fromarray(parts.pixels).save(stream, name, **options, **given)
    return stream.getvalue()


def _without_iptc(parts: Parts, name: str) -> list[str]:
    return [f"{name} has no place for IPTC: it was left out."] if parts.resources.get(iptc.RECORD) else []
