"""The sets that `evaluate` trains on, each a row of its table, and an estimate of the time that they take."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.image_set import ImageSet
from ..engine.execution import Compute
from ..evaluation.columns import Cell
from ..evaluation.dry_run import EvaluationEstimate, estimate_by
from ..evaluation.protocol import Protocol
from ..evaluation.scores import Scores
from ..synthetic.set import SyntheticSet
from ..training.loop import Relabel


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
    place: "Place | None" = None
    """Place in a fair table."""

    @property
    def relabel(self) -> Relabel | None:
        """The teacher online, if there is one."""
        return self.place.cell.relabel if self.place else None

    def same_training(self, other: "Row") -> bool:
        """Return whether both are the scores of the same networks."""
        if self.place is None or other.place is None:
            return self is other
        return self.place.cell.same_training(other.place.cell)

    def placed(self, scores: Scores) -> Scores:
        """Return the scores, marked with their place in a fair table."""
        place = self.place
        return scores.in_table(place.cell.column, place.cell.row, place.fingerprint) if place else scores


@dataclass(frozen=True)
class Place:
    """Place of a row in a fair table."""

    cell: Cell
    line: str
    """Name of the line."""
    name: str
    """Name of the set that the line belongs to."""
    fingerprint: str
    """Of that set."""


def distinct(rows: Sequence[Row]) -> dict[int, list[int]]:
    """Return the places of rows whose networks train -> all places with the same scores, in order."""
    found: dict[int, list[int]] = {}
    for place, row in enumerate(rows):
        first = next(i for i, other in enumerate(rows) if other.same_training(row))
        found.setdefault(first, []).append(place)
    return found


def estimate_rows(rows: Sequence[Row], test: ImageSet, compute: Compute) -> dict[str, EvaluationEstimate]:
    """Estimate the time of each row, and return it by label; rows of one label are added up.

    Sets of as many images that are trained on by equal recipes, whatever the learning rate, take as long: the first of
    them is timed, and the others start at once by its compiled code.
    """
    timed: dict[object, EvaluationEstimate] = {}
    found: dict[tuple[str, object], EvaluationEstimate] = {}
    for row in (rows[place] for place in distinct(rows)):
        examples, protocol = row.examples, row.protocol
        kind = (
            type(examples),
            len(examples),
            examples.labels.dim(),
            tuple((arch, replace(recipe, lr=1.0)) for arch, recipe in protocol.recipes.items()),
            protocol.nets,
            row.relabel,
        )
        if kind in timed:
            one = _started(timed[kind])
        else:
            one = timed[kind] = estimate_by(protocol, examples, test, compute, relabel=row.relabel)
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
