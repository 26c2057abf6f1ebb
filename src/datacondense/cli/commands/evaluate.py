"""The command `evaluate`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Literal

import tyro

from ...data.image_set import ImageSet
from ...data.options import ReadOptions
from ...evaluation.beside import WHOLE_EPOCHS, Baseline, Beside, Entrant, random_baselines, whole_baselines
from ...evaluation.columns import ColumnOptions
from ...evaluation.correlation import loss_correlation
from ...evaluation.evaluator import Share, Task, join, together, train_share
from ...evaluation.planning import check_fit, milestones, plan_networks
from ...evaluation.protocol import OWN, Protocol, protocol_for
from ...evaluation.score_log import keep_scores, unchanged
from ...evaluation.scores import Scores
from ...report.run_names import labels
from ...run import snapshots
from ...run.directory import PROCESS, SCORES
from ...run.log import read_log
from ...synthetic.set import SyntheticSet, checked
from ...utils.distributed import all_processes
from ...utils.errors import InputError, Locked, naming
from ...utils.files import write_json
from ...utils.paths import regular
from ...utils.ranges import Batch, Epochs, Networks, Rate, Seed, Temperature
from ..console import print_json, print_line
from ..display import RunDisplay, class_table, cross_table, score_table
from ..dry_run import show_estimates
from ..evaluated import Row, distinct, estimate_rows
from ..fair_table import check_options, check_teacher, fair_table, table_rows, teachers_online
from ..options import Computing, check_target
from ..output_options import Json, Quiet
from ..plugin_option import Plugins
from ..reading import named_sets, real_images
from ..tables import show_table
from .report import report_on


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """Train fresh networks on condensed sets and test them on real images.

    Several runs are compared. Runs that differ only in their seed count as one, over sets x networks; each set has its
    own networks.
    """

    run_dirs: tyro.conf.Positional[Annotated[tuple[Path, ...], tyro.conf.arg(metavar="RUN [RUN ...]")]]
    """Run directories of `condense` and `import`, or synthetic.safetensors files; a directory of runs means all runs in
    it."""
    archs: tuple[str, ...] = ()
    """Networks to train; by default the one that each set was made with."""
    pool: str | None = None
    """A published pool of networks instead: S (the set's own network, BatchNorm replaced), SS (the set's own network),
    M (architectures), B (with BatchNorm), W, D, A, P, N (the ConvNet's width, depth, activation, pooling, norm)."""
    nets: Networks = 5
    """Networks of each kind, each from fresh weights."""
    recipe: Annotated[str, tyro.conf.arg(metavar="{own,published,FILE}")] = OWN
    """Recipe of the training: own takes the one that is stored with the set, or the published one where there is none.
    FILE is a JSON file with the fields of a recipe. The four options below change it."""
    epochs: Epochs | None = None
    """Training epochs; the published recipe has 1000 with augmentation and 300 without."""
    lr: Rate | None = None
    """Learning rate; the published 0.01 is divided by 10 after half of the training."""
    batch: Batch | None = None
    """Batch; the published recipe has 256."""
    augment: str = "auto"
    """Augmentation in training: auto takes that of the recipe; the published recipe has the one that the set was made
    with, or DC's rule for a set made without any. Others are dsa, dc, none, strategies of DSA joined by "_", and
    strategies of DC, such as dc:crop_noise."""
    on: Literal["test", "validation"] = "test"
    """Images to test on: validation means the training images that --hold-out left out of the run."""
    process: bool = False
    """Evaluate each snapshot of the run (made with --snapshots) instead, for its report."""
    beside: tuple[Beside, ...] = ()
    """Baselines to train on: as many random real images per class as the set stores; the whole real training set."""
    columns: tuple[Literal["all", "hard", "own", "online"], ...] = ()
    """Compare the set with random and k-means real images, as many as it stores, trained on alike, in columns: hard
    replaces each label by its class and takes the published recipe, own takes the stored labels and the stored recipe,
    online takes labels that --teacher gives to each augmented batch; all means the first two, and online with
    --teacher."""
    teacher: Annotated[str | None, tyro.conf.arg(metavar="{real,FILE,RUN}")] = None
    """Teacher of the column online, as in `label`. It also labels the real images of the column own beside a set of
    soft labels."""
    temperature: Temperature | None = None
    """Number that divides the logits of the teacher; by default that of the labels of the set, otherwise 1."""
    augments: Annotated[tuple[str, ...], tyro.conf.arg(metavar="{all,AUGMENT} [...]")] = ()
    """Compare the set with random real images under each of several augmentations in training, as --augment names them;
    all means none, dsa, each of its strategies alone, and that of DC."""
    whole_epochs: Epochs = WHOLE_EPOCHS
    """Training epochs on the whole set."""
    seed: Seed = 0
    """Seed of the networks."""
    class_accuracies: bool = False
    """Also print the accuracy on each class."""
    figure: Path | None = None
    """Draw the scores as PNG: bars, or a heat map for several sets on several networks."""
    data: str | None = None
    """Source of the test images; by default the data that the set was made from."""
    out: Path | None = None
    """Also write the scores to this JSON file; scores.jsonl in the run directory receives them in any case."""
    dry_run: bool = False
    """Estimate the time and memory of the whole evaluation, and write nothing."""
    plugin: Plugins = ()
    quiet: Quiet = False
    json: Json = False
    computing: Computing = field(default_factory=Computing)
    reading: ReadOptions = field(default_factory=ReadOptions)

    def run(self) -> None:
        runs, sets = named_sets(self.run_dirs, "evaluate")
        on = self.on == "validation"
        train, test = real_images(runs, sets, data=self.data, reading=self.reading, which="test", validation=on)
        for run, one in zip(runs, sets, strict=True):  # before any is trained on, and before a teacher learns
            with naming(run):
                check_fit(one, test)
        check_target("--out", self.out, ".json")
        check_target("--figure", self.figure, ".png")
        for path in (run / SCORES for run in runs):  # before the training: its scores are added there
            if path.exists():
                regular(path)
        rows = self._all_rows(sets, runs, train)
        if self.dry_run:
            self._estimate(rows, test)
            return
        of_row = [(row, row.placed(self._marked(score))) for row, score in self._train(rows, test)]
        scores = {
            label: join([s for row, s in of_row if row.label == label])
            for label in dict.fromkeys(r.label for r in rows)
        }
        if not all_processes().leads:
            return
        several = len(scores) > 1 and any(len(score.accuracy) > 1 for score in scores.values())
        if rows[0].place:
            show_table(fair_table(of_row, mean=bool(self.augments)))
        else:
            show_table(cross_table(scores) if several else score_table(scores))
        if self.process:
            print_line(self._correlation(runs[0], of_row))
        if self.class_accuracies:
            show_table(class_table(scores, test.spec.class_names))
        written = {label: score.to_json() for label, score in scores.items()}
        if self.out is not None:
            write_json(self.out, written)
        if self.json:
            print_json(written)
        if self.figure is not None:
            from ...report import figures  # only here: its library takes longer to import than all else

            (figures.save_heat_map if several else figures.save_bars)(scores, self.figure)
            print_line(str(self.figure))
        self._keep(of_row, [run for run in runs if run.is_dir()], [one.fingerprint() for one in sets])

    def _estimate(self, rows: Sequence[Row], test: ImageSet) -> None:
        compute = self.computing.compute()
        # in one process: others would disturb the timing
        estimates = all_processes().agreed(lambda: estimate_rows(rows, test, compute))
        if all_processes().size > 1:
            print_line("the estimate is for one process; several processes share the networks")
        show_estimates(estimates, as_json=self.json)

    @staticmethod
    def _correlation(run: Path, of_row: Sequence[tuple[Row, Scores]]) -> str:
        """Return a line on the rank correlation of loss and accuracy over the snapshots of a run."""
        arch = next(iter(of_row[0][1].accuracy))
        found = loss_correlation(read_log(run), {row.iteration: score.mean(arch) for row, score in of_row})
        text = str(found) if found else "unknown, which needs a log and three snapshots after the start"
        return f"rank correlation of loss and accuracy (Spearman, {arch}): {text}"

    def _keep(self, of_row: Sequence[tuple[Row, Scores]], runs: Sequence[Path], sets: Sequence[str]) -> None:
        """Add the scores of its set and of the baselines to each run directory, and write its report.

        Raises InputError or Locked, when all others are done, where a run has another set by now or is being written.
        """
        failed: list[InputError | Locked] = []
        for run in runs:
            try:
                if self.process:
                    entries = [{"iteration": row.iteration, "scores": score.to_json()} for row, score in of_row]
                    with unchanged(run, sets):
                        write_json(run / PROCESS, entries)
                else:
                    keep_scores(run, {row.label: score for row, score in of_row if run in row.runs})
                report_on([run], run)
            except (InputError, Locked) as error:
                failed.append(error)
        if failed:
            text = "; ".join(map(str, failed))
            raise type(failed[0])(f"these scores were not saved, or not reported, in the run: {text}")

    def _marked(self, score: Scores) -> Scores:
        """Return the scores, marked if they are not on the test set."""
        return score if self.on == "test" else replace(score, protocol={**score.protocol, "tested_on": self.on})

    def _snapshot_rows(self, sets: Sequence[SyntheticSet], runs: Sequence[Path]) -> list[Row]:
        """Return a row for each snapshot of a run."""
        if len(sets) > 1 or self.beside or not runs[0].is_dir():
            raise InputError("--process takes one run directory, and no --beside")
        paths, (synthetic,) = snapshots.paths(runs[0]), sets
        if not paths:
            raise InputError(f"{runs[0]} has no snapshots of its iterations: condense with --snapshots 10")
        rows = []
        for snapshot in map(snapshots.load, paths):
            images = synthetic.spec.normalise(snapshot.images)
            with naming(f"snapshot {snapshot.iteration} of {runs[0]}"):
                made = checked(images, snapshot.labels, synthetic.spec, synthetic.provenance, recipe=synthetic.recipe)
            rows.append(
                Row(f"iteration {snapshot.iteration}", made, self._protocol(made), (runs[0],), snapshot.iteration)
            )
        return rows

    def _protocol(self, examples: SyntheticSet, alike: int = 0) -> Protocol:
        return protocol_for(examples, **self._options(alike))

    def _options(self, alike: int) -> ColumnOptions:
        """Return the keywords of the protocol. alike: sets before this one that differ only in their seed."""
        return {
            "archs": self.archs,
            "pool": self.pool,
            "nets": self.nets,
            "recipe": self.recipe,
            "epochs": self.epochs,
            "lr": self.lr,
            "batch": self.batch,
            "augment": self.augment,
            "seed": self.seed + alike,
        }

    def _all_rows(self, sets: Sequence[SyntheticSet], runs: Sequence[Path], train: ImageSet) -> list[Row]:
        check_teacher(self.teacher, self.temperature, self.columns)
        if self.whole_epochs != WHOLE_EPOCHS and "whole" not in self.beside:
            raise InputError(f"--whole-epochs {self.whole_epochs}: is for --beside whole: leave it out")
        if not self.columns and not self.augments:
            return self._snapshot_rows(sets, runs) if self.process else self._rows(sets, runs, train)
        check_options(self.columns, self.augments, self.augment, other=self.process or bool(self.beside))
        return table_rows(
            sets,
            runs,
            train,
            self._options,
            columns=self.columns,
            augments=self.augments,
            device=self.computing.device,
            relabels=teachers_online(self.teacher, sets, train, self.temperature, self.computing.compute()),
        )

    def _rows(self, sets: Sequence[SyntheticSet], runs: Sequence[Path], train: ImageSet) -> list[Row]:
        names = labels([synthetic.provenance for synthetic in sets])
        rows: list[Row] = []
        for name, synthetic, path in zip(names, sets, runs, strict=True):
            alike = [row for row in rows if row.label == name]
            rows.append(Row(name, synthetic, self._protocol(synthetic, len(alike)), (path,)))
        of_rows = [Entrant(row.label, one, row.protocol) for row, one in zip(rows, sets, strict=True)]
        random = random_baselines(of_rows, train, self.computing.device) if "random" in self.beside else []
        whole = whole_baselines(of_rows, train, self.whole_epochs) if "whole" in self.beside else []
        return [*(_row(one, rows) for one in random), *rows, *(_row(one, rows) for one in whole)]

    def _train(self, rows: Sequence[Row], test: ImageSet) -> list[tuple[Row, Scores]]:
        places = distinct(rows)
        trained = [rows[place] for place in places]
        works = [milestones(row.protocol, row.examples, test, device=self.computing.device) for row in trained]
        before = list(accumulate((work for _, work in works), initial=0.0))
        processes, first, compute = all_processes(), 0, self.computing.compute()
        shares: list[Share] = []
        with RunDisplay("training networks") as display:

            def counter(label: str, ends: Sequence[float], done: float) -> Callable[[], None]:
                left = iter(ends)

                def on_epoch() -> None:
                    now = done + next(left)
                    display.step(now, before[-1], f"{label}  {now / before[-1]:.0%}")

                return on_epoch

            for row, (ends, _), done in zip(trained, works, before, strict=False):
                on_epoch = counter(row.label, ends, done) if processes.leads else lambda: None
                plans = plan_networks(row.protocol, row.examples, row.examples.spec, compute)
                if any(plan.compile for plan in plans.values()):
                    display.preparing(0.0, "compiling the networks (about 40 s for each kind, once)")
                task = Task(row.protocol, row.examples, test, row.relabel)
                shares.append(train_share(task, processes, compute, first=first, on_epoch=on_epoch))
                first += row.protocol.nets * len(row.protocol.archs)
            # none waits for another before all its networks are trained
            found = [together(share, processes) for share in shares]
        of_place = {place: score for alike, score in zip(places.values(), found, strict=True) for place in alike}
        return [(row, of_place[place]) for place, row in enumerate(rows)]


def _row(baseline: Baseline, rows: Sequence[Row]) -> Row:
    """Return a baseline as a row, whose scores are saved to the runs that it stands beside."""
    runs = tuple(run for place in baseline.beside for run in rows[place].runs)
    return Row(baseline.label, baseline.examples, baseline.protocol, runs)
