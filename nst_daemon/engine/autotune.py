"""Autotuning: which backend computes the network fastest on this device, found once and remembered.

Processors differ by factors. Many of those made since 2022 multiply bfloat16 twice as fast as float32, or
faster, and older ones many times slower; Winograd's convolutions gain where products of matrices are fast
beside PyTorch's own convolutions; an accelerator waits for its kernels where a picture is small. So a few
steps are taken by each candidate, and the fastest stays, if its gradient points where that of the plain
backend points.

The choice is written down, because the same photo is to give the same bytes tomorrow. Here are the
candidates, what is remembered, and a trial at noise; the one within a painting is in `trial`.
"""

import json
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import functional

from nst_daemon import disk
from nst_daemon.config import Graphs, Precision
from nst_daemon.config.recipe import resolve
from nst_daemon.disk.files import written_whole
from nst_daemon.disk.locks import one_at_a_time
from nst_daemon.engine import devices
from nst_daemon.engine.cuda_graphs import Captured
from nst_daemon.engine.descent import Losses
from nst_daemon.engine.losses import WholeLosses, gram, style_target
from nst_daemon.engine.vgg import Trunk
from nst_daemon.engine.weights import Weights
from nst_daemon.errors import NstError

logger = logging.getLogger(__name__)

Step = Callable[[], Tensor]

FILE: Final = "arithmetic.json"  # its name and the keys within are those of earlier versions
# Height and width in px of the pictures that are tried: on a CPU a second or two in all.
SIZE: Final = (144, 192)
SIZE_ON_ACCELERATOR: Final = (384, 512)
SIZE_OF_GRAPHS: Final = (96, 128)  # where an accelerator waits for its kernels
TURNS: Final = 3  # the fastest counts
LEAST_GAIN: Final = 1.1  # times as fast, to leave the plain backend: less is the noise of a busy machine
LEAST_COSINE: Final = 0.95  # between the gradients; bfloat16 has 0.99
MOST_PRODUCT_ERROR: Final = 1e-5  # relative; float32 has 1e-6, bfloat16 1e-3
PRODUCT_SIDE: Final = 512  # of a square matrix: as many as VGG19 has channels


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """How the network is computed."""

    precision: Precision = Precision.FLOAT32  # of the convolutions
    winograd: bool = False  # on the CPU, in float32
    onednn: bool = False  # float32 products of matrices by oneDNN, which leaves MKL behind on some processors
    graphs: bool = False  # on CUDA, the kernels of a step are captured once for each small scale

    def __post_init__(self) -> None:
        # Plain text comes back from the file.
        object.__setattr__(self, "precision", Precision(self.precision))

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the config allows."""

    precision: Precision = Precision.AUTO
    graphs: Graphs = Graphs.AUTO


def choose(
    weights: Weights,
    device: torch.device,
    asked: Asked,
    folder: Path,
    between: Callable[[], None] = lambda: None,
) -> Backend:
    """Return the fastest backend on this device, of those that are allowed; remembered in `folder`.

    What is not remembered is tried now, at noise; `between` two candidates may raise. Of several engines that
    do so together, one tunes and the others take what it found.
    """
    with _alone(folder):
        found = remembered(device, asked, folder)
        return found or _kept(_tuned(weights, device, asked, between), device, asked, folder)


def remembered(device: torch.device, asked: Asked, folder: Path) -> Backend | None:
    """Return what was chosen before; None if nothing was, or nothing that can be read."""
    try:
        return Backend(**_read(folder / FILE)[_key(device, asked)])
    except (KeyError, TypeError, ValueError):
        return None


def remember(backend: Backend, device: torch.device, asked: Asked, folder: Path) -> Backend:
    """Write a choice down and return it; where another engine was first, return that one's."""
    with _alone(folder):
        return remembered(device, asked, folder) or _kept(backend, device, asked, folder)


