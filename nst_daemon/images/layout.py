"""What a contact sheet shows, and where: cells of one size, in rows. Pure: no picture, no font."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SIDE: Final = 256  # px, longer side of a picture on a sheet
SHAPE: Final = 1.5  # width by height of a page that is pleasant to look at
EMPTY: Final = 1.5  # how much worse a page is for each share of its cells that stays empty
WIDE: Final = 2.0  # longer by shorter side of a photo, beyond which its pictures are shown longer …
LONGEST: Final = 4.0  # … but no more than this many times
MAX_SIDE: Final = 16_383  # px, of a page: WebP ends there
MAX_PIXELS: Final = 120_000_000  # of a page; 400 MB in memory while it is drawn


@dataclass(frozen=True, slots=True)
class Box:
    """A part of a page, in px."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A page: a heading, and cells with a picture and a line below it each."""

    width: int  # px
    height: int
    text: int  # px, height of the names' font
    heading: Box
    pictures: tuple[Box, ...]

    @property
    def fits(self) -> bool:
        """Whether such a page can be drawn and written."""
        return max(self.width, self.height) <= MAX_SIDE and self.width * self.height <= MAX_PIXELS

    def line_below(self, picture: Box) -> Box:
        """Return where the name of a picture stands."""
        return Box(picture.left, picture.top + picture.height, picture.width, 2 * self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One picture of a sheet, and the name below it."""

    name: str
    picture: Path | None = None
    words: str = ""  # in the picture's place, where there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactSheet:
    """What a sheet shows."""

    title: str
    note: str  # beside the title
    photo: Path
    size: tuple[int, int]  # width and height in px of the photo, upright
    side: int  # px, that the pictures were painted for
    cells: tuple[Cell, ...]

    def layout(self) -> Layout:
        """Return where everything lies: the photo first."""
        longer = longer_side(*self.size, self.side)
        return laid_out(1 + len(self.cells), fitted(*self.size, longer))


def longer_side(width: int, height: int, side: int) -> int:
    """Return how long in px a photo's pictures are for which `side` was asked.

    Of a panorama they are longer, until their shorter side is half of `side`: else there is nothing to see.
    """
    wanted = side * max(width, height) / min(width, height) / WIDE
    return round(min(max(side, wanted), side * LONGEST))


def fitted(width: int, height: int, longer: int) -> tuple[int, int]:
    """Return width and height of the same shape whose longer side is `longer` px."""
    factor = longer / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def laid_out(count: int, picture: tuple[int, int]) -> Layout:
    """Return the page for `count` pictures of one size, in as many columns as make it look well."""
    return min((_in_columns(columns, count, picture) for columns in range(1, count + 1)), key=_ugliness)


def _in_columns(columns: int, count: int, picture: tuple[int, int]) -> Layout:
    width, height = picture
    # Of the geometric mean, so that neither a panorama nor a column of towers gets tiny words.
    text = max(12, round(math.sqrt(width * height) / 15))
    gap, margin = round(1.4 * text), 3 * text
    rows = math.ceil(count / columns)
    top = round(margin + 3.5 * text)
    in_all = 2 * margin + columns * width + (columns - 1) * gap

    def boxes() -> Iterator[Box]:
        for number in range(count):
            row, column = divmod(number, columns)
            yield Box(margin + column * (width + gap), top + row * (height + 2 * text + gap), width, height)

    return Layout(
        width=in_all,
        height=top + rows * (height + 2 * text) + (rows - 1) * gap + margin - text,
        text=text,
        heading=Box(margin, margin - text // 2, in_all - 2 * margin, 2 * text),
        pictures=tuple(boxes()),
    )


def _ugliness(layout: Layout) -> float:
    columns = len({box.left for box in layout.pictures})
    rows = len({box.top for box in layout.pictures})
    empty = 1 - len(layout.pictures) / (columns * rows)
    return abs(math.log(layout.width / layout.height / SHAPE)) + EMPTY * empty
