"""BigGAN for 32x32 images (Brock et al. 2019), as trained with differentiable augmentation (Zhao et al. 2020).

Weights have the names and shapes of the PyTorch code in which the published ones were trained: layers under spectral
norm with `u0` and `sv0` beside `weight`, class-conditional BatchNorm with a gain and a bias for each class.
"""

from collections.abc import Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.spec import Spec
from ...utils.errors import InputError
from .base import Generator

_SIDE = 32
_FIRST = 4  # side of the first map, in pixels
_EPS = 1e-5


@final
class BigGAN(Generator):
    """BigGAN: z to 4x4, three residual blocks that double the sides, norm, ReLU and a convolution to RGB in [-1, 1]."""

    def __init__(self, spec: Spec, *, latent: int = 128, width: int = 256) -> None:
        super().__init__(spec)
        if spec.shape != (3, _SIDE, _SIDE):
            raise InputError(f"this BigGAN makes images of 3x32x32, not {'x'.join(map(str, spec.shape))}")
        self.latent, self.width = latent, width
        self.linear = _Linear(latent, width * _FIRST * _FIRST)
        self.blocks = nn.ModuleList(nn.ModuleList([_Block(width, spec.classes)]) for _ in range(3))
        self.output_layer = nn.Sequential(_Norm(width), nn.ReLU(), _Conv(width, 3, 3))

    def pixels(self, z: Tensor, labels: Tensor) -> Tensor:
        x: Tensor = self.linear(z).unflatten(1, (-1, _FIRST, _FIRST))
        for blocks in self.blocks:
            assert isinstance(blocks, nn.ModuleList)  # of one block, as in the published names
            x = blocks[0](x, labels)
        return (torch.tanh(self.output_layer(x)) + 1) / 2

    def config(self) -> dict[str, Any]:
        return {"latent": self.latent, "width": self.width}

    @staticmethod
    def from_weights(weights: Mapping[str, Tensor], spec: Spec) -> "BigGAN":
        """Build the generator of published weights, in their sizes. Raises InputError if they do not fit."""
        weights = {name.removeprefix("module."): tensor for name, tensor in weights.items()}
        if "linear.weight" not in weights or weights["linear.weight"].dim() != 2:
            raise InputError("these are not the weights of a BigGAN: there is no linear.weight")
        outputs, latent = weights["linear.weight"].shape
        generator = BigGAN(spec, latent=latent, width=outputs // _FIRST**2)
        own = generator.state_dict()
        lacking, other = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
        if lacking or other:
            raise InputError(
                f"the weights are not those of this BigGAN: {len(lacking)} are missing ({', '.join(lacking[:3])}), "
                f"{len(other)} are not known ({', '.join(other[:3])})"
            )
        for name, tensor in own.items():
            if weights[name].shape != tensor.shape:
                found, expected = tuple(weights[name].shape), tuple(tensor.shape)
                raise InputError(f"{name} has the shape {found}, expected {expected} for {spec.classes} classes")
        generator.load_state_dict(weights)
        return generator.eval().requires_grad_(False)


class _Block(nn.Module):
    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.bn1, self.bn2 = _ClassNorm(width, classes), _ClassNorm(width, classes)
        self.conv1, self.conv2 = _Conv(width, width, 3), _Conv(width, width, 3)
        self.conv_sc = _Conv(width, width, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        h = F.interpolate(F.relu(self.bn1(x, labels)), scale_factor=2)
        h = self.conv2(F.relu(self.bn2(self.conv1(h), labels)))
        return h + self.conv_sc(F.interpolate(x, scale_factor=2))


class _ClassNorm(nn.Module):
    """BatchNorm by stored statistics, with a gain and a bias for each class."""

    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Embedding(classes, width), nn.Embedding(classes, width)
        self.register_buffer("stored_mean", torch.zeros(width))
        self.register_buffer("stored_var", torch.ones(width))

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        gain, bias = (embedding(labels)[:, :, None, None] for embedding in (self.gain, self.bias))
        return F.batch_norm(x, self.stored_mean, self.stored_var, eps=_EPS) * (1 + gain) + bias


class _Norm(nn.Module):
    stored_mean: Tensor
    stored_var: Tensor

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gain, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))
        self.register_buffer("stored_mean", torch.zeros(width))
        self.register_buffer("stored_var", torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(x, self.stored_mean, self.stored_var, self.gain, self.bias, eps=_EPS)


class _Spectral(nn.Module):
    """A layer whose weight is divided by its largest singular value, found by a step of power iteration from u0."""

    u0: Tensor

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.empty(shape)), nn.Parameter(torch.zeros(shape[0]))
        nn.init.normal_(self.weight, std=0.02)
        self.register_buffer("u0", F.normalize(torch.ones(1, shape[0])))
        self.register_buffer("sv0", torch.ones(1))

    def normalised(self) -> Tensor:
        matrix = self.weight.flatten(1)
        v = F.normalize(self.u0 @ matrix)
        u = F.normalize(v @ matrix.T)
        return self.weight / (u @ matrix @ v.T)


class _Linear(_Spectral):
    def __init__(self, before: int, after: int) -> None:
        super().__init__(after, before)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.normalised(), self.bias)


class _Conv(_Spectral):
    def __init__(self, before: int, after: int, side: int) -> None:
        super().__init__(after, before, side, side)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.normalised(), self.bias, padding=self.weight.shape[-1] // 2)
