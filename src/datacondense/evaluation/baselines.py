"""Real images as baselines of condensed sets, drawn at random or chosen by k-means: as many as the set stores."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..data.spec import check_fit_of
from ..methods import DistributionMatching, Random
from ..run.driver import condense
from ..synthetic.provenance import CLASSES
from ..synthetic.set import SyntheticSet
from .scores import BESIDE, KMEANS, RANDOM
from .viewed_set import views_of, with_views


def baselines(sets: Sequence[SyntheticSet], real: ImageSet, arch: str, device: str = "auto") -> dict[str, SyntheticSet]:
    """Draw random real images for each of several sets, once for all that have as many images of each class.

    Images are counted as they are stored, so that a baseline has about the bytes of a set whose stored images hold
    several training images each. Beside a set of augmented views they have as many such views. Of a class of which
    there are fewer real images than a set has, all are taken. The seed is that of the first set that a baseline is
    for. arch, device: as in `Random` and `condense`.

    Returns:
        Baselines by a name that tells them apart, those of the last sets first.

    Raises:
        InputError: `real` is not what the sets stand for.
    """
    _check_real(sets, real)
    wanted: dict[tuple[tuple[int, ...], Any], list[SyntheticSet]] = {}
    for one in reversed(sets):
        wanted.setdefault((_counts(one, real), views_of(one)), []).append(one)
    names = ["random real"] if len(wanted) == 1 else [_name(counts) for counts, _ in wanted]
    found = {}
    for number, ((counts, _), group) in enumerate(wanted.items()):
        name = names[number] if names.count(names[number]) == 1 else f"{names[number]} ({number + 1})"
        part = _seen_as(group[-1], _random(counts, real, arch, group[-1].provenance.seed or 0, device))
        other = [one.fingerprint() for one in group if len(one) != len(part)]
        found[name] = replace(part, provenance=part.provenance.changed(**{BESIDE: other})) if other else part
    return found


def real_rows(
    synthetic: SyntheticSet, real: ImageSet, arch: str, device: str = "auto", rows: Sequence[str] = (RANDOM, KMEANS)
) -> dict[str, SyntheticSet]:
    """Return the real images beside a set in a fair table: as many of each class as it stores, with their class.

    Beside a set of augmented views they have as many such views.

    Args:
        synthetic: The set; its seed draws the images.
        real: The training images that it stands for.
        arch: As in `Random`.
        device: As in `condense`.
        rows: RANDOM, KMEANS or both. k-means chooses the images of each class that are nearest to the centres of as
            many clusters, as `dm` does with `init="kmeans"`.

    Raises:
        InputError: `real` is not what the set stands for.
    """
    _check_real([synthetic], real)
    make = {RANDOM: _random, KMEANS: _k_means}
    counts, seed = _counts(synthetic, real), synthetic.provenance.seed or 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[0-9]+ of [0-9]+ classes ha")  # the set had this warning
        return {row: _seen_as(synthetic, make[row](counts, real, arch, seed, device)) for row in rows}


def _seen_as(synthetic: SyntheticSet, images: SyntheticSet) -> SyntheticSet:
    """Return images with as many views as those of a set, augmented and mixed alike; labels are mixed, too."""
    views = views_of(synthetic)
    if views is None:
        return images
    each, augmentation, mix = views
    return with_views(images, each, augmentation, synthetic.provenance.seed or 0, mix)


def _check_real(sets: Sequence[SyntheticSet], real: ImageSet) -> None:
    for one in sets:
        check_fit_of(one.spec, real.spec, "training")


def _counts(synthetic: SyntheticSet, real: ImageSet) -> tuple[int, ...]:
    """Return the stored images of each class, at most those that there are.

    The largest number of a soft label may be that of another class than its image has: where no record tells the
    classes, and the total is that of `ipc` images of each class, these count.
    """
    stored, made = synthetic.stored_counts, synthetic.provenance
    ipc = None if CLASSES in made.labels else made.ipc
    if synthetic.soft and ipc and int(stored.sum()) == ipc * len(stored):
        stored = torch.full_like(stored, ipc)
    return tuple(torch.minimum(stored, real.counts).tolist())


def _name(counts: Sequence[int]) -> str:
    return f"random real ipc {counts[0]}" if len(set(counts)) == 1 else f"random real, {sum(counts)} images"


def _random(counts: Sequence[int], real: ImageSet, arch: str, seed: int, device: str) -> SyntheticSet:
    return _part(condense(Random(arch=arch), real, max(counts), seed=seed, device=device), torch.tensor(counts))


def _k_means(counts: Sequence[int], real: ImageSet, arch: str, seed: int, device: str) -> SyntheticSet:
    """Return `counts` (K,) images of each class; as many clusters as images, so each count is a run of its own."""
    method = DistributionMatching(arch=arch, init="kmeans", iterations=0)
    wanted, parts = torch.tensor(counts), list[SyntheticSet]()
    for count in sorted(set(counts) - {0}):
        made = condense(method, real, count, seed=seed, device=device)
        parts.append(_part(made, torch.where(wanted == count, wanted, 0)))
    images, labels = torch.cat([one.images for one in parts]), torch.cat([one.labels for one in parts])
    order = labels.argsort(stable=True)
    return replace(parts[-1], images=images[order], labels=labels[order])


def _part(drawn: SyntheticSet, counts: Tensor) -> SyntheticSet:
    """Return the first `counts` (K,) images of each class."""
    first = drawn.counts.cumsum(0) - drawn.counts
    place = torch.arange(len(drawn)) - first[drawn.classes]  # of an image in its class
    chosen = place < counts[drawn.classes]
    return replace(drawn, images=drawn.images[chosen], labels=drawn.labels[chosen])
