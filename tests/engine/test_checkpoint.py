"""A painting that was stopped goes on as if it had not been."""

import errno
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.faults import Faults, under
from support.painting import Picture, keep_every_step, painted_until

from nst_daemon.config.orders import Progress
from nst_daemon.config.recipe import resolve
from nst_daemon.engine import child
from nst_daemon.engine import descent as descent_module
from nst_daemon.engine.budget import FIXED_BYTES
from nst_daemon.engine.checkpoint import EVERY_SECONDS, Checkpoint, State
from nst_daemon.engine.messages import Alive
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.vgg import Trunk

SIZE = (64, 48)
SMALL: dict[str, object] = {"size": 48, "pyramid": 24}  # for SMALL_SIZE; as many scales
SMALL_SIZE = (48, 36)
TINY_MEMORY = FIXED_BYTES  # nothing is left for a whole picture: painted in tiles
STATE = State(scale=2, seconds=7.5, memory=None, numbers={"step": 3}, tensors={"variable": torch.ones(2)})


def _noise(seed: int, *shape: int) -> Picture:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def painter(trunk: Trunk) -> Painter:
    return Painter(trunk, torch.device("cpu"))


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    keep_every_step(monkeypatch)


def _paint(
    painter: Painter,
    settings: dict[str, object],
    *,
    checkpoint: Checkpoint | None = None,
    stop_after: int | None = None,
    memory: int | None = None,
    size: tuple[int, int] = SIZE,
) -> tuple[Picture, list[Progress]]:
    """Paint a small picture; an empty one where it was stopped after so many steps."""
    return painted_until(
        stop_after,
        painter,
        _noise(0, size[1], size[0], 3),
        [StyleSource(_noise(1, 80, 80, 3), 1.0, "noise")],
        resolve({"steps": 12, "pyramid": 32, **settings}),
        size=size,
        seen=checkpoint.history if checkpoint else [],
        memory=memory,
        checkpoint=checkpoint,
    )


Whole = Callable[..., tuple[Picture, list[Progress]]]


@pytest.fixture(scope="module")
def whole_of(painter: Painter) -> Whole:
    """Return what paints without a stop, and each painting once."""
    known: dict[str, tuple[Picture, list[Progress]]] = {}

    def whole(settings: dict[str, object], **how: Any) -> tuple[Picture, list[Progress]]:
        key = repr((settings, how))
        if key not in known:
            known[key] = _paint(painter, settings, **how)
        return known[key]

    return whole


@pytest.mark.parametrize("stop_after", [1, 4, 7, 11])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "adam", "averaging": 0.0},
        {"optimizer": "lbfgs", "averaging": 0.0},
        {"preset": "classic", "steps": 12},
        {"init": "noise", "seed": 3},
    ],
    ids=str,
)
@pytest.mark.usefixtures("eager")
def test_a_painting_that_goes_on_ends_in_the_same_bytes(
    painter: Painter, whole_of: Whole, tmp_path: Path, settings: dict[str, object], stop_after: int
) -> None:
    settings = SMALL | settings
    whole, curve = whole_of(settings, size=SMALL_SIZE)
    path = tmp_path / "a.checkpoint"
    stopped, _ = _paint(
        painter, settings, checkpoint=Checkpoint(path, "key"), stop_after=stop_after, size=SMALL_SIZE
    )
    assert stopped.size == 0
    assert whole.shape == (36, 48, 3)
    gone_on, resumed_curve = _paint(painter, settings, checkpoint=Checkpoint(path, "key"), size=SMALL_SIZE)
    assert np.array_equal(gone_on, whole)
    curves = [[(each.step, each.losses) for each in each_curve] for each_curve in (curve, resumed_curve)]
    assert curves[0] == curves[1]


