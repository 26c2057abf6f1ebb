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
    classes, what = real.spec.classes, "k-means of the real images"
    report(0.0, what)
    for k in range(classes):
        chosen.append(_class_representatives(real, k, count, generator))
        report((k + 1) / classes, what)
    return torch.stack(chosen)


def _class_representatives(real: ImageSet, k: int, count: int, generator: torch.Generator) -> Tensor:
    size = int(real.counts[k])
    if size < count:
        return real.members[k, torch.randperm(size, generator=generator)[torch.arange(count) % size]]
    candidates = real.members[k, torch.randperm(size, generator=generator)[: max(_CANDIDATES, count)]]
    points = pooled_pixels(real, candidates)  # (n, P)
    return candidates[nearest(points, centres(points, count, generator))]


def centres(points: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Return the centres (count, P) of clusters of at least as many points (n, P), by scikit-learn's k-means."""
    from sklearn.cluster import MiniBatchKMeans  # pyright: ignore[reportMissingTypeStubs] (takes a second to import)
    from sklearn.exceptions import ConvergenceWarning  # pyright: ignore[reportMissingTypeStubs]

    seed = int(torch.randint(2**31, (), generator=generator))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer different images than clusters: some repeat
        clusters = MiniBatchKMeans(count, n_init="auto", random_state=seed).fit(points.numpy())
    return torch.from_numpy(clusters.cluster_centers_).to(points)


def nearest(points: Tensor, centres: Tensor) -> list[int]:
    """Return for each centre (count, P) the place of the nearest point (n, P) that no centre before it has taken."""
    taken: list[int] = []
    for row in torch.cdist(centres, points):
        row[taken] = math.inf
        taken.append(int(row.argmin()))
    return taken


def pooled_pixels(real: ImageSet, index: Tensor, side: int = _SIDE) -> Tensor:
    """Return images at `index` (n,) as normalised pixels (n, P) on the CPU, at most about `side` along each side."""
    parts: list[Tensor] = []
    for some in torch.split(index, 1024):
        images, _ = real.batch(some)
        factor = math.ceil(max(images.shape[-2:]) / side)
        parts.append(F.avg_pool2d(images, factor, ceil_mode=True).flatten(1).cpu())
    return torch.cat(parts)
