# pyright: reportUnknownMemberType=false
"""Batches of real images that stand for their class better than uniform draws: stratified, or chosen under a network.

Stratified: the images of a class are split, once, into as many strata of equal size as a batch has images, by halving
them again and again along the direction in which their pixels vary most; a batch takes one image of each stratum. Its
mean stays unbiased and varies less. DREAM (Liu et al., ICCV 2023) chooses the images nearest to the centres of clusters
of embeddings, anew from time to time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, final

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..networks import Network
from .kmeans import centres, nearest, pooled_pixels
from .problem import Problem

Batches = Literal["uniform", "stratified", "dream"]

_POOL = 512
"""Images of a class among which those of a batch are chosen under a network."""
_SIDE = 16
"""Images are halved by their mean over pixels, at about this size."""
_POWERS = 10
"""Steps of the power iteration for the direction in which images vary most."""


@final
@dataclass(frozen=True)
class Strata:
    """The images of K classes in an order in which any B equal parts of a class are strata of like images."""

    members: Tensor
    """Positions of the images of each class, stratum by stratum, padded, int64 (K, M)."""
    counts: Tensor
    """Images of each class, int64 (K,)."""

    def draw(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draw an image of each of B equal parts of every class.

        Every image of a class is drawn equally often: part i of n images begins at i n / B, between two images too.

        Args:
            batch: Images of each class, B.
            generator: CPU generator of the draw.

        Returns:
            Positions int64 (K, B), on the CPU.
        """
        u = torch.rand(len(self.counts), batch, generator=generator, dtype=torch.float64)
        counts = self.counts[:, None]
        places = ((torch.arange(batch) + u) * (counts / batch)).long()
        return self.members.gather(1, torch.minimum(places, counts - 1))  # a product may be rounded up to n


def stratify(
    real: ImageSet,
    batch: int,
    generator: torch.Generator,
    report: Callable[[float, str], None] = lambda done, what: None,
) -> Strata:
    """Order the images of every class by strata.

    Args:
        real: The real images.
        batch: Strata of each class, B.
        generator: Draws the first direction of each power iteration.
        report: Called with the fraction done and the name of the work.

    Returns:
        The strata.
    """
    rows: list[Tensor] = []
    counts = [int(count) for count in real.counts]
    for k, count in enumerate(counts):
        of_class = real.members[k, :count]
        points = pooled_pixels(real, of_class, _SIDE)
        rows.append(of_class[_by_strata(points, torch.arange(count), batch, generator)])
        report((k + 1) / len(counts), "strata of the real images")
    return Strata(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), real.counts)


def _by_strata(points: Tensor, index: Tensor, parts: int, generator: torch.Generator) -> Tensor:
    """Return places `index` (n,) of points (N, P), ordered by `parts` strata of equal size."""
    if parts == 1 or len(index) < 2:
        return index
    some = points[index]
    some = some - some.mean(0)
    direction = torch.randn(points.shape[1], generator=generator)
    for _ in range(_POWERS):
        direction = torch.nn.functional.normalize(some.T @ (some @ direction), dim=0)
    index = index[(some @ direction).argsort(stable=True)]
    left = parts // 2
    cut = round(len(index) * left / parts)
    halves = (index[:cut], left), (index[cut:], parts - left)
    return torch.cat([_by_strata(points, half, count, generator) for half, count in halves])


def representatives_under(network: Network, problem: Problem, batch: int, generator: torch.Generator) -> Tensor:
    """Return the real images of every class nearest to the centres of k-means of their embeddings, as DREAM takes them.

    Args:
        network: Embeds the images, in evaluation mode.
        problem: The real images and the engine. At most 512 random images of a class, or `batch`, are clustered.
        batch: Images of each class, B; those of a smaller class are repeated.
        generator: Draws the images that are clustered, and the first centres.

    Returns:
        Positions int64 (K, B), on the CPU.
    """
    return problem.engine.processes.agreed(lambda: _representatives_under(network, problem, batch, generator))


def _representatives_under(network: Network, problem: Problem, batch: int, generator: torch.Generator) -> Tensor:
    chosen: list[Tensor] = []
    real = problem.real
    counts = [int(count) for count in real.counts]
    network.eval()
    for k, count in enumerate(counts):
        pool = real.members[k, torch.randperm(count, generator=generator)[: max(_POOL, batch)]]
        if count > batch:
            points = problem.engine.embed(network, real.batch(pool)[0]).cpu()
            pool = pool[nearest(points, centres(points, batch, generator))]
        chosen.append(pool[torch.arange(batch) % len(pool)])
    return torch.stack(chosen)
