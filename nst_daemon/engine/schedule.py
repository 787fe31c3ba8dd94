"""From how small to how large, with how many steps and by which optimiser. Pure: no torch."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from nst_daemon.config.recipe import Figures, Optimizer, Recipe
from nst_daemon.engine.layers import field_of_view, layers_of_paint, stride_of

RATIO: Final = 2**0.5  # between neighbouring small scales: each has twice the pixels of the one before
STEPS_DECAY: Final = 0.7  # steps of a small scale, relative to the one before it …
LEAST_STEPS: Final = 0.5  # … but not fewer than this, relative to the first
SMALL: Final = 200  # px, longer side: a larger scale starts with detail
OCTAVES: Final = 300  # px, longer side: what is at least twice as large starts from half its own size
# Steps of a scale that starts with detail: those of the first times this many px, over its longer side …
LARGE_STEPS: Final = 90.0
LEAST_LARGE_STEPS: Final = 0.02  # … but not fewer than this, relative to the first
DEEP: Final = 600  # px, longer side: at a larger scale that starts with detail no style layer counts …
WIDE: Final = 100  # px, field of view: … that sees more than this, if others are left
MANY: Final = 40  # steps of Adam, whose average is without grain
AVERAGED: Final = 0.4  # of a few steps, that their average reaches back at most
MOST_CONTENT: Final = 2.0  # at the coarsest scales, relative to `content_weight`
LBFGS_HISTORY: Final = 20  # steps; more changes little (measured), and costs memory
FRUGAL_HISTORY: Final = 2  # where a picture is painted in tiles: there are few steps, and each costs memory
PAINT_CONTENT: Final = 0.45  # at the last scale, without figures: fewer layers speak for the style


@dataclass(frozen=True, slots=True)
class Scale:
    """One level of the pyramid, and one optimiser's work there."""

    number: int  # from 1, the coarsest
    width: int  # px
    height: int
    steps: int
    optimizer: Optimizer
    averaging: float  # decay of the mean of this scale's pictures; 0: the last one counts
    content_weight: float
    is_detailed: bool = False  # starts with detail of style and photo, not with an enlarged picture alone


def fit(width: int, height: int, longer: int) -> tuple[int, int]:
    """Return width and height of the same shape whose longer side is `longer` px; no side below 1."""
    factor = longer / max(width, height)
    return max(1, round(width * factor)), max(1, round(height * factor))


def target_size(width: int, height: int, recipe: Recipe) -> tuple[int, int]:
    """Return the size of the painting of a photo of `width` x `height` px."""
    return (width, height) if recipe.size == "original" else fit(width, height, recipe.size)


def style_size(width: int, height: int, recipe: Recipe, scale: Scale) -> tuple[int, int]:
    """Return the size at which a style picture of `width` x `height` px is shown to the network at a scale.

    It is never enlarged: that would teach the network blur.
    """
    longer = round(max(scale.width, scale.height) * recipe.style_scale)
    return (width, height) if longer > max(width, height) else fit(width, height, longer)


def counting_at(scale: Scale, recipe: Recipe, pictures: Sequence[tuple[int, int]]) -> Recipe:
    """Return the recipe with the style layers that count at a scale; `pictures`: sizes of the styles, px.

    Where a large scale starts with detail, the deepest layers have nothing to add: what they would see there,
    a shallower one saw at a smaller scale.
    """
    if scale.is_detailed:
        recipe = replace(recipe, style_layers=seen_at(scale.width, scale.height, recipe))
    if recipe.figures is Figures.ON:
        return recipe
    shown = min(max(style_size(*each, recipe, scale)) for each in pictures)
    return replace(recipe, style_layers=layers_of_paint(recipe.style_layers, shown))


def seen_at(width: int, height: int, recipe: Recipe) -> tuple[str, ...]:
    """Return the style layers that count at a size that starts with detail, as a pyramid's large ones do."""
    if not recipe.pyramid or max(width, height) <= DEEP:
        return recipe.style_layers
    kept = tuple(layer for layer in recipe.style_layers if field_of_view(layer) <= WIDE)
    return kept or recipe.style_layers


