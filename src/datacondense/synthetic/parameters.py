"""Synthetic images as a function of the parameters that are optimised."""

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor, nn

from ..networks.generators import AT_ONCE, Generator
from .generated import Generated, Storage, unstorable


class Synthetic(nn.Module, ABC):
    """M images of each of K classes, computed from the parameters that are optimised. Labels are hard."""

    counts: tuple[int, ...] | None = None
    """Images of each class, (K,), if some have fewer than M and the rest is padding; None if all have M."""

    @abstractmethod
    def forward(self) -> Tensor:
        """Return normalised images (K, M, C, H, W), differentiable in the parameters."""

    def listed(self, images: Tensor) -> Tensor:
        """Return images (K, M, ...) class by class (N, ...), without the padding."""
        if self.counts is None:
            return images.flatten(0, 1)
        return torch.cat([row[:count] for row, count in zip(images, self.counts, strict=True)])

    def labels(self, classes: int, each: int) -> Tensor:
        """Return the labels (N,) of the images that `listed` returns, on the CPU; each: M without padding."""
        return torch.arange(classes).repeat_interleave(torch.tensor(self.counts or (each,) * classes))

    def generated(self) -> Generated | None:
        """Return generator and latents if these are stored instead of images; otherwise None."""
        return None

    def fault(self) -> str:
        """Return the reason why the parameters cannot be stored; empty if they can."""
        finite = all(bool(torch.isfinite(parameter).all()) for parameter in self.parameters())
        return "" if finite else "the images are no longer finite"


@final
class Pixels(Synthetic):
    """Images whose pixels are the parameters.

    Args:
        images: Normalised images (K, M, C, H, W).
        counts: Images of each class, if some have fewer than M.
    """

    def __init__(self, images: Tensor, counts: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.counts = counts
        self.images = nn.Parameter(images)

    def forward(self) -> Tensor:
        return self.images


@final
class Latents(Synthetic):
    """Images that a frozen generator makes from latent vectors, which are the parameters.

    Args:
        generator: The generator; it is not part of the parameters.
        z: Latents (K, M, d).
        pairs: Positions (K, M) of the real images that the latents started from.
        storage: Format in which latents are stored.
    """

    pairs: Tensor

    def __init__(self, generator: Generator, z: Tensor, pairs: Tensor, storage: Storage) -> None:
        super().__init__()
        self.z = nn.Parameter(z)
        self.register_buffer("pairs", pairs)
        self.storage: Storage = storage
        self._generator = (generator,)  # in a tuple, so that it is no submodule

    @property
    def generator(self) -> Generator:
        return self._generator[0]

    def forward(self) -> Tensor:
        every = torch.arange(self.z.shape[1]).expand(self.z.shape[0], -1)
        return self.at(every, slice(None))

    def at(self, index: Tensor, classes: slice) -> Tensor:
        """Return the images at places `index` (K, B) of each class, for some classes, (G, B, C, H, W)."""
        index = index.to(self.z.device)[classes]
        z = self.z[classes].gather(1, index[:, :, None].expand(-1, -1, self.z.shape[2]))
        labels = torch.arange(len(self.z), device=z.device)[classes, None].expand(index.shape)
        parts = zip(torch.split(z.flatten(0, 1), AT_ONCE), torch.split(labels.flatten(), AT_ONCE), strict=True)
        return torch.cat([self.generator(*part) for part in parts]).unflatten(0, index.shape)

    def fault(self) -> str:
        if not bool(torch.isfinite(self.z).all()):
            return "the latents are no longer finite"
        return unstorable(self.z, self.storage)

    def generated(self) -> Generated:
        return Generated.round_trip(self.generator, self.z.flatten(0, 1), self.storage)


def noise(shape: tuple[int, ...], generator: torch.Generator, device: torch.device | str) -> Tensor:
    """Draw standard normal images, the published start of gradient matching."""
    return torch.randn(shape, generator=generator).to(device)
