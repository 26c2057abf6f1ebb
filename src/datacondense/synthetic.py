"""What is optimised: synthetic images as a function of parameters."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn


class Synthetic(nn.Module, ABC):
    """M images of each of K classes, computed from the parameters that are optimised. Labels are hard."""

    @abstractmethod
    def forward(self) -> Tensor:
        """Normalised images (K, M, C, H, W), differentiable in the parameters."""


@final
class Pixels(Synthetic):
    """The images themselves are the parameters. images: normalised (K, M, C, H, W)."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.images = nn.Parameter(images)

    def forward(self) -> Tensor:
        return self.images


def noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Standard normal images, the published start of gradient matching."""
    return torch.randn(shape, generator=generator).to(device)
