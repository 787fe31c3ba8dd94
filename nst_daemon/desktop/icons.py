"""What the tray's icon looks like: one drawing for each look, at any size. Pure; Pillow only.

The looks differ in outline and not in colour alone, so that they are told apart in grey, by colour-blind
eyes and at 16 px. Each is drawn for its size, with edges on whole pixels, and never scaled down from another.
"""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from PIL import Image, ImageChops, ImageDraw

STEPS: Final = 24  # of the arc: an icon is drawn and sent at most this often for one picture
FINE: Final = 8  # drawn this much larger, then averaged: smooth edges

Color = tuple[int, int, int]
Picture = Image.Image

# Luminance about 0.2: a contrast of 3:1 and more to white, to light panels and to dark ones alike.
BLUE: Final[Color] = (50, 130, 222)
GREY: Final[Color] = (122, 130, 142)
AMBER: Final[Color] = (204, 112, 0)
RED: Final[Color] = (233, 66, 72)
WHITE: Final[Color] = (255, 255, 255)
PAINTS: Final[tuple[Color, ...]] = (WHITE, (255, 214, 74), (255, 171, 145), (165, 240, 180))


class Look(StrEnum):
    """What the icon says."""

    IDLE = "idle"  # a palette with a bite for the thumb
    WORKING = "working"  # an arc around a dot of paint, as long as the work done
    PAUSED = "paused"  # two bars
    ATTENTION = "attention"  # a triangle with an exclamation mark
    CANNOT_WORK = "cannot work"  # an octagon with a cross


COLORS: Final[Mapping[Look, Color]] = {
    Look.IDLE: BLUE,
    Look.WORKING: BLUE,
    Look.PAUSED: GREY,
    Look.ATTENTION: AMBER,
    Look.CANNOT_WORK: RED,
}


def draw(look: Look, side: int, progress: float = 0.0) -> Picture:
    """Return the icon for a look, square, RGBA, transparent around it.

    `progress` from 0 to 1 is shown while working, in STEPS steps.
    """
    canvas = _Canvas(side)
    _DRAWINGS[look](canvas, COLORS[look], step_of(progress) / STEPS)
    return canvas.image()


def step_of(progress: float) -> int:
    """Return the step of the arc that shows a progress; two of one step look the same."""
    return max(0, min(STEPS, math.floor(progress * STEPS)))


