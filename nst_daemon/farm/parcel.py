"""An order as it travels to a seat, and a painting on its way back: files by their hash, and nobody's path.

A seat keeps files under the names that `Blob` gives them, in a folder of its own, and takes no other name.
"""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from nst_daemon import disk
from nst_daemon.config import Graphs, Precision
from nst_daemon.config.orders import Order, Painting
from nst_daemon.config.recipe import Areas, Mask, Recipe, Region, Style
from nst_daemon.disk.files import Digests, file_sha256
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.errors import ConfigError, CopyError, JobError, MaskError, StyleError, WeightsError

CHUNK: Final = 8 << 20  # bytes a message: a slow link still answers in between
PLAIN: Final = re.compile(r"[A-Za-z0-9_][\w.-]{0,99}", re.ASCII)  # a file's name, and no way out of a folder
RESULT: Final = "painting"  # the stem of what an engine writes at a seat
_digests: Final = Digests()  # of weights: half a gigabyte
_SUFFIX: Final = re.compile(r"\.[a-z0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class Blob:
    """A file by its content."""

    sha256: str
    suffix: str = ""  # by which a decoder is chosen

    @property
    def name(self) -> str:
        """The name under which a seat keeps it."""
        return f"{self.sha256}{self.suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineWishes:
    """What of an engine's settings decides on the picture; the rest is the seat's own matter."""

    weights: str
    weights_sha256: str  # of a file of the user's own; empty: a network that each version knows
    precision: Precision
    graphs: Graphs
    max_megapixels: float

    def over(self, settings: EngineSettings) -> EngineSettings:
        """Return a seat's settings with these put over them."""
        return replace(
            settings,
            weights=self.weights,
            precision=self.precision,
            graphs=self.graphs,
            max_megapixels=self.max_megapixels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedStyle:
    """A style, or with `weight` 0 and no other use a mask."""

    name: str
    blob: Blob
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One picture to paint, or none: then the network is to be loaded."""

    wishes: EngineWishes
    silence_seconds: float  # unasked for so long, a seat leaves off: its coordinator is gone
    order: "PackedOrder | None" = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedOrder:
    """An order without paths."""

    job: int
    key: str
    photo: Blob
    photo_name: str
    recipe: Recipe
    styles: tuple[PackedStyle, ...]
    mask: PackedStyle | None
    regions: tuple[tuple[PackedStyle, tuple[PackedStyle, ...]], ...]
    has_preview: bool
    checkpoint: Blob | None = None  # from where it is to go on

    @property
    def blobs(self) -> tuple[Blob, ...]:
        """Every file that has to be there."""
        masks = () if self.mask is None else (self.mask,)
        inner = (each for mask, styles in self.regions for each in (mask, *styles))
        reached = () if self.checkpoint is None else (self.checkpoint,)
        pictures = (each.blob for each in (*self.styles, *masks, *inner))
        return tuple(dict.fromkeys((self.photo, *reached, *pictures)))

    @property
    def passing(self) -> tuple[Blob, ...]:
        """Those of them that no other job is likely to need."""
        masks = () if self.mask is None else (self.mask,)
        reached = () if self.checkpoint is None else (self.checkpoint,)
        return (self.photo, *reached, *(each.blob for each in (*masks, *(mask for mask, _ in self.regions))))


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedFile:
    """A finished file that waits at a seat to be fetched."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedPainting:
    """A painting without paths."""

    picture: PackedFile
    report: PackedFile | None
    numbers: Mapping[str, Any]  # the other fields of Painting


# ── there ───────────────────────────────────────────────────────────────────────────────────────────────


def wishes_of(settings: EngineSettings) -> EngineWishes:
    """Return what a seat has to know of an engine's settings.

    Raises:
        WeightsError: weights of the user's own are not there.
        ConditionError: they cannot be read now.
    """
    path = Path(settings.weights)
    try:
        sha256 = _digests.of(path) if path.is_absolute() else ""
    except FileNotFoundError as error:
        raise WeightsError(
            f"There are no weights at {path}.", remedy="Mend engine.weights in config.yaml."
        ) from error
    return EngineWishes(
        weights=settings.weights,
        weights_sha256=sha256,
        precision=settings.precision,
        graphs=settings.graphs,
        max_megapixels=settings.max_megapixels,
    )


def packed(order: Order, *, has_checkpoint: bool = False) -> tuple[PackedOrder, dict[Blob, Path]]:
    """Return an order as it travels, and where its files lie here.

    `has_checkpoint`: with what an earlier attempt left here, if there is any.
    """
    files: dict[Blob, Path] = {}

    def blob(path: Path, sha256: str) -> Blob:
        suffix = path.suffix.lower()
        made = Blob(sha256, suffix if _SUFFIX.fullmatch(suffix) else "")
        files[made] = path
        return made

    def style(each: Style) -> PackedStyle:
        return PackedStyle(name=each.name, blob=blob(each.path, each.sha256), weight=each.weight)

    def mask(each: Mask) -> PackedStyle:
        return PackedStyle(name=each.name, blob=blob(each.path, each.sha256))

    areas, reached = order.areas, None
    if has_checkpoint and order.checkpoint is not None and disk.is_file(order.checkpoint):
        reached = blob(order.checkpoint, file_sha256(order.checkpoint))
    return PackedOrder(
        job=order.job,
        key=order.key,
        photo=blob(order.photo, order.photo_sha256 or file_sha256(order.photo)),
        photo_name=order.photo_name,
        recipe=order.recipe,
        styles=tuple(map(style, order.styles)),
        mask=None if areas.mask is None else mask(areas.mask),
        regions=tuple((mask(each.mask), tuple(map(style, each.styles))) for each in areas.regions),
        has_preview=order.preview is not None,
        checkpoint=reached,
    ), files


def spoilt(order: PackedOrder, blob: Blob) -> JobError:
    """Return what it means that a file of an order is not here what it was when it was ordered."""
    masks = (() if order.mask is None else (order.mask,), (mask for mask, _ in order.regions))
    again = "It goes on by itself once the picture is whole again."
    for mask in (each for some in masks for each in some):
        if mask.blob == blob:
            return MaskError(f"Mask {mask.name} is gone or has changed.", remedy=again)
    for style in (*order.styles, *(each for _, styles in order.regions for each in styles)):
        if style.blob == blob:
            return StyleError(f"Style picture {style.name} is gone or has changed.", remedy=again)
    return CopyError(f"{order.photo_name}: what is to be painted is gone or has changed.")


def unpacked(order: PackedOrder, *, blobs: Path, scratch: Path, checkpoint: Path) -> Order:
    """Return the order with paths of a seat's own."""

    def style(each: PackedStyle) -> Style:
        return Style(
            name=each.name, path=blobs / plain(each.blob.name), sha256=each.blob.sha256, weight=each.weight
        )

    def mask(each: PackedStyle) -> Mask:
        return Mask(name=each.name, path=blobs / plain(each.blob.name), sha256=each.blob.sha256)

    regions = tuple(
        Region(mask=mask(where), styles=tuple(map(style, styles))) for where, styles in order.regions
    )
    return Order(
        job=order.job,
        photo=blobs / plain(order.photo.name),
        photo_name=order.photo_name,
        photo_sha256=order.photo.sha256,
        styles=tuple(map(style, order.styles)),
        recipe=order.recipe,
        result=scratch / RESULT,
        key=order.key,
        areas=Areas(mask=None if order.mask is None else mask(order.mask), regions=regions),
        preview=scratch / "previews" / "preview.jpg" if order.has_preview else None,
        checkpoint=checkpoint,
    )


def chunks_of(blob: Blob, path: Path) -> Iterator[dict[str, Any]]:
    """Yield what a seat is told of each chunk of a file. Raises: FileNotFoundError, ConditionError."""
    facts = disk.facts_of(path)
    size, offset = 0 if facts is None else facts.st_size, 0
    with disk.opened(path) as file:
        while True:
            data = file.read(CHUNK)
            is_last = offset + len(data) >= size
            yield {"blob": blob, "offset": offset, "data": data, "is_last": is_last}
            offset += len(data)
            if is_last or not data:
                return


def plain(name: str) -> str:
    """Return a file's name that is one, and leads nowhere else.

    Raises:
        ConfigError: it does not; nobody of this program sends one.
    """
    if not PLAIN.fullmatch(name) or os.sep in name:
        raise ConfigError(f"{name!r} is no name of a file at a seat.")
    return name


# ── and back ────────────────────────────────────────────────────────────────────────────────────────────

_PATHS: Final = ("picture", "report")


def packed_painting(painting: Painting) -> PackedPainting:
    """Return a finished painting as it travels. Raises: FileNotFoundError, ConditionError."""
    numbers = {name: getattr(painting, name) for name in Painting.__dataclass_fields__ if name not in _PATHS}
    return PackedPainting(
        picture=_packed_file(painting.picture),
        report=None if painting.report is None else _packed_file(painting.report),
        numbers=numbers | {"losses": dict(painting.losses)},
    )


def unpacked_painting(made: PackedPainting, folder: Path) -> Painting:
    """Return a painting whose files lie in a folder."""
    return Painting(
        picture=folder / plain(made.picture.name),
        report=None if made.report is None else folder / plain(made.report.name),
        **made.numbers,
    )


def _packed_file(path: Path) -> PackedFile:
    facts = disk.facts_of(path)
    if facts is None:
        raise FileNotFoundError(path)
    return PackedFile(name=plain(path.name), size=facts.st_size, sha256=file_sha256(path))
