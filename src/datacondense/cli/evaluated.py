"""The sets that `evaluate` trains on, each a row of its table, and an estimate of the time that they take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..evaluation.dry_run import EvaluationEstimate, estimate_by
from ..evaluation.protocol import Protocol
from ..synthetic.set import SyntheticSet


@dataclass(frozen=True)
class Row:
    """One set to train on."""

    label: str
    examples: SyntheticSet | ImageSet
    protocol: Protocol
    runs: tuple[Path, ...]
    """Runs that its scores are saved to: that of the set, or those whose sets a baseline has the recipe of."""
    iteration: int = 0
    """Of a snapshot."""


def by_recipe(rows: Sequence[tuple[Row, Protocol]]) -> dict[str, list[tuple[Row, Protocol]]]:
    """Return rows of sets with their protocols by recipe.

    The key is the end of a label: empty for a single recipe, else its source, with the first set if others share it.
    """
    groups: dict[object, list[tuple[Row, Protocol]]] = {}
    for row, protocol in rows:
        groups.setdefault((tuple(protocol.recipes.items()), protocol.source), []).append((row, protocol))
    if len(groups) == 1:
        return {"": next(iter(groups.values()))}
    sources = [group[0][1].source for group in groups.values()]
    named: dict[str, list[tuple[Row, Protocol]]] = {}
    for group in groups.values():
        row, protocol = group[0]
        alone = sources.count(protocol.source) == 1
        name = f", recipe {protocol.source}" if alone else f", recipe {protocol.source} ({row.label})"
        named[name if name not in named else f"{name} ({len(named) + 1})"] = group
    return named


def estimate_rows(rows: Sequence[Row], test: ImageSet, compute: Compute) -> dict[str, EvaluationEstimate]:
    """Estimate the time of each row, and return it by label; rows of one label are added up.

    Sets of as many images that are trained on by equal recipes take as long: the first of them is timed, and the others
    start at once by its compiled code.
    """
    timed: dict[object, EvaluationEstimate] = {}
    found: dict[tuple[str, object], EvaluationEstimate] = {}
    for row in rows:
        examples, protocol = row.examples, row.protocol
        kind = type(examples), len(examples), examples.labels.dim(), tuple(protocol.recipes.items()), protocol.nets
        if kind in timed:
            one = _started(timed[kind])
        else:
            one = timed[kind] = estimate_by(protocol, examples, test, compute)
        key = row.label, kind
        found[key] = _joined(found[key], one) if key in found else one
    names = [label for label, _ in found]
    return {
        name if names.count(name) == 1 else f"{name} ({number + 1})": one
        for number, (name, one) in enumerate(zip(names, found.values(), strict=True))
    }


def _started(one: EvaluationEstimate) -> EvaluationEstimate:
    """Return the estimate without the time to start."""
    return replace(one, networks={arch: replace(each, start_seconds=0.0) for arch, each in one.networks.items()})


def _joined(one: EvaluationEstimate, other: EvaluationEstimate) -> EvaluationEstimate:
    """Return the estimate of a set and of another one like it, which starts at once."""
    more = {arch: each.nets for arch, each in other.networks.items()}
    return replace(
        one, networks={arch: replace(each, nets=each.nets + more[arch]) for arch, each in one.networks.items()}
    )
