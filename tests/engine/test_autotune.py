"""Autotuning: the fastest backend that points where the plain one points, remembered."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.config import Precision
from nst_daemon.config.recipe import resolve
from nst_daemon.engine import autotune
from nst_daemon.engine.autotune import Asked, Backend, choose, fastest, step_of
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.weights import load_original

CPU = torch.device("cpu")
PLAIN, WINOGRAD, HALF = (
    Backend(),
    Backend(winograd=True),
    Backend(precision=Precision.BFLOAT16),
)


@pytest.fixture(name="played")
def _played(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Callable[[Backend], autotune.Step]]:
    """Return a maker of steps: what each backend takes in seconds, and where its gradient points."""
    seconds_of: dict[object, float] = {}
    monkeypatch.setattr(autotune, "_seconds", lambda step, **_: seconds_of[step])

    def maker(**told: tuple[float, list[float]]) -> Callable[[Backend], autotune.Step]:
        def make(backend: Backend) -> autotune.Step:
            name = {PLAIN: "plain", WINOGRAD: "winograd", HALF: "half"}[backend]
            if name not in told:
                raise RuntimeError("no kernel for it")
            seconds, gradient = told[name]

            def step() -> Tensor:
                return torch.tensor(gradient)

            seconds_of[step] = seconds
            return step

        return make

    return maker


def test_the_fastest_backend_is_taken(played: Callable[..., Callable[[Backend], autotune.Step]]) -> None:
    steps = played(plain=(3.0, [1.0, 0.0]), winograd=(2.0, [1.0, 0.0]), half=(1.0, [1.0, 0.1]))
    assert fastest([PLAIN, WINOGRAD, HALF], steps) == HALF


def test_a_backend_whose_gradient_points_elsewhere_is_out(
    played: Callable[..., Callable[[Backend], autotune.Step]],
) -> None:
    steps = played(plain=(3.0, [1.0, 0.0]), winograd=(2.0, [1.0, 0.0]), half=(1.0, [1.0, 1.0]))
    assert fastest([PLAIN, WINOGRAD, HALF], steps) == WINOGRAD


def test_a_backend_whose_gradient_is_not_a_number_is_out(
    played: Callable[..., Callable[[Backend], autotune.Step]],
) -> None:
    steps = played(plain=(3.0, [1.0, 0.0]), half=(1.0, [float("nan"), 0.0]))
    assert fastest([PLAIN, HALF], steps) == PLAIN


def test_a_backend_that_breaks_is_out(played: Callable[..., Callable[[Backend], autotune.Step]]) -> None:
    steps = played(plain=(3.0, [1.0, 0.0]), winograd=(2.0, [1.0, 0.0]))
    assert fastest([PLAIN, HALF, WINOGRAD], steps) == WINOGRAD


def test_a_gain_within_the_noise_leaves_the_plain_backend(
    played: Callable[..., Callable[[Backend], autotune.Step]],
) -> None:
    steps = played(plain=(1.0, [1.0]), winograd=(0.95, [1.0]))
    assert fastest([PLAIN, WINOGRAD], steps) == PLAIN


def test_a_backend_far_behind_is_not_waited_for() -> None:
    turns: list[int] = []
    autotune._seconds(lambda: turns.append(1), most=-1.0)
    assert len(turns) == 1
    autotune._seconds(lambda: turns.append(1))
    assert len(turns) == 1 + autotune.TURNS


def test_a_processor_without_bfloat16_does_not_try_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def precisions() -> set[Precision]:
        return {backend.precision for backend in autotune._candidates(PLAIN, CPU, Precision.AUTO)}

    monkeypatch.setattr(autotune, "_has_bfloat16", lambda device: False)
    assert precisions() == {Precision.FLOAT32}
    monkeypatch.setattr(autotune, "_has_bfloat16", lambda device: True)
    assert precisions() == {Precision.FLOAT32, Precision.BFLOAT16}


@pytest.fixture(name="tries")
def _tries(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    asked_for: list[Asked] = []

    def tuned(weights: object, device: torch.device, asked: Asked, between: object) -> Backend:
        asked_for.append(asked)
        return HALF

    monkeypatch.setattr(autotune, "_tuned", tuned)
    return asked_for


def test_what_autotuning_found_is_remembered(tmp_path: Path, tries: list[Asked]) -> None:
    found = [choose({}, CPU, Asked(), tmp_path) for _ in range(2)]
    assert found == [HALF, HALF]
    assert len(tries) == 1


def test_of_engines_that_start_together_one_tunes(tmp_path: Path, tries: list[Asked]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = [pool.submit(choose, {}, CPU, Asked(), tmp_path) for _ in range(4)]
    assert [each.result() for each in found] == [HALF] * 4
    assert len(tries) == 1


def test_another_wish_is_tuned_anew(tmp_path: Path, tries: list[Asked]) -> None:
    choose({}, CPU, Asked(), tmp_path)
    choose({}, CPU, Asked(precision=Precision.FLOAT32), tmp_path)
    choose({}, CPU, Asked(), tmp_path)
    assert len(tries) == 2


@pytest.mark.parametrize("text", ["", "[]", "null", "{{{"])
def test_a_damaged_memory_is_made_anew(tmp_path: Path, tries: list[Asked], text: str) -> None:
    (tmp_path / autotune.FILE).write_text(text)
    assert choose({}, CPU, Asked(), tmp_path) == choose({}, CPU, Asked(), tmp_path) == HALF
    assert len(tries) == 1


@pytest.mark.parametrize("value", [1, {"precision": "float17"}, {"speed": 9}, None], ids=str)
def test_an_outcome_of_another_version_is_tuned_again(
    tmp_path: Path, tries: list[Asked], value: object
) -> None:
    choose({}, CPU, Asked(), tmp_path)
    kept = json.loads((tmp_path / autotune.FILE).read_text())
    (tmp_path / autotune.FILE).write_text(json.dumps(dict.fromkeys(kept, value)))
    assert choose({}, CPU, Asked(), tmp_path) == HALF
    assert len(tries) == 2


def test_a_memory_that_cannot_be_written_costs_no_start(tmp_path: Path, tries: list[Asked]) -> None:
    (tmp_path / "file").write_text("no folder")
    assert choose({}, CPU, Asked(), tmp_path / "file" / "below") == HALF


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.BFLOAT16])
def test_the_config_forces_a_precision(tmp_path: Path, precision: Precision) -> None:
    assert choose(load_original(), CPU, Asked(precision=precision), tmp_path).precision is precision


@pytest.mark.parametrize("backend", [WINOGRAD, HALF], ids=["winograd", "bfloat16"])
def test_every_backend_has_the_gradient_of_the_plain_one(backend: Backend) -> None:
    weights = load_original()
    plain, other = (step_of(weights, CPU, (64, 96), each)() for each in (PLAIN, backend))
    assert functional.cosine_similarity(plain, other, dim=0) > 0.98


def test_bfloat16_paints_what_float32_paints() -> None:
    weights = load_original()
    rough = np.random.default_rng(0).random((6, 8, 3), dtype=np.float32)
    photo = np.kron(rough, np.ones((8, 8, 1), np.float32))
    settings = resolve({"steps": 8, "pyramid": 32, "content_weight": 2.0})
    exact, half = (
        Painter(backend.trunk(weights), CPU).paint(
            photo,
            [StyleSource(photo[::-1].copy(), 1.0, "0" * 64)],
            settings,
            size=(64, 48),
            on_progress=lambda _: None,
            should_stop=lambda: False,
        )
        for backend in (PLAIN, HALF)
    )
    assert 0 < np.abs(exact - half).mean() < 0.03


def test_a_larger_picture_is_painted_whole_in_bfloat16() -> None:
    weights = load_original()
    budgets = [
        Painter(backend.trunk(weights), CPU)._budget(resolve({"optimizer": "adam"}), 2 * 2**30, 0)
        for backend in (PLAIN, HALF)
    ]
    assert 1.4 < budgets[1].whole_pixels / budgets[0].whole_pixels < 2.0


def test_another_number_of_threads_is_tuned_anew(
    tmp_path: Path, tries: list[Asked], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose({}, CPU, Asked(), tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    choose({}, CPU, Asked(), tmp_path)
    assert len(tries) == 2


def test_onednn_is_taken_only_where_it_does_not_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autotune, "_seconds", lambda step, **_: 1.0)
    assert not autotune._is_onednn_faster()
    before = torch.get_float32_matmul_precision()
    times = iter((3.0, 1.0))
    monkeypatch.setattr(autotune, "_seconds", lambda step, **_: next(times))
    monkeypatch.setattr(autotune, "MOST_PRODUCT_ERROR", -1.0)
    assert not autotune._is_onednn_faster()
    assert torch.get_float32_matmul_precision() == before


def test_the_choice_becomes_the_networks(tmp_path: Path) -> None:
    trunk = HALF.trunk(load_original())
    features = trunk(torch.rand(1, 3, 16, 16), ("relu1_1", "relu2_1"))
    assert features["relu1_1"].dtype is torch.bfloat16
    assert features["relu2_1"].dtype is torch.bfloat16
    assert not replace(HALF, winograd=False).trunk(load_original()).use_winograd
