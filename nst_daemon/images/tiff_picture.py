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
from nst_daemon.images.tiff import Block, Field, Fields, Tree

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, OFFSETS = 256, 257, 258, 259, 262, 273
ORIENTATION, SAMPLES, ROWS, COUNTS, PLANAR, PREDICTOR = 274, 277, 278, 279, 284, 317
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, EXTRA, FORMAT = 322, 323, 324, 325, 338, 339
XMP, IPTC, RESOURCES, ICC, DNG_VERSION = 700, 33723, 34377, 34675, 50706
SIDE_KINDS: Final = {XMP: tiff.BYTE, RESOURCES: tiff.BYTE}
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB = 0, 1, 2
BYTEWISE: Final = frozenset(
    {1, 5, 8, 32773, 32946, 34925, 50000}
)  # none, LZW, Deflate, PackBits, …, LZMA, Zstandard
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

    if DNG_VERSION in fields:
        raise ValueError("it is camera raw (DNG): develop it first")

    def number(tag: int, default: int) -> int:
        return block.number(fields.get(tag), default)

    photometric = number(PHOTOMETRIC, -1)
    dtype = _dtype(set(block.numbers(fields.get(BITS))), set(block.numbers(fields.get(FORMAT))) or {1})
    if dtype is None or photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB):
        return None
    if number(COMPRESSION, 1) not in BYTEWISE:
        return None
    layout = Layout(
        block=block,
        fields=fields,
        width=number(WIDTH, 0),
        height=number(HEIGHT, 0),
        samples=number(SAMPLES, 1),
        dtype=np.dtype(block.order + dtype),
        photometric=photometric,
        orientation=number(ORIENTATION, 1),
        is_planar=number(PLANAR, 1) == 2,
        predictor=number(PREDICTOR, 1),
    )
    if not (layout.width and layout.height and layout.channels <= layout.samples <= 32):
        raise ValueError("its directory makes no sense")
    return layout


def _dtype(bits: set[int], kinds: set[int]) -> str | None:
    """Return numpy's word for numbers of this kind; None for those that Pillow reads.

    Raises:
        UnknownScaleError: nothing says which of them is white.
    """
    if kinds == {3} and bits in ({16}, {32}, {64}):
        return f"f{min(bits) // 8}"
    if bits == {16} and kinds == {1}:
        return "u2"
    if kinds == {2} or (kinds == {1} and max(bits, default=1) > 16):
        raise UnknownScaleError(f"pixels of {max(bits, default=1)}-bit {'signed ' * (kinds == {2})}integers")
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

    Raises:
        ValueError: floats that are no numbers, or whose white is anywhere.
    """
    notes: tuple[str, ...] = ()
    if pixels.dtype.kind == "f":
        if not np.isfinite(pixels).all():
            raise ValueError("some of its pixels are NaN or infinite")
        pixels, notes = _scaled(pixels.astype(np.float32, copy=False), layout.channels)
    kinds = layout.block.numbers(layout.fields.get(EXTRA))
    has_alpha = layout.samples > layout.channels and kinds[:1] in ((1,), (2,))
    pixels = pixels[..., : layout.channels + has_alpha]
    if has_alpha and kinds[0] == 1:
        pixels = _unmultiplied(pixels)
    if layout.photometric == WHITE_IS_ZERO:
        top = pixels.dtype.type(65535 if pixels.dtype == np.uint16 else 1)
        pixels = np.concatenate([top - pixels[..., :1], pixels[..., 1:]], axis=-1)
    return pixels, notes


def _scaled(pixels: Pixels, channels: int) -> tuple[Pixels, tuple[str, ...]]:
    """Return floats within 0 to 1, which is what they should be, and notes.

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
    """Return what is opaque in extra channels."""
    highest = float(alpha.max(initial=0.0))
    return next((top for top in (1.0, 255.0, 65535.0) if highest <= top), highest)


def _unmultiplied(pixels: Pixels) -> Pixels:
    """Return colours into which alpha was multiplied as they were before."""
    alpha = pixels[..., -1:].astype(np.float32)
    top = np.float32(65535 if pixels.dtype == np.uint16 else 1)
    colors = np.clip(pixels[..., :-1] * (top / np.maximum(alpha, top / 65535)), 0, top)
    return np.concatenate([colors, alpha], axis=-1).astype(pixels.dtype)


