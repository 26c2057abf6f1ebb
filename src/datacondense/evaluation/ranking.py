"""Measure the accuracies that LRS and ARS are made of, on any data."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, final

from typing_extensions import Unpack

from ..data.conversion import AnyImages, as_image_set
from ..data.image_set import ImageSet
from ..data.splits import split_held_out
from ..engine.execution import Compute, resolve_device
from ..synthetic.set import SyntheticSet
from ..training.loop import Relabel
from ..utils.distributed import ALONE
from ..utils.errors import InputError
from ..utils.keywords import check_keywords
from ..utils.ranges import Epochs, Networks, check_arguments
from .baselines import real_rows
from .columns import Cell, ColumnOptions, first_alike, hard_cell, relabelled
from .evaluator import Task, together, train_share
from .protocol import Protocol, protocol_for
from .rank_scores import (
    AugmentationRobustScore,
    LabelRobustScore,
    augmentation_robust_score,
    label_robust_score,
)
from .scores import HARD, OWN_LABELS, RANDOM, SET, Scores

RATES = (0.001, 0.005, 0.01, 0.05, 0.1)
"""Published learning rates of the search, beside that of the recipe."""
HELD_OUT = 0.1
"""Share of the training images on which the learning rate of random images is chosen."""
WHOLE, AUGMENTED, PLAIN = "whole set", "augmented", "not augmented"

Evaluate = Callable[[Task], Scores]
"""Trains and tests the networks of one task."""


@final
@dataclass(frozen=True)
class RankEntry:
    """One accuracy that the scores are made of."""

    row: str
    """set, random real or whole set."""
    column: str
    """hard: hard labels and the published recipe; own: the stored labels and recipe; augmented and not augmented: the
    same under DSA's augmentation and under none."""
    scores: Scores
    search: Mapping[float, float]
    """Learning rate -> mean accuracy on held-out training images; empty where there was no search."""

    @property
    def accuracy(self) -> float:
        """Return the mean accuracy over networks, in [0, 1]."""
        return _mean(self.scores)


@final
@dataclass(frozen=True)
class Ranking:
    """LRS and ARS of a set, with the accuracies that they are made of."""

    labels: LabelRobustScore
    augmentation: AugmentationRobustScore
    entries: tuple[RankEntry, ...]

    def to_json(self) -> dict[str, Any]:
        """Return all as JSON values."""
        entries = [
            {
                "trained_on": one.row,
                "column": one.column,
                "search": {f"{rate:g}": accuracy for rate, accuracy in one.search.items()},
                "scores": one.scores.to_json(),
            }
            for one in self.entries
        ]
        return {"lrs": asdict(self.labels), "ars": asdict(self.augmentation), "accuracies": entries}


@final
@dataclass(frozen=True)
class RankPlan:
    """The trainings from which LRS and ARS are computed."""

    cells: tuple[Cell, ...]
    """All that is tested on test images; random images still at the learning rate of the recipe."""
    few: SyntheticSet
    """As many random real images for the search, none of which is held out."""
    held: ImageSet
    """The held-out training images."""
    test: ImageSet
    search_nets: int
    """Networks for each learning rate of the search."""

    def searches(self, cell: Cell) -> dict[float, Task]:
        """Return the trainings of the search by learning rate; none for other entries than random images."""
        if cell.row != RANDOM:
            return {}
        (recipe,) = cell.protocol.recipes.values()
        fewer = replace(cell.protocol, nets=self.search_nets)
        rates = sorted({*RATES, recipe.lr})
        return {rate: Task(_at_rate(fewer, rate), self.few, self.held) for rate in rates}

    def tasks(self) -> list[tuple[str, Task]]:
        """Return all trainings in the order of `measure`, with their names; for their cost, which no rate changes."""
        found: list[tuple[str, Task]] = []
        for cell in (self.cells[place] for place in dict.fromkeys(first_alike(self.cells))):
            name = f"{cell.row}, {cell.column}"
            found += [(f"{name}, search", task) for task in self.searches(cell).values()]
            found.append((name, self._final(cell)))
        return found

    def measure(self, evaluate: Evaluate) -> Ranking:
        """Train all, and return the scores. Test images choose nothing: not the learning rate, and no epoch."""
        entries: list[RankEntry] = []
        for place, (first, cell) in enumerate(zip(first_alike(self.cells), self.cells, strict=True)):
            if first < place:
                entries.append(replace(entries[first], row=cell.row, column=cell.column))
                continue
            search = {rate: _mean(evaluate(task)) for rate, task in self.searches(cell).items()}
            final = self._final(cell)
            if search:
                best = max(search, key=lambda rate: search[rate])
                final = replace(final, protocol=_at_rate(final.protocol, best))
            entries.append(RankEntry(cell.row, cell.column, evaluate(final), search))
        found = {(one.row, one.column): one.accuracy for one in entries}
        return Ranking(
            label_robust_score(
                whole=found[WHOLE, HARD],
                hard=found[SET, HARD],
                own=found[SET, OWN_LABELS],
                random_own=found[RANDOM, OWN_LABELS],
            ),
            augmentation_robust_score(
                augmented=found[SET, AUGMENTED],
                random_augmented=found[RANDOM, AUGMENTED],
                plain=found[SET, PLAIN],
                random_plain=found[RANDOM, PLAIN],
            ),
            tuple(entries),
        )

    def _final(self, cell: Cell) -> Task:
        return Task(cell.protocol, cell.examples, self.test, cell.relabel)


