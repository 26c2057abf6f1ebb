"""The multilayer perceptron of the papers."""

import math
from typing import final

from torch import Tensor, nn

from ..data.spec import Spec
from .base import Network


@final
class MLP(Network):
    """Two hidden layers of 128 with ReLU, then a linear head.

    Zhao, Mopuri & Bilen 2021. Serves images of every size; the published one takes 1x28x28 and 3x32x32.
    """

    channels_last = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Flatten(), nn.Linear(math.prod(spec.shape), 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU()
        )
        self.head = nn.Linear(128, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.features(images)  # (N, 128)
