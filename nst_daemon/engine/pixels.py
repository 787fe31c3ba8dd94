"""Between arrays of pixels and the optimiser's variable."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from nst_daemon.config.recipe import Optimizer

EDGE = 1 / 512  # half an 8-bit step: the logistic function's inverse is infinite at 0 and 1


def to_tensor(rgb: NDArray[np.float32], device: torch.device) -> Tensor:
    """Return a picture as a tensor. Shapes: (H, W, 3) -> (1, 3, H, W)."""
    picture = torch.from_numpy(np.ascontiguousarray(rgb, dtype=np.float32))
    return picture.permute(2, 0, 1).unsqueeze(0).to(device).contiguous()


def to_view(rgb: NDArray[np.float32], device: torch.device) -> Tensor:
    """Return a picture as a tensor; on the CPU over the array's own memory: do not write to it.

    Shapes: (H, W, 3) -> (1, 3, H, W), channels last.
    """
    return (
        torch.from_numpy(np.ascontiguousarray(rgb, dtype=np.float32)).permute(2, 0, 1).unsqueeze(0).to(device)
    )


def to_array(picture: Tensor) -> NDArray[np.float32]:
    """Return a picture as an array within 0..1. Shapes: (1, 3, H, W) -> (H, W, 3)."""
    rows = picture[0].permute(1, 2, 0)
    result = torch.empty(rows.shape, dtype=rows.dtype, device=rows.device)  # the one copy
    array: NDArray[np.float32] = torch.clamp(rows, 0, 1, out=result).cpu().numpy()
    return array


def resize(picture: Tensor, width: int, height: int) -> Tensor:
    """Return the picture at another size, without ringing beyond 0..1. Shapes: (B, C, H, W)."""
    if picture.shape[-2:] == (height, width):
        return picture
    resized = functional.interpolate(
        picture, (height, width), mode="bicubic", align_corners=False, antialias=True
    )
    return resized.clamp_(0, 1)


def cover(picture: Tensor, width: int, height: int) -> Tensor:
    """Return the middle of the picture at this size, cut and not squeezed. Shapes: (B, C, H, W)."""
    factor = max(width / picture.shape[-1], height / picture.shape[-2])
    wide, high = round(picture.shape[-1] * factor), round(picture.shape[-2] * factor)
    wide, high = max(wide, width), max(high, height)
    left, top = (wide - width) // 2, (high - height) // 2
    return resize(picture, wide, high)[..., top : top + height, left : left + width].contiguous()


class Pixels:
    """How the optimiser sees a picture.

    Adam moves the pixels themselves and clips them after each step. L-BFGS would take the clipping for
    curvature, so it moves the argument of a logistic function, which cannot leave 0..1.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.is_logistic = optimizer is Optimizer.LBFGS

    def variable(self, picture: Tensor) -> Tensor:
        """Return the variable that shows as `picture`. Shapes: (1, 3, H, W) -> the same."""
        return (
            torch.logit(picture.clamp(EDGE, 1 - EDGE))
            if self.is_logistic
            else picture.clone(memory_format=torch.contiguous_format)
        )

    def picture(self, variable: Tensor) -> Tensor:
        """Return the picture that the variable stands for. Shapes: (1, 3, H, W) -> the same."""
        return torch.sigmoid(variable) if self.is_logistic else variable

    def gradient(self, picture: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient by the variable, given the one by the picture, which it may overwrite.

        Shapes: (1, 3, H, W) each.
        """
        return gradient.mul_(picture).mul_(1 - picture) if self.is_logistic else gradient

    def project(self, variable: Tensor) -> None:
        """Bring the variable back, in place, to where a picture can be. Shapes: (1, 3, H, W)."""
        if not self.is_logistic:
            variable.clamp_(0, 1)
