"""The interface of a generator: images of a class from latent vectors."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from ...data.spec import Spec

AT_ONCE = 256  # images decoded at a time; always the same, since another number may round differently


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
        """Return normalised images (N, C, H, W) for z (N, d) and labels (N,), differentiable in z."""
        return (self.pixels(z, labels) - self.mean) / self.std

    @abstractmethod
    def pixels(self, z: Tensor, labels: Tensor) -> Tensor:
        """Return images in [0, 1], (N, C, H, W), for z (N, d) and labels (N,)."""

    @abstractmethod
    def config(self) -> dict[str, Any]:
        """Return the arguments besides the Spec that build an equal generator, as JSON values."""
