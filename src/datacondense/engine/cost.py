"""How much work networks are, so that what is done can be weighed against what is left."""

import math
from dataclasses import dataclass
from typing import final

import torch

from ..data.spec import Spec
from ..networks import build
from .execution import cost

# What is not arithmetic, in floating-point operations that take as long; measured on CPUs, and good enough to foresee
# how long networks of different kinds take beside each other.
_OF_BYTE = 25  # of a layer's output, once a pass
_OF_WEIGHT = 700  # gradient, momentum and decay of one weight, once a step
_OF_LAYER = {"cpu": 1e7, "cuda": 1e9}  # calling one layer forward and backward, once a step


@final
@dataclass(frozen=True)
class Effort:
    """What one architecture costs on one dataset, in floating-point operations."""

    image: float
    """Of one image forward; training costs three times that."""
    step: float
    """Of one step of the optimiser, whatever the batch."""

    def epoch(self, images: int, batch: int) -> float:
        """Training on `images` images once."""
        return 3 * images * self.image + math.ceil(images / batch) * self.step


def effort(arch: str, spec: Spec, device: str) -> Effort:
    """The effort of an architecture on images like `spec` on `device`."""
    with torch.device("meta"):
        network = build(arch, spec)
        operations, _, layer_bytes = cost(network, spec)
    weights = sum(weight.numel() for weight in network.parameters())
    layers = sum(not any(module.children()) for module in network.modules())
    of_layer = _OF_LAYER[torch.device(device).type]
    return Effort(operations + _OF_BYTE * layer_bytes, _OF_WEIGHT * weights + of_layer * layers)
