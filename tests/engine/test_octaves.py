"""Large scales: they start with detail, take few steps of L-BFGS, in tiles too, and go on after a stop."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import Recipe, resolve
from nst_daemon.engine import budget, schedule
from nst_daemon.engine.budget import FIXED_BYTES
from nst_daemon.engine.checkpoint import Checkpoint
from nst_daemon.engine.detail import Details, without_detail
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.pixels import resize
from nst_daemon.engine.regions import RegionSource, StyleSource
from nst_daemon.engine.starts import Starts
from nst_daemon.engine.vgg import Trunk
from nst_daemon.errors import CancelledError

Picture = NDArray[np.float32]

SIZE = (96, 72)
OCTAVES = {"steps": 16, "pyramid": 24}  # 24, 48 and 96 px: 16, 8 and 4 steps


def _noise(height: int, width: int, seed: int) -> Picture:
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def _photo() -> Picture:
    """Return soft shapes with a fine grain. Shapes: -> (72, 96, 3)."""
    x, y = np.meshgrid(np.linspace(0, 1, 96), np.linspace(0, 1, 72))
    soft = np.stack([0.2 + 0.6 * x, 0.3 + 0.4 * y, 0.7 - 0.4 * x * y], axis=-1)
    return (soft + 0.2 * (_noise(72, 96, 0) - 0.5)).astype(np.float32)


STRIPES = StyleSource(
    (np.kron(np.eye(2).repeat(48, 0), np.ones((1, 48)))[..., None] * [0.9, 0.6, 0.2]).astype(np.float32),
    1.0,
    "stripes",
)
ROUGH = StyleSource(_noise(96, 96, 1), 1.0, "rough")


@pytest.fixture(autouse=True)
def _octaves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let scales beyond 24 px be large ones."""
    monkeypatch.setattr(schedule, "SMALL", 24)
    monkeypatch.setattr(schedule, "OCTAVES", 24)
    monkeypatch.setattr(schedule, "LARGE_STEPS", 24.0)


@pytest.fixture(scope="module")
def painter(trunk: Trunk) -> Painter:
    return Painter(trunk, torch.device("cpu"))


def _paint(
    painter: Painter,
    recipe: Recipe,
    *styles: StyleSource,
    regions: Sequence[RegionSource] = (),
    memory: int | None = None,
    checkpoint: Checkpoint | None = None,
    stop_at: int | None = None,
) -> Picture:
    seen: list[Progress] = []
    return painter.paint(
        _photo(),
        styles or (ROUGH,),
        recipe,
        size=SIZE,
        on_progress=seen.append,
        should_stop=lambda: stop_at is not None and bool(seen) and seen[-1].step >= stop_at,
        regions=regions,
        memory=memory,
        checkpoint=checkpoint,
    )


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, float]]:
    """Note the width of each start with detail, and how much was added."""
    starts: list[tuple[int, float]] = []
    on = Details.on

    def spy(details: Details, picture: torch.Tensor) -> torch.Tensor:
        detailed = on(details, picture)
        starts.append((picture.shape[-1], float((detailed - picture).std())))
        return detailed

    monkeypatch.setattr(Details, "on", spy)
    return starts


def test_large_scales_start_with_the_styles_detail(
    painter: Painter, started: list[tuple[int, float]]
) -> None:
    _paint(painter, resolve(OCTAVES))
    assert [width for width, _ in started] == [48, 96]
    assert all(added > 0.02 for _, added in started)


def test_without_a_photo_to_keep_to_it_gives_no_detail(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    of_photo = Details.of_photo

    def spy(details: Details, photo: torch.Tensor, factor: float) -> torch.Tensor:
        asked.append(factor)
        return of_photo(details, photo, factor)

    monkeypatch.setattr(Details, "of_photo", spy)
    _paint(painter, resolve({**OCTAVES, "steps": 2, "content_weight": 0.0}))
    assert asked == []
    _paint(painter, resolve({**OCTAVES, "steps": 2}))
    assert asked == [2.0, 2.0]


def test_each_region_starts_with_its_own_styles_detail(
    painter: Painter, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat = StyleSource(np.full((96, 96, 3), 0.5, np.float32), 1.0, "flat")
    right = np.zeros((72, 96), np.float32)
    right[:, 48:] = 1
    added: list[torch.Tensor] = []
    grown = Starts.grown

    def spy(starts: Starts, before: torch.Tensor, *others: Any) -> torch.Tensor:
        start = grown(starts, before, *others)
        change = start - resize(before, start.shape[-1], start.shape[-2])
        added.append(change - without_detail(change, 2))  # contrast and tint change as well
        return start

    monkeypatch.setattr(Starts, "grown", spy)
    recipe = resolve({**OCTAVES, "steps": 2, "content_weight": 0.0})
    _paint(painter, recipe, flat, regions=[RegionSource([ROUGH], right)])
    flats, roughs = float(added[-1][..., :40].std()), float(added[-1][..., 56:].std())
    assert roughs > 0.02
    assert flats < 0.1 * roughs


def test_in_tiles_the_few_steps_of_lbfgs_lead_to_nearly_the_same_picture(
    painter: Painter, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(budget, "LEAST_TILE", 32)
    recipe = resolve({**OCTAVES, "steps": 8, "figures": "on"})
    whole = _paint(painter, recipe)
    with caplog.at_level("INFO"):
        tiled = _paint(painter, recipe, memory=FIXED_BYTES + 64 * 48 * 7000)
    assert "96 x 72 px are painted in tiles of 32 px" in caplog.text
    assert "48 x 36 px are painted in tiles" not in caplog.text
    assert np.abs(tiled - whole).mean() < 0.01
    assert np.abs(tiled - whole).max() < 0.2


@pytest.mark.parametrize("memory", [None, FIXED_BYTES + 64 * 48 * 7000])
@pytest.mark.parametrize("stop_at", [16, 20, 26])  # before and within the large scales
def test_a_large_scale_goes_on_to_the_same_bytes(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int | None, stop_at: int
) -> None:
    monkeypatch.setattr(budget, "LEAST_TILE", 32)
    monkeypatch.setattr("nst_daemon.engine.descent.READ_EVERY_STEPS", 1)
    recipe = resolve(OCTAVES)
    at_once = _paint(painter, recipe, memory=memory)
    path = tmp_path / "checkpoint"
    with pytest.raises(CancelledError):
        _paint(painter, recipe, memory=memory, checkpoint=Checkpoint(path, "key"), stop_at=stop_at)
    again = _paint(painter, recipe, memory=memory, checkpoint=Checkpoint(path, "key"))
    assert np.array_equal(again, at_once)
