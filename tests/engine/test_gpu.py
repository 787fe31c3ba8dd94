"""The engine on an accelerator; and the same checks on the CPU, so that they are tried out everywhere."""

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nst_daemon.config.recipe import Pooling, StyleLoss, resolve
from nst_daemon.engine import budget, devices
from nst_daemon.engine.autotune import Asked, choose, step_of
from nst_daemon.engine.checkpoint import Checkpoint, State
from nst_daemon.engine.cuda_graphs import Captured
from nst_daemon.engine.descent import Descent
from nst_daemon.engine.losses import StyleTarget, WholeLosses, gram, style_target
from nst_daemon.engine.painter import Painter
from nst_daemon.engine.regions import StyleSource
from nst_daemon.engine.schedule import pyramid_of
from nst_daemon.engine.targets import Targets
from nst_daemon.engine.tiles import TiledLosses
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.wasserstein import WassersteinTarget, by_eigenvalues
from nst_daemon.engine.weights import load_original

Picture = NDArray[np.float32]

STYLE = "0" * 64  # a sha256
FEW: dict[str, object] = {"steps": 6, "pyramid": 32, "content_weight": 2.0}
has_accelerator = torch.accelerator.is_available()
on_accelerators = [pytest.mark.gpu, pytest.mark.skipif(not has_accelerator, reason="no accelerator here")]


@pytest.fixture(
    scope="module", params=["cpu", pytest.param("accelerator", marks=on_accelerators)], name="device"
)
def _device(request: pytest.FixtureRequest) -> torch.device:
    return devices.choose_device("cpu" if request.param == "cpu" else "auto")


@pytest.fixture(scope="module", name="painter")
def _painter(trunk: Trunk, device: torch.device) -> Painter:
    return Painter(copy.deepcopy(trunk), device)


