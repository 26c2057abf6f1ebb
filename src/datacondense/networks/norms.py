"""InstanceNorm as the published networks have it."""

from typing import final

import torch
from torch import Tensor, nn


@final
class InstanceNorm(nn.GroupNorm):
    """GroupNorm with one channel per group: each channel of each image to mean 0 and variance 1, then affine.

    Under torch.compile it is written out, because the compiler fuses arithmetic and its gradient with what surrounds
    them, but not PyTorch's own group norm. Both agree to rounding.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, input: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            return super().forward(input)
        centred = input - input.mean((2, 3), keepdim=True)
        variance = centred.square().mean((2, 3), keepdim=True)
        scale = (variance + self.eps).rsqrt() * self.weight[:, None, None]  # (N, C, 1, 1)
        return centred * scale + self.bias[:, None, None]
