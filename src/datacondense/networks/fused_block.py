# pyright: reportUnknownMemberType=false
"""The first block of a ConvNet in one pass over its images: convolution, InstanceNorm, ReLU, average pooling by 2.

On images of one or three channels the first convolution is little arithmetic, but its result is the widest of the
network: written to memory and read again by the norm, forward and backward, it takes as long as all later layers. Here
it is computed when it is needed and never stored. With the patch p of an image under the kernel, m and V the mean and
covariance of p over the image's P pixels, and w the kernel of an output channel:

    w.p has mean w.m and variance w'Vw, so the norm's result is z = a (w.p - w.m) + shift, a = scale / sqrt(w'Vw + eps)
    dw = sum over images of a (G - S m - X Vw / (w'Vw + eps)),  G = sum_p dz p,  S = sum_p dz,  X = w.G - S w.m

so that a backward to the weights needs only dz and its sums G and S, which are a matrix product. The backward to the
image is, at each pixel,

    dp = sum over channels of a w (dz - S / P) - M (p - m),  M = sum over channels of w w' Q / (P (w'Vw + eps)),

with Q = sum_p dz (z - shift), which follows from G and S; the first sum is another matrix product. A bias of the
convolution has no effect on z. Agrees with the layers themselves to about 1e-6 on photographs and noise; where a kernel
nearly vanishes on an image, a smooth ramp under an edge filter, w'Vw is a small difference of large numbers, and z
agrees to about 1e-3.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_CHANNELS = 3
"""Above, recomputing the convolution costs more than storing it."""
_CONTRACT = "cpp.enable_floating_point_contract_flag"
"""Option of PyTorch's compiler that makes one operation of a product and its sum."""
_TAPS = 9
"""Of a kernel, for each channel."""


def serves(images: Tensor, kernel: Tensor) -> bool:
    """Return whether `first_block` can take these images: compiled code on a CPU, few channels, float32."""
    return (
        torch.compiler.is_compiling()
        and images.device.type == "cpu"
        and images.shape[1] <= _CHANNELS
        and images.dtype == kernel.dtype == torch.float32
    )


def first_block(
    images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float, dtype: torch.dtype
) -> Tensor:
    """Map images (N, C, H, W), kernel (K, C, 3, 3), norm's scale and shift (K,) to (N, K, H'//2, W'//2), channels last.

    H' = H + 2 padding - 2. The arithmetic is in float32, the result of type `dtype`. Differentiable once. Compiles on
    first use.
    """
    return _forward(images, kernel, scale, shift, padding, eps, dtype)[0]


