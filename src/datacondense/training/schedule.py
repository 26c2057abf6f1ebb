"""The learning-rate schedule of training and evaluation: two phases of SGD, the second at a tenth of the rate."""

from collections.abc import Iterable

import torch
from torch import Tensor


def first_phase(epochs: int) -> int:
    """Return how many of `epochs` have the full learning rate: epochs // 2 + 1 (Zhao, Mopuri & Bilen 2021)."""
    return epochs // 2 + 1


def learning_rate(lr: float, done: int, full: int) -> float:
    """Return the learning rate when `done` epochs are done, of which the first `full` have the full one."""
    return lr if done < full else lr / 10


def sgd(weights: Iterable[Tensor], lr: float, momentum: float, weight_decay: float) -> torch.optim.Optimizer:
    """Return the optimiser of one phase, which begins without momentum."""
    return torch.optim.SGD(weights, lr=lr, momentum=momentum, weight_decay=weight_decay)
