"""Random real images as baselines of condensed sets: as many of each class as the set stores."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..methods import Random
from ..run.driver import condense
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError

BESIDE = "beside"
"""Entry in the provenance of a baseline: fingerprints of the sets that it is for."""


def baselines(sets: Sequence[SyntheticSet], real: ImageSet, arch: str, device: str = "auto") -> dict[str, SyntheticSet]:
    """Draw random real images for each of several sets, once for all that have as many images of each class.

    Images are counted as they are stored, so that a baseline has about the bytes of a set whose stored images hold
    several training images each. Of a class of which there are fewer real images than a set has, all are taken. The
    seed is that of the first set that a baseline is for. arch, device: as in `Random` and `condense`.

    Returns:
        Baselines by a name that tells them apart, those of the last sets first.

    Raises:
        InputError: `real` is not what the sets stand for.
    """
    for one in sets:
        if difference := one.spec.difference(real.spec):
            names = f"{real.spec.name!r} do not fit the set made from {one.spec.name!r}"
            raise InputError(f"the training images of {names}: {difference}")
    wanted: dict[tuple[int, ...], list[SyntheticSet]] = {}
    for one in reversed(sets):
        wanted.setdefault(tuple(torch.minimum(one.stored_counts, real.counts).tolist()), []).append(one)
    names = ["random real"] if len(wanted) == 1 else [_name(counts) for counts in wanted]
    found = {}
    for number, (counts, group) in enumerate(wanted.items()):
        name = names[number] if names.count(names[number]) == 1 else f"{names[number]} ({number + 1})"
        seed = group[-1].provenance.seed or 0
        drawn = condense(Random(arch=arch), real, max(counts), seed=seed, device=device)
        found[name] = _part(drawn, torch.tensor(counts), group)
    return found


def _name(counts: Sequence[int]) -> str:
    return f"random real ipc {counts[0]}" if len(set(counts)) == 1 else f"random real, {sum(counts)} images"


def _part(drawn: SyntheticSet, counts: Tensor, sets: Sequence[SyntheticSet]) -> SyntheticSet:
    """Return the first `counts` (K,) images of each class; name the sets in the provenance where they have more."""
    first = drawn.counts.cumsum(0) - drawn.counts
    place = torch.arange(len(drawn)) - first[drawn.classes]  # of an image in its class
    chosen = place < counts[drawn.classes]
    part = replace(drawn, images=drawn.images[chosen], labels=drawn.labels[chosen])
    other = [one.fingerprint() for one in sets if len(one) != len(part)]
    return replace(part, provenance=part.provenance.changed(**{BESIDE: other})) if other else part
