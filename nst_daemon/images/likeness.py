"""How well a style suits a photo, by what their colours and contrasts are. Pure: no picture, no array."""

import math
from dataclasses import dataclass
from typing import Final

BURIES: Final = 0.05  # how much a factor of two in contrast counts, as a distance of colours in Oklab
UNLIKE: Final = 0.1  # the distance over which a style suits a photo 1 / e as well


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """What a picture's colours and contrasts are; `descriptor` makes one."""

    colors: tuple[float, ...]  # their Euclidean distance is that of two pictures' colours
    contrasts: tuple[float, ...]  # log2 of each octave's, the finest first


def suits(photo: Descriptor, style: Descriptor) -> float:
    """Return how well a style suits a photo: 1 if nothing of the photo has to change, towards 0 if all has.

    Its colours should be the photo's. Strokes of more contrast than the photo has at their size bury it; of
    less, they only calm it.
    """
    louder = [max(0.0, its - own) for own, its in zip(photo.contrasts, style.contrasts, strict=True)]
    buried = math.sqrt(sum(factor**2 for factor in louder) / len(louder))
    return math.exp(-math.hypot(math.dist(photo.colors, style.colors), BURIES * buried) / UNLIKE)
