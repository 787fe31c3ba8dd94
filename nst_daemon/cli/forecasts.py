"""What a painting will take: in words for `explain` and `check`, in figures for `bench`. Starts no engine."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from nst_daemon.config.recipe import Recipe, resolve

if TYPE_CHECKING:
    from nst_daemon.config import Config
    from nst_daemon.engine.forecast import Forecast

MINUTE, HOUR = 60.0, 3600.0
CAMERA: Final = (6000, 4000)  # px; the photo that `check` tells of


def takes(
    size: tuple[int, int], settings: Mapping[str, object], config: "Config", *, regions: int = 0
) -> str | None:
    """Return `about 26 min and 3.6 GB of memory` for a photo of `size` px; None: nothing is painted."""
    recipe = resolve(settings)
    if recipe.strength == 0:
        return None
    return words_of(forecast_of(size, recipe, config, regions=regions))


def forecast_of(
    size: tuple[int, int], recipe: Recipe, config: "Config | None", *, regions: int = 0
) -> "Forecast":
    """Return what a photo of `size` px takes on this machine, as it is now."""
    from nst_daemon.engine.forecast import forecast
    from nst_daemon.engine.settings import settings_of
    from nst_daemon.system.machine import free_memory

    return forecast(size, recipe, settings_of(config), free=free_memory(), regions=regions)


def takes_usually(config: "Config") -> str | None:
    """Return the same for a camera's photo in the first inbox, by its `set` alone."""
    words = takes(CAMERA, config.folders[0].set, config)
    width, height = CAMERA
    return words and f"a photo of {width} × {height} px takes {words}"


def words_of(found: "Forecast") -> str:
    """Return a forecast in words."""
    memory = f"{max(0.1, found.bytes / 1e9):.1f} GB of {'memory' if found.is_on_cpu else 'graphics memory'}"
    if found.seconds is None:
        return f"{memory}; how long it takes is known after the first painting"
    return f"about {about(found.seconds)} and {memory}"


def about(seconds: float) -> str:
    """Return a span of time no finer than a forecast is: `25 s`, `26 min`, `2 h 10 min`."""
    from nst_daemon.ledger.words import duration

    grain = 5 if seconds < MINUTE - 2.5 else MINUTE if seconds < HOUR else 10 * MINUTE
    return duration(max(1, round(seconds / grain)) * grain)
