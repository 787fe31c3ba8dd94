"""How well a style suits a photo, and what it paints like, by what their colours and contrasts are.

Pure: no picture, no array.
"""

import math
from dataclasses import dataclass
from typing import Final

LEAST: Final = 0.01  # of lightness: less is no contrast
BURIES: Final = 0.05  # how much a factor of two in contrast counts, as a distance of colours in Oklab
UNLIKE: Final = 0.1  # the distance over which a style suits a photo 1 / e as well
# What is told of a style. Chosen by eye, on 35 paintings and prints.
GREY: Final = 0.02  # mean chroma in Oklab; of coloured prints and paintings the least have 0.03
PLAIN: Final = 0.3  # part of a picture: a sky or a ground without a stroke
STRONG: Final = 0.065  # contrast of the finest octave, in lightness: lines and tiles, no brush


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a picture's colours and contrasts are; `descriptor` makes one."""

    colors: tuple[float, ...]  # their Euclidean distance is that of two pictures' colours
    contrasts: tuple[float, ...]  # log2 of each octave's and LEAST, the finest first
    chroma: float  # in Oklab, on average
    plain: float  # the part of the picture that has no strokes, 0 to 1


def suits(photo: Descriptor, style: Descriptor) -> float:
    """Return how well a style suits a photo: 1 if nothing of the photo has to change, towards 0 if all has.

    Its colours should be the photo's. Strokes of more contrast than the photo has at their size bury it; of
    less, they only calm it.
    """
    louder = [max(0.0, its - own) for own, its in zip(photo.contrasts, style.contrasts, strict=True)]
    buried = math.sqrt(sum(factor**2 for factor in louder) / len(louder))
    return math.exp(-math.hypot(math.dist(photo.colors, style.colors), BURIES * buried) / UNLIKE)


def words_of(style: Descriptor) -> tuple[str, ...]:
    """Return what has to be known of a style picture before one paints in it; nothing: it is like most."""
    told = {
        "grey": style.chroma < GREY,
        "large plain areas: plain paintings": style.plain > PLAIN,
        "strong strokes": 2 ** style.contrasts[0] - LEAST > STRONG,
    }
    return tuple(words for words, is_so in told.items() if is_so)