def _plane(layout: Layout, index: int, samples: int, unpack: Unpack) -> Pixels:
    size = samples * layout.dtype.itemsize
    grey = unpack(_as_grey_bytes(layout, index, size), layout.width * size, layout.height)
    tile = layout.block.number(layout.fields.get(TILE_WIDTH), layout.width)
    parts = [
        _undone(grey[:, left * size : (left + tile) * size], layout, samples)
        for left in range(0, layout.width, tile)
    ]
    return np.concatenate(parts, axis=1)


def _undone(grey: NDArray[np.uint8], layout: Layout, samples: int) -> Pixels:
    """Return one column of tiles as numbers, its predictor undone."""
    height, width = len(grey), grey.shape[1] // (samples * layout.dtype.itemsize)
    if (
        layout.predictor == 3
    ):  # differences of bytes, sorted from high to low; only whole rows can be sorted back
        grey = np.cumsum(grey.reshape(height, -1, samples), axis=1, dtype=np.uint8)
        planes = grey.reshape(height, layout.dtype.itemsize, width * samples)
        rows = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(layout.dtype.newbyteorder(">"))
    else:
        rows = np.ascontiguousarray(grey).view(layout.dtype)
    pixels = rows.reshape(height, width, samples).astype(layout.dtype.newbyteorder("="))
    if layout.predictor == 2 and pixels.dtype == np.uint16:
        return np.cumsum(pixels, axis=1, dtype=np.uint16)
    return pixels


def _as_grey_bytes(layout: Layout, index: int, size: int) -> bytes:
    """Return the file with a new directory, by which each byte of one plane is a grey pixel."""
    block, fields = layout.block, layout.fields
    new: Fields = {
        WIDTH: tiff.longs(block.order, layout.width * size),
        HEIGHT: tiff.longs(block.order, layout.height),
        BITS: tiff.shorts(block.order, 8),
        COMPRESSION: tiff.shorts(block.order, block.number(fields.get(COMPRESSION), 1)),
        PHOTOMETRIC: tiff.shorts(block.order, BLACK_IS_ZERO),
        SAMPLES: tiff.shorts(block.order, 1),
    }
    is_tiled = TILE_WIDTH in fields
    if is_tiled:
        tile_width, tile_height = (block.number(fields.get(tag), 0) for tag in (TILE_WIDTH, TILE_HEIGHT))
        if tile_width <= 0 or tile_height <= 0:
            raise ValueError("its tiles have no size")
        if layout.predictor == 3 and layout.width % tile_width:
            raise ValueError("its float tiles hang over its edge")
        new[TILE_WIDTH] = tiff.longs(block.order, tile_width * size)
        new[TILE_HEIGHT] = tiff.longs(block.order, tile_height)
        count = -(-layout.width // tile_width) * -(-layout.height // tile_height)
    else:
        rows = min(block.number(fields.get(ROWS), layout.height), layout.height) or layout.height
        new[ROWS] = tiff.longs(block.order, rows)
        count = -(-layout.height // rows)
    for tag in (TILE_OFFSETS, TILE_COUNTS) if is_tiled else (OFFSETS, COUNTS):
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
    if 282 not in fields:
        fields[282], fields[283] = (
            Field(5, struct.pack(order + "II", round(each * 1000), 1000)) for each in dpi or PLAIN_DPI
        )
        fields[296] = tiff.shorts(order, 2)
    fields |= {
        WIDTH: tiff.longs(order, width),
        HEIGHT: tiff.longs(order, height),
        BITS: tiff.shorts(order, *[8 * pixels.itemsize] * channels),
        COMPRESSION: tiff.shorts(order, 8),
        PHOTOMETRIC: tiff.shorts(order, RGB),
        ORIENTATION: tiff.shorts(order, 1),
        SAMPLES: tiff.shorts(order, channels),
        ROWS: tiff.longs(order, rows),
        PREDICTOR: tiff.shorts(order, 2),
        **{tag: Field(SIDE_KINDS.get(tag, tiff.UNDEFINED), value) for tag, value in (side or {}).items()},
    }
    if channels == 4:
        fields[EXTRA] = tiff.shorts(order, 2)  # alpha not multiplied into the colours
    return tiff.write(Tree(order, fields, about.children if about else {}), strips)


def _packed(band: NDArray[Any], order: str) -> bytes:
    change = band.copy()
    change[:, 1:] -= band[:, :-1]
    return zlib.compress(change.astype(f"{order}u{band.itemsize}").tobytes(), 6)
