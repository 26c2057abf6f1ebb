"""The optimisers of networks, by name."""

from collections.abc import Iterable
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor

OptimiserKind: TypeAlias = Literal["sgd", "adam", "adamw"]

_ADAM = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


class Stepper(Protocol):
    """Part of an optimiser that a training epoch calls."""

    def zero_grad(self) -> None:
        """Forget the gradients of the weights."""
        ...

    def step(self) -> Any:
        """Update the weights by their gradients."""
        ...


def build_optimiser(
    weights: Iterable[Tensor],
    lr: float,
    *,
    kind: OptimiserKind = "sgd",
    momentum: float = 0.0,
    squares: float = 0.999,
    weight_decay: float = 0.0,
) -> torch.optim.Optimizer:
    """Return a fresh optimiser of the weights of a network.

    Args:
        weights: The weights.
        lr: Learning rate.
        kind: sgd, adam or adamw.
        momentum: Momentum of SGD; decay of the mean gradient in the others.
        squares: Decay of the mean squared gradient in Adam and AdamW.
        weight_decay: Added to the gradient; decoupled from it in AdamW.
    """
    if kind == "sgd":
        return torch.optim.SGD(weights, lr=lr, momentum=momentum, weight_decay=weight_decay)
    return _ADAM[kind](weights, lr=lr, betas=(momentum, squares), weight_decay=weight_decay)
