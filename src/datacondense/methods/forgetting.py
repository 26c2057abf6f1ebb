"""Selection by forgetting events."""

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..training.pretrained import PretrainedNetwork
from .pretrained_selection import PretrainedSelection, class_members
from .problem import Problem


@final
@dataclass(frozen=True, kw_only=True)
class Forgetting(PretrainedSelection):
    """Choose the real images that a network forgot most often; those it never learned come first.

    A forgetting event: an image is misclassified at the step made on it, and was classified correctly at the one before
    (Toneva et al. 2019). Ties are broken at random.
    """

    def select_class(
        self, k: int, problem: Problem, pretrained: PretrainedNetwork, generator: torch.Generator
    ) -> Tensor:
        """Choose the images of class k that were forgotten most often."""
        members = class_members(problem, k)
        members = members[torch.randperm(len(members), generator=generator)]
        order = pretrained.forgotten[members].argsort(descending=True, stable=True)
        return members[order[: problem.ipc]]
