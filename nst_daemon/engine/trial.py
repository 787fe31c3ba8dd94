"""The trial of the backends within a painting: an install's first photo begins at once, and is tuned for.

It begins by the plain backend. In the first scale that is about as large as what `autotune` would try, each
candidate takes a few steps of the descent itself, timed. None is lost, and none is wrong: at the first step
of a candidate its gradient is compared with the plain one, which is what the descent gets; those after it
are ordinary steps, by a backend that was seen to point where the plain one points. If it breaks or loses its
numbers, it is out, and the plain backend computes that step. So picture, optimiser and rollback points
are never other than a descent's.

Where there is no such scale (a single large one, or tiles), and on an accelerator, which is not busy at such
a size, the candidates are tried at noise, as soon as the first steps of the large scale are taken.

A trial that is interrupted has chosen nothing: the next painting begins it again. Several engines may try at
the same time, so that no painting waits for another; the first to end decides for all: they paint alike.
"""

import logging
import math
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from nst_daemon.engine import autotune
from nst_daemon.engine.autotune import LEAST_GAIN, SIZE, TURNS, Asked, Backend, points_alike
from nst_daemon.engine.descent import Losses, ShouldStop, stop_if
from nst_daemon.engine.schedule import Scale
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import Weights

logger = logging.getLogger(__name__)

LEAST_PIXELS: Final = 16_000  # of a scale; in a smaller one a step is not all convolutions
MOST_PIXELS: Final = 65_000  # in a larger one the slowest candidate would cost too much
# Of a larger scale, in pixels times steps: ten times what a trial at noise takes of three candidates.
WORTH_A_TRIAL: Final = 10 * 3 * (TURNS + 1) * SIZE[0] * SIZE[1]
# Of the time of a step by the plain backend, what it takes by the one that a CPU chooses (measured with
# bfloat16); a guess, for the time left that is told before the choice.
LIKELY_SHARE: Final = 0.6
STEPS_BEFORE: Final = 2  # of a large scale, before the trial at noise: the painting has begun, and shows it

Outcome = tuple[Tensor, Tensor]  # what losses return: (4,), (1, 3, H, W)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A scale that may be the trial's, and how the painter computes there."""

    scale: Scale
    steps: int  # that are left of it
    is_whole: bool  # not painted in tiles
    own: Callable[[], Losses]  # the losses by the painter's network
    by: Callable[[Trunk, bool], Losses]  # by another; whether its kernels are captured
    use: Callable[[Trunk, bool], None]  # makes another one the painter's
    decided: Callable[[], None]  # told once a backend is chosen, be it the one that computed so far
    should_stop: ShouldStop


