"""The command `rank`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Annotated

import tyro
from rich.table import Table

from ...data.image_set import ImageSet
from ...data.options import ReadOptions
from ...evaluation.columns import ColumnOptions
from ...evaluation.evaluator import Task, together, train_share
from ...evaluation.planning import milestones
from ...evaluation.protocol import OWN
from ...evaluation.ranking import RankEntry, Ranking, RankPlan, plan_ranking
from ...evaluation.scores import SET, Scores
from ...report.run_names import path_names
from ...synthetic.set import SyntheticSet
from ...training.teacher import OnlineTeacher
from ...utils.distributed import ALONE
from ...utils.errors import InputError
from ...utils.files import write_json
from ...utils.ranges import Epochs, Networks, Seed
from ...utils.text import percent_mean_std
from ..console import print_line
from ..display import RunDisplay
from ..dry_run import evaluation_lines
from ..evaluated import Row, estimate_rows
from ..fair_table import teachers_online
from ..options import Computing, check_target
from ..output_options import Quiet
from ..plugin_option import Plugins
from ..reading import named_sets, real_images
from ..tables import show_table


@dataclass(frozen=True, kw_only=True)
class Rank:
    """Measure the label-robust and the augmentation-robust score of sets: LRS and ARS of DD-Ranking.

    Each set is compared with random real images under the same recipe, at the best learning rate for these, and with
    the whole real set. The learning rate is chosen on held-out training images. Beside a set of soft labels, --teacher
    gives the random images such labels, too; otherwise they have their class.
    """

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories of `condense` and `import`, or synthetic.safetensors files; a directory of runs means all runs in
    it."""
    arch: str | None = None
    """Network to train; by default the one that each set was made with."""
    nets: Networks = 5
    """Networks of each kind, each from fresh weights."""
    recipe: Annotated[str, tyro.conf.arg(metavar="{own,published,FILE}")] = OWN
    """Recipe of the set and of the random images: own takes the one that is stored with the set, or the published one
    where there is none; FILE is a JSON file with the fields of a recipe."""
    epochs: Epochs | None = None
    """Training epochs, except on the whole set; the published recipe has 1000 with augmentation and 300 without."""
    whole_epochs: Epochs = 30
    """Training epochs on the whole set."""
    search_nets: Networks = 2
    """Networks for each learning rate of the search."""
    teacher: Annotated[str | None, tyro.conf.arg(metavar="{real,FILE,RUN}")] = None
    """Teacher of the random images beside a set of soft labels, as in `label`; real learns as the one of the set."""
    seed: Seed = 0
    """Seed of the networks."""
    data: str | None = None
    """Source of the real images; by default the data that the set was made from."""
    out: Path | None = None
    """Also write the scores and all accuracies to this JSON file."""
    dry_run: bool = False
    """Estimate the time and memory of all trainings, and write nothing."""
    plugin: Plugins = ()
    quiet: Quiet = False
    computing: Computing = field(default_factory=Computing)
    reading: ReadOptions = field(default_factory=ReadOptions)

    def run(self) -> None:
        runs, sets = named_sets(self.run_dirs, "rank")
        check_target("--out", self.out, ".json")
        train, test = real_images(runs, sets, data=self.data, reading=self.reading, which="test")
        names = path_names(runs)
        if self.teacher is not None and not any(one.soft for one in sets):
            raise InputError(f"--teacher {self.teacher}: no set has soft labels: leave it out")
        relabels = teachers_online(self.teacher, sets, train, None, self.computing.compute())
        each = zip(names, sets, relabels, strict=True)
        plans = {name: self._plan(one, train, test, relabel) for name, one, relabel in each}
        if self.dry_run:
            self._estimate(plans, test)
            return
        rankings = self._measure(plans)
        for name, ranking in rankings.items():
            show_table(accuracy_table(name, ranking))
        show_table(rank_table(rankings))
        if self.out is not None:
            write_json(self.out, {name: ranking.to_json() for name, ranking in rankings.items()})

    def _plan(
        self, synthetic: SyntheticSet, train: ImageSet, test: ImageSet, relabel: OnlineTeacher | None
    ) -> RankPlan:
        options: ColumnOptions = {
            "archs": self.arch,
            "nets": self.nets,
            "recipe": self.recipe,
            "epochs": self.epochs,
            "seed": self.seed,
        }
        return plan_ranking(
            synthetic,
            train,
            test,
            relabel=relabel,
            device=self.computing.device,
            whole_epochs=self.whole_epochs,
            search_nets=self.search_nets,
            **options,
        )

    def _estimate(self, plans: Mapping[str, RankPlan], test: ImageSet) -> None:
        named = [
            (f"{name}: {what}" if len(plans) > 1 else what, task)
            for name, plan in plans.items()
            for what, task in plan.tasks()
        ]
        rows = [Row(name, task.examples, task.protocol, ()) for name, task in named]
        for line in evaluation_lines(estimate_rows(rows, test, self.computing.compute())):
            print_line(line)

    def _measure(self, plans: Mapping[str, RankPlan]) -> dict[str, Ranking]:
        compute = self.computing.compute()
        tasks = [task for plan in plans.values() for _, task in plan.tasks()]
        works = [milestones(one.protocol, one.examples, one.test, device=compute.device) for one in tasks]
        before = list(accumulate((work for _, work in works), initial=0.0))
        ends = iter([done + end for (each, _), done in zip(works, before, strict=False) for end in each])

        def evaluate(name: str, task: Task) -> Scores:
            def on_epoch() -> None:
                now = next(ends)
                display.step(now, before[-1], f"{name}  {now / before[-1]:.0%}")

            return together(train_share(task, ALONE, compute, on_epoch=on_epoch), ALONE)

        with RunDisplay("training networks") as display:
            return {name: plan.measure(_of(name, evaluate)) for name, plan in plans.items()}


