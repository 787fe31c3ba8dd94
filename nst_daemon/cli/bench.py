"""The command that measures this machine: bench."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nst_daemon.cli import paint as cli_paint
from nst_daemon.cli.common import ConfigOption, JsonOption, answer_json, config_if_any, say, table
from nst_daemon.cli.forecasts import forecast_of
from nst_daemon.config.orders import Order
from nst_daemon.config.recipe import Preset

if TYPE_CHECKING:
    from nst_daemon.config import Config


def bench(
    config: ConfigOption = None,
    presets: Annotated[list[Preset] | None, typer.Option("--preset", help="Else draft and balanced.")] = None,
    sizes: Annotated[list[int] | None, typer.Option("--size", min=16, help="px; else 256 and 512.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="One small picture only.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the seconds per picture on this machine's device, and the memory; beside them the forecast.

    The memory is that of the engine's process; what a graphics card has is told by the forecast alone.

    Example: nst-daemon bench --size 512 --preset draft --preset fine
    """
    sizes = sizes or ([128] if quick else [256, 512])
    presets = presets or ([Preset.DRAFT] if quick else [Preset.DRAFT, Preset.BALANCED])
    rows = list(_measured(config_if_any(config), presets, sizes))
    if as_json:
        answer_json(rows)
    else:
        cells = [["" if value is None else str(value) for value in row.values()] for row in rows]
        table("Seconds per picture, and GB of memory", list(rows[0]), cells)


def _measured(
    config: "Config | None", presets: list[Preset], sizes: list[int]
) -> Iterator[dict[str, object]]:
    from nst_daemon.config import DEFAULT_STYLE
    from nst_daemon.config.recipe import resolve

    photo, styles = (
        cli_paint.sample_photo(),
        cli_paint.chosen_styles(config.folders[0].style if config else DEFAULT_STYLE, config),
    )
    readable = cli_paint.readable_photo(photo, config)
    photo_size = readable.width, readable.height
    with cli_paint.engine_of(config) as engine, tempfile.TemporaryDirectory(prefix="nst-daemon-") as folder:
        if not engine.warm_up().precision:
            say("The fastest precision is not chosen yet; a painting does so on its way, which costs time.")
        for preset in presets:
            for size in sizes:
                order = Order(
                    job=0,
                    photo=photo,
                    photo_name=f"{preset} at {size} px",
                    styles=styles,
                    recipe=resolve({"preset": preset, "size": size}),
                    result=Path(folder) / f"{preset}-{size}",
                )
                told = forecast_of(photo_size, order.recipe, config)
                peak = Peak(lambda: engine.pid)
                painting = cli_paint.paint(engine, order, peak.should_stop)
                yield {
                    "preset": str(preset),
                    "picture": f"{painting.width} × {painting.height}",
                    "seconds": round(painting.seconds, 1),
                    "forecast": None if told.seconds is None else round(told.seconds, 1),
                    "first step after": round(painting.seconds_to_first_step, 1),
                    "memory": round(peak.bytes / 1e9, 1),
                    "memory forecast": round(told.bytes / 1e9, 1),
                    "device": painting.device,
                }


class Peak:
    """The most main memory that the engine's process is seen to have, while it paints."""

    def __init__(self, pid: Callable[[], int | None]) -> None:
        self.bytes = 0
        self._pid = pid  # it may die, and another come

    def should_stop(self) -> bool:
        """Look, and go on; the engine's process is asked many times a second."""
        from nst_daemon.system.machine import memory_of

        if (pid := self._pid()) is not None:
            self.bytes = max(self.bytes, memory_of(pid))
        return False
