"""Collect the test accuracies of a set: measured here, or published with it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import final

from ..evaluation.score_log import is_score_of, saved_scores
from ..evaluation.scores import PUBLISHED as RECIPE
from ..evaluation.scores import Scores
from ..synthetic.set import SyntheticSet
from ..utils.errors import InputError
from ..utils.schema import Fraction, Network, check

PUBLISHED = "published"
"""Key of a provenance: the accuracies that came with an imported file, network -> fractions."""


@final
@dataclass(frozen=True)
class Accuracies:
    """Test accuracies of networks of one architecture that were trained on a set."""

    values: list[float]
    """Fractions in [0, 1]."""
    how: str
    """Training of the networks, such as "300 epochs, augmentation none"."""


def accuracies_from_scores(scores: Scores) -> dict[str, Accuracies]:
    """Return architecture -> accuracies in the result of `evaluate`."""
    found = {}
    for arch, values in scores.accuracy.items():
        recipe = scores.protocol["recipes"][arch]
        source = scores.recipe_source(arch)
        how = f"{recipe['epochs']} epochs, augmentation {recipe['augment']}"
        how += "" if source == RECIPE else f", recipe {source}"
        found[arch] = Accuracies([float(value) for value in values], how)
    return found


def check_fractions(values: Sequence[object], what: str) -> None:
    """Raise InputError, calling the values `what`, unless all are finite numbers in [0, 1]."""
    numbers = [float(one) for one in values if isinstance(one, Real) and not isinstance(one, bool)]
    if len(numbers) < len(values) or not all(map(math.isfinite, numbers)):
        raise InputError(f"{what} are not all numbers")
    if not all(0 <= one <= 1 for one in numbers):
        raise InputError(f"{what} are not all fractions in [0, 1]: divide percentages by 100")


def known_accuracies(synthetic: SyntheticSet, run: Path | None = None) -> dict[str, Accuracies]:
    """Return architecture -> accuracies of `synthetic`: the published ones, or else those in its run directory.

    The newest of several evaluations in scores.jsonl counts. Raises InputError when either is damaged.
    """
    if synthetic.provenance.published:
        published = check(synthetic.provenance.published, dict[Network, list[Fraction]], f"provenance.{PUBLISHED}")
        return {arch: Accuracies(values, "as published") for arch, values in published.items() if values}
    found: dict[str, Accuracies] = {}
    for scores in saved_scores(run) if run else []:
        if is_score_of(scores, synthetic):  # else a baseline
            found |= accuracies_from_scores(scores)
    return found
