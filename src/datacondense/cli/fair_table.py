"""The tables of `evaluate --columns` and `--augments`: a set and real images beside it, trained on alike."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.table import Table

from ..data.image_set import ImageSet
from ..engine.execution import Compute, resolve_device
from ..evaluation.baselines import real_rows
from ..evaluation.columns import COLUMNS, ColumnOptions, augment_cells, label_cells
from ..evaluation.evaluator import join
from ..evaluation.protocol import protocol_for
from ..evaluation.scores import ONLINE, OWN_LABELS, RANDOM, SET, Scores
from ..evaluation.teachers import online_teacher
from ..report import footprint
from ..report.number_text import size
from ..report.run_names import labels
from ..synthetic.set import SyntheticSet
from ..training.loop import Relabel
from ..training.teacher import OnlineTeacher
from ..utils.errors import InputError
from ..utils.text import percent_mean_std
from .display import RunDisplay
from .evaluated import Place, Row


def check_options(columns: Sequence[str], augments: Sequence[str], augment: str, *, other: bool) -> None:
    """Raise InputError for options that exclude each other. other: --process or --beside is given."""
    if columns and augments:
        raise InputError("--columns and --augments are two tables: ask for one at a time")
    if other:
        raise InputError("--columns and --augments have real images beside the set: leave out --beside and --process")
    if augments and augment != "auto":
        raise InputError("--augment and --augments exclude each other: use one")


def check_teacher(teacher: str | None, temperature: float | None, columns: Sequence[str]) -> None:
    """Raise InputError for a teacher or a temperature that no column needs."""
    if teacher is None and temperature is not None:
        raise InputError(f"--temperature {temperature:g}: divides the logits of --teacher: name one, or leave it out")
    if teacher is not None and not {"all", OWN_LABELS, ONLINE} & set(columns):
        raise InputError(f"--teacher {teacher}: labels the batches of --columns online: ask for this column")


def teachers_online(
    teacher: str | None, sets: Sequence[SyntheticSet], train: ImageSet, temperature: float | None, compute: Compute
) -> list[OnlineTeacher | None]:
    """Return the teacher that an option names for each set, with progress while it learns; None without one.

    Sets whose labels are those of one teacher share it, and so do all sets without such labels.
    """
    found: dict[tuple[Any, ...], OnlineTeacher | None] = {}
    for one in sets:
        if teacher is not None and (key := _taught(one)) not in found:
            with RunDisplay("teacher") as display:
                found[key] = online_teacher(
                    one, train, teacher, temperature=temperature, compute=compute, report=display.preparing
                )
    return [found.get(_taught(one)) for one in sets]


def _taught(synthetic: SyntheticSet) -> tuple[Any, ...]:
    """Return what is recorded of the teacher of a set, as far as `online_teacher` reads it."""
    recorded = synthetic.provenance.labels
    return tuple(recorded.get(name) for name in ("teacher", "arch", "steps", "lr", "seed", "moment", "temperature"))


def table_rows(
    sets: Sequence[SyntheticSet],
    runs: Sequence[Path],
    train: ImageSet,
    options: Callable[[int], ColumnOptions],
    *,
    columns: Sequence[str],
    augments: Sequence[str],
    device: str,
    relabels: Sequence[Relabel | None],
) -> list[Row]:
    """Return the rows of a table. Sets that differ only in their seed share a line of it.

    Args:
        sets: The sets.
        runs: Their run directories.
        train: The training images that they were made from.
        options: Keywords of the protocol of a set, by the number of sets before it that differ only in their seed.
        columns: Columns by labels; all means those that need no teacher, and with a teacher online too.
        augments: Columns by augmentation, in their place.
        device: Of the networks.
        relabels: The teacher of each set, or None.
    """
    names = labels([synthetic.provenance for synthetic in sets])
    every = [name for name in COLUMNS if name != ONLINE or any(relabels)]
    chosen = [name for each in columns for name in (every if each == "all" else [each])]
    rows: list[Row] = []
    for place, (name, synthetic, path, relabel) in enumerate(zip(names, sets, runs, relabels, strict=True)):
        asked = options(names[:place].count(name))
        arch = protocol_for(synthetic, **asked).archs[0]
        if augments:
            cells = augment_cells(synthetic, real_rows(synthetic, train, arch, device, [RANDOM]), augments, **asked)
        else:
            real, where = real_rows(synthetic, train, arch, device), resolve_device(device)
            cells = label_cells(synthetic, real, chosen, relabel, device=where, **asked)
        beside = f" beside {name}" if len(set(names)) > 1 else ""
        for cell in cells:
            line = name if cell.row == SET else f"{cell.row}{beside}"
            rows.append(
                Row(
                    f"{line}, {cell.column}",
                    cell.examples,
                    cell.protocol,
                    (path,),
                    place=Place(cell, line, name, synthetic.fingerprint()),
                )
            )
    return rows


def fair_table(of_row: Sequence[tuple[Row, Scores]], *, mean: bool) -> Table:
    """Return the table: lines are sets and real images, columns are ways to train on them.

    Below each set, its gain over the better of the real images, in points. mean: add the mean over the columns.
    """
    of_line: dict[str, dict[str, list[Scores]]] = {}
    places: dict[str, list[Place]] = {}
    for row, score in of_row:
        if row.place:
            of_line.setdefault(row.place.line, {}).setdefault(row.place.cell.column, []).append(score)
            places.setdefault(row.place.line, []).append(row.place)
    scores = {line: {column: join(each) for column, each in found.items()} for line, found in of_line.items()}
    columns = list(dict.fromkeys(column for found in scores.values() for column in found))
    table = Table(caption=_caption(next(iter(scores.values()))))
    for heading in ("trained on", "images", "bytes", "network", *columns, *(["mean"] if mean else [])):
        table.add_column(heading, no_wrap=heading == "trained on")
    for name in dict.fromkeys(place.name for each in places.values() for place in each):
        lines = [line for line, each in places.items() if each[0].name == name]
        for line in lines:
            made = [place.cell.examples for place in places[line]]
            sizes = [footprint.measure(one, png=False).total for one in made if isinstance(one, SyntheticSet)]
            images = str(len(made[0]))
            for arch in next(iter(scores[line].values())).accuracy:
                values = [scores[line][column].accuracy[arch] for column in columns]
                table.add_row(
                    line, images, size(max(sizes)), arch, *map(percent_mean_std, values), *_mean(values, mean)
                )
        own, *real = (scores[line] for line in lines)
        for arch in next(iter(own.values())).accuracy:
            gains = [own[c].mean(arch) - max(one[c].mean(arch) for one in real) for c in columns]
            cells = [f"{100 * gain:+.1f}" for gain in (*gains, *([fmean(gains)] if mean else []))]
            table.add_row("gain over real", "", "", arch, *cells)
    return table


def _mean(values: Sequence[Sequence[float]], wanted: bool) -> list[str]:
    return [f"{100 * fmean(map(fmean, values)):.1f}"] if wanted else []


def _caption(columns: Mapping[str, Scores]) -> str:
    """Return the images that are tested on, and the training in each column."""
    first = next(iter(columns.values()))
    arch, accuracy = next(iter(first.accuracy.items()))
    trained = "; ".join(f"{column}: {_training(score, arch)}" for column, score in columns.items())
    return f"{first.tested_on} accuracy %, mean ± standard deviation over n = {len(accuracy)}; {trained}"


def _training(score: Scores, arch: str) -> str:
    """Return source of the recipe, epochs and augmentation."""
    recipe = score.protocol["recipes"][arch]
    return f"{score.recipe_source(arch)} recipe, {recipe['epochs']} epochs, augmentation {recipe['augment']}"
