# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Parts of several networks: norms, the first padding, the check of the image size."""

from collections.abc import Callable
from typing import Literal, final

import torch
from torch import Tensor, nn

from ..data.spec import Spec
from ..utils.errors import InputError


@final
class InstanceNorm(nn.GroupNorm):
    """GroupNorm with one channel per group: each channel of each image to mean 0 and variance 1, then affine.

    Under torch.compile it is written out, because the compiler fuses arithmetic and its gradient with the
    layers around it, but not PyTorch's own group norm. Both agree to rounding. Statistics of bf16 maps are float32.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, width)

    def forward(self, input: Tensor) -> Tensor:
        if not torch.compiler.is_compiling():
            return super().forward(input)
        maps = at_least_float32(input)
        centred = maps - maps.mean((2, 3), keepdim=True)
        variance = centred.square().mean((2, 3), keepdim=True)
        scale = (variance + self.eps).rsqrt() * self.weight[:, None, None]  # (N, C, 1, 1)
        return (centred * scale + self.bias[:, None, None]).to(input.dtype)


@final
class BatchNorm(nn.BatchNorm2d):
    """BatchNorm2d, on bf16 maps in the type of its weights: PyTorch's compiled gradient would multiply them in bf16."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(_as_weights(input, self.weight)).to(input.dtype)


@final
class GroupNorm(nn.GroupNorm):
    """GroupNorm, on bf16 maps in the type of its weights, for the reason of BatchNorm."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(_as_weights(input, self.weight)).to(input.dtype)


Norm = Literal["instance", "batch", "group", "none"]

NORMS: dict[Norm, Callable[[int], nn.Module]] = {  # of the number of channels
    "instance": InstanceNorm,
    "batch": BatchNorm,
    "group": lambda channels: GroupNorm(4, channels),
    "none": lambda _channels: nn.Identity(),
}


def at_least_float32(tensor: Tensor) -> Tensor:
    """Return a bf16 tensor in float32, and every other one unchanged."""
    return tensor.float() if tensor.dtype == torch.bfloat16 else tensor


def apply_head(head: nn.Linear, embedding: Tensor) -> Tensor:
    """Return logits (N, K) of embeddings (N, D), in the type of the weights also where autocast ran the rest in bf16.

    The head is little arithmetic, and logits in bf16 often tie: 8 binary digits.
    """
    if embedding.dtype != torch.bfloat16:
        return head(embedding)
    with torch.autocast(embedding.device.type, enabled=False):
        return head(_as_weights(embedding, head.weight))


def _as_weights(tensor: Tensor, weight: Tensor) -> Tensor:
    """Return a bf16 tensor in the type of a weight: float32 under autocast, bf16 if the network itself is."""
    return tensor.to(weight.dtype) if tensor.dtype == torch.bfloat16 else tensor


def first_padding(spec: Spec, kernel: int) -> int:
    """Return the padding of the first convolution: it keeps the size, but 1x28x28 becomes 32x32, as published."""
    return kernel // 2 + (2 if spec.shape == (1, 28, 28) else 0)


def require_side(spec: Spec, smallest: int, network: str, *, instead: str) -> None:
    """Raise InputError for images whose shorter side is below `smallest`. instead: networks to take instead."""
    _, h, w = spec.shape
    if min(h, w) < smallest:
        raise InputError(
            f"{network} needs images of at least {smallest}x{smallest} pixels, but {spec.name} has "
            f"{h}x{w}: use {instead}"
        )
