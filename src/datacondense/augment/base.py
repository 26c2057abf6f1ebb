"""What training asks of an augmentation."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Augmentation(Protocol):
    """How the images of a training batch are changed. `parse_training` reads its text back to an equal object."""

    def __bool__(self) -> bool:
        """Whether it changes anything."""
        ...

    def __str__(self) -> str: ...

    def per_image(self, generator: torch.Generator, count: int) -> Callable[[Tensor], Tensor]:
        """Draw parameters for each of `count` images, all from `generator` (CPU).

        What is returned maps normalised images (N, C, H, W), N = count, on any device to the same shape. Called again
        on the same images it gives the same.
        """
        ...
