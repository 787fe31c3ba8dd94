"""Which device, and how much of its memory is free."""

import logging
import platform

import torch

from nst_daemon.engine.budget import SHARE_OF_FREE
from nst_daemon.errors import MissingError

logger = logging.getLogger(__name__)


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


def free_bytes(device: torch.device, system_free: int) -> int:
    """Return how much memory a picture may take: what is free on the device, less a share for others."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0] * SHARE_OF_FREE)
    return int(system_free * SHARE_OF_FREE)
