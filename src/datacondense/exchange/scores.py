"""The accuracies that are known of a set: measured here, or published with it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from ..artifact import SyntheticSet
from ..errors import InputError
from ..files import parse_json
from ..rundir import SCORES

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


def known(synthetic: SyntheticSet, run: Path | None = None) -> dict[str, Accuracies]:
    """Architecture -> accuracies on `synthetic`: those it was published with, or else those in its run directory.

    Of several evaluations in scores.jsonl the newest counts. Raises InputError when either is damaged.
    """
    if PUBLISHED in synthetic.provenance:
        return {arch: Accuracies(values, "as published") for arch, values in _published(synthetic).items()}
    path = None if run is None else run / SCORES
    if path is None or not path.is_file():
        return {}
    made = json.loads(json.dumps(dict(synthetic.provenance)))
    found: dict[str, Accuracies] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), start=1):
        try:
            for score in parse_json(line).values():
                if score["trained_on"].items() >= made.items():  # else it is of a baseline
                    found |= _measured(score)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path} is damaged: line {number} is no score of `evaluate` ({error})") from None
    return found


def _measured(score: Mapping[str, Any]) -> dict[str, Accuracies]:
    found = {}
    for arch, values in score["accuracy"].items():
        recipe = score["protocol"]["recipes"][arch]
        how = f"{recipe['epochs']} epochs, augmentation {recipe['augment']}"
        found[arch] = Accuracies([float(value) for value in values], how)
    return found


def _published(synthetic: SyntheticSet) -> dict[str, list[float]]:
    published = synthetic.provenance[PUBLISHED]
    if not isinstance(published, dict) or not all(
        isinstance(values, list) and all(isinstance(value, int | float) for value in values)
        for values in published.values()
    ):
        raise InputError(f"provenance.{PUBLISHED} of a set of {synthetic.spec.name} is no accuracies by network")
    return published
