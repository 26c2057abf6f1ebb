"""The fair tables of a run: its set and real images beside it, trained on alike, column by column."""

from collections.abc import Mapping, Sequence

from ..evaluation.columns import COLUMNS
from ..evaluation.scores import KMEANS, RANDOM, SET, Scores
from .reading import Run
from .tables import Cell, Column, Table, accuracy_cell, table

_TITLES = {True: "The same labels and recipe for all", False: "Robustness under augmentations"}


def fair_tables(run: Run, key: str) -> list[tuple[str, Table]]:
    """Return the table of columns by labels and the one by augmentation, those that there are, with their titles."""
    found = list(dict.fromkeys(column for columns in run.table.values() for column in columns))
    by_labels, by_augment = [c for c in COLUMNS if c in found], [c for c in found if c not in COLUMNS]
    return [_table(run, columns, key) for columns in (by_labels, by_augment) if columns]


def _table(run: Run, columns: Sequence[str], key: str) -> tuple[str, Table]:
    scores = [run.table[row][column] for row in run.table for column in columns if column in run.table[row]]
    archs = list(dict.fromkeys(arch for score in scores for arch in score.accuracy))
    rows: list[list[Cell | str]] = []
    for row in (SET, RANDOM, KMEANS):
        for arch in archs if row in run.table else ():
            cells = [_cell(run.table[row], column, arch) for column in columns]
            if any(cell.text for cell in cells):
                rows.append([str(run.provenance.method) if row == SET else row, arch, *cells])
    trained = "; ".join(_training(run.table, column) for column in columns)
    by_labels = columns[0] in COLUMNS
    return _TITLES[by_labels], table(
        f"{key}-{'labels' if by_labels else 'augmentations'}",
        [Column("trained on"), Column("network"), *(Column(column, number=True) for column in columns)],
        rows,
        note=f"Test accuracy in percent after the last epoch, mean ± sample standard deviation. {trained}.",
    )


def _cell(columns: Mapping[str, Scores], column: str, arch: str) -> Cell:
    return accuracy_cell(columns[column].accuracy.get(arch, [])) if column in columns else Cell("")


def _training(table: Mapping[str, Mapping[str, Scores]], column: str) -> str:
    """Return recipe, epochs, augmentation and number of networks of a column."""
    score = next(columns[column] for columns in table.values() if column in columns)
    arch, values = next(iter(score.accuracy.items()))
    recipe = score.protocol["recipes"][arch]
    return (
        f"{column}: {score.recipe_source(arch)} recipe, {len(values)} networks of {recipe['epochs']} epochs, "
        f"augmentation {recipe['augment']}"
    )
