"""What every generator has in common: images of a class from latent vectors."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ...data.spec import Spec

AT_ONCE = 256  # images decoded at a time, always the same: another number may round otherwise


class Generator(nn.Module, ABC):
    """Makes an image of a class from a vector z of `latent` numbers, which are standard normal over all images."""

    latent: int
    mean: Tensor
    std: Tensor

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.spec = spec
        mean, std = torch.tensor([spec.mean, spec.std])[:, :, None, None]
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """z (N, d), labels (N,) -> normalised images (N, C, H, W), differentiable in z."""
        return (self.pixels(z, labels) - self.mean) / self.std

    @abstractmethod
    def pixels(self, z: Tensor, labels: Tensor) -> Tensor:
        """z (N, d), labels (N,) -> images in [0, 1], (N, C, H, W)."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """The arguments besides the Spec that make such a generator again, as JSON values."""