def _of(name: str, evaluate: Callable[[str, Task], Scores]) -> Callable[[Task], Scores]:
    return lambda task: evaluate(name, task)


def accuracy_table(name: str, ranking: Ranking) -> Table:
    """Return the table of the accuracies that the scores of a set are made of."""
    table = Table(
        title=name,
        caption="mean ± standard deviation over n; * learning rate chosen on held-out training images",
    )
    for column in ("trained on", "images", "column", "recipe", "augmentation", "lr", "test accuracy %", "n x epochs"):
        table.add_column(column, no_wrap=column == "trained on")
    for entry in ranking.entries:
        table.add_row(*_cells(entry))
    return table


def _cells(entry: RankEntry) -> Sequence[str]:
    scores = entry.scores
    ((arch, accuracy),) = scores.accuracy.items()
    recipe = scores.protocol["recipes"][arch]
    return (
        str(scores.trained_on.get("method")) if entry.row == SET else entry.row,
        str(scores.trained_on["images"]),
        entry.column,
        scores.recipe_source(arch),
        recipe["augment"],
        f"{recipe['lr']:g}{'*' if entry.search else ''}",
        percent_mean_std(accuracy),
        f"{len(accuracy)} x {recipe['epochs']}",
    )


def rank_table(rankings: Mapping[str, Ranking]) -> Table:
    """Return the table of the scores: differences in points, scores in percent of their range."""
    table = Table(
        caption="HLR: whole set - set with hard labels; IOR: set - random real; gains: set - random real; in points. "
        "LRS and ARS: 0 to 100, 26.9 where nothing is gained or lost",
    )
    for column in ("set", "HLR", "IOR", "LRS", "gain augmented", "gain not augmented", "ARS"):
        table.add_column(column, no_wrap=True)
    for name, one in rankings.items():
        points = one.labels.hard_label_recovery, one.labels.improvement_over_random
        gains = one.augmentation.gain_augmented, one.augmentation.gain_plain
        table.add_row(
            name,
            *(f"{100 * value:+.1f}" for value in points),
            f"{100 * one.labels.score:.1f}",
            *(f"{100 * value:+.1f}" for value in gains),
            f"{100 * one.augmentation.score:.1f}",
        )
    return table
