"""Methods that choose real images."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..streams import Streams
from .base import Problem, Selection


@final
@dataclass(frozen=True, kw_only=True)
class Random(Selection):
    """Random real images of each class: the baseline that every number is shown against."""

    def select(self, problem: Problem, streams: Streams) -> Tensor:
        return problem.real.draw(problem.ipc, streams("init"))
