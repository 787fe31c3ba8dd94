"""How this device computes the network fastest: tried out at the first start, then remembered.

Processors differ by factors. Many of those made since 2022 multiply bfloat16 twice as fast as float32, or
faster, and older ones many times slower; Winograd's convolutions gain where products of matrices are fast
beside PyTorch's own convolutions. So a few steps are taken in each way that there is, and the fastest stays, if its
gradient points where that of the plain way points.

The choice is written down, because the same photo is to give the same bytes tomorrow.
"""

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon.config import Precision
from nst_daemon.engine import devices
from nst_daemon.engine.losses import gram
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import Weights
from nst_daemon.files import written_whole

logger = logging.getLogger(__name__)

FILE: Final = "arithmetic.json"
LAYERS: Final = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1")
SIZE: Final = (
    144,
    192,
)  # px of the picture that is tried on a CPU; smaller ones favour what a painting does not need
SIZE_ON_ACCELERATOR: Final = (384, 512)
TURNS: Final = 3  # the fastest counts
LEAST_GAIN: Final = 1.1  # times as fast, to leave the plain way
LEAST_COSINE: Final = 0.95  # between the gradients; bfloat16 has 0.99
LEAST_PRODUCT_ERROR: Final = 1e-5  # relative; float32 has 1e-6, bfloat16 1e-3
PRODUCT_SIDE: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Arithmetic:
    """How the network is computed."""

    precision: Precision = Precision.FLOAT32  # of the convolutions
    winograd: bool = False  # on the CPU, in float32
    onednn: bool = False  # float32 products of matrices by oneDNN, which MKL leaves behind on some processors

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "precision", Precision(self.precision)
        )  # plain text comes back from the file

    def trunk(self, weights: Weights) -> Trunk:
        """Return the network so computed."""
        return Trunk(weights, precision=DTYPES[self.precision], use_winograd=self.winograd)

    def apply(self) -> None:
        """Set what torch keeps for the whole process."""
        # "medium" lets oneDNN in, and would let it round; `_is_onednn_faster` saw that here it does not.
        torch.set_float32_matmul_precision("medium" if self.onednn else "highest")


DTYPES: Final[Mapping[Precision, torch.dtype]] = {
    Precision.FLOAT32: torch.float32,
    Precision.BFLOAT16: torch.bfloat16,
}


def choose(weights: Weights, device: torch.device, asked: Precision, folder: Path) -> Arithmetic:
    """Return the fastest way on this device, of those that the config allows; remembered in `folder`."""
    key = " ".join((devices.identify(device), f"torch {torch.__version__}", f"asked for {asked}"))
    kept = _read(folder / FILE)
    try:
        return Arithmetic(**kept[key])
    except (KeyError, TypeError, ValueError):
        found = _tried(weights, device, asked)
    _write(folder / FILE, {**kept, key: asdict(found)})
    return found


def _tried(weights: Weights, device: torch.device, asked: Precision) -> Arithmetic:
    onednn = device.type == "cpu" and _is_onednn_faster()
    before = Arithmetic(onednn=onednn)
    before.apply()
    began = time.perf_counter()
    best = fastest(_ways(device, asked, onednn), lambda way: _Step(way.trunk(weights), device))
    logger.info("%s: chose %s in %.1f s", device, asdict(best), time.perf_counter() - began)
    return best


def _ways(device: torch.device, asked: Precision, onednn: bool) -> list[Arithmetic]:
    """Return what is to be tried, the plain way first."""
    ways = [Arithmetic(onednn=onednn)]
    if device.type == "cpu":
        ways.append(Arithmetic(winograd=True, onednn=onednn))
    half = Arithmetic(precision=Precision.BFLOAT16, onednn=onednn)
    if asked is Precision.BFLOAT16:
        return [half]
    return ways if asked is Precision.FLOAT32 else [*ways, half]


def fastest(ways: Iterable[Arithmetic], step_of: Callable[[Arithmetic], Callable[[], Tensor]]) -> Arithmetic:
    """Return the way whose step is fastest; the first is what the others are held against.

    A way that breaks, or whose gradient points elsewhere, is out.
    """
    plain, *others = ways
    if not others:
        return plain
    step = step_of(plain)
    wanted, best, least = step(), plain, _seconds(step) / LEAST_GAIN
    for way in others:
        try:
            step = step_of(way)
            is_right = functional.cosine_similarity(step(), wanted, dim=0) > LEAST_COSINE
            seconds = _seconds(step)
        except RuntimeError as error:  # a device may have no kernels for it
            logger.info("%s does not work here: %s", asdict(way), error)
            continue
        logger.info("%s: %.3f s a step", asdict(way), seconds)
        if is_right and seconds < least:
            best, least = way, seconds
    return best


class _Step:
    """The gradient of a loss through all layers in use, at noise."""

    def __init__(self, trunk: Trunk, device: torch.device) -> None:
        self.trunk = trunk.to(device)
        size = SIZE if device.type == "cpu" else SIZE_ON_ACCELERATOR
        noise = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
        self.picture = noise.to(device).requires_grad_()

    def __call__(self) -> Tensor:
        """Return the gradient, flat, on the CPU: so the device is waited for."""
        with torch.enable_grad():
            features = self.trunk(self.picture, LAYERS)
            losses = [
                (grams := gram(maps)).square().sum() / grams.detach().square().sum()
                for maps in features.values()
            ]
            (gradient,) = torch.autograd.grad(torch.stack(losses).sum(), self.picture)
        return gradient.flatten().cpu()


def _seconds(step: Callable[[], Any]) -> float:
    """Return the least time of a few turns."""
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
    return min(times)


def _is_onednn_faster() -> bool:
    """Whether oneDNN multiplies float32 matrices faster than the default, and as exactly."""
    one = torch.rand(PRODUCT_SIDE, PRODUCT_SIDE, generator=torch.Generator().manual_seed(0))
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        exact, plain = one @ one, _seconds(lambda: one @ one)
        torch.set_float32_matmul_precision("medium")
        error = float(((one @ one) - exact).abs().max() / exact.abs().max())
        return error < LEAST_PRODUCT_ERROR and _seconds(lambda: one @ one) * LEAST_GAIN < plain
    finally:
        torch.set_float32_matmul_precision(before)


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_whole(path) as file:
            file.write(json.dumps(kept, indent=1).encode())
    except OSError as error:
        logger.info("the trial's outcome was not kept: %s", error)
