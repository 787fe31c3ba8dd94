"""What is told of a painting before it begins."""

from pathlib import Path

import pytest

from nst_daemon.config.recipe import resolve
from nst_daemon.engine.budget import BYTES, FIXED_BYTES, Budget, Plan, bytes_needed
from nst_daemon.engine.costs import Speed
from nst_daemon.engine.forecast import LEAST_LEARNED, PROCESS_BYTES, Forecast, forecast
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.speeds import Known, asked_of, remember

CAMERA = (6000, 4000)
FREE = 16 * 10**9
SPEED = Speed(convolutions=0.01, roots=0.1, steps=0.01, learned=60.0)


def told(
    folder: Path, *, limit: int | None = None, free: int = FREE, regions: int = 0, **settings: object
) -> Forecast:
    engine = EngineSettings(cache_dir=folder, memory_limit=limit)
    return forecast(CAMERA, resolve({"size": 1024, **settings}), engine, free=free, regions=regions)


def know(folder: Path, device: str = "cpu", *, learned: float = 60.0, memory: int = FREE) -> None:
    asked = asked_of(EngineSettings(cache_dir=folder))
    speed = Speed(SPEED.convolutions, SPEED.roots, SPEED.steps, learned)
    remember(folder, device, Known(asked=asked, device=device, memory=memory, entry=BYTES, speed=speed))


def test_of_an_unknown_machine_the_memory_alone_is_told(tmp_path: Path) -> None:
    found = told(tmp_path)
    assert found.seconds is None
    assert found.bytes == bytes_needed(1024, 683, resolve({}), history=10) + PROCESS_BYTES


def test_a_known_machine_tells_more_seconds_for_more_work(tmp_path: Path) -> None:
    know(tmp_path)
    usual = told(tmp_path).seconds
    assert usual is not None
    for more in ({"size": 2048}, {"preset": "fine"}, {"figures": "on"}):
        assert (told(tmp_path, **more).seconds or 0) > usual
    assert (told(tmp_path, regions=2).seconds or 0) > usual
    assert (told(tmp_path, preset="draft").seconds or 0) < usual / 2


def test_a_machine_that_took_but_a_few_steps_is_not_known(tmp_path: Path) -> None:
    know(tmp_path, learned=LEAST_LEARNED / 2)
    assert told(tmp_path).seconds is None


def test_with_little_memory_a_painting_takes_less_of_it_and_longer(tmp_path: Path) -> None:
    know(tmp_path)
    limit = FIXED_BYTES + 900 * 10**6
    whole, tiled = told(tmp_path, size=2048), told(tmp_path, size=2048, limit=limit)
    assert tiled.bytes <= limit + PROCESS_BYTES < whole.bytes
    assert (tiled.seconds or 0) > (whole.seconds or 0) > 0


def test_an_accelerators_memory_is_what_it_had_and_not_the_machines(tmp_path: Path) -> None:
    know(tmp_path, "cuda:0 (NVIDIA H200)", memory=100 * 10**9)
    found = told(tmp_path, free=10**9)
    assert not found.is_on_cpu
    assert found.bytes == bytes_needed(1024, 683, resolve({}), history=10)


@pytest.mark.parametrize("memory", [None, 4 * 10**9, 3 * 10**9])
def test_the_peak_of_a_plan_stays_within_its_budget(memory: int | None) -> None:
    recipe = resolve({})
    plan = Plan.of(CAMERA, recipe, Budget(recipe, memory))
    assert memory is None or plan.peak <= 1.15 * memory  # a tile has a least side, and the picture its own
    assert plan.peak >= FIXED_BYTES
