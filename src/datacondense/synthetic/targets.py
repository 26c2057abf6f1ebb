"""Labels of synthetic images: hard, or learned with the images.

Labels are int64 (...), or float (..., K), a number for each class. Only losses look at the difference.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Targets(nn.Module, ABC):
    """Labels of V training images of each of K classes, computed from parameters if they are learned."""

    @abstractmethod
    def forward(self, classes: slice = slice(None)) -> Tensor:
        """Return the labels of some classes, int64 (G, V), or float (G, V, K), differentiable in the parameters."""


@final
class HardLabels(Targets):
    """The class of each image.

    Args:
        classes: The number of classes, K.
        each: Training images of each class, V.
    """

    numbers: Tensor

    def __init__(self, classes: int, each: int) -> None:
        super().__init__()
        numbers = torch.arange(classes)[:, None].expand(classes, each)
        self.register_buffer("numbers", numbers, persistent=False)

    def forward(self, classes: slice = slice(None)) -> Tensor:
        return self.numbers[classes]


@final
class LearnedLabels(Targets):
    """Labels that are parameters, optimised with the images.

    Args:
        values: The labels or, with `softmax`, their logits, (K, V, K).
        softmax: Return softmax(values), which are probabilities; otherwise the values themselves, for regression.
    """

    def __init__(self, values: Tensor, *, softmax: bool = True) -> None:
        super().__init__()
        self.values = nn.Parameter(values)
        self.softmax = softmax

    def forward(self, classes: slice = slice(None)) -> Tensor:
        values = self.values[classes]
        return values.softmax(-1) if self.softmax else values


def renumbered(labels: Tensor, numbers: Sequence[int], classes: int) -> Tensor:
    """Return labels of some classes as labels among all classes.

    Args:
        labels: Of the classes in `numbers`: int64 (N,), or float (N, G).
        numbers: Their numbers among all classes, (G,).
        classes: The number of all classes, K.

    Returns:
        int64 (N,), or float (N, K) with 0 for all other classes.
    """
    index = torch.tensor(numbers, device=labels.device)
    if labels.dim() == 1:
        return index[labels]
    return labels.new_zeros(len(labels), classes).index_copy(1, index, labels)


def joined(labels: Sequence[Tensor], classes: int) -> Tensor:
    """Return the labels of several sets as one tensor; hard ones become one-hot if others are soft."""
    if any(one.dim() == 2 for one in labels):
        labels = [one if one.dim() == 2 else F.one_hot(one, classes).float() for one in labels]
    return torch.cat([*labels])


def class_numbers(labels: Tensor) -> Tensor:
    """Return labels (N,) as they are, and of labels (N, K) the class with the largest number, int64 (N,)."""
    return labels.argmax(1) if labels.dim() == 2 else labels


def class_runs(classes: Tensor) -> list[list[int]]:
    """Return classes (N,) as runs: a class and the number of images of it that follow one another."""
    numbers, counts = classes.unique_consecutive(return_counts=True)
    return torch.stack([numbers, counts], 1).tolist()


def stored_classes(labels: Tensor, runs: Sequence[Sequence[int]], classes: int) -> Tensor:
    """Return the class of each stored image, int64 (N,).

    Args:
        labels: Those of V training images of each, int64 (N, V), or float (N, V, K).
        runs: The classes as `class_runs` gives them. Without them, or where they are those of other images, the class
            is the largest number of the mean label.
        classes: The number of classes, K.
    """
    if runs and sum(each for _, each in runs) == len(labels) and max(number for number, _ in runs) < classes:
        numbers, counts = torch.tensor(runs, device=labels.device).unbind(1)
        return numbers.repeat_interleave(counts)
    return labels.mean(1).argmax(1) if labels.dim() > 2 else labels[:, 0]