class Trial:
    """Says which backend computes, and finds it out if need be. Lives in the engine's main thread."""

    def __init__(
        self,
        weights: Weights,
        device: torch.device,
        asked: Asked,
        folder: Path,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self.device = device
        self.asked = asked
        self.folder = folder
        found = autotune.remembered(device, asked, folder)
        self._candidates = [found] if found else autotune.candidates(device, asked)
        if found is None and autotune.is_settled(self._candidates, device, asked):
            found = autotune.remember(self._candidates[0], device, asked, folder)
        self.backend = found or self._candidates[0]
        self.is_over = found is not None
        self._weights = {} if self.is_over else weights  # 80 MB
        self.backend.apply()

    def losses(self, stage: Stage) -> Losses:
        """Return the losses of a scale, whose steps are the trial if they can be."""
        if self.is_over:
            return stage.own()
        if (found := autotune.remembered(self.device, self.asked, self.folder)) is not None:
            self._adopt(found, stage)  # another engine was faster
            return stage.own()
        if self._is_fit(stage.scale, stage.steps, is_whole=stage.is_whole):
            by, decide = partial(self._by, stage), partial(self._decide, stage)
            return _Turns(self._candidates, by, decide, self._clock)
        if self._is_worth_it(stage.scale, stage.steps):
            return _Aside(stage.own, partial(self._try_aside, stage))
        return stage.own()

    def outlook(self, scales: Iterable[tuple[Scale, bool]]) -> float:
        """Return how long a step will take behind the trial, relative to now, as far as one can guess.

        `scales`: those to come, and whether each is painted whole; without a trial among them it is 1.
        """
        is_to_come = any(
            self._is_fit(scale, scale.steps, is_whole=is_whole) or self._is_worth_it(scale, scale.steps)
            for scale, is_whole in scales
        )
        return LIKELY_SHARE if is_to_come and not self.is_over and self.device.type == "cpu" else 1.0

    def _is_fit(self, scale: Scale, steps: int, *, is_whole: bool) -> bool:
        """Whether the steps of a scale can be the trial, and end before it does."""
        needed = (TURNS + 1) * len(self._candidates)
        is_middling = LEAST_PIXELS <= scale.width * scale.height <= MOST_PIXELS
        return self.device.type == "cpu" and is_whole and is_middling and steps > needed

    def _is_worth_it(self, scale: Scale, steps: int) -> bool:
        """Whether a trial at noise costs little beside the scale."""
        is_long = self.device.type != "cpu" or scale.width * scale.height * steps >= WORTH_A_TRIAL
        return is_long and steps > STEPS_BEFORE

    def _by(self, stage: Stage, backend: Backend) -> Losses:
        if backend == self.backend:
            return stage.own()
        return stage.by(backend.trunk(self._weights), backend.graphs)

    def _decide(self, stage: Stage, best: Backend, seconds: float) -> Losses:
        """Remember a choice, and return the losses by it."""
        logger.info("%s: chose %s within the painting, %.3f s a step", self.device, asdict(best), seconds)
        self._adopt(autotune.remember(best, self.device, self.asked, self.folder), stage)
        return stage.own()

    def _try_aside(self, stage: Stage) -> None:
        """Choose now, at noise. Raises: CancelledError."""
        between = partial(stop_if, stage.should_stop)
        try:
            found = autotune.choose(self._weights, self.device, self.asked, self.folder, between)
        except RuntimeError as error:  # no memory beside a large picture: later, or never
            logger.info("the backends could not be tried: %s", error)
            self.backend.apply()
            return
        self._adopt(found, stage)

    def _adopt(self, chosen: Backend, stage: Stage) -> None:
        chosen.apply()
        if chosen != self.backend:
            stage.use(chosen.trunk(self._weights), chosen.graphs)
        stage.decided()
        self.backend, self.is_over = chosen, True
        self._weights = {}


class _Turns:
    """The losses of a scale whose first steps are the trial: each candidate's in turn, then the best's."""

    def __init__(
        self,
        candidates: Sequence[Backend],
        losses_by: Callable[[Backend], Losses],
        decide: Callable[[Backend, float], Losses],
        clock: Callable[[], float],
    ) -> None:
        self._candidates = candidates
        self._losses_by = losses_by
        self._decide = decide
        self._clock = clock
        self._plain = losses_by(candidates[0])
        self._turns: Generator[Outcome, Tensor, Losses] | None = None
        self._chosen: Losses | None = None

    def __call__(self, picture: Tensor) -> Outcome:
        """Return what the losses of whose turn it is return. Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W)."""
        if self._chosen is not None:
            return self._chosen(picture)
        if self._turns is None:
            self._turns = self._all_turns(picture)
            return next(self._turns)
        try:
            return self._turns.send(picture)
        except StopIteration as end:
            chosen: Losses = end.value
            self._plain = self._chosen = chosen
            return chosen(picture)

    def _all_turns(self, picture: Tensor) -> Generator[Outcome, Tensor, Losses]:
        """Yield what each step is told; is sent the next step's picture; return the losses of the chosen one.

        Shapes: (1, 3, H, W).
        """
        plain, *others = self._candidates
        picture = yield self._plain(picture)  # not timed: libraries choose their kernels
        least, picture = yield from self._timed(self._plain, picture)
        best, bound = plain, least / LEAST_GAIN
        for each in others:
            wanted = self._plain(picture)
            losses = self._if_right(each, picture, wanted)
            picture = yield wanted
            if losses is None:
                continue
            seconds, picture = yield from self._timed(losses, picture, most=2 * bound)
            if seconds < bound:
                best, bound, least = each, seconds, seconds
        return self._decide(best, least)

    def _if_right(self, backend: Backend, picture: Tensor, wanted: Outcome) -> Losses | None:
        """Return the losses by a candidate; None if it breaks, or points elsewhere. Shapes: (1, 3, H, W)."""
        try:
            losses = self._losses_by(backend)
            return losses if points_alike(losses(picture)[1], wanted[1]) else None
        except RuntimeError as error:  # a device may have no kernels for it
            logger.info("%s does not work here: %s", asdict(backend), error)
            return None

    def _timed(
        self, losses: Losses, picture: Tensor, *, most: float = math.inf
    ) -> Generator[Outcome, Tensor, tuple[float, Tensor]]:
        """Take a few steps, or fewer if they take more than `most` seconds; return the least time.

        With it comes the picture of the next step.

        Shapes: (1, 3, H, W) -> (1, 3, H, W).
        """
        least = math.inf
        for _ in range(TURNS):
            began = self._clock()
            outcome = losses(picture) if losses is self._plain else _sound(losses, picture)
            seconds = self._clock() - began
            if outcome is None:
                picture = yield self._plain(picture)
                return math.inf, picture
            picture = yield outcome
            least = min(least, seconds)
            if seconds > most:
                break
        return least, picture


def _sound(losses: Losses, picture: Tensor) -> Outcome | None:
    """Return what a candidate's losses return; None if they break or are not finite. Shapes: (1, 3, H, W)."""
    try:
        outcome = losses(picture)
    except RuntimeError as error:
        logger.info("a backend broke in its trial: %s", error)
        return None
    return outcome if bool(torch.isfinite(outcome[0]).all()) else None


class _Aside:
    """The losses of a large scale; behind its first steps the candidates are tried at noise."""

    def __init__(self, own: Callable[[], Losses], choose: Callable[[], None]) -> None:
        self._own = own
        self._choose = choose
        self._losses: Losses | None = own()
        self._steps = 0

    def __call__(self, picture: Tensor) -> Outcome:
        """Return what the losses by the painter's network return.

        Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W).
        """
        if self._steps == STEPS_BEFORE:
            self._losses = None  # at full resolution each counts
            self._choose()
        self._losses = self._losses or self._own()
        outcome = self._losses(picture)
        self._steps += 1
        return outcome
