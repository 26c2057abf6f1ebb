"""What several networks share: norms, the first padding, the refusal of small images."""

from collections.abc import Callable
from typing import Literal

from torch import nn

from ..errors import InputError
from ..types import Spec

Norm = Literal["instance", "batch", "group", "none"]

NORMS: dict[Norm, Callable[[int], nn.Module]] = {  # of the number of channels
    "instance": lambda channels: nn.GroupNorm(channels, channels),
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(4, channels),
    "none": lambda _channels: nn.Identity(),
}


def first_padding(spec: Spec, kernel: int) -> int:
    """Padding of the first convolution: keeps the size of images, but brings 1x28x28 to 32x32, as published."""
    return kernel // 2 + (2 if spec.shape == (1, 28, 28) else 0)


def require_side(spec: Spec, smallest: int, network: str, *, instead: str) -> None:
    """Raises InputError for images whose shorter side is below `smallest`; `instead` says what to take."""
    _, h, w = spec.shape
    if min(h, w) < smallest:
        raise InputError(
            f"{network} serves images of at least {smallest}x{smallest} pixels, {spec.name} has {h}x{w}: take {instead}"
        )
