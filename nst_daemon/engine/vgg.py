"""The frozen VGG19 trunk: a picture in, the features of the asked layers out.

Source: Simonyan and Zisserman 2014, arXiv:1409.1556. Differs: conv1_1 is padded with the picture's own
border (replicate), which spares the painting a dirty frame; the other convolutions pad with zeros.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from nst_daemon.config.recipe import Pooling
from nst_daemon.engine import winograd
from nst_daemon.engine.layers import depth_of, halvings_of
from nst_daemon.engine.weights import CONV_NAMES, Weights

FIRST: Final = CONV_NAMES[0]
Features = dict[str, Tensor]  # layer -> (B, C, H, W)
Trim = Callable[[Tensor, int], Tensor]


class Trunk(nn.Module):
    """VGG19 without its classifier. Weights are buffers: nothing here can be trained.

    With `precision` bfloat16 all convolutions but the first are computed in it, and their maps and the
    gradients on the way back kept in it. The first one sees the picture itself: small changes would be lost.
    """

    def __init__(
        self, weights: Weights, *, precision: torch.dtype = torch.float32, use_winograd: bool = True
    ) -> None:
        super().__init__()
        self.precision = precision
        self.use_winograd = use_winograd
        self._transformed: dict[str, Tensor] = {}  # kernels for Winograd, made when first needed
        for name in CONV_NAMES:
            own = torch.float32 if name == FIRST else precision
            kernel, bias = (each.to(own) for each in weights[name])
            # channels_last is 1.4 times as fast on CPUs and no slower on accelerators.
            self.register_buffer(f"{name}_kernel", kernel.contiguous(memory_format=torch.channels_last))
            self.register_buffer(f"{name}_bias", bias.contiguous())
        self.requires_grad_(False)

    @property
    def entry_bytes(self) -> int:
        """What an entry of a feature map takes."""
        return self.precision.itemsize

    def forward(self, picture: Tensor, layers: Sequence[str], pooling: Pooling = Pooling.MAX) -> Features:
        """Return the features of `layers`; nothing behind the deepest is computed.

        Shapes: (B, 3, H, W), RGB in 0..1, float32 -> a (B, C, H / 2**k, W / 2**k) a layer, in the precision.
        """
        return dict(self.walk(picture, layers, pooling))

    def walk(
        self,
        picture: Tensor,
        layers: Sequence[str],
        pooling: Pooling = Pooling.MAX,
        trim: Trim = lambda maps, halvings: maps,
    ) -> Iterator[tuple[str, Tensor]]:
        """Yield each of `layers` with its features, from the shallowest down, as the picture reaches it.

        What is made of them at once is on the way back the last before them, and holds no memory till then.
        `trim` may leave a part of the maps behind each pooling, told how many there were.

        Shapes: as `forward`.
        """
        wanted = set(layers)
        maps = picture
        for name in CONV_NAMES[: depth_of(layers)]:
            if name.endswith("_1") and name != FIRST:
                maps = trim(_halve(maps, pooling), halvings_of(name))
            maps = self._convolve(maps, name).to(self.precision)
            if name in wanted:
                yield name, maps
            maps = functional.relu(maps)  # not in place: a loss may read the maps before the rectifier
            if (rectified := name.replace("conv", "relu")) in wanted:
                yield rectified, maps

    def _convolve(self, maps: Tensor, name: str) -> Tensor:
        """Return maps behind one convolution, before its rectifier.

        Shapes: (B, C_in, H, W) -> (B, C_out, H, W).
        """
        kernel: Tensor = getattr(self, f"{name}_kernel")
        bias: Tensor = getattr(self, f"{name}_bias")
        if name == FIRST:
            return functional.conv2d(functional.pad(maps, (1, 1, 1, 1), mode="replicate"), kernel, bias)
        if self.use_winograd and winograd.is_worth_it(kernel):
            if name not in self._transformed:
                self._transformed[name] = winograd.transform(kernel)
            sums = winograd.convolve(maps, self._transformed[name])
            return sums + bias.view(1, -1, 1, 1)
        return functional.conv2d(maps, kernel, bias, padding=1)


def _halve(maps: Tensor, pooling: Pooling) -> Tensor:
    """Return maps behind a pooling. Shapes: (B, C, H, W) -> (B, C, H // 2, W // 2)."""
    if pooling is Pooling.AVERAGE:
        return functional.avg_pool2d(maps, 2)
    return functional.max_pool2d(maps, 2)
