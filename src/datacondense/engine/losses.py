"""The losses of training, of each image. Only they distinguish hard labels (classes) from soft ones (a row each)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from ..utils.plugins import require_arguments
from ..utils.registry import Entry, Registry

Loss: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]
"""Logits (n, K), labels int64 (n,) or float (n, K), temperature -> losses (n,)."""
Criterion: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""A loss at a fixed temperature: logits (n, K), labels int64 (n,) or float (n, K) -> losses (n,)."""


def ce(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the cross-entropy of softmax(logits / T) against classes or probabilities.

    Args:
        logits: Logits (n, K).
        labels: Classes, int64 (n,), or probabilities, float (n, K).
        temperature: T.

    Returns:
        Losses (n,).
    """
    return F.cross_entropy(_over(logits, temperature), labels, reduction="none")


def kl(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Return T^2 KL(labels || softmax(logits / T)) (Hinton, Vinyals & Dean 2015).

    The factor T^2 keeps the size of the gradient at every T. The temperature of a teacher is in its probabilities.

    Args:
        logits: Logits (n, K).
        labels: Probabilities, float (n, K), or classes, int64 (n,), as their one-hot rows.
        temperature: T.

    Returns:
        Losses (n,), at least 0.
    """
    cross_entropy = ce(logits, labels, temperature)
    if not labels.is_floating_point():
        return temperature**2 * cross_entropy  # a one-hot row has no entropy
    logarithm = labels.clamp(min=torch.finfo(labels.dtype).tiny).log()  # finite, also in the gradient at 0
    return temperature**2 * (cross_entropy + (labels * logarithm).sum(1))


def mse(logits: Tensor, labels: Tensor, temperature: float = 1.0) -> Tensor:
    """Return 1/2 sum_k (logits_k / T - labels_k)^2 (Zhou, Nezhadarya & Ba 2022: FRePo).

    Args:
        logits: Logits (n, K).
        labels: Any numbers, float (n, K), or classes, int64 (n,), as centred one-hot rows: 1 - 1/K, else -1/K.
        temperature: T.

    Returns:
        Losses (n,).
    """
    logits = _over(logits, temperature)
    if not labels.is_floating_point():
        classes = torch.arange(logits.shape[1], device=labels.device)
        labels = (labels[:, None] == classes).to(logits.dtype) - 1 / logits.shape[1]  # F.one_hot has no vmap
    return (logits - labels).square().sum(1) / 2


def checked(name: str, loss: Any) -> Loss:
    """Return the loss of a plug-in. Raises InputError unless it takes logits, labels and a temperature."""
    require_arguments("loss", name, loss, "logits", "labels", "temperature")
    return loss


LOSSES: Registry[Loss] = Registry(
    __name__,
    {"ce": Entry("losses:ce"), "kl": Entry("losses:kl"), "mse": Entry("losses:mse")},
    kind="loss",
    group="datacondense.losses",
    check="losses:checked",
)
"""Name -> loss."""


@lru_cache
def criterion(loss: Loss, temperature: float) -> Criterion:
    """Return a loss at a temperature; the same object for the same arguments, so that compiled code is reused."""

    def at_temperature(logits: Tensor, labels: Tensor) -> Tensor:
        return loss(logits, labels, temperature)

    return at_temperature


def _over(logits: Tensor, temperature: float) -> Tensor:
    return logits if temperature == 1 else logits / temperature
