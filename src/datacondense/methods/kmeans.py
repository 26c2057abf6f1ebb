# pyright: reportUnknownMemberType=false
"""Real images nearest to the centres of k-means in their class."""

import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.image_set import ImageSet

_CANDIDATES = 10_000
"""Images of a class that are clustered, drawn at random if it has more."""
_SIDE = 32
"""Larger images are compared by their mean over pixels, at about this size."""


def representatives(
    real: ImageSet,
    count: int,
    generator: torch.Generator,
    report: Callable[[float, str], None] = lambda done, what: None,
) -> Tensor:
    """Return the positions of `count` different images of every class, (K, count), on the CPU.

    The pixels of a class are split into `count` clusters by k-means (scikit-learn's, in mini-batches); each cluster
    gives the image nearest to its centre that is not chosen yet. A class with fewer images gives all of them in random
    order, and then repeats them from the first.

    report: called with the fraction done and the name of the work.
    """
    chosen: list[Tensor] = []
    classes = real.spec.classes
    for k in range(classes):
        chosen.append(_class_representatives(real, k, count, generator))
        report((k + 1) / classes, "k-means of the real images")
    return torch.stack(chosen)


def _class_representatives(real: ImageSet, k: int, count: int, generator: torch.Generator) -> Tensor:
    size = int(real.counts[k])
    if size < count:
        return real.members[k, torch.randperm(size, generator=generator)[torch.arange(count) % size]]
    from sklearn.cluster import MiniBatchKMeans  # pyright: ignore[reportMissingTypeStubs] (takes a second to import)
    from sklearn.exceptions import ConvergenceWarning  # pyright: ignore[reportMissingTypeStubs]

    order = torch.randperm(size, generator=generator)[: max(_CANDIDATES, count)]
    candidates = real.members[k, order]
    points = _points(real, candidates)  # (n, P)
    seed = int(torch.randint(2**31, (), generator=generator))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different images than clusters: some repeat
        clusters = MiniBatchKMeans(count, n_init="auto", random_state=seed).fit(points.numpy())
    distances = torch.cdist(torch.from_numpy(clusters.cluster_centers_).to(points), points)  # (count, n)
    taken: list[int] = []
    for row in distances:
        row[taken] = math.inf
        taken.append(int(row.argmin()))
    return candidates[taken]


def _points(real: ImageSet, index: Tensor) -> Tensor:
    """Return images at `index` (n,) as normalised pixels (n, P) on the CPU, downsampled."""
    parts: list[Tensor] = []
    for some in torch.split(index, 1024):
        images, _ = real.batch(some)
        factor = math.ceil(max(images.shape[-2:]) / _SIDE)
        parts.append(F.avg_pool2d(images, factor, ceil_mode=True).flatten(1).cpu())
    return torch.cat(parts)
