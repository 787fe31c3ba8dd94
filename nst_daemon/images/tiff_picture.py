"""Pixels of TIFF files of 16 bits or floats, which Pillow cuts to 8 bits or refuses; and TIFF files written.

Pure: bytes in and out. Unpacking (LZW, Deflate, …) is handed in: `loading` lets Pillow do it, on a copy of
the file whose directory says that every byte is a grey pixel.
"""

import struct
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nst_daemon.images import tiff
from nst_daemon.images.tags import Kind, Tag
from nst_daemon.images.tiff import Block, Field, Fields, Tree

SIDE_KINDS: Final[Mapping[int, Kind]] = {
    Tag.XMP: Kind.BYTE,
    Tag.RESOURCES: Kind.BYTE,
}  # as Adobe's programs write them
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2  # of PhotometricInterpretation
NONE, LZW, ADOBE_DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD = 1, 5, 8, 32773, 32946, 34925, 50000
BYTEWISE: Final = frozenset({NONE, LZW, ADOBE_DEFLATE, PACKBITS, OLD_DEFLATE, LZMA, ZSTD})
PLANES: Final = 2  # of PlanarConfiguration: one a channel
DIFFERENCES, FLOAT_DIFFERENCES = 2, 3  # of Predictor
UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # of SampleFormat
MULTIPLIED, APART = 1, 2  # of ExtraSamples: alpha that is multiplied into the colours, or is not
INCH: Final = 2  # of ResolutionUnit
LIGHT: Final = 16.0  # times white: brighter is the sun itself, or no light at all
CLIPPED: Final = 0.5  # of a picture's numbers that may be beyond white; more would paint it white
PLAIN_DPI: Final = (72.0, 72.0)  # where the photo says nothing: TIFF 6.0 demands a resolution
BAND: Final = 1 << 20  # bytes of a strip, before packing

Pixels = NDArray[Any]  # uint16 or float32
Unpack = Callable[[bytes, int, int], NDArray[np.uint8]]  # a TIFF of grey bytes, width, height -> (H, W)


@dataclass(frozen=True, slots=True)
class Layout:
    """How the first picture of a TIFF file is stored."""

    block: Block
    fields: Fields
    width: int
    height: int
    samples: int
    dtype: np.dtype[Any]
    photometric: int
    orientation: int
    is_planar: bool  # one plane a channel, instead of pixels of all channels
    predictor: int

    @property
    def channels(self) -> int:
        """How many of the samples are colours."""
        return 3 if self.photometric == RGB else 1


def deep_layout(raw: bytes) -> Layout | None:
    """Return the layout of a grey or RGB file of 16 bits or floats; None for all that Pillow reads in full.

    Raises:
        ValueError: it is no TIFF.
    """
    block = tiff.parse(raw)
    fields, _ = block.directory(block.first)

    if Tag.DNG_VERSION in fields:
        raise ValueError("it is camera raw (DNG): develop it first")

    def number(tag: int, default: int) -> int:
        return block.number(fields.get(tag), default)

    photometric = number(Tag.PHOTOMETRIC, -1)
    bits, kinds = (set(block.numbers(fields.get(tag))) for tag in (Tag.BITS, Tag.SAMPLE_FORMAT))
    dtype = _dtype(bits, kinds or {UNSIGNED})
    if dtype is None or photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        return None
    if number(Tag.COMPRESSION, NONE) not in BYTEWISE:
        return None
    layout = Layout(
        block=block,
        fields=fields,
        width=number(Tag.WIDTH, 0),
        height=number(Tag.HEIGHT, 0),
        samples=number(Tag.SAMPLES, 1),
        dtype=np.dtype(block.order + dtype),
        photometric=photometric,
        orientation=number(Tag.ORIENTATION, 1),
        is_planar=number(Tag.PLANAR, 1) == PLANES,
        predictor=number(Tag.PREDICTOR, 1),
    )
    if not (layout.width and layout.height and layout.channels <= layout.samples <= 32):
        raise ValueError("its directory makes no sense")
    return layout


