"""What a step of a painting costs, and the seconds that costs take on a device. Pure: no torch, no clock.

A step's cost has three parts, because they grow with different things: the convolutions with the pixels, the
roots of the style's statistics with the channels of the layers that count, and what each step takes anyhow.
How many seconds each takes is the device's `Speed`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import Final

from nst_daemon.config.recipe import LAYERS, Recipe, StyleLoss
from nst_daemon.engine.budget import CHANNELS, Plan
from nst_daemon.engine.layers import depth_of, halos_of, halvings_of, map_size
from nst_daemon.engine.schedule import Scale, counting_at, style_size

KERNEL: Final = 3 * 3  # entries of each of VGG19's kernels
FORWARD: Final = 1
THERE_AND_BACK: Final = 2  # the gradient by a map takes as many multiplications as the map did
# Multiplications a pixel to start with detail: 20,000 patches by 20 components, at each third pixel each way.
DETAIL: Final = 20_000 * 20 / 3**2


@dataclass(frozen=True, slots=True)
class Cost:
    """What has to be computed."""

    convolutions: float = 0.0  # 10⁹ multiplications
    roots: float = 0.0  # 10⁶ entries of matrices whose root is taken
    steps: float = 0.0  # each of which costs something whatever its size

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.convolutions + other.convolutions, self.roots + other.roots, self.steps + other.steps
        )

    def __mul__(self, times: float) -> "Cost":
        return Cost(*(times * each for each in astuple(self)))


@dataclass(frozen=True, slots=True)
class Speed:
    """The seconds that each part of a cost takes on a device, one of each."""

    convolutions: float
    roots: float
    steps: float
    learned: float = 0.0  # seconds of painting that it was learned from; 0: a guess, right in its proportions

    def seconds(self, cost: Cost) -> float:
        """Return how long a cost takes."""
        return self.convolutions * cost.convolutions + self.roots * cost.roots + self.steps * cost.steps

    def times(self, factor: float) -> "Speed":
        """Return the speed of a device that takes so many times as long."""
        convolutions, roots, steps = (factor * each for each in (self.convolutions, self.roots, self.steps))
        return Speed(convolutions, roots, steps, self.learned)


# Measured: two cores of an AMD EPYC, in bfloat16. An accelerator waits for its kernels rather than for sums.
GUESS_ON_CPU: Final = Speed(convolutions=0.0125, roots=0.15, steps=0.01)
GUESS_ON_ACCELERATOR: Final = Speed(convolutions=2e-5, roots=0.005, steps=0.01)


def step_cost(width: int, height: int, recipe: Recipe, *, side: int | None = None, regions: int = 0) -> Cost:
    """Return the cost of a step at a size in px, with the style layers of the recipe.

    `side`: of the tiles that the picture is painted in; `regions`: in styles of their own, beside the whole.
    """
    runs = sum(
        times * multiplications(layers, width, height, side=side)
        for layers, times in _runs(recipe, is_tiled=side is not None)
    )
    sums, roots = 0.0, 0.0
    for layer in recipe.style_layers:
        channels = CHANNELS[halvings_of(layer)]
        rows, columns = map_size(layer, width, height)
        sums += THERE_AND_BACK * (regions + 1) * channels**2 * rows * columns
        if recipe.style_loss is StyleLoss.WASSERSTEIN:
            # Eigenvectors of these few hundred rows take the square of the rows, not their cube (measured).
            # Where there are fewer entries than channels, the root is that of the entries.
            roots += (regions + 1) * (channels if side else min(channels, rows * columns)) ** 2
    return Cost((runs + sums) / 1e9, roots / 1e6, 1.0)


def _runs(recipe: Recipe, *, is_tiled: bool) -> Iterator[tuple[Sequence[str], int]]:
    """Yield how the network is run in a step: down to which layers, and there or there and back."""
    yield (*recipe.content_layers, *recipe.style_layers), THERE_AND_BACK
    if is_tiled:  # the statistics of all tiles come first
        yield recipe.style_layers, FORWARD


def multiplications(layers: Sequence[str], width: int, height: int, *, side: int | None = None) -> float:
    """Return how many it takes to the deepest of some layers: 361,152 a pixel to relu5_1, without halos.

    `side`: of the tiles, px.
    """
    sums, before = 0.0, 3
    halos = halos_of(layers) if layers else ()
    for layer in LAYERS[: 2 * depth_of(layers) : 2]:  # its convolutions
        halvings = halvings_of(layer)
        pixels = width * height
        if side is not None:
            pixels = _outer(width, side, halos[halvings]) * _outer(height, side, halos[halvings])
        sums += KERNEL * before * CHANNELS[halvings] / 4**halvings * pixels
        before = CHANNELS[halvings]
    return sums


def _outer(length: int, side: int, halo: int) -> int:
    """Return the length in px of all tiles with their halos, along one axis."""
    starts = range(0, length, side)
    return sum(min(length, start + side + halo) - max(0, start - halo) for start in starts)


def setup_cost(
    scale: Scale, recipe: Recipe, pictures: Sequence[tuple[int, int]], *, side: int | None = None
) -> Cost:
    """Return the cost of a scale's targets and of its start, with the style layers of the recipe.

    `pictures`: the sizes of the styles in px; `side`: of the tiles. Targets that are kept cost nothing, which
    is not known here.
    """
    runs = multiplications(recipe.content_layers, scale.width, scale.height, side=side)
    for picture in pictures:
        runs += multiplications(recipe.style_layers, *style_size(*picture, recipe, scale))
    if scale.is_detailed:
        runs += DETAIL * scale.width * scale.height
    roots = step_cost(scale.width, scale.height, recipe, side=side).roots
    return Cost(FORWARD * runs / 1e9, roots, 1.0)


@dataclass(frozen=True, slots=True)
class ScaleCost:
    """What a scale costs."""

    steps: int
    step: Cost
    setup: Cost  # before its first step

    def left(self, step: int) -> Cost:
        """Return what is left after some steps."""
        return self.step * (self.steps - step)

    @property
    def whole(self) -> Cost:
        """All of it."""
        return self.setup + self.left(0)


def costs_of(
    plan: Plan, recipe: Recipe, pictures: Sequence[tuple[int, int]], regions: int = 0
) -> tuple[ScaleCost, ...]:
    """Return what each scale of a plan costs; `pictures`: the sizes of the styles in px."""

    def cost(scale: Scale, side: int | None) -> ScaleCost:
        counting = counting_at(scale, recipe, pictures)
        step = step_cost(scale.width, scale.height, counting, side=side, regions=regions)
        return ScaleCost(scale.steps, step, setup_cost(scale, counting, pictures, side=side))

    return tuple(cost(scale, side) for scale, side in zip(plan.scales, plan.sides, strict=True))
