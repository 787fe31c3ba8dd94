"""Seconds per optimisation step: our engine, the same network run plainly, and the machine's own limit.

    python benchmarks/step.py [--width 512 --height 384 --steps 5 --threads 2 --device cpu --precision auto]

"plain" is what a reader of the paper writes: torch.nn layers in NCHW, weights that want gradients, in-place
rectifiers, Adam from torch.optim, every loss read back in every step. It has the plain Gram loss; ours has
the one of its presets. Both keep freed blocks as the engine does, from which the plain one gains too. "limit"
is the time that the multiplications of the convolutions alone take at the speed of one large matrix product
in the same precision, measured in the same run; an algorithm with fewer multiplications can go below it. The
programs take turns, so that a machine whose speed drifts treats them alike. CPU seconds, which other work
disturbs less, stand beside.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from nst_daemon.config import Precision
from nst_daemon.config.recipe import Recipe, resolve
from nst_daemon.engine import autotune
from nst_daemon.engine.autotune import Backend
from nst_daemon.engine.descent import Descent
from nst_daemon.engine.losses import WholeLosses, gram, style_target
from nst_daemon.engine.schedule import pyramid_of
from nst_daemon.engine.weights import CONV_NAMES, Weights, load_original
from nst_daemon.system import malloc

MACS_PER_PIXEL = 361_152  # of VGG19's convolutions up to conv5_1, forward


def plain_step(weights: Weights, picture: Tensor, recipe: Recipe) -> Callable[[], None]:
    """Return one step of the method as most programs write it."""
    layers: list[nn.Module] = []
    taps: dict[int, str] = {}
    for name in CONV_NAMES[:13]:
        if name.endswith("_1") and name != "conv1_1":
            layers.append(nn.MaxPool2d(2))
        kernel, bias = weights[name]
        convolution = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
        convolution.weight.data.copy_(kernel)
        convolution.bias.data.copy_(bias)  # type: ignore[union-attr]
        layers += [convolution, nn.ReLU(inplace=True)]
        taps[len(layers) - 1] = name.replace("conv", "relu")
    network = nn.Sequential(*layers).to(picture.device)

    def features(image: Tensor) -> dict[str, Tensor]:
        found = {}
        for index, layer in enumerate(network):
            image = layer(image)
            if taps.get(index) in (*recipe.style_layers, *recipe.content_layers):
                found[taps[index]] = image.clone()
        return found

    with torch.no_grad():
        targets = features(picture)
        grams = {layer: gram(targets[layer]) for layer in recipe.style_layers}
    variable = picture.clone().requires_grad_()
    adam = torch.optim.Adam([variable], lr=0.02)

    def step() -> None:
        adam.zero_grad()
        found = features(variable)
        style = sum(((gram(found[k]) - grams[k]) ** 2).mean() for k in recipe.style_layers)
        content = sum(((found[k] - targets[k]) ** 2).mean() for k in recipe.content_layers)
        loss = style + content
        loss.backward()  # type: ignore[union-attr]
        adam.step()
        float(loss.detach())  # type: ignore[union-attr]

    return step


def our_step(weights: Weights, picture: Tensor, recipe: Recipe, backend: Backend) -> Callable[[], None]:
    """Return one step of our engine."""
    trunk = backend.trunk(weights).to(picture.device)
    with torch.no_grad():
        features = trunk(picture, (*recipe.content_layers, *recipe.style_layers))
    style = {
        layer: [(None, style_target(gram(features[layer])[0], recipe.style_loss))]
        for layer in recipe.style_layers
    }
    scale = pyramid_of(picture.shape[-1], picture.shape[-2], recipe)[-1]
    losses = WholeLosses(trunk, picture, style, recipe, content_weight=scale.content_weight)
    descent = Descent(losses, recipe, scale, picture)
    return lambda: (descent._step(), None)[1]


def matrix_product_flops(device: torch.device, precision: torch.dtype) -> float:
    """Return the speed of one large matrix product, in FLOP/s."""
    side = 2048 if device.type == "cpu" else 8192
    one, other = (torch.rand(side, side, device=device).to(precision) for _ in range(2))
    return 2 * side**3 / min(_timed(lambda: (one @ other, None)[1], device)[0] for _ in range(5))


def _timed(step: Callable[[], None], device: torch.device) -> tuple[float, float]:
    """Return the seconds, and the CPU seconds."""
    began, cpu_began = time.perf_counter(), time.process_time()
    step()
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - began, time.process_time() - cpu_began


def main() -> None:
    """Print a table, and write the figures beside the other results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=384)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", type=Precision, default=Precision.AUTO)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    malloc.keep_blocks()
    device = torch.device(arguments.device)
    picture = torch.rand(1, 3, arguments.height, arguments.width, device=device)
    weights = load_original()
    recipe = resolve({"pyramid": 0, "averaging": 0.0})
    folder = Path(__file__).parent / "results"
    backend = autotune.choose(weights, device, autotune.Asked(precision=arguments.precision), folder)
    backend.apply()
    programs = {
        "ours": our_step(weights, picture, recipe, backend),
        "plain": plain_step(weights, picture, recipe),
    }
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    cpu_seconds: dict[str, list[float]] = {name: [] for name in programs}
    limits: list[float] = []
    for turn in range(arguments.steps + 1):
        for name, step in programs.items():
            if name == "ours":
                backend.apply()
            else:
                Backend().apply()
            elapsed, cpu_elapsed = _timed(step, device)
            if turn:  # the first one warms up
                seconds[name].append(elapsed)
                cpu_seconds[name].append(cpu_elapsed)
        flop = 4 * MACS_PER_PIXEL * arguments.width * arguments.height
        backend.apply()
        limits.append(flop / matrix_product_flops(device, autotune.DTYPES[backend.precision]))
    limit = statistics.median(limits)
    result = {
        "size": [arguments.width, arguments.height],
        "device": str(device),
        "threads": arguments.threads,
        "backend": asdict(backend),
        "torch": torch.__version__,
        "machine": platform.processor() or platform.machine(),
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
        ).stdout.strip(),
        "seconds": {name: statistics.median(each) for name, each in seconds.items()},
        "cpu_seconds": {name: statistics.median(each) for name, each in cpu_seconds.items()},
        "limit": limit,
    }
    for name, each in seconds.items():
        middle = statistics.median(each)
        spread = f"(min {min(each):.3f}, max {max(each):.3f})"
        print(f"{name:6} {middle:7.3f} s a step  {spread}  {middle / limit:.2f} x limit")
    print(f"limit  {limit:7.3f} s a step, in {backend.precision}")
    for what, times in (("seconds", seconds), ("CPU seconds", cpu_seconds)):
        ratio = statistics.median(a / b for a, b in zip(times["plain"], times["ours"], strict=True))
        print(f"ours takes a step in 1/{ratio:.2f} of the plain program's {what}")
    folder.mkdir(exist_ok=True)
    (folder / "step.json").write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
