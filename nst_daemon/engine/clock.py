"""How far a painting has come, and how long the rest takes. Pure: no torch; its time comes from outside."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Final

from nst_daemon.config.orders import Progress
from nst_daemon.engine.costs import Cost, ScaleCost, Speed
from nst_daemon.engine.pace import Pace
from nst_daemon.engine.schedule import Scale

LOOK_SECONDS: Final = 0.5  # the speed is made out no more often: an accelerator would wait for it


class Clock:
    """Counts what is done over all scales, and learns from it how long the rest takes."""

    def __init__(
        self,
        scales: Sequence[Scale],
        costs: Sequence[ScaleCost],
        speed: Speed,
        *,
        spent: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scales = scales
        self.costs = costs
        self.spent = spent  # seconds, by an earlier attempt
        self.now = now
        self.outlook = 1.0  # how long a step will take once another way to compute is chosen, relative to now
        self._pace = Pace(speed)
        self._speed, self._looked_at = speed, float("-inf")
        self._started: float | None = None
        self._furthest = 0, 0.0  # step and fraction that were told: after a rollback none goes back

    def start(self) -> None:
        """Note the moment of the first step; later calls change nothing."""
        if self._started is None:
            self._started = self.now()

    @property
    def seconds(self) -> float:
        """Painted so far."""
        return self.spent + (0.0 if self._started is None else self.now() - self._started)

    @property
    def learned(self) -> Speed:
        """The device's speed, by this painting and by what was known before."""
        return self._pace.learned

    def forget(self) -> None:
        """Learn the device's speed anew, from now on: it computes in another way."""
        speed = self._pace.now.times(self.outlook)
        self._pace, self.outlook = Pace(replace(speed, learned=0.0)), 1.0
        self._looked_at = float("-inf")

    def notice(self, scale: Scale, steps: int, seconds: float) -> None:
        """Take in that some steps of a scale, one after another, took some seconds."""
        self._pace.learn(self.costs[scale.number - 1].step, steps, seconds)

    def progress(self, scale: Scale, step: int, losses: Mapping[str, float]) -> Progress:
        """Return where the painting stands after `step` steps of this scale."""
        before, here = self.scales[: scale.number - 1], self.costs[scale.number - 1]
        after = self.costs[scale.number :]
        if self.now() - self._looked_at >= LOOK_SECONDS:
            self._speed, self._looked_at = self._pace.now, self.now()
        speed = self._speed
        left = speed.seconds(reduce(add, (each.whole for each in after), here.left(step)))
        whole = speed.seconds(reduce(add, (each.whole for each in self.costs), Cost()))
        furthest, share = self._furthest
        furthest = max(furthest, sum(each.steps for each in before) + step)
        self._furthest = furthest, max(share, 1 - left / whole)
        return Progress(
            scale=scale.number,
            scales=len(self.scales),
            width=scale.width,
            height=scale.height,
            step=furthest,
            steps=sum(each.steps for each in self.scales),
            fraction=self._furthest[1],
            losses=losses,
            seconds=self.seconds,
            eta_seconds=left * self.outlook,
        )
