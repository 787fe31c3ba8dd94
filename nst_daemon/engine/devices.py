"""Which device, and how large a picture fits there."""

import logging
import math
import platform
from dataclasses import replace
from typing import Final

import torch

from nst_daemon.config.recipe import CONVS_IN_BLOCK, Optimizer, Recipe
from nst_daemon.engine.layers import halvings_of
from nst_daemon.engine.optimise import LBFGS_HISTORY
from nst_daemon.engine.tiles import halo_of
from nst_daemon.engine.vgg import depth_of
from nst_daemon.errors import MissingError

logger = logging.getLogger(__name__)

CHANNELS: Final = (64, 128, 256, 512, 512)  # of VGG19's five blocks
BYTES: Final = 4  # of a float32
# Measured peak over the sum of all maps: gradients on the way back, the convolutions' own space.
OVERHEAD: Final = 1.45
FIXED_BYTES: Final = 400 * 2**20  # transformed kernels, style targets; torch and the network are there before
# A pixel of what is never tiled: photo, picture, gradient, moments, average, rollback points.
PICTURE_BYTES: Final = 100
LEAST_TILE: Final = 128  # px; smaller ones are nearly all halo
SHARE_OF_FREE: Final = 0.8  # the photo editor beside us needs some too


def choose_device(name: str) -> torch.device:
    """Return the device of this name; `auto` is the accelerator if there is one, else the CPU.

    Raises:
        MissingError: the machine has no such device, or it does not answer.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        name = accelerator.type if accelerator else "cpu"
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).add_(1)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise MissingError(
            f"This machine cannot use the device {name!r}: {str(error).splitlines()[0]}",
            remedy=f"Set engine.device to auto or to one of: {', '.join(available())}.",
            code="device_missing",
        ) from error
    return device


def available() -> list[str]:
    """Return the names of the devices that can be chosen."""
    names = ["cpu"]
    if torch.accelerator.is_available() and (accelerator := torch.accelerator.current_accelerator()):
        names += [f"{accelerator.type}:{index}" for index in range(torch.accelerator.device_count())]
    return names


def others() -> tuple[str, ...]:
    """Return the names of the accelerators beside the one that `auto` takes."""
    try:
        return tuple(available()[2:])
    except RuntimeError as error:  # a driver that does not answer; `choose_device` says so
        logger.debug("the accelerators could not be listed: %s", error)
        return ()


def share_cores(engines: int) -> None:
    """Leave to each of several engines on the CPU its part of the cores; before torch computes anything."""
    torch.set_num_threads(max(1, torch.get_num_threads() // engines))


def describe(device: torch.device) -> str:
    """Return the device's name for people, e.g. "cuda:0 (NVIDIA H200)"."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return str(device)


def identify(device: torch.device) -> str:
    """Return a text that a machine of another speed does not have."""
    if device.type == "cpu":
        chip = f"{platform.processor() or platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
        return f"{platform.node()} {chip}, {torch.get_num_threads()} threads"
    return f"{platform.node()} {describe(device)}"


def bytes_needed(width: int, height: int, recipe: Recipe, regions: int = 0, *, entry: int = BYTES) -> int:
    """Return a forecast of the bytes that one step takes, with `entry` bytes an entry of a feature map."""
    layers = (*recipe.content_layers, *recipe.style_layers)
    per_pixel, depth = 0.0, depth_of(layers)
    for block, convs in enumerate(CONVS_IN_BLOCK):
        here = max(0, min(convs, depth - sum(CONVS_IN_BLOCK[:block])))
        per_pixel += 2 * here * CHANNELS[block] / 4**block  # before and behind the rectifier
    for layer in recipe.style_layers if regions else ():  # a guided copy of the maps, there and back
        halvings = halvings_of(layer)
        per_pixel += 2 * (regions + 1) * CHANNELS[halvings] / 4**halvings / OVERHEAD
    # Entries a pixel, in three channels: L-BFGS keeps two differences of each step, Adam its two moments.
    history = 3 * 2 * (LBFGS_HISTORY if recipe.optimizer == "lbfgs" else 1)
    # The first layer's maps are float32 for a moment all the same, as they come and as a Gram matrix is made.
    wide = 2 * CHANNELS[0] * BYTES if entry < BYTES else 0
    return FIXED_BYTES + int(width * height * (entry * per_pixel * OVERHEAD + wide + BYTES * history))


class Budget:
    """Which scales fit into memory whole, and how large the tiles of the others may be."""

    def __init__(self, recipe: Recipe, memory: int | None, *, regions: int = 0, entry: int = BYTES) -> None:
        self.recipe = recipe
        self.memory = memory  # bytes; None: no limit
        self.entry = entry  # bytes, of a feature map
        self.regions = regions

    @property
    def whole_pixels(self) -> float:
        """The largest picture that is painted whole, in px."""
        if self.memory is None:
            return math.inf
        return max(0.0, (self.memory - FIXED_BYTES) / self._bytes_a_pixel())

    def tile_side(self, width: int, height: int) -> int | None:
        """Return the side of a tile's core in px; None if the picture is painted whole."""
        if self.memory is None or width * height <= self.whole_pixels:
            return None
        left = self.memory - FIXED_BYTES - width * height * PICTURE_BYTES
        outer = math.sqrt(max(0.0, left / self._bytes_a_tiles_pixel()))
        layers = (*self.recipe.content_layers, *self.recipe.style_layers)
        return max(LEAST_TILE, int(outer) - 2 * halo_of(layers))

    def _bytes_a_tiles_pixel(self) -> float:
        """Return what a tile's maps take: the optimiser's part is counted with the picture."""
        by_adam = replace(self.recipe, optimizer=Optimizer.ADAM)
        return (bytes_needed(1000, 1000, by_adam, self.regions, entry=self.entry) - FIXED_BYTES) / 1e6

    def _bytes_a_pixel(self) -> float:
        return (bytes_needed(1000, 1000, self.recipe, self.regions, entry=self.entry) - FIXED_BYTES) / 1e6


def free_bytes(device: torch.device, system_free: int) -> int:
    """Return how much memory a picture may take: what is free on the device, less a share for others."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * SHARE_OF_FREE)
    return int(system_free * SHARE_OF_FREE)