def plan_ranking(
    synthetic: SyntheticSet,
    train: ImageSet,
    test: ImageSet,
    *,
    relabel: Relabel | None = None,
    device: str = "auto",
    whole_epochs: Epochs = 30,
    search_nets: Networks = 2,
    **options: Unpack[ColumnOptions],
) -> RankPlan:
    """Plan the trainings of `rank`, which says what the arguments mean."""
    check_arguments(plan_ranking, whole_epochs=whole_epochs, search_nets=search_nets)
    if len(protocol_for(synthetic, **options).archs) > 1:
        raise InputError("the scores are those of one network: name a single one")
    protocols: dict[str, Protocol] = {OWN_LABELS: protocol_for(synthetic, **options)}
    for column, augment in ((AUGMENTED, "dsa"), (PLAIN, "none")):
        chosen: Any = {**options, "augment": augment}
        protocols[column] = protocol_for(synthetic, **chosen)
    hard = hard_cell(SET, synthetic, synthetic, **options)
    cells = [hard, Cell(WHOLE, HARD, train, hard.protocol.with_epochs(whole_epochs))]
    part, held = split_held_out(train, HELD_OUT)
    arch = protocols[OWN_LABELS].archs[0]
    random, some = (real_rows(synthetic, each, arch, device, [RANDOM])[RANDOM] for each in (train, part))
    if synthetic.soft and relabel:
        random, some = (relabelled(one, relabel, synthetic, resolve_device(device)) for one in (random, some))
    for column, protocol in protocols.items():
        cells += [Cell(SET, column, synthetic, protocol), Cell(RANDOM, column, random, protocol)]
    return RankPlan(tuple(cells), some, held, test, search_nets)


def rank(
    synthetic: SyntheticSet,
    train: AnyImages,
    test: AnyImages,
    *,
    relabel: Relabel | None = None,
    compute: Compute | None = None,
    whole_epochs: Epochs = 30,
    search_nets: Networks = 2,
    **options: Unpack[ColumnOptions],
) -> Ranking:
    """Measure LRS and ARS of a set, the scores of DD-Ranking, in their intended form.

    Random real images train at the best of the learning rates RATES and that of the recipe, chosen on a tenth of the
    training images that is held out of that search. All networks are tested once, after their last epoch.

    Args:
        synthetic: The set.
        train: The training images that it was made from, as in `condense`.
        test: Real images of the same classes, as in `evaluate`.
        relabel: The teacher of a set with soft labels: normalised images (n, C, H, W) -> soft labels (n, K) for the
            random real images, which otherwise have their class.
        compute: As in `evaluate`.
        whole_epochs: Training epochs on the whole real set.
        search_nets: Networks for each learning rate of the search.
        options: Keywords of `evaluate` that set the protocol, with one network in `archs`.

    Returns:
        The scores and all accuracies.

    Raises:
        InputError: An argument cannot be used.
    """
    check_keywords("rank", ColumnOptions, options)
    train = as_image_set(train, spec=synthetic.spec)
    test = as_image_set(test, part="test", spec=synthetic.spec)
    how = Compute() if compute is None else compute
    plan = plan_ranking(
        synthetic,
        train,
        test,
        relabel=relabel,
        device=how.device,
        whole_epochs=whole_epochs,
        search_nets=search_nets,
        **options,
    )
    return plan.measure(lambda task: together(train_share(task, ALONE, how), ALONE))


def _at_rate(protocol: Protocol, rate: float) -> Protocol:
    return replace(protocol, recipes={arch: replace(one, lr=rate) for arch, one in protocol.recipes.items()})


def _mean(scores: Scores) -> float:
    return scores.mean(next(iter(scores.accuracy)))