def picture(seed: int, height: int = 48, width: int = 64) -> Picture:
    """Return soft shapes."""
    rough = np.random.default_rng(seed).random((height // 8 + 1, width // 8 + 1, 3), dtype=np.float32)
    return np.ascontiguousarray(np.kron(rough, np.ones((8, 8, 1), np.float32))[:height, :width])


def tensor(seed: int, device: torch.device, height: int = 48, width: int = 64) -> torch.Tensor:
    return torch.from_numpy(picture(seed, height, width)).permute(2, 0, 1)[None].contiguous().to(device)


def paint(painter: Painter, settings: dict[str, object]) -> Picture:
    return painter.paint(
        picture(0),
        [StyleSource(picture(1, 80, 80), 1.0, STYLE)],
        resolve(settings),
        size=(64, 48),
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )


def targets(
    painter: Painter, kind: StyleLoss, device: torch.device
) -> dict[str, list[tuple[None, StyleTarget]]]:
    layers = resolve({}).style_layers
    with torch.no_grad():
        features = painter.trunk(tensor(1, device), layers, Pooling.MAX)
    return {layer: [(None, style_target(gram(features[layer])[0], kind))] for layer in layers}


@pytest.mark.parametrize("kind", list(StyleLoss))
def test_a_device_paints_what_the_cpu_paints(trunk: Trunk, painter: Painter, kind: StyleLoss) -> None:
    on_cpu = paint(Painter(copy.deepcopy(trunk), torch.device("cpu")), {**FEW, "style_loss": kind})
    assert np.abs(paint(painter, {**FEW, "style_loss": kind}) - on_cpu).mean() < 0.02


def test_the_roots_of_a_device_are_those_of_the_eigenvalues(painter: Painter, device: torch.device) -> None:
    for ((_, target),) in targets(painter, StyleLoss.WASSERSTEIN, device).values():
        assert isinstance(target, WassersteinTarget)
        matrix = (target.root @ target.statistics @ target.root)[None]
        on_device = target.loss(target.statistics[None])
        trace, _ = by_eigenvalues(matrix.cpu())
        assert abs(float(on_device)) < 0.1  # Newton and Schulz underrate small directions
        assert float(trace) == pytest.approx(float(target.statistics.trace()), rel=0.01)


def test_tiles_have_the_gradient_of_the_whole_picture(painter: Painter, device: torch.device) -> None:
    recipe = resolve({"style_loss": "whitened"})
    style = targets(painter, StyleLoss.WHITENED, device)
    photo, start = tensor(0, device, 160, 128), tensor(2, device, 160, 128)
    whole = WholeLosses(painter.trunk, photo, style, recipe, content_weight=0.2)(start)
    tiled = TiledLosses(painter.trunk, photo, style, recipe, content_weight=0.2, side=64)(start)
    torch.testing.assert_close(tiled[0], whole[0], rtol=1e-3, atol=0)  # TF32 rounds to ten bits
    assert (tiled[1] - whole[1]).norm() / whole[1].norm() < 1e-2


def test_a_checkpoint_comes_back_to_its_device(tmp_path: Path, device: torch.device) -> None:
    checkpoint = Checkpoint(tmp_path / "a.checkpoint", "key")
    kept = {"variable": torch.ones(2, device=device)}
    checkpoint.save(State(scale=1, seconds=1.0, memory=None, numbers={}, tensors=kept))
    found = checkpoint.load(device)
    assert found is not None
    assert found.tensors["variable"].device.type == device.type


def test_kept_targets_come_back_to_their_device(
    tmp_path: Path, painter: Painter, device: torch.device
) -> None:
    made = {"relu1_1": torch.ones(2, 2, device=device)}
    Targets(painter.trunk, tmp_path).get((STYLE,), device, lambda: made)
    found = Targets(painter.trunk, tmp_path).get((STYLE,), device, dict)
    assert found["relu1_1"].device.type == device.type


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_no_step_waits_for_the_device(painter: Painter, device: torch.device, optimizer: str) -> None:
    recipe = resolve({"steps": 3, "pyramid": 0, "optimizer": optimizer, "averaging": 0.5})
    style = targets(painter, recipe.style_loss, device)
    losses = WholeLosses(painter.trunk, tensor(0, device), style, recipe, content_weight=0.2)
    descent = Descent(losses, recipe, pyramid_of(64, 48, recipe)[0], tensor(2, device))
    descent._step()  # the first one may load kernels
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        values = descent._step()
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert torch.isfinite(values).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_forecast_of_memory_holds_on_cuda(trunk: Trunk) -> None:
    painter = Painter(copy.deepcopy(trunk), torch.device("cuda"))
    recipe = resolve({"steps": 2, "pyramid": 0, "optimizer": "adam"})
    torch.cuda.reset_peak_memory_stats()
    painter.paint(
        picture(0, 768, 1024),
        [StyleSource(picture(1, 512, 512), 1.0, STYLE)],
        recipe,
        size=(1024, 768),
        on_progress=lambda _: None,
        should_stop=lambda: False,
    )
    assert torch.cuda.max_memory_allocated() < budget.bytes_needed(1024, 768, recipe)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_captured_graph_gives_what_the_losses_give(trunk: Trunk) -> None:
    device = torch.device("cuda")
    painter = Painter(copy.deepcopy(trunk), device)
    recipe = resolve({})
    style = targets(painter, recipe.style_loss, device)
    losses = WholeLosses(painter.trunk, tensor(0, device), style, recipe, content_weight=0.2)
    captured = Captured(losses, tensor(2, device))
    for seed in (3, 4):
        wanted, gradient = losses(tensor(seed, device))
        found, our_gradient = captured(tensor(seed, device))
        torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-5)
        assert (our_gradient - gradient).norm() / gradient.norm() < 1e-2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_painting_by_captured_graphs_is_the_painting(trunk: Trunk) -> None:
    device = torch.device("cuda")
    plain, captured = (
        paint(Painter(copy.deepcopy(trunk), device, captures=captures), FEW) for captures in (False, True)
    )
    assert np.abs(plain - captured).mean() < 0.01


def test_autotuning_finds_a_backend(tmp_path: Path, device: torch.device) -> None:
    weights = load_original()
    found = choose(weights, device, Asked(), tmp_path)
    assert choose(weights, device, Asked(), tmp_path) == found
    step = step_of(weights, device, (64, 96), found)
    assert torch.isfinite(step()).all()
