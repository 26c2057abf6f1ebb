"""The progress of a run with loss, speed and ETA, as a bar in a terminal and as lines elsewhere; tables of scores."""

import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import final

from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from ..evaluation.scores import PUBLISHED, Scores
from ..run.observers import Observer, RunProgress
from ..utils.text import percent_mean_std, printable
from ..utils.timing import Pace, duration
from .console import OUT, print_note

_PLAIN_EVERY = 10.0  # seconds between plain lines
_ETA_SOON = 1.0  # seconds after a plain line without an ETA when the first line with one may follow
_DRAWN_EVERY = 0.1  # seconds between two states of the bar
_APART = 3  # iterations after which updates inside one no longer count for the ETA


@final
class RunDisplay(Observer):
    """Show the progress of work of a known amount. It is an observer of `condense`.

    brief: without a terminal, print nothing about work that is done within seconds.
    time_budget: seconds from now after which the work stops.
    """

    def __init__(self, title: str, *, brief: bool = False, time_budget: float | None = None) -> None:
        self.title = title = printable(title)
        self.brief = brief
        self.ends = None if time_budget is None else time.perf_counter() + time_budget
        self.bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=OUT,
            transient=True,
        )
        self.task = self.bar.add_task(title, total=None, detail="")
        self.printed = time.perf_counter()
        self.without_eta = False
        """True if the last plain line had no ETA, since the speed was unknown."""
        self.drawn = float("-inf")
        self.total = 0.0
        self.pace = Pace()
        self.iterations = self.updates = 0
        self.loss = self.prepared = ""

    def __enter__(self) -> "RunDisplay":
        if OUT.is_terminal and not OUT.brief:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if OUT.is_terminal:
            self.bar.stop()

    def progress(self, progress: RunProgress) -> None:
        """Show an iteration of `condense`."""
        self.iterations += 1
        self.loss = f"  loss {progress.loss:.4g}"
        count = f"{progress.iteration}/{progress.iterations}"
        self.step(progress.iteration, progress.iterations, f"{count}{self.loss}", "it/s")

    def update(self, done: float, iterations: int) -> None:
        """Show an update inside an iteration of `condense`."""
        self.updates += 1
        if self.updates > 1 and self.iterations < _APART:  # what runs before the second may have to be compiled
            self.step(done, iterations, f"{done:.1f}/{iterations}{self.loss}", "it/s")

    def preparing(self, done: float, what: str) -> None:
        """Show work before the first iteration of `condense`."""
        begins = what != self.prepared
        if begins:
            self.prepared, self.total = what, 0.0
        if not done:
            self._begin(what, plain=begins)
        elif done < 1:
            self.step(done, 1.0, f"{what}  {done:.0%}")

    def message(self, text: str) -> None:
        """Print a line that stays."""
        print_note(text)

    def _begin(self, what: str, *, plain: bool) -> None:
        """Show work that cannot be measured yet. plain: also without a terminal, as it may take long."""
        if OUT.is_terminal:
            self.bar.update(self.task, completed=0, total=1.0, detail=printable(what))
        elif plain:
            print_note(f"{self.title}: {what}")

    def step(self, done: float, total: float, detail: str, unit: str = "") -> None:
        """Show `done` of `total` units. unit: the unit of the speed, if it is shown. A new total starts new work."""
        now = time.perf_counter()
        if total != self.total:
            self.total, self.pace = total, Pace()
        self.pace.step(now, done)
        every = _ETA_SOON if self.without_eta else _PLAIN_EVERY
        plain = now - self.printed >= every or (done == total and not self.brief)
        if not (now - self.drawn >= _DRAWN_EVERY or done == total if OUT.is_terminal else plain):
            return
        pace, left = self.pace.seconds_per_unit, self.pace.left(total)
        if left is None and self.without_eta and now - self.printed < _PLAIN_EVERY:
            return
        self.drawn = self.printed = now
        self.without_eta = left is None and not OUT.is_terminal
        detail += f"  {_speed(pace, unit)}" if pace and unit else ""
        if left is not None:
            left = left if self.ends is None else max(min(left, self.ends - now), 0)
            detail += f"  ETA {duration(left)}"
        if OUT.is_terminal:
            self.bar.update(self.task, completed=done, total=total, detail=printable(detail))
        else:
            print_note(f"{self.title}: {detail}")


