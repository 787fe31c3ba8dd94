"""What a painting will take, told before it begins: seconds, and bytes of memory. Imports no torch.

Nothing is asked of a device: its speed is what earlier paintings told, its memory what they had.
"""

from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Final

from nst_daemon.config.recipe import Recipe
from nst_daemon.engine.budget import BYTES, SHARE_OF_FREE, Budget, Plan
from nst_daemon.engine.costs import Cost, costs_of
from nst_daemon.engine.schedule import least_side, target_size
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.speeds import Known, asked_of, last_known

PROCESS_BYTES: Final = 500 << 20  # Python, torch and the network, before there is a photo; measured 450 MB
LEAST_LEARNED: Final = 2.0  # s of painting; with less a speed is that of a first step


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a painting will take."""

    seconds: float | None  # of painting; None: nothing is known of the device yet
    bytes: int  # at the most, of the device's memory
    is_on_cpu: bool  # where the memory is the machine's own; so too while no device is known


def forecast(
    size: tuple[int, int], recipe: Recipe, settings: EngineSettings, *, free: int, regions: int = 0
) -> Forecast:
    """Return what the painting of a photo of `size` = (width, height) px will take.

    `free`: bytes of this machine's memory; `regions`: in styles of their own. The style pictures are taken
    for as large as the painting needs them, and to be known already.
    """
    known = last_known(settings.cache_dir, asked_of(settings))
    is_on_cpu = known is None or known.is_on_cpu
    memory = int(free * SHARE_OF_FREE) if known is None or is_on_cpu else known.memory
    if settings.memory_limit is not None:
        memory = min(memory, settings.memory_limit)
    budget = Budget(recipe, memory, regions=regions, entry=known.entry if known else BYTES)
    least = least_side(recipe.content_layers + recipe.style_layers)
    width, height = (max(side, least) for side in target_size(*size, recipe))
    plan = Plan.of((width, height), recipe, budget)
    style = max(1, round(max(width, height) * recipe.style_scale))
    return Forecast(
        seconds=_seconds(plan, recipe, style, regions, known),
        bytes=plan.peak + (PROCESS_BYTES if is_on_cpu else 0),
        is_on_cpu=is_on_cpu,
    )


def _seconds(plan: Plan, recipe: Recipe, style: int, regions: int, known: Known | None) -> float | None:
    if known is None or known.speed.learned < LEAST_LEARNED:
        return None
    costs = costs_of(plan, recipe, [(style, style)], regions)
    return known.speed.seconds(reduce(add, (each.whole for each in costs), Cost()))
