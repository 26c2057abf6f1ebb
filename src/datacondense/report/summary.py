"""What a page says first: one sentence, one bar chart, and the tables over all runs."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ..evaluation.scores import PUBLISHED, Scores
from ..utils.paths import resolved
from ..utils.timing import duration
from .charts import Bar
from .marked import COLOURS, RANDOM_COLOUR, WHOLE_COLOUR
from .number_text import TIMES, accuracy, ratio, share, size
from .reading import CONDENSED, RANDOM, WHOLE, Run
from .tables import Cell, Column, Table, accuracy_cell, count_cell, table

_SUMMARY = (
    Column("run"),
    Column("method"),
    Column("images", number=True),
    Column("network"),
    Column("random real", number=True),
    Column("this set", number=True, strong=True),
    Column("whole set", number=True),
    Column("published"),
    Column("recipe"),
    Column("of the data", number=True, unit="%"),
    Column("size", number=True, unit="bytes"),
    Column("time", number=True, unit="seconds"),
)
_RECIPE = 8  # its column
_SIZES = (
    Column("run"),
    Column("stored as"),
    Column("n", number=True),
    *(Column(name, number=True) for name in ("images", "once", "labels", "mean, std", "total")),
    *(Column(name, number=True) for name in (f"{TIMES} uint8", f"{TIMES} float32")),
    Column("of whole set", number=True, unit="%"),
)
_SCORES_NOTE = "Test accuracy in percent, mean ± sample standard deviation over networks. Empty cells: not evaluated."
_SIZES_NOTE = (
    "Bytes from which a receiver rebuilds the training images: those of all images; those stored once, of a generator, "
    "masks and ranges; labels; mean and standard deviation. The total over that of the n stored images in uint8 and in "
    "float32, and over all real training images in uint8."
)


class Result(NamedTuple):
    """What a page opens with."""

    sentence: str
    command: str
    """The command that evaluates the runs that have no scores; empty if all have."""
    bars: list[Bar]
    axis: str
    """Label of the axis of the bars."""


def colour(index: int) -> str:
    """Return the colour of a run in all figures of a page."""
    return COLOURS[index % len(COLOURS)]


def result(runs: Sequence[Run]) -> Result:
    """Return the sentence, and a bar for random images, each set and the whole training set, of the first network."""
    tested = [run for run in runs if CONDENSED in run.scores]
    missing = [run for run in runs if CONDENSED not in run.scores and not run.published]
    names = " ".join(shlex.quote(_from_here(run.path)) for run in missing)
    command = f"datacondense evaluate {names} --beside random whole" if missing else ""
    if not tested:
        return Result(_untested(runs), command, [], "")
    arch = _network(tested)
    of_arch = [run for run in tested if arch in run.scores[CONDENSED].accuracy]
    sentence = _one(of_arch[0], arch) if len(runs) == 1 else _several(of_arch, arch)
    bars = _bars(runs, arch)
    return Result(sentence, command, bars, f"test accuracy % ({arch})")


def _from_here(path: Path) -> str:
    """Return the path of a run from the working directory, or its name if it lies elsewhere: a page names no folder."""
    whole = resolved(path)
    here = Path.cwd()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else whole.name


def _network(tested: Sequence[Run]) -> str:
    """Return the first network on which all sets were evaluated; of all networks, if there is none."""
    archs = list(dict.fromkeys(arch for run in tested for arch in run.scores[CONDENSED].accuracy))
    return next((a for a in archs if all(a in run.scores[CONDENSED].accuracy for run in tested)), archs[0])


def _bars(runs: Sequence[Run], arch: str) -> list[Bar]:
    """Return the bars, without the runs that were not evaluated, and each baseline once."""
    found: dict[str, list[Bar]] = {RANDOM: [], CONDENSED: [], WHOLE: []}
    for index, run in enumerate(runs):
        own = run.name if len(runs) > 1 else str(run.provenance.method)
        names = {RANDOM: ("random real", RANDOM_COLOUR), CONDENSED: (own, colour(index)), WHOLE: (WHOLE, WHOLE_COLOUR)}
        for kind, (name, its) in names.items():
            score = run.scores.get(kind)
            if score is not None and arch in score.accuracy:
                bar = Bar(f"{name}, {_images(score.trained_on['images'])}", score.accuracy[arch], its)
                found[kind].append(bar)
    unique = {(bar.name, tuple(bar.values)): bar for bars in found.values() for bar in bars}
    return list(unique.values())


def _images(count: int) -> str:
    return f"{count:,} image{'s' if count != 1 else ''}"


def _made(run: Run) -> str:
    """Return what a set is: its images, method, data and time; of several views of a stored image, both numbers."""
    of_real, seconds, stored = run.provenance.real_images, run.synthetic.seconds, run.storage.stored_images
    several = stored != len(run.synthetic)
    what = f"{stored:,} stored image{'s' if stored != 1 else ''}" if several else _images(stored)
    instead = f" in place of {of_real:,}" if of_real else ""
    seen = f", seen in {len(run.synthetic):,} views" if several else ""
    time = f" in {duration(seconds)}" if seconds else ""
    return f"{what}{instead}{seen}, made by {run.provenance.method} from {run.synthetic.spec.name}{time}"


def _untested(runs: Sequence[Run]) -> str:
    if len(runs) > 1:
        return f"{len(runs)} sets; none has been evaluated."
    (run,) = runs
    if run.published:
        return f"{_made(run)}; test accuracy in percent: {run.published}."
    return f"{_made(run)}. This set has not been evaluated."


def _one(run: Run, arch: str) -> str:
    reached = f"{accuracy(run.scores[CONDENSED].accuracy[arch])} %"
    sentence = f"{_made(run)}, train {arch} to {reached} test accuracy"
    return f"{sentence}{_beside(run, arch)}."


def _several(runs: Sequence[Run], arch: str) -> str:
    """Return which set is best; each accuracy where the sets are of different data."""
    reached = {run.name: f"{accuracy(run.scores[CONDENSED].accuracy[arch])} %" for run in runs}
    if len({run.synthetic.spec.name for run in runs}) > 1:
        words = (f"{name} trains {arch} to {percent} test accuracy" for name, percent in reached.items())
        return f"{'; '.join(words)}."
    best = max(runs, key=lambda run: run.scores[CONDENSED].mean(arch))
    of = f"Of {len(runs)} sets evaluated with {arch}, " if len(runs) > 1 else ""
    trains = "trains it best, to" if len(runs) > 1 else f"trains {arch} to"
    return f"{of}{best.name} ({_made(best)}) {trains} {reached[best.name]} test accuracy{_beside(best, arch)}."


def _beside(run: Run, arch: str) -> str:
    """Return the baselines of a run, as the end of a sentence."""
    words = []
    for kind, name in ((RANDOM, "{} drawn at random"), (WHOLE, "the whole training set")):
        score = run.scores.get(kind)
        if score is not None and arch in score.accuracy:
            what = name.format(_images(score.trained_on["images"]))
            words.append(f"{what} to {accuracy(score.accuracy[arch])} %")
    return f"; {', and '.join(words)}" if words else ""


def summary_table(runs: Sequence[Run]) -> Table:
    """Return a row for each run and evaluated network; one row for a run without scores."""
    rows = [row for run in runs for row in _summary_rows(run)]
    if all(row[_RECIPE] in ("", PUBLISHED) for row in rows):
        rows = [[*row[:_RECIPE], "", *row[_RECIPE + 1 :]] for row in rows]
    return table("summary", _SUMMARY, rows, note=_SCORES_NOTE)


def _summary_rows(run: Run) -> list[list[Cell | str]]:
    of_real, seconds = run.provenance.real_images, run.synthetic.seconds
    part = 100 * run.storage.stored_images / of_real if of_real else 0.0
    made: list[Cell | str] = [
        Cell(f"{part:.2g} % of {of_real:,}", part) if of_real else "",
        Cell(size(run.storage.total), run.storage.total),
        "" if seconds is None else Cell(duration(seconds), seconds),
    ]
    head: list[Cell | str] = [run.name, str(run.provenance.method), count_cell(len(run.synthetic))]
    archs = list(dict.fromkeys(arch for score in run.scores.values() for arch in score.accuracy))
    rows = [[*head, arch, *_accuracies(run, arch), "", _recipes(run, arch), *made] for arch in archs]
    return rows or [[*head, "", "", "", "", run.published, "", *made]]


def _accuracies(run: Run, arch: str) -> list[Cell]:
    found = [
        run.scores[kind].accuracy.get(arch, []) if kind in run.scores else [] for kind in (RANDOM, CONDENSED, WHOLE)
    ]
    return [accuracy_cell(values) for values in found]


def _recipes(run: Run, arch: str) -> str:
    """Return the recipes of a network, but that on the whole set."""
    scores: list[Scores] = [s for kind, s in run.scores.items() if arch in s.accuracy and kind != WHOLE]
    return ", ".join(dict.fromkeys(score.recipe_source(arch) for score in scores))


def alike(runs: Sequence[Run]) -> bool:
    """Return whether all networks of one kind, except on the whole set, had equal epochs, augmentation and recipe."""
    recipes: dict[str, set[tuple[int, str, str]]] = {}
    for score in (run.scores[kind] for run in runs for kind in (CONDENSED, RANDOM) if kind in run.scores):
        for arch in score.accuracy:
            recipe = score.protocol["recipes"][arch]
            same = recipe["epochs"], recipe["augment"], score.recipe_source(arch)
            recipes.setdefault(arch, set()).add(same)
    return all(len(one) == 1 for one in recipes.values())


def size_table(runs: Sequence[Run]) -> Table:
    """Return the bytes of each set, part by part, and their ratios."""
    return table("sizes", _SIZES, [_size_row(run) for run in runs], note=_SIZES_NOTE)


def _size_row(run: Run) -> list[Cell | str]:
    stored = run.storage
    numbers = (stored.stored_images, stored.images, stored.shared, stored.labels, stored.statistics, stored.total)
    whole = stored.to_whole
    return [
        run.name,
        stored.form,
        *map(count_cell, numbers),
        *(Cell(ratio(value), value) for value in (stored.to_uint8, stored.to_float32)),
        Cell(share(whole), None if whole is None else 100 * whole),
    ]
