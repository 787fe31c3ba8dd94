"""A contact sheet drawn: a photo and its paintings, with a name below each. Writes no file.

Neutral in colour, so that no picture looks other than it is; sRGB, and it says so.
"""

import textwrap
import unicodedata
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from nst_daemon.errors import PhotoError
from nst_daemon.images.layout import Box, ContactSheet, Layout
from nst_daemon.images.loading import load_photo
from nst_daemon.images.photo import Picture, over_white, stored
from nst_daemon.images.saving import encoded, resize

GROUND: Final = (236, 236, 236)
INK: Final = (32, 32, 32)
PALE_INK: Final = (94, 94, 94)  # 5.5:1 on the ground
EMPTY: Final = (222, 222, 222)  # a place whose picture is to come
QUALITY: Final = 92
ELLIPSIS: Final = "…"
# The font that Pillow brings has no letter beyond ASCII: what systems have, in whatever folder.
OTHER_FONTS: Final = (
    *("NotoSans-Regular.ttf", "DejaVuSans.ttf", "LiberationSans-Regular.ttf", "FreeSans.ttf"),
    *("segoeui.ttf", "Arial.ttf", "Arial Unicode.ttf"),
    *("NotoSansCJK-Regular.ttc", "msyh.ttc", "YuGothM.ttc", "PingFang.ttc", "Hiragino Sans GB.ttc"),
)
NO_LETTER: Final = "\U0010fffe"  # no font has it: it shows what a missing one looks like


def drawn(sheet: ContactSheet, kind: str, *, max_megapixels: float) -> bytes:
    """Return a sheet as a file of a format that results have.

    Raises:
        PhotoError: the photo cannot be read. A painting that cannot leaves its place empty, and says so.
        ConditionError: a file cannot be read now.
    """
    layout = sheet.layout()
    page = Image.new("RGB", (layout.width, layout.height), GROUND)
    draw = ImageDraw.Draw(page)
    _head(draw, layout, sheet.title, sheet.note)
    photo, *boxes = layout.pictures
    page.paste(_read(sheet.photo, photo, max_megapixels), (photo.left, photo.top))
    _write_line(draw, layout.line_below(photo), "photo", layout.text, PALE_INK)
    for box, cell in zip(boxes, sheet.cells, strict=True):
        words = cell.words
        if cell.picture is not None:
            try:
                page.paste(_read(cell.picture, box, max_megapixels), (box.left, box.top))
            except PhotoError as error:
                words = error.message
        if cell.picture is None or words:
            _put_words(draw, box, words, layout.text)
        _write_line(draw, layout.line_below(box), cell.name, layout.text, INK)
    said = {"sheet": sheet.title, "styles": ", ".join(cell.name for cell in sheet.cells)}
    return encoded(np.asarray(page), kind, quality=QUALITY, provenance=said)


def _read(path: Path, box: Box, max_megapixels: float) -> Image.Image:
    """Return a picture as large as its box, upright and in sRGB."""
    longer = max(box.width, box.height)
    photo = load_photo(path, name=path.name, max_megapixels=max_megapixels, longer=longer)
    rgb: Picture = photo.rgb if photo.alpha is None else over_white(photo.rgb, photo.alpha)
    return Image.fromarray(stored(resize(rgb, box.width, box.height), 8))


def _head(draw: ImageDraw.ImageDraw, layout: Layout, title: str, note: str) -> None:
    """Write the title, and the note behind it where there is room for both; else the title alone."""
    box, (title, font) = layout.heading, _set(title, round(1.5 * layout.text))
    beside = font.getlength(title) + 2 * layout.text
    base = box.top + box.height
    draw.text((box.left, base), _shortened(title, font, box.width), INK, font, anchor="ls")
    note, small = _set(note, layout.text)
    if beside + small.getlength(note) <= box.width:
        draw.text((box.left + box.width, base), note, PALE_INK, small, anchor="rs")


def _write_line(draw: ImageDraw.ImageDraw, box: Box, text: str, size: int, ink: tuple[int, int, int]) -> None:
    text, font = _set(text, size)
    base = box.top + round(1.5 * size)
    draw.text((box.left, base), _shortened(text, font, box.width), ink, font, anchor="ls")


def _put_words(draw: ImageDraw.ImageDraw, box: Box, words: str, size: int) -> None:
    """Fill a picture's place with words, as many of them as fit."""
    corner = box.left + box.width - 1, box.top + box.height - 1
    draw.rectangle(((box.left, box.top), corner), EMPTY)
    small = max(9, round(0.8 * size))
    words, font = _set(words, small)
    pad, line = small, round(1.4 * small)
    letters = max(1, int((box.width - 2 * pad) / (0.55 * small)))
    room = (box.height - 2 * pad) // line
    if not words or room < 1:
        return
    lines = textwrap.wrap(words, letters, max_lines=room, placeholder=f" {ELLIPSIS}")
    for number, text in enumerate(lines):
        base = box.top + pad + small + number * line
        shown = _shortened(text, font, box.width - 2 * pad)
        draw.text((box.left + pad, base), shown, PALE_INK, font, anchor="ls")


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def _shortened(text: str, font: Font, width: float) -> str:
    """Return a text that is no wider; of a longer one the middle is left out: names differ at both ends."""
    if font.getlength(text) <= width:
        return text
    kept = next(
        (
            kept
            for kept in range(len(text) - 1, 0, -1)
            if font.getlength(_without_middle(text, kept)) <= width
        ),
        0,
    )
    return _without_middle(text, kept)


def _without_middle(text: str, kept: int) -> str:
    """Return a text of which so many letters are left, two thirds of them at its beginning."""
    end = kept // 3
    return f"{text[: kept - end]}{ELLIPSIS}{text[len(text) - end :]}"


def _set(text: str, size: int) -> tuple[str, Font]:
    """Return a text as it can be written, and the font that has most of its letters.

    What that lacks goes without its accent, or is a question mark.
    """
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    fonts = (ImageFont.load_default(size), *_others(size))
    font = min(fonts, key=lambda font: len(_lacking(font, text)))
    lacking = _lacking(font, text)
    bare = "".join(
        unicodedata.normalize("NFKD", letter)[0] if letter in lacking else letter for letter in text
    )
    lacking = _lacking(font, bare)
    return "".join("?" if letter in lacking else letter for letter in bare), font


@cache
def _others(size: int) -> tuple[Font, ...]:
    found: list[Font] = []
    for name in OTHER_FONTS:
        try:
            found.append(ImageFont.truetype(name, size))
        except OSError:  # the system has none of that name
            continue
    return tuple(found)


def _lacking(font: Font, text: str) -> set[str]:
    """Return the letters of a text that a font does not have."""
    missing = bytes(font.getmask(NO_LETTER))
    return {letter for letter in set(text) if not letter.isspace() and bytes(font.getmask(letter)) == missing}
