"""Herding."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..training.pretrained import PretrainedNetwork
from .pretrained_selection import PretrainedSelection, class_embeddings, class_members
from .problem import Problem


@final
@dataclass(frozen=True, kw_only=True)
class Herding(PretrainedSelection):
    """Choose real images whose running mean embedding stays nearest to the mean of their class.

    The t-th image of a class is the one among those left that minimises |mu - (e_1 + ... + e_t) / t|, where e are
    embeddings and mu is their mean over the class (Welling 2009, as in Rebuffi et al. 2017 without normalisation).
    """

    embeds: ClassVar[bool] = True

    def select_class(
        self, k: int, problem: Problem, pretrained: PretrainedNetwork, generator: torch.Generator
    ) -> Tensor:
        """Choose images of class k greedily by the running mean."""
        members = class_members(problem, k)
        return members[herd(class_embeddings(problem, pretrained, k), problem.ipc)]


def herd(points: Tensor, count: int) -> Tensor:
    """Return the positions (count,) of the points (n, D) chosen by herding, on the CPU; of all if n is smaller."""
    count = min(count, len(points))
    mean, sum_, squares = points.mean(0), torch.zeros_like(points[0]), points.square().sum(1)
    chosen: list[int] = []
    for t in range(1, count + 1):
        # |t mu - sum - e|^2 without what is the same for all e
        distances = squares - 2 * points @ (t * mean - sum_)
        distances[chosen] = torch.inf
        chosen.append(int(distances.argmin()))
        sum_ += points[chosen[-1]]
    return torch.tensor(chosen)