@pytest.mark.usefixtures("eager")
def test_no_step_is_taken_twice(painter: Painter, tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key")
    _paint(painter, {}, checkpoint=checkpoint, stop_after=9)
    steps = [each.step for each in _paint(painter, {}, checkpoint=Checkpoint(checkpoint.path, "key"))[1]]
    assert steps == list(range(1, 27))  # of scales of 12, 8 and 6 steps


@pytest.mark.usefixtures("eager")
def test_a_painting_in_tiles_goes_on_in_the_tiles_it_began_with(
    painter: Painter, whole_of: Whole, tmp_path: Path
) -> None:
    whole, _ = whole_of({}, memory=TINY_MEMORY)
    path = tmp_path / "a.checkpoint"
    _paint(painter, {}, checkpoint=Checkpoint(path, "key"), stop_after=10, memory=TINY_MEMORY)
    gone_on, _ = _paint(painter, {}, checkpoint=Checkpoint(path, "key"), memory=100 * TINY_MEMORY)
    assert np.array_equal(gone_on, whole)


@pytest.mark.usefixtures("eager")
def test_with_less_memory_than_before_it_begins_anew_where_its_plan_is_another(
    painter: Painter, whole_of: Whole, tmp_path: Path
) -> None:
    path = tmp_path / "a.checkpoint"
    _paint(painter, {}, checkpoint=Checkpoint(path, "key"), stop_after=4, memory=None)
    whole, _ = whole_of({}, memory=TINY_MEMORY)  # L-BFGS does not fit: other scales
    begun_anew, _ = _paint(painter, {}, checkpoint=Checkpoint(path, "key"), memory=TINY_MEMORY)
    assert np.array_equal(begun_anew, whole)


@pytest.mark.usefixtures("eager")
def test_a_loss_that_blew_up_before_the_stop_is_remembered(
    painter: Painter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, object] = {"optimizer": "adam", "averaging": 0.0, "pyramid": 0}
    step = descent_module.Descent._step
    calls: list[int] = []

    def fail_once(self: descent_module.Descent) -> torch.Tensor:
        calls.append(1)
        losses = step(self)
        return losses * float("nan") if len(calls) == 3 else losses

    def fresh() -> None:
        calls.clear()
        monkeypatch.setattr(descent_module.Descent, "_step", fail_once)

    fresh()
    whole, _ = _paint(painter, settings)
    fresh()
    path = tmp_path / "a.checkpoint"
    _paint(painter, settings, checkpoint=Checkpoint(path, "key"), stop_after=7)
    gone_on, _ = _paint(painter, settings, checkpoint=Checkpoint(path, "key"))
    assert np.array_equal(gone_on, whole)


@pytest.mark.usefixtures("eager")
def test_the_names_within_a_checkpoint_are_those_that_earlier_versions_wrote(
    painter: Painter, tmp_path: Path
) -> None:
    path = tmp_path / "a.checkpoint"
    _paint(painter, {"optimizer": "adam"}, checkpoint=Checkpoint(path, "key"), stop_after=4)
    state = torch.load(path, weights_only=True)["state"]
    assert set(state) == {"scale", "seconds", "memory", "numbers", "tensors"}
    numbers = {"caution", "step", "good", "tries", "weight", "mark.0", "mark.1"}
    assert set(state["numbers"]) == numbers | {"entry"}  # which those versions leave alone
    moments = {"optimiser.mean", "optimiser.square", "optimiser.steps"}
    assert set(state["tensors"]) == {"variable", "average", "mark.0", "mark.1", *moments}


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "deep" / "a.checkpoint", "key")
    checkpoint.save(STATE)
    found = Checkpoint(checkpoint.path, "key").load(torch.device("cpu"))
    assert found is not None
    assert (found.scale, found.seconds, found.memory, found.numbers) == (2, 7.5, None, {"step": 3})
    assert torch.equal(found.tensors["variable"], torch.ones(2))
    assert [path.name for path in checkpoint.path.parent.iterdir()] == ["a.checkpoint"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes()[:100]),
        lambda path: path.write_bytes(b"not a checkpoint at all"),
        lambda path: torch.save({"format": 1}, path),
        lambda path: torch.save([1, 2], path),
        lambda path: torch.save({"format": 0, "key": "key"}, path),
    ],
    ids=["gone", "empty", "cut", "garbage", "incomplete", "list", "old"],
)
def test_a_checkpoint_that_cannot_be_read_is_as_none(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key")
    checkpoint.save(STATE)
    spoil(checkpoint.path)
    assert checkpoint.load(torch.device("cpu")) is None


def test_another_jobs_checkpoint_is_as_none(tmp_path: Path) -> None:
    Checkpoint(tmp_path / "a.checkpoint", "another").save(STATE)
    assert Checkpoint(tmp_path / "a.checkpoint", "key").load(torch.device("cpu")) is None


def test_a_disk_that_is_full_costs_the_checkpoint_and_not_the_painting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key")
    checkpoint.save(STATE)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", refuse)
    checkpoint.save(STATE)
    assert "No space left" in caplog.text
    monkeypatch.undo()
    assert Checkpoint(checkpoint.path, "key").load(torch.device("cpu")) is not None  # the one before


def test_checkpoints_are_written_seldom(tmp_path: Path) -> None:
    now = [0.0]
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key", clock=lambda: now[0])
    assert not checkpoint.is_due()
    now[0] = EVERY_SECONDS - 1
    assert not checkpoint.is_due()
    assert checkpoint.is_due(is_last=True)  # a stop is worth more than the rhythm
    now[0] = EVERY_SECONDS
    assert checkpoint.is_due()
    checkpoint.save(STATE)
    assert not checkpoint.is_due()
    now[0] += 1
    assert not checkpoint.is_due(is_last=True)


def test_a_checkpoint_that_takes_long_is_written_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    def slowly(*_: object) -> None:
        now[0] += 6.0

    monkeypatch.setattr(torch, "save", slowly)
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key", clock=lambda: now[0])
    checkpoint.save(STATE)
    now[0] += EVERY_SECONDS
    assert not checkpoint.is_due()
    now[0] += 3 * EVERY_SECONDS
    assert checkpoint.is_due()


@pytest.mark.usefixtures("eager")
def test_a_painting_stopped_between_two_tiles_goes_on_from_its_last_step(
    painter: Painter, whole_of: Whole, tmp_path: Path
) -> None:
    whole, _ = whole_of({}, memory=TINY_MEMORY)
    path = tmp_path / "a.checkpoint"
    stopped, seen = _paint(painter, {}, checkpoint=Checkpoint(path, "key"), stop_after=31, memory=TINY_MEMORY)
    assert stopped.size == 0
    gone_on, _ = _paint(painter, {}, checkpoint=Checkpoint(path, "key"), memory=TINY_MEMORY)
    assert np.array_equal(gone_on, whole)
    assert 0 < len(seen) < 12  # tiles were asked as well as steps


def test_an_engine_in_a_long_step_says_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = multiprocessing.Pipe()
    parent = child.ParentLink(theirs)
    assert not parent.should_stop()
    assert not ours.poll()
    monkeypatch.setattr(child, "ALIVE_SECONDS", -1.0)
    assert not parent.should_stop()
    assert isinstance(ours.recv(), Alive)
    ours.close()
    theirs.close()


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES, errno.ENOSPC])
@pytest.mark.parametrize("call", ["open", "read", "write", "fsync", "replace", "unlink", "lstat", "mkdir"])
def test_a_disk_that_does_not_answer_costs_the_spare_wheel_and_no_painting(
    tmp_path: Path, faults: Faults, call: str, number: int
) -> None:
    faults.fail_for_ever(call, number=number, at=under(tmp_path))
    checkpoint = Checkpoint(tmp_path / "state" / "a.checkpoint", "key")
    checkpoint.save(STATE)
    checkpoint.load(torch.device("cpu"))
    checkpoint.drop()
    faults.heal()
    checkpoint.save(STATE)
    found = checkpoint.load(torch.device("cpu"))
    assert found is not None
    assert found.numbers == STATE.numbers


def test_a_device_that_has_no_memory_for_it_does_not_cost_the_painting_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key")
    checkpoint.save(STATE)

    def none_left(*_: object) -> torch.Tensor:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "to", none_left)
    with pytest.raises(torch.OutOfMemoryError):
        checkpoint.load(torch.device("cpu"))
    monkeypatch.undo()
    assert checkpoint.load(torch.device("cpu")) is not None
