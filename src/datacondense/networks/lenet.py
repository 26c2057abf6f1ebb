"""LeNet-5 with ReLU and max pooling."""

import math
from typing import final

from torch import Tensor, nn

from ..data.spec import Spec
from .attention import with_maps
from .base import Network
from .pooling import MaxPool


@final
class LeNet(Network):
    """Convolutions 5x5 to 6 and 16 channels, each with ReLU and max pooling 2; layers of 120 and 84; a linear head.

    LeCun et al. 1998, in the form of Zhao, Mopuri & Bilen (2021), which takes 1x28x28 and 3x32x32. Serves images of
    every size: the first convolution pads an axis below 32 pixels to 32 (to 33 from an odd size), as published for
    1x28x28; larger images give the layer of 120 more inputs.
    """

    channels_last = True

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        channels, *sides = spec.shape
        pad_h, pad_w = (math.ceil(max(0, 32 - side) / 2) for side in sides)
        h, w = (((side + 2 * pad - 4) // 2 - 4) // 2 for side, pad in zip(sides, (pad_h, pad_w), strict=True))
        self.features = nn.Sequential(
            nn.Conv2d(channels, 6, kernel_size=5, padding=(pad_h, pad_w)),
            nn.ReLU(),
            MaxPool(),
            nn.Conv2d(6, 16, kernel_size=5),
            nn.ReLU(),
            MaxPool(),
            nn.Flatten(),
            nn.Linear(16 * h * w, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
        )
        self.head = nn.Linear(84, spec.classes)

    def embed(self, images: Tensor) -> Tensor:
        return self.features(images)  # (N, 84)

    def embed_with_maps(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        return with_maps(self.features, images, nn.ReLU)