def _dtype(bits: set[int], kinds: set[int]) -> str | None:
    """Return numpy's word for numbers of this kind; None for those that Pillow reads.

    Raises:
        UnknownScaleError: nothing says which of them is white.
    """
    if kinds == {FLOAT} and bits in ({16}, {32}, {64}):
        return f"f{min(bits) // 8}"
    if bits == {16} and kinds == {UNSIGNED}:
        return "u2"
    most = max(bits, default=1)
    if kinds == {SIGNED} or (kinds == {UNSIGNED} and most > 16):
        raise UnknownScaleError(f"pixels of {most}-bit {'signed ' * (kinds == {SIGNED})}integers")
    return None


class UnknownScaleError(ValueError):
    """Nothing in the file says which number is white."""


def read(layout: Layout, unpack: Unpack) -> Pixels:
    """Return the pixels: colours first, then extra channels, as stored. Shapes: (H, W, samples)."""
    if not layout.is_planar:
        return _plane(layout, 0, layout.samples, unpack)
    planes = [_plane(layout, index, 1, unpack) for index in range(min(layout.samples, layout.channels + 1))]
    return np.concatenate(planes, axis=-1)


def as_light(layout: Layout, pixels: Pixels) -> tuple[Pixels, tuple[str, ...]]:
    """Return colours and, last, alpha if there is one, with 0 for black; and notes.

    Shapes: (H, W, samples) -> (H, W, colours[ + 1]).

    Raises:
        ValueError: floats that are no numbers, or whose white is anywhere.
    """
    notes: tuple[str, ...] = ()
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise ValueError("some of its pixels are NaN or infinite")
        pixels, notes = _scaled(pixels.astype(np.float32, copy=False), layout.channels)
    kinds = layout.block.numbers(layout.fields.get(Tag.EXTRA_SAMPLES))
    has_alpha = layout.samples > layout.channels and kinds[:1] in ((MULTIPLIED,), (APART,))
    pixels = pixels[..., : layout.channels + has_alpha]
    if has_alpha and kinds[0] == MULTIPLIED:
        pixels = _unmultiplied(pixels)
    if layout.photometric == WHITE_IS_ZERO:
        top = pixels.dtype.type(65535 if pixels.dtype == np.uint16 else 1)
        pixels = np.concatenate([top - pixels[..., :1], pixels[..., 1:]], axis=-1)
    return pixels, notes


def _scaled(pixels: Pixels, channels: int) -> tuple[Pixels, tuple[str, ...]]:
    """Return floats within 0 to 1, which is what they should be, and notes.

    Shapes: (H, W, C) -> the same.

    Raises:
        UnknownScaleError: many are beyond 1, and they are no 8 or 16 bits either.
    """
    colors = pixels[..., :channels]
    lowest, highest = float(pixels.min()), float(colors.max())
    if lowest >= 0.0 and float(pixels.max()) <= 1.0:
        return pixels, ()
    bright = float((colors > 1.0).mean())
    lit = colors[colors > 0]
    if highest > LIGHT and float(np.median(lit)) > 1.0:  # light of a scene is mostly below white
        top = next((top for top in (255.0, 65535.0) if highest <= top), None)
        if top is None:
            raise UnknownScaleError(f"floats up to {highest:g}")
        pixels = np.concatenate(
            [colors / np.float32(top), pixels[..., channels:] / np.float32(_top_of(pixels[..., channels:]))],
            -1,
        )
        return np.clip(pixels, 0.0, 1.0), (f"Its floats go up to {highest:g}: {top:g} was taken for white.",)
    if bright > CLIPPED:
        raise UnknownScaleError(f"floats up to {highest:g}, {bright:.0%} of them beyond 1")
    return np.clip(pixels, 0.0, 1.0), ("Its light beyond 0 to 1 was clipped.",)


