"""The first painting of an install begins at once, and chooses the backend as it goes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nst_daemon.config import Graphs, Precision
from nst_daemon.config.recipe import Optimizer
from nst_daemon.engine import autotune
from nst_daemon.engine import trial as trial_module
from nst_daemon.engine.autotune import TURNS, Asked, Backend, remember, remembered
from nst_daemon.engine.descent import Losses
from nst_daemon.engine.schedule import Scale
from nst_daemon.engine.settings import EngineSettings
from nst_daemon.engine.studio import Studio
from nst_daemon.engine.trial import LIKELY_SHARE, MOST_PIXELS, STEPS_BEFORE, Outcome, Stage, Trial, _Turns
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import load_original
from nst_daemon.errors import CancelledError

Picture = NDArray[np.float32]

CPU = torch.device("cpu")
PLAIN, WINOGRAD, HALF = Backend(), Backend(winograd=True), Backend(precision=Precision.BFLOAT16)
NAMES = {PLAIN: "plain", WINOGRAD: "winograd", HALF: "half"}
EAST, NORTH = (1.0, 0.0), (0.0, 1.0)
NOTHING = torch.zeros(1)


class Played:
    """Losses by backends that take so many seconds, and have such a gradient; told which one had a step."""

    def __init__(self) -> None:
        self.now = 0.0
        self.seconds = {"plain": 3.0, "winograd": 2.0, "half": 1.0}
        self.gradients = dict.fromkeys(NAMES.values(), EAST)
        self.breaks_at: dict[str, int] = {}  # the call, from 1
        self.total = dict.fromkeys(NAMES.values(), 1.0)
        self.calls: list[str] = []
        self.chosen: list[Backend] = []

    def losses_by(self, backend: Backend) -> Losses:
        name = NAMES[backend]

        def losses(picture: Tensor) -> Outcome:
            self.calls.append(name)
            self.now += self.seconds[name]
            if self.calls.count(name) == self.breaks_at.get(name):
                raise RuntimeError("no kernel for it")
            number = float(list(NAMES.values()).index(name))
            return torch.tensor([self.total[name], number, 0.0, 0.0]), torch.tensor(self.gradients[name])

        return losses

    def decide(self, backend: Backend, seconds: float) -> Losses:
        self.chosen.append(backend)
        return self.losses_by(backend)

    def steps(self, count: int) -> list[str]:
        """Take steps, and return by whom the result of each was."""
        turns = _Turns([PLAIN, WINOGRAD, HALF], self.losses_by, self.decide, lambda: self.now)
        return [list(NAMES.values())[int(turns(NOTHING)[0][1])] for _ in range(count)]


@pytest.fixture
def played() -> Played:
    return Played()


def test_the_fastest_backend_has_the_steps_behind_the_trial(played: Played) -> None:
    by = played.steps(20)
    assert by[:4] == ["plain"] * 4
    assert by[4:8] == ["plain", *["winograd"] * 3]  # first beside the plain one, whose step it is
    assert by[8:12] == ["plain", *["half"] * 3]
    assert by[12:] == ["half"] * 8
    assert played.chosen == [HALF]


def test_no_more_is_computed_than_a_comparison_a_candidate(played: Played) -> None:
    played.steps(20)
    assert len(played.calls) == 20 + 2


def test_a_gain_within_the_noise_leaves_the_plain_backend(played: Played) -> None:
    played.seconds = {"plain": 1.0, "winograd": 0.95, "half": 0.95}
    assert played.steps(14)[-1] == "plain"
    assert played.chosen == [PLAIN]


def test_a_backend_whose_gradient_points_elsewhere_gets_no_step(played: Played) -> None:
    played.gradients["half"] = NORTH
    played.gradients["winograd"] = (float("nan"), 0.0)
    assert set(played.steps(14)) == {"plain"}
    assert played.chosen == [PLAIN]


@pytest.mark.parametrize("call", [1, 2, 3, 4])
def test_a_backend_that_breaks_is_out_and_costs_no_step(played: Played, call: int) -> None:
    played.breaks_at["half"] = call
    by = played.steps(14)
    assert len(by) == 14
    assert by.count("half") == max(0, call - 2)
    assert played.chosen == [WINOGRAD]


def test_a_backend_that_loses_its_numbers_gets_no_step(played: Played) -> None:
    played.total["half"] = float("nan")
    assert "half" not in played.steps(14)
    assert played.chosen == [WINOGRAD]


def test_a_backend_far_behind_gets_one_step(played: Played) -> None:
    played.seconds["winograd"] = 100.0
    assert played.steps(14).count("winograd") == 1
    assert played.chosen == [HALF]


def test_a_loss_that_blows_up_by_the_plain_backend_is_the_descents_to_mend(played: Played) -> None:
    played.total["plain"] = float("inf")
    assert played.steps(4) == ["plain"] * 4


# ── what a painting makes of it ─────────────────────────────────────────────────────────────────────────


@pytest.fixture
def candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be the same candidates on every machine."""
    monkeypatch.setattr(autotune, "_is_onednn_faster", lambda: False)
    monkeypatch.setattr(autotune, "_has_bfloat16", lambda device: True)


