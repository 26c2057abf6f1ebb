"""Greedy k-center."""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..training.pretrained import PretrainedNetwork
from .pretrained_selection import PretrainedSelection, class_embeddings, class_members
from .problem import Problem


@final
@dataclass(frozen=True, kw_only=True)
class KCenter(PretrainedSelection):
    """Choose real images such that every image of their class is near one of them in embedding.

    The first is the one nearest to the class mean; each further one is the image farthest from those chosen, whose
    largest distance is at most twice that of the best choice (Sener & Savarese 2018, greedy, in each class).
    """

    embeds: ClassVar[bool] = True

    def select_class(
        self, k: int, problem: Problem, pretrained: PretrainedNetwork, generator: torch.Generator
    ) -> Tensor:
        """Choose images of class k greedily, each the farthest from those before."""
        members = class_members(problem, k)
        return members[farthest_points(class_embeddings(problem, pretrained, k), problem.ipc)]


def farthest_points(points: Tensor, count: int) -> Tensor:
    """Return the positions (count,) of points (n, D), each the farthest from those before it, on the CPU.

    All positions are returned if n is smaller than `count`.
    """
    count = min(count, len(points))
    distances = (points - points.mean(0)).square().sum(1)
    chosen = [int(distances.argmin())]
    nearest = torch.full_like(distances, torch.inf)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        nearest[chosen] = -1  # also where all points are equal
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)
