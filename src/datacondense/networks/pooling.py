# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportIncompatibleMethodOverride=false
"""Average and maximum pooling by 2, in passes over strided views where PyTorch's own kernels are slow.

On a CPU these kernels visit pixels one by one unless channels come last. Over views of every second row and column the
same sums and maxima take a third to a tenth of the time, and the gradient of a mean a fourth; no bit differs. GPUs and
the gradient of a maximum keep the kernels. In compiled code a mean is written out: the compiler would store what
PyTorch's own pools, the widest tensor of a block, instead of fusing it.
"""

from typing import Any, final

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F


@final
class AveragePool(nn.AvgPool2d):
    """Mean over squares of 2x2 pixels."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        if torch.compiler.is_compiling():
            rows, columns = input.shape[2] // 2, input.shape[3] // 2
            whole = input[:, :, : 2 * rows, : 2 * columns]
            return whole.unflatten(3, (columns, 2)).unflatten(2, (rows, 2)).mean((3, 5))  # (N, C, H//2, W//2)
        strided = input.is_contiguous() and _strided_is_faster(input)
        return _mean(input) if strided else super().forward(input)


@final
class MaxPool(nn.MaxPool2d):
    """Maximum over squares of 2x2 pixels."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, input: Tensor) -> Tensor:
        if torch.is_grad_enabled() or not _strided_is_faster(input):  # among equal ones `maximum` has another gradient
            return F.max_pool2d(input, 2)
        h, w = (side // 2 * 2 for side in input.shape[-2:])
        rows = torch.maximum(input[..., 0:h:2, :w], input[..., 1:h:2, :w])
        return torch.maximum(rows[..., ::2], rows[..., 1::2])


def _strided_is_faster(input: Tensor) -> bool:
    """Return True for what the passes can take, on a CPU and uncompiled. A trace can be saved with the kernels only."""
    return (
        not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        and input.device.type == "cpu"
        and input.dtype == torch.float32
        and min(input.shape[-2:]) >= 2
    )


def _mean(input: Tensor) -> Tensor:
    return _Mean.apply(input)  # pyright: ignore[reportReturnType] (the stubs promise any output)


class _Mean(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(input: Tensor) -> Tensor:
        one, two, three, four = _corners(input)
        return (one + two).add_(three).add_(four).div_(4)  # in the order of PyTorch's kernel

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.sides = inputs[0].shape[-2:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Spread.apply(gradient, *ctx.sides)

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor) -> Tensor:
        return _mean(tangent)


class _Spread(Function):
    """The adjoint of the mean: a quarter of each gradient to each pixel of its square."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient: Tensor, h: int, w: int) -> Tensor:
        whole = h % 2 == w % 2 == 0
        maps = (gradient.new_empty if whole else gradient.new_zeros)(*gradient.shape[:-2], h, w)
        quarter = gradient / 4
        for corner in _corners(maps):
            corner.copy_(quarter)
        return maps

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int, int], output: Tensor) -> None:
        ctx.sides = inputs[1:]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return _mean(gradient), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, _h: None, _w: None) -> Tensor:
        return _Spread.apply(tangent, *ctx.sides)


def _corners(input: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the pixels of all squares, row by row; the last row and column of an odd number are left out."""
    h, w = (side // 2 * 2 for side in input.shape[-2:])
    return (
        input[..., 0:h:2, 0:w:2],
        input[..., 0:h:2, 1:w:2],
        input[..., 1:h:2, 0:w:2],
        input[..., 1:h:2, 1:w:2],
    )