def _top_of(alpha: Pixels) -> float:
    """Return what is opaque in extra channels. Shapes: any."""
    highest = float(alpha.max(initial=0.0))
    return next((top for top in (1.0, 255.0, 65535.0) if highest <= top), highest)


def _unmultiplied(pixels: Pixels) -> Pixels:
    """Return colours into which alpha was multiplied as they were before. Shapes: (H, W, C) -> the same."""
    alpha = pixels[..., -1:].astype(np.float32)
    top = np.float32(65535 if pixels.dtype == np.uint16 else 1)
    colors = np.clip(pixels[..., :-1] * (top / np.maximum(alpha, top / 65535)), 0, top)
    return np.concatenate([colors, alpha], axis=-1).astype(pixels.dtype)


def _plane(layout: Layout, index: int, samples: int, unpack: Unpack) -> Pixels:
    """Return the pixels of one plane, put together from its tiles. Shapes: -> (H, W, samples)."""
    size = samples * layout.dtype.itemsize
    grey = unpack(_as_grey_bytes(layout, index, size), layout.width * size, layout.height)
    tile = layout.block.number(layout.fields.get(Tag.TILE_WIDTH), layout.width)
    parts = [
        _undone(grey[:, left * size : (left + tile) * size], layout, samples)
        for left in range(0, layout.width, tile)
    ]
    return np.concatenate(parts, axis=1)


def _undone(grey: NDArray[np.uint8], layout: Layout, samples: int) -> Pixels:
    """Return one column of tiles as numbers, its predictor undone.

    Shapes: (H, bytes a row) -> (H, W, samples).
    """
    height, width = len(grey), grey.shape[1] // (samples * layout.dtype.itemsize)
    if layout.predictor == FLOAT_DIFFERENCES:
        # Of bytes, sorted from high to low. Only whole rows can be sorted back.
        grey = np.cumsum(grey.reshape(height, -1, samples), axis=1, dtype=np.uint8)
        planes = grey.reshape(height, layout.dtype.itemsize, width * samples)
        rows = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(layout.dtype.newbyteorder(">"))
    else:
        rows = np.ascontiguousarray(grey).view(layout.dtype)
    pixels = rows.reshape(height, width, samples).astype(layout.dtype.newbyteorder("="))
    if layout.predictor == DIFFERENCES and pixels.dtype == np.uint16:
        return np.cumsum(pixels, axis=1, dtype=np.uint16)
    return pixels


