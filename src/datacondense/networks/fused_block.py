# pyright: reportUnknownMemberType=false
"""The first block of a ConvNet in one pass over its images: convolution, InstanceNorm, ReLU, average pooling by 2.

On images of one or three channels the first convolution is little arithmetic, but its result is the widest of the
network: written to memory and read again by the norm, forward and backward, it takes as long as all later layers. Here
it is computed when it is needed and never stored. With the patch p of an image under the kernel, m and V the mean and
covariance of p over the image's P pixels, and w the kernel of an output channel:

    w.p has mean w.m and variance w'Vw, so the norm's result is z = a (w.p - w.m) + shift, a = scale / sqrt(w'Vw + eps)
    dw = sum over images of a (G - S m - X Vw / (w'Vw + eps)),  G = sum_p dz p,  S = sum_p dz,  X = w.G - S w.m

so that a backward needs the sums G and S of one pass only. A bias of the convolution has no effect on z. Agrees with
the layers themselves to about 1e-6 on photographs and noise; where a kernel nearly vanishes on an image, a smooth ramp
under an edge filter, w'Vw is a small difference of large numbers, and z agrees to about 1e-3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_CHANNELS = 3
"""Above, recomputing the convolution costs more than storing it."""


def serves(images: Tensor, kernel: Tensor) -> bool:
    """Return whether `first_block` can take these images: compiled code on a CPU, few channels, float32."""
    return (
        torch.compiler.is_compiling()
        and images.device.type == "cpu"
        and images.shape[1] <= _CHANNELS
        and images.dtype == kernel.dtype == torch.float32
    )


@torch.library.custom_op("datacondense::first_block", mutates_args=(), device_types="cpu")
def first_block(images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float) -> Tensor:
    """Map images (N, C, H, W), kernel (K, C, 3, 3), norm's scale and shift (K,) to (N, K, H'//2, W'//2), channels last.

    H' = H + 2 padding - 2. Differentiable once, and not in the images. Compiles on first use.
    """
    padded = F.pad(images, (padding,) * 4)
    kernels, offset, *_ = _compiled(_folded, [padded], kernel, scale, shift, eps)
    return _compiled(_pooled, [padded, kernels, offset]).contiguous().permute(0, 3, 1, 2)


@first_block.register_fake
def _(images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float) -> Tensor:
    n, _, h, w = images.shape
    rows, columns = (h + 2 * padding - 2) // 2, (w + 2 * padding - 2) // 2
    return images.new_empty(n, rows, columns, len(kernel)).permute(0, 3, 1, 2)


@torch.library.custom_op("datacondense::first_block_backward", mutates_args=(), device_types="cpu")
def _backward(
    gradient: Tensor, images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of kernel, scale and shift."""
    padded = F.pad(images, (padding,) * 4)
    kernels, offset, mean, covariance, deviation = _compiled(_folded, [padded], kernel, scale, shift, eps)
    sums = _compiled(_sums, [padded, kernels, offset, gradient.permute(0, 2, 3, 1).contiguous()])  # (N, 1 + T, K)
    s, g = sums[:, 0], sums[:, 1:]  # (N, K), (N, T, K)
    w = kernel.flatten(1)  # (K, T)
    x = ((w.T * g).sum(1) - s * (mean @ w.T)) / deviation  # sum over pixels of dz times the normalised w.p
    spread = (covariance @ w.T) / deviation[:, None]  # (N, T, K)
    of_kernel = (scale / deviation)[:, None] * (g - s[:, None] * mean[:, :, None] - x[:, None] * spread)
    return of_kernel.sum(0).T.reshape(kernel.shape).contiguous(), x.sum(0), s.sum(0)


@_backward.register_fake
def _(
    gradient: Tensor, images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    return kernel.new_empty(kernel.shape), torch.empty_like(scale), torch.empty_like(shift)


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:4])
    ctx.constants = inputs[4:]