@torch.library.custom_op("datacondense::first_block", mutates_args=(), device_types="cpu")
def _forward(
    images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return the block, and what `_folded` returns, for the backward."""
    padded = F.pad(images, (padding,) * 4)
    weights = kernel.detach(), scale.detach(), shift.detach()  # frozen or not: compiled once
    folded = _compiled(_folded, [padded], *weights, eps)
    block = _compiled(_pooled, [padded, *folded[:2]], dtype).contiguous().permute(0, 3, 1, 2)
    return block, *folded


@_forward.register_fake
def _(
    images: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, padding: int, eps: float, dtype: torch.dtype
) -> tuple[Tensor, ...]:
    n, _, h, w = images.shape
    k, t = len(kernel), kernel[0].numel()
    rows, columns = (h + 2 * padding - 2) // 2, (w + 2 * padding - 2) // 2
    block = images.new_empty(n, rows, columns, k, dtype=dtype).permute(0, 3, 1, 2)
    return block, *(images.new_empty(n, *shape) for shape in ((t, k), (k,), (t,), (t, t), (k,)))


@torch.library.custom_op("datacondense::first_block_weight_gradients", mutates_args=(), device_types="cpu")
def _weight_gradients(
    gradient: Tensor, images: Tensor, folded: Sequence[Tensor], kernel: Tensor, scale: Tensor, padding: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of kernel, scale and shift."""
    _, _, mean, covariance, deviation = folded
    _, _, sums = _through_pooling(gradient, images, folded, padding)
    s, g = sums[:, 0], sums[:, 1:]  # (N, K), (N, T, K)
    w = kernel.flatten(1)  # (K, T)
    with torch.autocast("cpu", enabled=False):
        x = ((w.T * g).sum(1) - s * (mean @ w.T)) / deviation  # sum over pixels of dz times the normalised w.p
        spread = (covariance @ w.T) / deviation[:, None]  # (N, T, K)
    of_kernel = (scale / deviation)[:, None] * (g - s[:, None] * mean[:, :, None] - x[:, None] * spread)
    return of_kernel.sum(0).T.reshape(kernel.shape).contiguous(), x.sum(0), s.sum(0)


@_weight_gradients.register_fake
def _(
    gradient: Tensor, images: Tensor, folded: Sequence[Tensor], kernel: Tensor, scale: Tensor, padding: int
) -> tuple[Tensor, Tensor, Tensor]:
    return kernel.new_empty(kernel.shape), torch.empty_like(scale), torch.empty_like(scale)


@torch.library.custom_op("datacondense::first_block_image_gradient", mutates_args=(), device_types="cpu")
def _image_gradient(
    gradient: Tensor, images: Tensor, folded: Sequence[Tensor], kernel: Tensor, shift: Tensor, padding: int
) -> Tensor:
    """Return the gradient of the images, (N, C, H, W)."""
    padded, dz, sums = _through_pooling(gradient, images, folded, padding)
    kernels, offset, mean, _, deviation = folded
    of_padded = _compiled(_to_image, [padded, dz, sums, kernels, offset, mean, deviation], kernel, shift)
    return F.pad(of_padded, (-padding,) * 4).contiguous()


@_image_gradient.register_fake
def _(
    gradient: Tensor, images: Tensor, folded: Sequence[Tensor], kernel: Tensor, shift: Tensor, padding: int
) -> Tensor:
    return images.new_empty(images.shape)


def _through_pooling(
    gradient: Tensor, images: Tensor, folded: Sequence[Tensor], padding: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the padded images, and dz and its sums, as `_sums` does."""
    padded = F.pad(images, (padding,) * 4)
    dz, sums = _compiled(_sums, [padded, *folded[:2], gradient.permute(0, 2, 3, 1).contiguous()])
    return padded, dz, sums


def _save_for_backward(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.save_for_backward(*inputs[:4], *output[1:])
    ctx.padding = inputs[4]
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, gradient: Tensor, *_of_folded: None) -> tuple[Tensor | None, ...]:
    images, kernel, scale, shift, *folded = ctx.saved_tensors
    of_images = of_weights = None
    if ctx.needs_input_grad[0]:
        of_images = _image_gradient(gradient, images, folded, kernel, shift, ctx.padding)
    if any(ctx.needs_input_grad[1:4]):
        of_weights = _weight_gradients(gradient, images, folded, kernel, scale, ctx.padding)
    return (of_images, *(of_weights or (None, None, None)), None, None, None)


torch.library.register_autograd("datacondense::first_block", _gradients, setup_context=_save_for_backward)


def _taps(padded: Tensor) -> list[tuple[int, int, int]]:
    return [(c, i, j) for c in range(padded.shape[1]) for i in range(3) for j in range(3)]


def _patches(padded: Tensor) -> Tensor:
    """Return the pixels under each tap, (N, T, P)."""
    h, w = padded.shape[2] - 2, padded.shape[3] - 2
    return torch.stack([padded[:, c, i : i + h, j : j + w].flatten(1) for c, i, j in _taps(padded)], 1)


def _folded(
    padded: Tensor, kernel: Tensor, scale: Tensor, shift: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Fold the norm into a kernel and an offset for each image, (N, T, K) and (N, K); T taps of a kernel.

    Also returns the intermediates: mean (N, T) and covariance (N, T, T) of the patches, deviation (N, K) of the
    convolution.
    """
    centre = padded.mean((2, 3), keepdim=True)  # taken off first, so that little cancels below
    patches = _patches(padded - centre)
    means = patches.mean(2)  # (N, T)
    covariance = patches @ patches.transpose(1, 2) / patches.shape[2] - means[:, :, None] * means[:, None]
    mean = means + centre.flatten(1).repeat_interleave(_TAPS, 1)
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


def _pooled(padded: Tensor, kernels: Tensor, offset: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the mean over the corners of relu(z), (N, H'//2, W'//2, K)."""
    total = torch.zeros(())
    for pixels in _corners(padded):
        total = total + _normed(pixels, kernels, offset).relu()
    return (total / 4).to(dtype)


def _sums(padded: Tensor, kernels: Tensor, offset: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return dz by corner, (N, 4, H'//2, W'//2, K), and S and G of all taps, (N, 1 + T, K)."""
    corners, gradient = _corners(padded), gradient.float()
    dz = torch.stack([torch.where(_normed(pixels, kernels, offset) > 0, gradient, 0.0) for pixels in corners], 1) / 4
    taps = torch.stack([torch.stack([torch.ones_like(pixels[0]), *pixels], 1) for pixels in corners], 2)
    return dz, taps.flatten(2) @ dz.flatten(1, 3)


def _to_image(padded: Tensor, dz: Tensor, sums: Tensor, *rest: Tensor) -> Tensor:
    """Return the gradient of the padded images: those of each pixel under the taps, added up."""
    kernels, offset, mean, deviation, kernel, shift = rest
    n, _, height, width = padded.shape
    h, w = height - 2, width - 2
    s, g = sums[:, 0], sums[:, 1:]  # (N, K), (N, T, K)
    q = (kernels * g).sum(1) + (offset - shift) * s  # (N, K)
    weights = kernel.flatten(1)  # (K, T)
    matrix = (weights.T * (q / deviation.square())[:, None]) @ weights / (h * w)  # (N, T, T)
    constant = (kernels * s[:, None]).sum(2, keepdim=True) / (h * w)  # (N, T, 1)
    of_norm = constant + matrix @ (_patches(padded) - mean[:, :, None])  # (N, T, P)
    rows, columns = dz.shape[2:4]
    through = (kernels @ dz.flatten(1, 3).transpose(1, 2)).reshape(n, -1, 2, 2, rows, columns)
    through = through.permute(0, 1, 4, 2, 5, 3).reshape(n, -1, 2 * rows, 2 * columns)  # (N, T, 2 rows, 2 columns)
    through = F.pad(through, (0, w - 2 * columns, 0, h - 2 * rows))  # an odd row or column is pooled nowhere
    change = through - of_norm.reshape(through.shape)
    parts = [F.pad(change[:, tap], (j, 2 - j, i, 2 - i)) for tap, (_, i, j) in enumerate(_taps(padded))]
    return torch.stack(parts, 1).reshape(n, -1, _TAPS, height, width).sum(2)


_COMPILED: dict[Callable[..., Any], Callable[..., Any]] = {}


def _compiled(function: Callable[..., Any], batched: Sequence[Tensor], *rest: Any) -> Any:
    """Call a function compiled. batched: arguments with any number of images in the first dimension."""
    if function not in _COMPILED:
        _COMPILED[function] = torch.compile(function, dynamic=False, options={_CONTRACT: _contract()})
    for argument in batched:
        torch._dynamo.maybe_mark_dynamic(argument, 0)  # pyright: ignore[reportPrivateUsage] (there is no public one)
    with torch.autocast("cpu", enabled=False):
        return _COMPILED[function](*batched, *rest)


def _contract() -> str | bool:
    """Return the value of the option; its type depends on PyTorch's version."""
    from torch._inductor import config  # only here: nothing public has its type, and its import takes long

    cpp: Any = config.cpp
    return True if isinstance(cpp.enable_floating_point_contract_flag, bool) else "fast"
