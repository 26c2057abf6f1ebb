"""Random choice of real images."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..utils.streams import Streams
from .problem import Problem
from .selection import Selection


@final
@dataclass(frozen=True, kw_only=True)
class Random(Selection):
    """Choose random real images of each class: the baseline that every accuracy is compared with."""

    def select(self, problem: Problem, streams: Streams) -> Tensor:
        """Return positions (K, ipc), uniform without replacement in each class."""
        return problem.real.draw(problem.ipc, streams("init"), note=False)
