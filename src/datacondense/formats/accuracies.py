"""The accuracies that are known of a set: measured here, or published with it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import final

from ..evaluation.score_log import is_of, kept_scores
from ..evaluation.scores import Scores
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError
from ..utils.schema import Fraction, Network, check

PUBLISHED = "published"
"""The key of a provenance under which the accuracies stand that an imported file came with: network -> fractions."""


@final
@dataclass(frozen=True)
class Accuracies:
    """Test accuracies of networks of one architecture that were trained on a set."""

    values: list[float]
    """Fractions in [0, 1]."""
    how: str
    """How the networks were trained, such as "300 epochs, augmentation none"."""


def measured(scores: Scores) -> dict[str, Accuracies]:
    """Architecture -> accuracies in what `evaluate` returns."""
    found = {}
    for arch, values in scores.accuracy.items():
        recipe = scores.protocol["recipes"][arch]
        how = f"{recipe['epochs']} epochs, augmentation {recipe['augment']}"
        found[arch] = Accuracies([float(value) for value in values], how)
    return found


def check_fractions(values: Sequence[object], what: str) -> None:
    """Raise InputError, with `what` for their name, unless all are finite numbers in [0, 1]."""
    numbers = [float(one) for one in values if isinstance(one, Real) and not isinstance(one, bool)]
    if len(numbers) < len(values) or not all(map(math.isfinite, numbers)):
        raise InputError(f"{what} are not all numbers")
    if not all(0 <= one <= 1 for one in numbers):
        raise InputError(f"{what} are not all fractions in [0, 1]: divide percentages by 100")


def known(synthetic: SyntheticSet, run: Path | None = None) -> dict[str, Accuracies]:
    """Architecture -> accuracies on `synthetic`: those it was published with, or else those in its run directory.

    Of several evaluations in scores.jsonl the newest counts. Raises InputError when either is damaged.
    """
    if synthetic.provenance.published:
        published = check(synthetic.provenance.published, dict[Network, list[Fraction]], f"provenance.{PUBLISHED}")
        return {arch: Accuracies(values, "as published") for arch, values in published.items() if values}
    found: dict[str, Accuracies] = {}
    for scores in kept_scores(run) if run else []:
        if is_of(scores, synthetic):  # else a baseline
            found |= measured(scores)
    return found
