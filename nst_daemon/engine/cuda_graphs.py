"""CUDA graphs: the kernels of a scale's losses, captured once and launched together from then on.

Where a picture is small, an accelerator has done a kernel before the processor has launched the next.
"""

from typing import Final

import torch
from torch import Tensor

from nst_daemon.engine.descent import Losses

MOST_PIXELS: Final = 512 * 512  # of a picture; a larger one keeps the device busy anyhow
WARM_UPS: Final = 3  # libraries choose their kernels, and make their own memory, in the first rounds


class Captured:
    """Losses that are computed by a captured graph. Its losses are overwritten by the next call.

    Source: PyTorch's notes on CUDA semantics, "CUDA Graphs".
    """

    def __init__(self, losses: Losses, like: Tensor) -> None:
        self.picture = like.detach().clone()
        aside = torch.cuda.Stream(like.device)  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream(like.device))
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                losses(self.picture)
        torch.cuda.current_stream(like.device).wait_stream(aside)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.results = losses(self.picture)

    def __call__(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the losses return. Shapes: (1, 3, H, W) -> (4,), (1, 3, H, W)."""
        self.picture.copy_(picture)
        self.graph.replay()
        losses, gradient = self.results
        return losses, gradient.clone()  # who asked may overwrite it, and keep it