def _speed(pace: float, unit: str) -> str:
    """Return seconds per unit as a speed in `unit`, such as it/s, or as seconds per unit where that is below 1."""
    if pace > 1:
        return f"{pace:.1f} s/{unit.removesuffix('/s')}"
    return f"{1 / pace:,.{1 if pace > 0.01 else 0}f} {unit}"


def score_table(scores: Mapping[str, Scores]) -> Table:
    """Return a table of test accuracies in percent, mean and standard deviation: a row for each set and network."""
    table = Table(caption=f"mean ± standard deviation over n; {_training(scores)}")
    for column in ("trained on", "images", "network", _accuracy_on(scores), "n x epochs", "time"):
        table.add_column(column, no_wrap=True)
    for label, score in scores.items():
        for arch, accuracy in score.accuracy.items():
            table.add_row(
                label,
                str(score.trained_on["images"]),
                arch,
                _percent(accuracy),
                f"{len(accuracy)} x {score.protocol['recipes'][arch]['epochs']}",
                duration(score.seconds),
            )
    return table


def cross_table(scores: Mapping[str, Scores]) -> Table:
    """Return a table of test accuracies in percent, mean and standard deviation: sets as rows, networks as columns."""
    archs = list(dict.fromkeys(arch for score in scores.values() for arch in score.accuracy))
    counts = sorted({len(accuracy) for score in scores.values() for accuracy in score.accuracy.values()})
    n = " or ".join(map(str, counts))
    what = f"{_accuracy_on(scores)}, mean ± standard deviation over n = {n}"
    table = Table(caption=f"{what}; {_training(scores)}")
    table.add_column("trained on", no_wrap=True)
    for arch in archs:
        table.add_column(arch)
    for label, score in scores.items():
        table.add_row(label, *(_percent(score.accuracy.get(arch, [])) for arch in archs))
    return table


def _accuracy_on(scores: Mapping[str, Scores]) -> str:
    """Return the heading of the accuracies, which are all on the same images."""
    return f"{next(iter(scores.values())).tested_on} accuracy %"


def _training(scores: Mapping[str, Scores]) -> str:
    """Return augmentation and recipe in training; networks with each augmentation, and sets with each recipe."""
    archs: dict[str, list[str]] = {}
    sets: dict[str, list[str]] = {}
    for label, score in scores.items():
        for arch, recipe in score.protocol["recipes"].items():
            archs.setdefault(recipe["augment"], []).append(arch)
            sets.setdefault(score.recipe_source(arch), []).append(label)
    recipes = "" if list(sets) == [PUBLISHED] else f"; recipe: {_each(sets)}"
    return f"augmentation in training: {_each(archs)}{recipes}"


def _each(users: Mapping[str, Sequence[str]]) -> str:
    """Return values as text, with the users of each if they differ."""
    if len(users) == 1:
        return next(iter(users))
    return ", ".join(f"{value} ({' '.join(dict.fromkeys(names))})" for value, names in users.items())


def class_table(scores: Mapping[str, Scores], class_names: Sequence[str]) -> Table:
    """Return a table of the accuracy on each class in percent, mean over networks."""
    columns = [(label, arch, score.per_class[arch]) for label, score in scores.items() for arch in score.accuracy]
    table = Table("class", *(f"{label}, {arch}" for label, arch, _ in columns))
    for index, name in enumerate(class_names):
        table.add_row(name, *(_percent([per_class[index] for per_class in nets]) for _, _, nets in columns))
    return table


def _percent(values: Sequence[float | None]) -> str:
    """Mean and standard deviation in percent; the mean alone of one value, a dash for a class without test images."""
    return percent_mean_std(values, empty="-")
