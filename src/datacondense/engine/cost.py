"""Count the floating-point operations of networks, in a forward and in training, for schedules and estimates."""

import math
from dataclasses import dataclass
from typing import Any, cast, final

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ..data.spec import Spec
from ..networks import Network, build

# Costs besides arithmetic, in floating-point operations that take as long; measured on CPUs, and accurate enough to
# compare how long networks of different kinds take.
_PER_BYTE = 25  # of a layer's output, once a pass
_PER_WEIGHT = 700  # gradient, momentum and decay of one weight, once a step
_PER_LAYER = {"cpu": 1e7, "cuda": 1e9}  # calling one layer forward and backward, once a step


@final
@dataclass(frozen=True)
class TrainingCost:
    """Cost of training one architecture on one dataset, in floating-point operations."""

    image: float
    """Cost of one image forward; training costs three times that."""
    step: float
    """Cost of one step of the optimiser, for any batch size."""

    def epoch(self, images: int, batch: int) -> float:
        """Return the cost of training on `images` images once."""
        return 3 * images * self.image + math.ceil(images / batch) * self.step


def training_cost(arch: str, spec: Spec, device: str) -> TrainingCost:
    """Return the cost of training an architecture on images like `spec` on `device`."""
    with torch.device("meta"):
        network = build(arch, spec)
        operations, _, layer_bytes = forward_cost(network, spec)
    weights = sum(weight.numel() for weight in network.parameters())
    layers = sum(not any(module.children()) for module in network.modules())
    per_layer = _PER_LAYER[torch.device(device).type]
    return TrainingCost(operations + _PER_BYTE * layer_bytes, _PER_WEIGHT * weights + per_layer * layers)


def forward_cost(network: Network, spec: Spec) -> tuple[int, int, int]:
    """Return, for one image: floating-point operations, bytes of the widest layer, and bytes of all layers (float32).

    The network must be on the meta device.
    """
    layers: list[int] = []

    def measure(module: nn.Module, _args: Any, output: object) -> None:
        # a recurrent layer returns several
        outputs = cast("tuple[object, ...]", output) if isinstance(output, tuple) else (output,)
        if not any(module.children()):
            layers.append(sum(one.numel() * 4 for one in outputs if isinstance(one, Tensor)))

    hooks = [module.register_forward_hook(measure) for module in network.modules()]
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        logits = network.eval()(torch.empty(1, *spec.shape, device="meta"))
    for hook in hooks:
        hook.remove()
    layers = layers or [logits.numel() * 4]  # a module that uses no layer as such
    return counter.get_total_flops(), max(layers), sum(layers)