class Scene:
    """A painter that notes what it is told to use."""

    def __init__(self) -> None:
        self.played = Played()
        self.used: list[Trunk] = []
        self.decisions = 0
        self.stops = False

    def stage(self, width: int = 181, height: int = 136, steps: int = 77, *, is_whole: bool = True) -> Stage:
        return Stage(
            scale=Scale(1, width, height, steps, Optimizer.ADAM, 0.0, 1.0),
            steps=steps,
            is_whole=is_whole,
            own=lambda: self.played.losses_by(PLAIN),
            by=lambda trunk, captures: self.played.losses_by(WINOGRAD if trunk.use_winograd else HALF),
            use=lambda trunk, captures: self.used.append(trunk),
            decided=self.decide,
            should_stop=lambda: self.stops,
        )

    def decide(self) -> None:
        self.decisions += 1


def _take(losses: Losses, steps: int) -> None:
    for _ in range(steps):
        losses(NOTHING)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def trial(tmp_path: Path, scene: Scene, candidates: None) -> Trial:
    return Trial(load_original(), CPU, Asked(), tmp_path, clock=lambda: scene.played.now)


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note what is tried at noise, where bfloat16 is the fastest."""
    tried: list[str] = []

    def fastest(candidates: list[Backend], step_of: Callable[[Backend], object]) -> Backend:
        for each in candidates:
            step_of(each)
        return HALF

    def step_of(weights: object, device: torch.device, size: object, backend: Backend) -> object:
        tried.append(NAMES[backend])
        return None

    monkeypatch.setattr(autotune, "fastest", fastest)
    monkeypatch.setattr(autotune, "step_of", step_of)
    return tried


def test_an_install_that_remembers_nothing_starts_without_a_trial(
    tmp_path: Path, candidates: None, aside: list[str]
) -> None:
    studio = Studio(EngineSettings(device="cpu", cache_dir=tmp_path))
    assert (studio.trial.backend, studio.precision, aside) == (PLAIN, "", [])
    assert not (tmp_path / autotune.FILE).exists()


def test_what_was_chosen_within_a_painting_is_remembered(trial: Trial, scene: Scene, tmp_path: Path) -> None:
    losses = trial.losses(scene.stage())
    _take(losses, 12)
    assert (trial.is_over, scene.decisions) == (False, 0)
    _take(losses, 1)
    assert (trial.is_over, trial.backend, scene.decisions) == (True, HALF, 1)
    assert [trunk.precision for trunk in scene.used] == [torch.bfloat16]
    assert remembered(CPU, Asked(), tmp_path) == HALF
    next_day = Trial(load_original(), CPU, Asked(), tmp_path)
    assert (next_day.is_over, next_day.backend) == (True, HALF)


def test_where_the_plain_backend_is_the_fastest_the_painter_keeps_it(
    trial: Trial, scene: Scene, tmp_path: Path
) -> None:
    scene.played.seconds["plain"] = 0.5
    _take(trial.losses(scene.stage()), 13)
    assert (trial.is_over, scene.used, scene.decisions) == (True, [], 1)
    assert remembered(CPU, Asked(), tmp_path) == PLAIN


def test_a_trial_that_is_interrupted_begins_again(trial: Trial, scene: Scene, tmp_path: Path) -> None:
    _take(trial.losses(scene.stage()), 8)
    assert remembered(CPU, Asked(), tmp_path) is None
    assert not trial.is_over
    _take(trial.losses(scene.stage()), 13)
    assert remembered(CPU, Asked(), tmp_path) == HALF


def test_what_another_engine_chose_meanwhile_is_taken(trial: Trial, scene: Scene, tmp_path: Path) -> None:
    remember(WINOGRAD, CPU, Asked(), tmp_path)
    trial.losses(scene.stage())
    assert (trial.is_over, trial.backend) == (True, WINOGRAD)
    assert [trunk.use_winograd for trunk in scene.used] == [True]


def test_of_two_engines_that_try_at_once_the_first_to_end_decides(
    trial: Trial, scene: Scene, tmp_path: Path
) -> None:
    losses = trial.losses(scene.stage())
    _take(losses, 12)
    remember(WINOGRAD, CPU, Asked(), tmp_path)
    _take(losses, 1)
    assert trial.backend == remembered(CPU, Asked(), tmp_path) == WINOGRAD


@pytest.mark.parametrize(
    ("asked", "backend", "is_over"),
    [
        (Asked(precision=Precision.BFLOAT16), HALF, True),
        (Asked(precision=Precision.FLOAT32), PLAIN, False),  # Winograd is still to be tried
        (Asked(graphs=Graphs.OFF), PLAIN, False),
    ],
    ids=["bfloat16", "float32", "no graphs"],
)
def test_what_the_config_asks_for_holds_from_the_first_step(
    tmp_path: Path, candidates: None, asked: Asked, backend: Backend, is_over: bool
) -> None:
    trial = Trial(load_original(), CPU, asked, tmp_path)
    assert (trial.backend, trial.is_over) == (backend, is_over)
    assert remembered(CPU, asked, tmp_path) == (backend if is_over else None)


def test_a_forced_float32_never_tries_bfloat16(tmp_path: Path, candidates: None, scene: Scene) -> None:
    asked = Asked(precision=Precision.FLOAT32)
    trial = Trial(load_original(), CPU, asked, tmp_path, clock=lambda: scene.played.now)
    _take(trial.losses(scene.stage()), 13)
    assert "half" not in scene.played.calls
    assert remembered(CPU, asked, tmp_path) == WINOGRAD


@pytest.mark.parametrize(
    "size",
    [(64, 48, 77), (181, 136, 3 * (TURNS + 1)), (1024, 768, 2)],
    ids=["small", "short", "large and short"],
)
def test_a_scale_that_is_no_measure_waits_for_the_next(
    trial: Trial, scene: Scene, aside: list[str], size: tuple[int, int, int]
) -> None:
    stage = scene.stage(*size)
    _take(trial.losses(stage), stage.steps)
    assert (trial.is_over, aside, set(scene.played.calls)) == (False, [], {"plain"})


@pytest.mark.parametrize(
    ("width", "height", "is_whole"),
    [(1024, 768, True), (181, 136, False), (128, 96, True)],
    ids=["classic", "in tiles", "one small scale of many steps"],
)
def test_where_no_small_scale_leads_up_the_trial_is_at_noise_once_the_painting_has_begun(
    trial: Trial, scene: Scene, aside: list[str], width: int, height: int, is_whole: bool, tmp_path: Path
) -> None:
    losses = trial.losses(scene.stage(width, height, 300, is_whole=is_whole))
    _take(losses, STEPS_BEFORE)
    assert (trial.is_over, aside) == (False, [])
    _take(losses, 1)
    assert (trial.is_over, aside) == (True, ["plain", "winograd", "half"])
    assert [trunk.precision for trunk in scene.used] == [torch.bfloat16]
    assert remembered(CPU, Asked(), tmp_path) == HALF


def test_a_trial_at_noise_ends_between_two_candidates(trial: Trial, scene: Scene, aside: list[str]) -> None:
    losses = trial.losses(scene.stage(1024, 768))
    _take(losses, STEPS_BEFORE)
    scene.stops = True
    with pytest.raises(CancelledError):
        _take(losses, 1)
    assert (trial.is_over, aside) == (False, [])


def test_a_trial_that_finds_no_memory_costs_the_trial_alone(
    trial: Trial, scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: object) -> Backend:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(autotune, "fastest", none_left)
    _take(trial.losses(scene.stage(1024, 768)), 5)
    assert not trial.is_over
    assert scene.played.calls == ["plain"] * 5


@pytest.mark.parametrize(
    ("scales", "is_likely"),
    [
        ([(64, 48, 77), (181, 136, 77)], True),
        ([(64, 48, 77)], False),
        ([(64, 48, 77), (1024, 768, 300)], True),
    ],
    ids=["a trial to come", "none", "one at noise"],
)
def test_the_time_left_counts_on_the_trial_where_one_is_to_come(
    trial: Trial, scene: Scene, scales: list[tuple[int, int, int]], is_likely: bool
) -> None:
    to_come = [(scene.stage(*each).scale, True) for each in scales]
    assert trial.outlook(to_come) == (LIKELY_SHARE if is_likely else 1.0)
    _take(trial.losses(scene.stage()), 13)
    assert (trial.is_over, trial.outlook(to_come)) == (True, 1.0)


def test_the_size_of_the_trial_lies_between_two_scales() -> None:
    assert trial_module.LEAST_PIXELS <= autotune.SIZE[0] * autotune.SIZE[1] <= MOST_PIXELS
    assert MOST_PIXELS >= 2 * trial_module.LEAST_PIXELS  # each scale has twice the pixels of the one before