def _kept(backend: Backend, device: torch.device, asked: Asked, folder: Path) -> Backend:
    path = folder / FILE
    _write(path, {**_read(path), _key(device, asked): asdict(backend)})
    return backend


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of what is remembered, where there can be one."""
    with ExitStack() as stack:
        try:
            stack.enter_context(one_at_a_time(folder / f"{FILE}.lock"))
        except (NstError, OSError) as error:  # then nothing can be remembered there either
            logger.info("what autotuning finds is not shared: %s", error)
        yield


def _key(device: torch.device, asked: Asked) -> str:
    words = f"precision {asked.precision}, graphs {asked.graphs}"
    return ", ".join((devices.identify(device), f"torch {torch.__version__}", words))


def _tuned(
    weights: Weights, device: torch.device, asked: Asked, between: Callable[[], None] = lambda: None
) -> Backend:
    began = time.perf_counter()
    tried = candidates(device, asked)
    tried[0].apply()

    def step_at(size: tuple[int, int], backend: Backend) -> Step:
        between()
        return step_of(weights, device, size, backend)

    best = fastest(tried, partial(step_at, SIZE if device.type == "cpu" else SIZE_ON_ACCELERATOR))
    if _may_capture(device, asked):
        best = fastest([best, replace(best, graphs=True)], partial(step_at, SIZE_OF_GRAPHS))
    logger.info("%s: chose %s in %.1f s", device, asdict(best), time.perf_counter() - began)
    return best


def candidates(device: torch.device, asked: Asked) -> list[Backend]:
    """Return what may be tried, the plain backend first; without CUDA graphs, which come on top."""
    plain = Backend(onednn=device.type == "cpu" and _is_onednn_faster())
    return _candidates(plain, device, asked.precision)


def is_settled(tried: Sequence[Backend], device: torch.device, asked: Asked) -> bool:
    """Return whether the first of `candidates` is all that there is to choose from."""
    return len(tried) == 1 and not _may_capture(device, asked)


def _may_capture(device: torch.device, asked: Asked) -> bool:
    return device.type == "cuda" and asked.graphs is Graphs.AUTO


def _candidates(plain: Backend, device: torch.device, asked: Precision) -> list[Backend]:
    half = replace(plain, precision=Precision.BFLOAT16)
    if asked is Precision.BFLOAT16:
        return [half]
    tried = [plain, replace(plain, winograd=True)] if device.type == "cpu" else [plain]
    if asked is Precision.AUTO and _has_bfloat16(device):
        tried.append(half)
    return tried


def _has_bfloat16(device: torch.device) -> bool:
    """Whether it is worth a try: a processor without any support takes minutes for one step."""
    if device.type != "cpu":
        return True
    # PyTorch has no public word for it; where this one is gone, float32 is what there is.
    is_supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return is_supported is not None and bool(is_supported())


def fastest(candidates: Iterable[Backend], step_of: Callable[[Backend], Step]) -> Backend:
    """Return the candidate whose step is fastest; the first is what the others are held against.

    One that breaks, or whose gradient points elsewhere, is out.
    """
    plain, *others = candidates
    if not others:
        return plain
    step = step_of(plain)
    wanted, best, least = step(), plain, _seconds(step) / LEAST_GAIN
    for each in others:
        try:
            step = step_of(each)
            is_right = points_alike(step(), wanted)
            seconds = _seconds(step, most=2 * least)
        except RuntimeError as error:  # a device may have no kernels for it
            logger.info("%s does not work here: %s", asdict(each), error)
            continue
        if is_right and seconds < least:
            best, least = each, seconds
    return best


def points_alike(gradient: Tensor, wanted: Tensor) -> bool:
    """Return whether a gradient points where the plain one points; one of no numbers does not.

    Shapes: any, both the same.
    """
    cosine = functional.cosine_similarity(gradient.flatten(), wanted.flatten(), dim=0)
    return bool(cosine > LEAST_COSINE)


def step_of(weights: Weights, device: torch.device, size: tuple[int, int], backend: Backend) -> Step:
    """Return what computes the gradient of all losses by a backend, at noise.

    Shapes: -> (3 * H * W,), on the CPU.
    """
    trunk = backend.trunk(weights).to(device)
    recipe = resolve({})
    photo, style, picture = (_noise(seed, size).to(device) for seed in range(3))
    with torch.no_grad():
        features = trunk(style, recipe.style_layers)
    targets = {
        layer: [(None, style_target(gram(features[layer])[0], recipe.style_loss))]
        for layer in recipe.style_layers
    }
    losses: Losses = WholeLosses(trunk, photo, targets, recipe, content_weight=recipe.content_weight)
    if backend.graphs:
        losses = Captured(losses, picture)
    return lambda: losses(picture)[1].flatten().cpu()


def _noise(seed: int, size: tuple[int, int]) -> Tensor:
    """Return a picture of noise, 0..1. Shapes: -> (1, 3, H, W)."""
    return torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(seed))


def _seconds(step: Callable[[], Any], *, most: float = math.inf) -> float:
    """Return the least time of a few turns; of fewer, if they take more than `most` seconds."""
    times = []
    for _ in range(TURNS):
        began = time.perf_counter()
        step()
        times.append(time.perf_counter() - began)
        if times[-1] > most:
            break
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
        return error < MOST_PRODUCT_ERROR and _seconds(lambda: one @ one) * LEAST_GAIN < plain
    finally:
        torch.set_float32_matmul_precision(before)


def _read(path: Path) -> dict[str, Any]:
    try:
        kept = json.loads(disk.read_bytes(path))
    except (FileNotFoundError, NstError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    try:
        disk.make_folder(path.parent)
        with written_whole(path) as file:
            file.write(json.dumps(kept, indent=1).encode())
    except (NstError, OSError) as error:
        logger.info("what autotuning found was not kept: %s", error)
