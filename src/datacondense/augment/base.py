"""The interface of an augmentation."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Augmentation(Protocol):
    """A random change of the images of a training batch; `parse_training` restores an equal one from its text."""

    def __bool__(self) -> bool:
        """Return whether it changes anything."""
        ...

    def __str__(self) -> str: ...

    def per_image(self, generator: torch.Generator, count: int) -> Callable[[Tensor], Tensor]:
        """Draw parameters for each image of a batch.

        Args:
            generator: Draws all parameters, on the CPU.
            count: Images in the batch, N.

        Returns:
            A deterministic function of normalised images (N, C, H, W), on any device, to augmented ones.
        """
        ...
