"""How fast a device paints, learned from the steps of the painting in hand. Pure: no torch, no clock.

Each reading gives the seconds of some steps of known cost. Two things are learned from them: the proportions
of the `Speed` (what a multiplication takes beside a root), which belong to the device and hardly change; and
the pace, which changes whenever another program comes or goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Final

from nst_daemon.engine.costs import Cost, Speed

LOYALTY: Final = 0.1  # to the proportions that were there before, relative to all that was read …
LOYALTY_TO_LEARNED: Final = 0.5  # … and where they were learned from this much painting:
MUCH_LEARNED: Final = 60.0  # s
FARTHEST: Final = 6.0  # times, that one part of the speed may leave the others behind or ahead
ROUNDS: Final = 20  # of the descent to three numbers; it is convex, and done after a dozen
HALF_LIFE: Final = 0.2  # of the painting so far; a reading that is so long ago counts half …
LEAST_HALF_LIFE: Final = 10.0  # s; … but what is a moment ago counts nearly in full
OUTLIER: Final = 2.5  # times the median: a machine that slept, or a step that waited for a disk
MOST_LEARNED: Final = 300.0  # s: of what earlier paintings told, no more counts against the newest


@dataclass(frozen=True, slots=True)
class Reading:
    """Some steps of one scale."""

    cost: Cost  # of one of them
    seconds: float  # of all of them
    slowness: float  # the seconds that it took, over those that were forecast before anything was learned


class Pace:
    """Learns a device's speed; `before` is what was known of it. One painting's, on the engine's thread."""

    def __init__(self, before: Speed) -> None:
        self.before = before
        self.readings: list[Reading] = []

    def learn(self, step: Cost, steps: int, seconds: float) -> None:
        """Take in that some steps of a cost took some seconds."""
        forecast = self.before.seconds(step * steps)
        if steps > 0 and seconds > 0 and forecast > 0:
            self.readings.append(Reading(step, seconds, seconds / forecast))

    @property
    def now(self) -> Speed:
        """The speed with which the rest will be painted, as far as the last readings tell."""
        speed = self._proportioned()
        return speed.times(self._slowness(speed, fades=True))

    @property
    def learned(self) -> Speed:
        """The speed to be remembered: of the whole painting, and of those before it."""
        if not self.readings:
            return self.before
        speed, known = self._proportioned(), min(self.before.learned, MOST_LEARNED)
        speed = speed.times(self._slowness(speed, fades=False))
        painted = sum(reading.seconds for reading in self.readings)
        share = painted / (painted + known)
        first, second, third = (
            share * new + (1 - share) * old
            for new, old in zip(_parts(speed), _parts(self.before), strict=True)
        )
        return Speed(first, second, third, known + painted)

    def _proportioned(self) -> Speed:
        """Return the speed before, with its parts as the scales painted so far tell them from each other.

        Of each scale the median counts, as much as its share of the time. The sum of the squared relative
        errors is least, plus what keeps together parts that no scale tells from each other.
        """
        scales = list(self._by_scale().items())
        if not scales:
            return self.before
        shares = [_shares(self.before, cost) for cost, _ in scales]
        slownesses = [median(reading.slowness for reading in readings) for _, readings in scales]
        seconds = [sum(reading.seconds for reading in readings) for _, readings in scales]
        weights = [each / sum(seconds) for each in seconds]
        usual = sum(weight * each for weight, each in zip(weights, slownesses, strict=True))
        experience = min(1.0, self.before.learned / MUCH_LEARNED)
        loyalty = LOYALTY + experience * (LOYALTY_TO_LEARNED - LOYALTY)
        factors = [usual] * 3
        for _ in range(ROUNDS):
            for part in range(3):
                top, bottom = loyalty / usual, loyalty / usual**2
                for share, slowness, weight in zip(shares, slownesses, weights, strict=True):
                    others = sum(share[other] * factors[other] for other in range(3) if other != part)
                    top += weight * share[part] * (slowness - others) / slowness**2
                    bottom += weight * share[part] ** 2 / slowness**2
                factors[part] = min(FARTHEST * usual, max(usual / FARTHEST, top / bottom))
        return replace(
            self.before,
            convolutions=self.before.convolutions * factors[0],
            roots=self.before.roots * factors[1],
            steps=self.before.steps * factors[2],
        )

    def _by_scale(self) -> dict[Cost, list[Reading]]:
        found: dict[Cost, list[Reading]] = {}
        for reading in self.readings:
            found.setdefault(reading.cost, []).append(reading)
        return found

    def _slowness(self, speed: Speed, *, fades: bool) -> float:
        """Return the mean of what the readings took over what they would have taken at a speed.

        The newest count most if it `fades`; none counts more than a few times the median.
        """
        if not self.readings:
            return 1.0
        ratios = [
            reading.slowness * self.before.seconds(reading.cost) / speed.seconds(reading.cost)
            for reading in self.readings
        ]
        middle = median(ratios)
        ratios = [min(OUTLIER * middle, max(middle / OUTLIER, ratio)) for ratio in ratios]
        weights = self._weights(fades=fades)
        return sum(weight * ratio for weight, ratio in zip(weights, ratios, strict=True)) / sum(weights)

    def _weights(self, *, fades: bool) -> Sequence[float]:
        """Return how much each reading counts: as long as it was forecast to take, less what fades."""
        forecasts = [reading.seconds / reading.slowness for reading in self.readings]
        if not fades:
            return forecasts
        usual = median(reading.slowness for reading in self.readings)
        half_life = max(LEAST_HALF_LIFE / usual, HALF_LIFE * sum(forecasts))
        weights, since = [], 0.0
        for forecast in reversed(forecasts):
            weights.append(forecast * 0.5 ** (since / half_life))
            since += forecast
        return weights[::-1]


def _parts(speed: Speed) -> tuple[float, float, float]:
    return speed.convolutions, speed.roots, speed.steps


def _shares(speed: Speed, cost: Cost) -> tuple[float, float, float]:
    """Return which share of a cost's time each part takes at a speed."""
    whole = speed.seconds(cost)
    parts = zip(_parts(speed), (cost.convolutions, cost.roots, cost.steps), strict=True)
    first, second, third = (each * of / whole for each, of in parts)
    return first, second, third
