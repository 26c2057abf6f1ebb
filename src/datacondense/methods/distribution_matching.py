"""Distribution matching (DM)."""

from dataclasses import dataclass
from typing import final

from torch import Tensor

from ..engine.execution import Workload
from .base import Iteration
from .losses import Updates
from .matching import Matching


@final
@dataclass(frozen=True, kw_only=True)
class DistributionMatching(Matching):
    """Match class-mean embeddings under fresh random networks (DM).

    loss = sum_k | mean psi(A(T_k)) - mean psi(A(S_k)) |^2, psi a network without its last layer, drawn anew in every
    iteration, A one augmentation draw per class (Zhao & Bilen, WACV 2023, eq. 4). Networks with BatchNorm embed all
    classes in one forward.
    """

    def workload(self, each: int) -> Workload:
        """Return the workload of one forward of real, and one forward and backward of synthetic images."""
        return Workload(passes=self.batch_real + 3 * each, real=self.batch_real, synthetic=each)

    def iterate(self, run: Iteration) -> Updates:
        """Yield the squared distances of the class means, one term for each group of classes."""
        synthetic, problem, streams = run.synthetic, run.problem, run.streams
        network = problem.fresh_network(streams("network"))
        view = problem.augment.draw(streams("augment"), problem.classes)  # one draw for each class
        index = self.draw_real(problem, streams)  # (K, B)

        def distance(group: slice) -> Tensor:
            real = problem.engine.class_means(network, view[group](problem.real.at(index[group])))  # (K, D)
            made = problem.engine.class_means(network, view[group](synthetic(group)), differentiable=True)
            return (real - made).square().sum()

        yield map(distance, problem.groups(network))
