"""A first painting with its trial, by the real network: near the plain one, and gone on with."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from support.painting import Picture, keep_every_step, painted_until
from torch import Tensor

from nst_daemon.config import Precision
from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import resolve
from nst_daemon.engine import autotune
from nst_daemon.engine import trial as trial_module
from nst_daemon.engine.autotune import Asked, Backend, remember, remembered
from nst_daemon.engine.budget import Budget, bytes_needed
from nst_daemon.engine.checkpoint import Checkpoint
from nst_daemon.engine.clock import Clock
from nst_daemon.engine.descent import Losses
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.targets import fingerprint
from nst_daemon.engine.trial import LIKELY_SHARE, Outcome, Trial, _Turns
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import load_original

CPU = torch.device("cpu")
PLAIN, WINOGRAD, HALF = Backend(), Backend(winograd=True), Backend(precision=Precision.BFLOAT16)


@pytest.fixture
def candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be the same candidates on every machine."""
    monkeypatch.setattr(autotune, "_is_onednn_faster", lambda: False)
    monkeypatch.setattr(autotune, "_has_bfloat16", lambda device: True)


SIZE = (64, 48)
FEW: dict[str, object] = {
    "steps": 40,
    "pyramid": 32,
    "content_weight": 2.0,
}  # 40, 28 and 20 steps; the second scale is the trial