def flattened(image: Picture, ground: Color, room: tuple[int, int]) -> Picture:
    """Return an icon in the middle of a ground, for panels that know no transparency and no shape."""
    flat = Image.new("RGBA", room, (*ground, 255))
    flat.alpha_composite(image, ((room[0] - image.width) // 2, (room[1] - image.height) // 2))
    return flat


# ── the drawings, in px of the finished icon ────────────────────────────────────────────────────────────


class _Canvas:
    """Shapes with smooth edges, drawn one over the other."""

    def __init__(self, side: int) -> None:
        self.side = side
        self._image = Image.new("RGBA", (side * FINE, side * FINE), (0, 0, 0, 0))

    def px(self, part: float, least: int = 1) -> int:
        """Return a part of the side as whole pixels."""
        return max(least, round(self.side * part))

    def disc(self, x: float, y: float, radius: float, color: Color | None) -> None:
        """Fill a disc; no color cuts it out."""
        box = (x - radius, y - radius, x + radius, y + radius)
        self._paint(lambda pen: pen.ellipse(_fine(box), fill=255), color)

    def bar(self, left: float, top: float, right: float, bottom: float, color: Color) -> None:
        """Fill a box with corners that are a little round."""
        radius = min(right - left, bottom - top) * FINE / 3
        box = _fine((left, top, right, bottom))
        self._paint(lambda pen: pen.rounded_rectangle(box, radius, fill=255), color)

    def stroke(self, points: list[tuple[float, float]], width: float, color: Color) -> None:
        """Draw a line with round ends and corners."""
        fine = [(x * FINE, y * FINE) for x, y in points]
        radius = width * FINE / 2

        def paint(pen: ImageDraw.ImageDraw) -> None:
            pen.line(fine, fill=255, width=round(width * FINE))
            for x, y in fine:
                pen.ellipse((x - radius, y - radius, x + radius - 1, y + radius - 1), fill=255)

        self._paint(paint, color)

    def polygon(self, points: list[tuple[float, float]], color: Color, *, rounding: float) -> None:
        """Fill a polygon; its corners are round, and stand out by `rounding`."""
        fine = [(x * FINE, y * FINE) for x, y in points]
        self._paint(lambda pen: pen.polygon(fine, fill=255), color)
        self.stroke([*points, points[0]], 2 * rounding, color)

    def ring(self, width: float, color: Color, *, part: float, opacity: float = 1.0) -> None:
        """Draw a part of a ring around everything, clockwise from the top."""
        box = _fine((0, 0, self.side, self.side))
        end = -90 + 360 * part
        level = round(255 * opacity)
        self._paint(lambda pen: pen.arc(box, -90, end, fill=level, width=round(width * FINE)), color)

    def image(self) -> Picture:
        """Return the finished icon."""
        # Averaged with their alpha, or the colour of what is transparent would grey the edges.
        return (
            self._image.convert("RGBa").resize((self.side, self.side), Image.Resampling.BOX).convert("RGBA")
        )

    def _paint(self, shape: Callable[[ImageDraw.ImageDraw], None], color: Color | None) -> None:
        mask = Image.new("L", self._image.size, 0)
        shape(ImageDraw.Draw(mask))
        if color is None:
            alpha = self._image.getchannel("A")
            self._image.putalpha(ImageChops.subtract(alpha, mask))
            return
        layer = Image.new("RGBA", self._image.size, (*color, 0))
        layer.putalpha(mask)
        self._image.alpha_composite(layer)


def _fine(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left * FINE, top * FINE, right * FINE - 1, bottom * FINE - 1


def _idle(canvas: _Canvas, color: Color, _: float) -> None:
    """A painter's palette: a disc with a bite for the thumb, and four dabs of paint."""
    side, middle = canvas.side, canvas.side / 2
    canvas.disc(middle, middle, middle, color)
    canvas.disc(side * 0.74, side * 0.86, side * 0.19, None)
    dab = canvas.px(0.17, 2) / 2
    for (x, y), paint in zip(((0.21, 0.56), (0.34, 0.27), (0.64, 0.24), (0.80, 0.50)), PAINTS, strict=True):
        canvas.disc(_snap(side * x, dab), _snap(side * y, dab), dab, paint)


def _working(canvas: _Canvas, color: Color, progress: float) -> None:
    """An arc as long as the work done, on a faint ring, around a dot."""
    middle = canvas.side / 2
    width = canvas.px(0.14, 2)
    canvas.ring(width, color, part=1.0, opacity=0.32)
    canvas.ring(width, color, part=progress)
    canvas.disc(middle, middle, middle - width - canvas.px(0.13, 2), color)


def _paused(canvas: _Canvas, color: Color, _: float) -> None:
    """Two upright bars."""
    side = canvas.side
    width, gap = canvas.px(0.25), canvas.px(0.12) * 2
    left = (side - 2 * width - gap) / 2
    top = canvas.px(0.09)
    for x in (left, left + width + gap):
        canvas.bar(x, top, x + width, side - top, color)


def _attention(canvas: _Canvas, color: Color, _: float) -> None:
    """A triangle on its base, with an exclamation mark."""
    side, middle = canvas.side, canvas.side / 2
    rounding = side * 0.09
    base = side - rounding - side * 0.04
    corners = [(middle, rounding + side * 0.03), (side - rounding, base), (rounding, base)]
    canvas.polygon(corners, color, rounding=rounding)
    half = canvas.px(0.125, 2) / 2
    foot = round(side * 0.86)
    canvas.bar(middle - half, round(side * 0.34), middle + half, foot - 3 * half, WHITE)
    canvas.disc(middle, foot - half, half, WHITE)


def _cannot_work(canvas: _Canvas, color: Color, _: float) -> None:
    """An octagon with a cross."""
    side, middle = canvas.side, canvas.side / 2
    cut = side * (1 - 1 / math.sqrt(2)) - side * 0.01
    near, far = side * 0.03, side * 0.97
    corners = [(cut, near), (side - cut, near), (far, cut), (far, side - cut)]
    corners += [(side - x, side - y) for x, y in corners]
    canvas.polygon(corners, color, rounding=side * 0.03)
    reach, width = side * 0.19, canvas.px(0.125, 2)
    for sign in (1, -1):
        line = [(middle - reach, middle - sign * reach), (middle + reach, middle + sign * reach)]
        canvas.stroke(line, width, WHITE)


def _snap(center: float, radius: float) -> float:
    """Return a centre near by at which a disc begins on a whole pixel."""
    return round(center - radius) + radius


_DRAWINGS: Final[Mapping[Look, Callable[[_Canvas, Color, float], None]]] = {
    Look.IDLE: _idle,
    Look.WORKING: _working,
    Look.PAUSED: _paused,
    Look.ATTENTION: _attention,
    Look.CANNOT_WORK: _cannot_work,
}
