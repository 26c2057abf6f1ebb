# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Distances between two gradients of one network, for gradient matching (Zhao, Mopuri & Bilen 2021; Kim et al. 2022).

A gradient is a mapping of weight name -> (K, *shape), one for each of K classes; a distance is summed over classes.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

from ..utils.errors import InputError

Distance = Literal["layerwise", "ours", "mse", "cos", "conv-mse", "conv-l1"]
Gradients = Mapping[str, Tensor]

_EPSILON = 1e-6


def layerwise(one: Gradients, other: Gradients) -> Tensor:
    """Return the sum over weights and their output units of 1 - <a, b> / (|a| |b| + 1e-6), the papers' distance.

    A row is all that enters one output unit: (out, in, h, w) -> (out, in*h*w). Weights of one dimension (biases, the
    scale of a norm) are left out.
    """
    weights = [name for name, gradient in one.items() if gradient.dim() > 2]
    rows = [_angle(one[name].flatten(2), other[name].flatten(2)) for name in weights]  # each (K, out)
    return torch.stack([distance.sum() for distance in rows]).sum()


def squares(one: Gradients, other: Gradients) -> Tensor:
    """Return the sum of squared differences of all weights."""
    return (_joined(one) - _joined(other)).square().sum()


def angle(one: Gradients, other: Gradients) -> Tensor:
    """Return 1 - cosine of all weights joined to one vector for each class."""
    return _angle(_joined(one), _joined(other)).sum()


def convolution_squares(one: Gradients, other: Gradients) -> Tensor:
    """Return the sum of squared differences of the weights of convolutions, without biases (IDC)."""
    return torch.stack([(one[name] - other[name]).square().sum() for name in _convolutions(one)]).sum()


def convolution_differences(one: Gradients, other: Gradients) -> Tensor:
    """Return the sum of absolute differences of the weights of convolutions, without biases (IDC)."""
    return torch.stack([(one[name] - other[name]).abs().sum() for name in _convolutions(one)]).sum()


DISTANCES: dict[Distance, Callable[[Gradients, Gradients], Tensor]] = {
    "layerwise": layerwise,
    "ours": layerwise,  # its name in the papers' code
    "mse": squares,
    "cos": angle,
    "conv-mse": convolution_squares,
    "conv-l1": convolution_differences,
}


def _convolutions(gradients: Gradients) -> list[str]:
    """Return the names of the weights (K, out, in, h, w). Raises InputError if there is none."""
    names = [name for name, gradient in gradients.items() if gradient.dim() == 5]
    if not names:
        raise InputError("--distance: the network has no convolutions to compare: use layerwise, mse or cos")
    return names


def _joined(gradients: Gradients) -> Tensor:
    """Return all weights of each class as one vector, (K, P)."""
    return torch.cat([gradient.flatten(1) for gradient in gradients.values()], 1)


def _angle(one: Tensor, other: Tensor) -> Tensor:
    """Return 1 - cosine along the last dimension."""
    lengths = one.norm(dim=-1) * other.norm(dim=-1)
    return 1 - (one * other).sum(-1) / (lengths + _EPSILON)