def _as_grey_bytes(layout: Layout, index: int, size: int) -> bytes:
    """Return the file with a new directory, by which each byte of one plane is a grey pixel."""
    block, fields = layout.block, layout.fields
    new: Fields = {
        Tag.WIDTH: tiff.longs(block.order, layout.width * size),
        Tag.HEIGHT: tiff.longs(block.order, layout.height),
        Tag.BITS: tiff.shorts(block.order, 8),
        Tag.COMPRESSION: tiff.shorts(block.order, block.number(fields.get(Tag.COMPRESSION), NONE)),
        Tag.PHOTOMETRIC: tiff.shorts(block.order, BLACK_IS_ZERO),
        Tag.SAMPLES: tiff.shorts(block.order, 1),
    }
    is_tiled = Tag.TILE_WIDTH in fields
    if is_tiled:
        tile_width = block.number(fields.get(Tag.TILE_WIDTH), 0)
        tile_height = block.number(fields.get(Tag.TILE_HEIGHT), 0)
        if tile_width <= 0 or tile_height <= 0:
            raise ValueError("its tiles have no size")
        if layout.predictor == FLOAT_DIFFERENCES and layout.width % tile_width:
            raise ValueError("its float tiles hang over its edge")
        new[Tag.TILE_WIDTH] = tiff.longs(block.order, tile_width * size)
        new[Tag.TILE_HEIGHT] = tiff.longs(block.order, tile_height)
        count = -(-layout.width // tile_width) * -(-layout.height // tile_height)
    else:
        rows = block.number(fields.get(Tag.ROWS_PER_STRIP), 0)
        rows = min(rows, layout.height) or layout.height
        new[Tag.ROWS_PER_STRIP] = tiff.longs(block.order, rows)
        count = -(-layout.height // rows)
    for tag in (Tag.TILE_OFFSETS, Tag.TILE_COUNTS) if is_tiled else (Tag.STRIP_OFFSETS, Tag.STRIP_COUNTS):
        numbers = block.numbers(fields.get(tag))[index * count : (index + 1) * count]
        if len(numbers) < count:
            raise ValueError("its directory misses parts of the picture")
        new[tag] = tiff.longs(block.order, *numbers)
    return _with_directory(block, new)


def _with_directory(block: Block, fields: Fields) -> bytes:
    """Return the file with another first directory, laid behind it.

    A classic one for BigTIFF too, as its offsets fit: Pillow misreads BigTIFF of Motorola's byte order.
    """
    at = len(block.raw) + len(block.raw) % 2
    head = (b"II*\0" if block.order == "<" else b"MM\0*") + struct.pack(block.order + "I", at)
    directory = tiff.directory_bytes(Tree(block.order, fields), at)
    return b"".join([head, memoryview(block.raw)[len(head) :], b"\0" * (at - len(block.raw)), directory])


def write(
    pixels: NDArray[Any],
    *,
    about: Tree | None = None,
    side: Mapping[int, bytes] | None = None,
    dpi: tuple[float, float] | None = None,
) -> bytes:
    """Return a TIFF of 8 or 16 bits, Deflate with predictor. Shapes: (H, W, 3 or 4).

    `about` are the tags that describe the photo, `side` XMP, IPTC and ICC by their tag.
    """
    order = about.order if about else "<"
    height, width, channels = pixels.shape
    rows = max(1, BAND // (width * channels * pixels.itemsize))
    strips = [_packed(pixels[top : top + rows], order) for top in range(0, height, rows)]
    fields = dict(about.fields) if about else {}
    if Tag.X_RESOLUTION not in fields:
        fields[Tag.X_RESOLUTION], fields[Tag.Y_RESOLUTION] = (
            Field(Kind.RATIONAL, struct.pack(order + "II", round(each * 1000), 1000))
            for each in dpi or PLAIN_DPI
        )
        fields[Tag.RESOLUTION_UNIT] = tiff.shorts(order, INCH)
    fields |= {
        Tag.WIDTH: tiff.longs(order, width),
        Tag.HEIGHT: tiff.longs(order, height),
        Tag.BITS: tiff.shorts(order, *[8 * pixels.itemsize] * channels),
        Tag.COMPRESSION: tiff.shorts(order, ADOBE_DEFLATE),
        Tag.PHOTOMETRIC: tiff.shorts(order, RGB),
        Tag.ORIENTATION: tiff.shorts(order, 1),
        Tag.SAMPLES: tiff.shorts(order, channels),
        Tag.ROWS_PER_STRIP: tiff.longs(order, rows),
        Tag.PREDICTOR: tiff.shorts(order, DIFFERENCES),
        **{tag: Field(SIDE_KINDS.get(tag, Kind.UNDEFINED), value) for tag, value in (side or {}).items()},
    }
    if channels == 4:
        fields[Tag.EXTRA_SAMPLES] = tiff.shorts(order, APART)
    return tiff.write(Tree(order, fields, about.children if about else {}), strips)


def _packed(band: NDArray[Any], order: str) -> bytes:
    """Return one strip by Deflate, of the differences between neighbours. Shapes: (rows, W, C)."""
    change = band.copy()
    change[:, 1:] -= band[:, :-1]
    return zlib.compress(change.astype(f"{order}u{band.itemsize}").tobytes(), 6)
