"""BatchNorm in gradient matching (DC, DSA): running statistics from real images, frozen while gradients are compared.

In training mode BatchNorm would mix the images of a batch, and a batch of gradient matching holds one class only. As
published, one forward of 16 real images of every class sets the running statistics before each update, and gradients
are compared in evaluation mode (Zhao, Mopuri & Bilen 2021). Distribution matching has no such step: it embeds all
classes in one forward (see `Problem.groups`, `Engine.class_means`).
"""

import torch

from ..data.image_set import ImageSet
from ..networks import Network

REAL_IMAGES = 16
"""Real images of each class that set the statistics."""


@torch.no_grad()
def set_running_statistics(network: Network, real: ImageSet, generator: torch.Generator) -> None:
    """Pass 16 real images of each class forward once, in training mode, which updates the running statistics."""
    network.train()(real.sample(REAL_IMAGES, generator).flatten(0, 1))
