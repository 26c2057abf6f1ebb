"""Distribution matching (DM)."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..streams import Streams
from ..synthetic import Synthetic
from .base import Matching, Problem


@final
@dataclass(frozen=True, kw_only=True)
class DistributionMatching(Matching):
    """Match class-mean embeddings under fresh random networks.

    loss = sum_k | mean psi(A(T_k)) - mean psi(A(S_k)) |^2, psi a network without its last layer, drawn anew in every
    iteration, A one augmentation draw per class (Zhao & Bilen, WACV 2023, eq. 4). Networks with BatchNorm embed all
    classes in one forward.
    """

    @property
    def images_per_iteration(self) -> tuple[int, int]:
        return self.batch_real, 3  # a synthetic image passes forward and, at twice the cost, backward

    def iterate(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Generator[Tensor, None, None]:
        network = problem.fresh_network(streams("network"))
        view = problem.augment.draw(streams("augment"), problem.classes)  # one draw for each class
        real = problem.real.sample(self.batch_real, streams("real"))  # (K, B, C, H, W)
        target = problem.engine.class_means(network, view(real))  # (K, D)
        means = problem.engine.class_means(network, view(synthetic()), differentiable=True)
        yield (target - means).square().sum()