def _noise(seed: int, *shape: int) -> Picture:
    rough = np.random.default_rng(seed).random((shape[0] // 8, shape[1] // 8, 3), dtype=np.float32)
    return np.kron(rough, np.ones((8, 8, 1), np.float32))


def _paint(
    painter: Painter,
    *,
    checkpoint: Checkpoint | None = None,
    stop_after: int | None = None,
    memory: int | None = None,
    settings: dict[str, object] = FEW,
) -> tuple[Picture, list[Progress]]:
    """Paint a small picture; an empty one where it was stopped after so many steps."""
    return painted_until(
        stop_after,
        painter,
        _noise(0, 48, 64),
        [StyleSource(_noise(1, 80, 80), 1.0, "0" * 64)],
        resolve(settings),
        size=SIZE,
        seen=[],
        memory=memory,
        checkpoint=checkpoint,
    )


@pytest.fixture(name="bfloat16_wins")
def _bfloat16_wins(monkeypatch: pytest.MonkeyPatch, candidates: None) -> Iterator[None]:
    """Let a picture of 64 px be the trial, and each candidate be faster than the one before."""
    monkeypatch.setattr(trial_module, "LEAST_PIXELS", 40 * 32)
    keep_every_step(monkeypatch)
    now = [0.0]

    class Quicker(_Turns):
        def __init__(
            self,
            candidates: list[Backend],
            losses_by: Callable[[Backend], Losses],
            decide: Callable[[Backend, float], Losses],
            clock: object,
        ) -> None:
            def by(backend: Backend) -> Losses:
                losses = losses_by(backend)

                def timed(picture: Tensor) -> Outcome:
                    now[0] += 3.0 - candidates.index(backend)
                    outcome: Outcome = losses(picture)
                    return outcome

                return timed

            super().__init__(candidates, by, decide, lambda: now[0])

    monkeypatch.setattr(trial_module, "_Turns", Quicker)
    yield
    PLAIN.apply()


def _painter(folder: Path) -> Painter:
    """Return the painter of an engine that has just started."""
    weights = load_original()
    trial = Trial(weights, CPU, Asked(), folder)
    return Painter(trial.backend.trunk(weights), CPU, targets_dir=folder / "targets", trial=trial)


@pytest.mark.usefixtures("bfloat16_wins")
def test_the_first_painting_is_nearly_the_plain_one_and_the_later_ones_are_alike(tmp_path: Path) -> None:
    plain, curve = _paint(Painter(PLAIN.trunk(load_original()), CPU))
    painter = _painter(tmp_path)
    first, first_curve = _paint(painter)
    assert remembered(CPU, Asked(), tmp_path) == HALF
    assert painter.trunk.precision is torch.bfloat16
    assert np.isfinite(first).all()
    assert np.abs(first - plain).mean() < 0.03
    assert first_curve[-1].losses["total"] == pytest.approx(curve[-1].losses["total"], rel=0.1)
    assert [each.step for each in first_curve] == [each.step for each in curve]
    assert np.array_equal(_paint(painter)[0], _paint(_painter(tmp_path))[0])


@pytest.mark.usefixtures("bfloat16_wins")
def test_the_clock_hopes_until_the_choice_and_then_begins_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forgotten: list[float] = []
    forget = Clock.forget

    def noted(clock: Clock) -> None:
        forgotten.append(clock.outlook)
        forget(clock)

    monkeypatch.setattr(Clock, "forget", noted)
    painter = _painter(tmp_path)
    _paint(painter)
    _paint(painter)
    assert forgotten == [LIKELY_SHARE]


@pytest.mark.usefixtures("bfloat16_wins")
@pytest.mark.parametrize("stop_after", [60, 70])
def test_a_first_painting_that_was_stopped_behind_its_trial_ends_in_the_same_bytes(
    tmp_path: Path, stop_after: int
) -> None:
    whole, _ = _paint(_painter(tmp_path / "whole"))
    path = tmp_path / "a.checkpoint"
    _paint(_painter(tmp_path / "cut"), checkpoint=Checkpoint(path, "key"), stop_after=stop_after)
    assert remembered(CPU, Asked(), tmp_path / "cut") == HALF
    gone_on, seen = _paint(_painter(tmp_path / "cut"), checkpoint=Checkpoint(path, "key"))
    assert seen[0].step == stop_after + 1
    assert np.array_equal(gone_on, whole)


@pytest.mark.usefixtures("bfloat16_wins")
def test_a_first_painting_that_was_stopped_in_its_trial_begins_the_trial_again(tmp_path: Path) -> None:
    settings = {**FEW, "pyramid": 0, "steps": 60}
    path = tmp_path / "a.checkpoint"
    _paint(_painter(tmp_path), checkpoint=Checkpoint(path, "key"), stop_after=6, settings=settings)
    assert remembered(CPU, Asked(), tmp_path) is None
    gone_on, seen = _paint(_painter(tmp_path), checkpoint=Checkpoint(path, "key"), settings=settings)
    assert (seen[0].step, remembered(CPU, Asked(), tmp_path)) == (7, HALF)
    assert np.isfinite(gone_on).all()


@pytest.mark.usefixtures("bfloat16_wins")
def test_a_painting_begun_by_one_backend_goes_on_in_its_own_plan(tmp_path: Path) -> None:
    # With so little memory float32 paints in tiles, by Adam, what bfloat16 would paint whole, by L-BFGS.
    settings: dict[str, object] = {"steps": 8, "pyramid": 0, "averaging": 0.0}
    recipe = resolve(settings)
    memory = bytes_needed(*SIZE, recipe, entry=3)
    plain, half = (Budget(recipe, memory, entry=entry).tile_side(*SIZE) for entry in (4, 2))
    assert plain is not None
    assert half is None
    path = tmp_path / "a.checkpoint"
    paint = partial(_paint, memory=memory, settings=settings)
    paint(_painter(tmp_path), checkpoint=Checkpoint(path, "key"), stop_after=14)
    remember(HALF, CPU, Asked(), tmp_path)
    gone_on, seen = paint(_painter(tmp_path), checkpoint=Checkpoint(path, "key"))
    assert gone_on.shape == (48, 64, 3)
    assert seen[0].step > 1


def test_what_one_backend_made_of_a_style_is_none_of_anothers(trunk: Trunk) -> None:
    weights = load_original()
    marks = {fingerprint(backend.trunk(weights)) for backend in (PLAIN, WINOGRAD, HALF)}
    replace(PLAIN, onednn=True).apply()
    marks.add(fingerprint(PLAIN.trunk(weights)))
    PLAIN.apply()
    assert len(marks) == 4