def pyramid_of(
    width: int, height: int, recipe: Recipe, *, whole_pixels: float = math.inf
) -> tuple[Scale, ...]:
    """Return the scales of a painting of `width` x `height` px, coarsest first.

    The last one is the painting's own size. `recipe.steps` are the steps of the first. Each larger one has a
    share of them, at least one step, and beyond `SMALL` px starts with detail: there few are needed.

    L-BFGS needs a third of Adam's steps, but in many of them leaves checkerboard artefacts: the grid of the
    network's poolings, which nothing averages out. So with `averaging` it hands the last scale, or the last
    steps of the only one, to Adam, unless it starts with detail and has few steps: of few Adam leaves grain.
    An only scale of more than `whole_pixels`, where its history would not fit into memory, is Adam's too.

    Source: the pyramid by crowsonkb/style-transfer-pytorch. Differs: octaves, the shares of
        the steps, and the change of optimiser.
    """
    sizes = _sizes(width, height, recipe)
    is_finished_by_adam = recipe.optimizer is Optimizer.LBFGS and recipe.averaging > 0
    counts = [max(1, round(recipe.steps * _share(number, max(size)))) for number, size in enumerate(sizes)]
    if len(sizes) == 1 and is_finished_by_adam and recipe.steps > 1:
        sizes *= 2
        first = round(recipe.steps / (1 + STEPS_DECAY))
        counts = [first, recipe.steps - first]
    scales = []
    for number, (size, steps) in enumerate(zip(sizes, counts, strict=True), start=1):
        is_last = number == len(sizes)
        is_detailed = number > 1 and max(size) > SMALL and size != sizes[number - 2]
        is_adams = is_last and is_finished_by_adam and (steps >= MANY or not is_detailed)
        is_adams = is_adams or (size[0] * size[1] > whole_pixels and not is_detailed)
        optimizer = Optimizer.ADAM if is_adams else recipe.optimizer
        averaging = recipe.averaging if is_last and optimizer is Optimizer.ADAM else 0.0
        averaging = min(averaging, _most_averaging(steps)) if is_detailed else averaging
        weight = recipe.content_weight * _content_factor(max(size), max(width, height), recipe.figures)
        scales.append(Scale(number, *size, steps, optimizer, averaging, weight, is_detailed))
    return tuple(scales)


def _sizes(width: int, height: int, recipe: Recipe) -> list[tuple[int, int]]:
    """Return the sizes of the scales, smallest first: octaves, and below `OCTAVES` half ones."""
    sizes = [(width, height)]
    longer = float(max(width, height))
    while recipe.pyramid:
        longer /= 2 if longer / 2 >= OCTAVES else RATIO
        smaller = fit(width, height, round(longer))
        is_too_small = min(smaller) < least_side(recipe.content_layers + recipe.style_layers)  # a panorama's
        if round(longer) < recipe.pyramid or is_too_small:
            break
        sizes.insert(0, smaller)
    return sizes


def _most_averaging(steps: int) -> float:
    """Return the decay of an average that forgets a start with detail soon enough."""
    return max(0.0, 1 - 1 / (AVERAGED * steps))


def least_side(layers: Sequence[str]) -> int:
    """Return the smallest side in px whose deepest map still has one pixel."""
    return max(map(stride_of, layers), default=1)


def _share(number: int, longer: int) -> float:
    """Return the steps of the `number`th scale after the first, `longer` px, relative to that."""
    if number and longer > SMALL:
        return min(LEAST_STEPS, max(LEAST_LARGE_STEPS, LARGE_STEPS / longer))
    return max(LEAST_STEPS, STEPS_DECAY**number)


def _content_factor(longer: int, last: int, figures: Figures) -> float:
    """Return how much more the photo counts at a coarse scale, where strokes would bury its structure.

    Without figures it decides at the coarse scales what is where, and at the last ones lets the style say how
    it is painted.
    """
    factor = math.sqrt(last / longer) if figures is Figures.ON else PAINT_CONTENT * last / longer
    return min(MOST_CONTENT, factor)