def _first_block_gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    assert not ctx.needs_input_grad[0], "the first block is not differentiable in its images: use `embed`"
    return (None, *_backward(gradient, *ctx.saved_tensors, *ctx.constants), None, None)


torch.library.register_autograd("datacondense::first_block", _first_block_gradients, setup_context=_save_for_backward)


def _taps(padded: Tensor, kernel: int = 3) -> list[tuple[int, int, int]]:
    return [(c, i, j) for c in range(padded.shape[1]) for i in range(kernel) for j in range(kernel)]


def _folded(
    padded: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fold the norm into a kernel and an offset for each image, (N, T, K) and (N, K); T taps of a kernel.

    Also returns the intermediates: mean (N, T) and covariance (N, T, T) of the patches, deviation (N, K) of the
    convolution.
    """
    h, w = padded.shape[2] - 2, padded.shape[3] - 2
    patches = torch.stack([padded[:, c, i : i + h, j : j + w].flatten(1) for c, i, j in _taps(padded)], 1)  # (N, T, P)
    mean = patches.mean(2)
    centred = patches - mean[:, :, None]
    covariance = centred @ centred.transpose(1, 2) / (h * w)
    kernels = kernel.flatten(1).T  # (T, K)
    deviation = ((covariance @ kernels) * kernels).sum(1).clamp_min(0).add(eps).sqrt()
    factor = scale / deviation
    return (factor[:, None] * kernels).contiguous(), shift - factor * (mean @ kernels), mean, covariance, deviation


def _corners(padded: Tensor) -> list[list[Tensor]]:
    """Return the pixels under each tap, for the four pixels that are pooled into one: 4 x T x (N, H'//2, W'//2, 1)."""
    rows, columns = (padded.shape[2] - 2) // 2, (padded.shape[3] - 2) // 2
    return [
        [
            padded[:, c, down + i : down + i + 2 * rows - 1 : 2, right + j : right + j + 2 * columns - 1 : 2, None]
            for c, i, j in _taps(padded)
        ]
        for down in (0, 1)
        for right in (0, 1)
    ]


def _normed(pixels: list[Tensor], kernels: Tensor, offset: Tensor) -> Tensor:
    z = offset[:, None, None]
    for tap, pixel in enumerate(pixels):
        z = z + pixel * kernels[:, tap, None, None]
    return z


def _pooled(padded: Tensor, kernels: Tensor, offset: Tensor) -> Tensor:
    """Return the mean over the corners of relu(z), (N, H'//2, W'//2, K)."""
    total = torch.zeros(())
    for pixels in _corners(padded):
        total = total + _normed(pixels, kernels, offset).relu()
    return total / 4


def _sums(padded: Tensor, kernels: Tensor, offset: Tensor, gradient: Tensor) -> Tensor:
    """Return S and G of all taps, (N, 1 + T, K)."""
    corners = _corners(padded)
    sums = [torch.zeros(())] * (1 + len(corners[0]))
    for pixels in corners:
        dz = torch.where(_normed(pixels, kernels, offset) > 0, gradient, 0.0)  # (N, H'//2, W'//2, K)
        sums = [before + dz * pixel for before, pixel in zip(sums, [torch.ones(()), *pixels], strict=True)]
    return torch.stack([value.sum((1, 2)) for value in sums], 1) / 4


_COMPILED: dict[Callable[..., Any], Callable[..., Any]] = {}


def _compiled(function: Callable[..., Any], batched: Sequence[Tensor], *rest: Any) -> Any:
    """Call a function compiled. batched: arguments with any number of images in the first dimension."""
    if function not in _COMPILED:
        _COMPILED[function] = torch.compile(function, dynamic=False)
    for argument in batched:
        torch._dynamo.maybe_mark_dynamic(argument, 0)  # pyright: ignore[reportPrivateUsage] (there is no public one)
    return _COMPILED[function](*batched, *rest)
