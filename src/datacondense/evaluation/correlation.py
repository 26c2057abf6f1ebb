"""The rank correlation of the loss of a run and the accuracy of its snapshots."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import final

from ..run.records import LogEntry


@final
@dataclass(frozen=True)
class LossCorrelation:
    """Spearman's rank correlation of loss and accuracy over the snapshots of a run."""

    value: float
    """In [-1, 1]: -1 if the accuracy rises whenever the loss falls, about 0 if the loss does not show the accuracy."""
    snapshots: int
    """Snapshots that it is over."""

    def __str__(self) -> str:
        return f"{self.value:+.2f} over {self.snapshots} snapshots"


def loss_correlation(log: Sequence[LogEntry], accuracy: Mapping[int, float]) -> LossCorrelation | None:
    """Return the rank correlation of loss and accuracy; None for fewer than three snapshots, or equal values.

    The loss of a snapshot is the mean over the iterations since the one before, as single losses are noisy.

    Args:
        log: Iterations of the run with their loss.
        accuracy: Iteration of a snapshot -> mean accuracy of the networks that were trained on it. The one of the first
            iteration, 0, has no loss, and is left out.
    """
    losses: list[float] = []
    accuracies: list[float] = []
    before = 0
    for iteration, value in sorted(accuracy.items()):
        since = [entry.loss for entry in log if before < entry.iteration <= iteration]
        if since:
            losses.append(fmean(since))
            accuracies.append(value)
        before = iteration
    if len(losses) < 3:
        return None
    value = spearman(losses, accuracies)
    return None if math.isnan(value) else LossCorrelation(value, len(losses))


def spearman(x: Sequence[float], y: Sequence[float]) -> float:
    """Return Spearman's rank correlation, that of the ranks; equal values share the mean of theirs.

    nan if all values of a side are equal.
    """
    one, other = _ranks(x), _ranks(y)
    mean = (len(x) + 1) / 2
    covariance = sum((a - mean) * (b - mean) for a, b in zip(one, other, strict=True))
    spread = math.sqrt(sum((a - mean) ** 2 for a in one) * sum((b - mean) ** 2 for b in other))
    return covariance / spread if spread else math.nan


def _ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value from 1, the mean rank of equal ones."""
    below = [sum(other < value for other in values) for value in values]
    alike = [sum(other == value for other in values) for value in values]
    return [b + (a + 1) / 2 for b, a in zip(below, alike, strict=True)]
