# pyright: reportUnknownMemberType=false
"""The network that draws the frequencies of NCFM."""

import math
from typing import final

import torch
from torch import Tensor, nn

from ..utils.streams import global_draws


@final
class FrequencySampler(nn.Module):
    """Map noise (F, D) to frequencies (F, D): three times linear, BatchNorm, LeakyReLU 0.2; the last is a tanh.

    It is trained to find frequencies in [-1, 1] at which the sets differ most (Wang et al., CVPR 2025). BatchNorm
    always takes the statistics of the F rows.

    Args:
        width: Dimensions of an embedding, D.
        generator: Draws the weights, uniform in ±1/sqrt(D).
    """

    def __init__(self, width: int, generator: torch.Generator) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for activation in (nn.LeakyReLU(0.2), nn.LeakyReLU(0.2), nn.Tanh()):
            with global_draws():
                linear = nn.Linear(width, width)
            layers += [linear, nn.BatchNorm1d(width, track_running_stats=False), activation]
        self.layers = nn.Sequential(*layers)
        bound = 1 / math.sqrt(width)
        with torch.no_grad():
            for layer in layers:
                if isinstance(layer, nn.Linear):
                    for parameter in layer.parameters():
                        drawn = torch.empty(parameter.shape).uniform_(-bound, bound, generator=generator)
                        parameter.copy_(drawn)

    def forward(self, noise: Tensor) -> Tensor:
        return self.layers(noise)
