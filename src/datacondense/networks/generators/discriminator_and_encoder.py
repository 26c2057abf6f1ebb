"""Networks that train together with a generator: the discriminator of a GAN, the encoder of an autoencoder."""

from itertools import pairwise
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.spec import Spec
from .convolutional import pyramid


class _Trunk(nn.Module):
    """Convolutions of stride 2 from normalised images (N, C, H, W) down to the first map of a generator."""

    def __init__(self, spec: Spec, width: int) -> None:
        super().__init__()
        (height, side), widths = pyramid(spec, width)
        widths = widths[::-1]
        self.first = nn.Conv2d(spec.shape[0], widths[0], 3, padding=1)
        self.halvings = nn.ModuleList(
            nn.Conv2d(before, after, 4, stride=2, padding=1) for before, after in pairwise(widths)
        )
        self.features = widths[-1] * height * side

    def forward(self, images: Tensor) -> Tensor:
        x = F.leaky_relu(self.first(images), 0.2)
        for halving in self.halvings:
            x = F.leaky_relu(halving(x), 0.2)
        return x.flatten(1)


@final
class Discriminator(nn.Module):
    """A projection discriminator (Miyato & Koyama 2018) under spectral norm: scores how real an image looks."""

    def __init__(self, spec: Spec, *, width: int) -> None:
        super().__init__()
        self.trunk = _Trunk(spec, width)
        self.real = nn.Linear(self.trunk.features, 1)
        self.classes = nn.Embedding(spec.classes, self.trunk.features)
        for module in list(self.modules()):
            if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                nn.utils.parametrizations.spectral_norm(module)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return scores (N,) of normalised images (N, C, H, W) with labels (N,), above 0 for real ones."""
        features = self.trunk(images)
        return self.real(features).flatten() + (features * self.classes(labels)).sum(1)


@final
class Encoder(nn.Module):
    """The distribution of z for an image of a class: mean and logarithm of the variance, each (N, d)."""

    def __init__(self, spec: Spec, *, latent: int, width: int) -> None:
        super().__init__()
        self.trunk = _Trunk(spec, width)
        self.classes = nn.Embedding(spec.classes, latent)
        self.out = nn.Linear(self.trunk.features + latent, 2 * latent)

    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        features = torch.cat([self.trunk(images), self.classes(labels)], dim=1)
        mean, log_variance = self.out(features).chunk(2, dim=1)
        return mean, log_variance.clamp(-10, 10)
