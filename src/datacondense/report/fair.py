"""The fair tables of a run: its set and real images beside it, trained on alike, column by column."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..evaluation.columns import COLUMNS
from ..evaluation.scores import KMEANS, RANDOM, SET, Scores
from .number_text import accuracy
from .reading import Run

_TITLES = {True: "The same labels and recipe for all", False: "Robustness under augmentations"}


def fair_tables(run: Run) -> list[dict[str, Any]]:
    """Return the table of columns by labels and the table of columns by augmentation, those that there are."""
    found = list(dict.fromkeys(column for columns in run.table.values() for column in columns))
    by_labels, by_augment = [c for c in COLUMNS if c in found], [c for c in found if c not in COLUMNS]
    return [_table(run, columns) for columns in (by_labels, by_augment) if columns]


def _table(run: Run, columns: Sequence[str]) -> dict[str, Any]:
    scores = [run.table[row][column] for row in run.table for column in columns if column in run.table[row]]
    archs = list(dict.fromkeys(arch for score in scores for arch in score.accuracy))
    rows = [
        {
            "name": str(run.provenance.method) if row == SET else row,
            "arch": arch,
            "cells": [_cell(run.table[row], column, arch) for column in columns],
        }
        for row in (SET, RANDOM, KMEANS)
        if row in run.table
        for arch in archs
    ]
    return {
        "title": _TITLES[columns[0] in COLUMNS],
        "columns": list(columns),
        "rows": [row for row in rows if any(row["cells"])],
        "note": "; ".join(_training(run.table, column) for column in columns),
    }


def _cell(columns: Mapping[str, Scores], column: str, arch: str) -> str:
    return accuracy(columns[column].accuracy.get(arch, [])) if column in columns else ""


def _training(table: Mapping[str, Mapping[str, Scores]], column: str) -> str:
    """Return recipe, epochs, augmentation and number of networks of a column."""
    score = next(columns[column] for columns in table.values() if column in columns)
    arch, values = next(iter(score.accuracy.items()))
    recipe = score.protocol["recipes"][arch]
    return (
        f"{column}: {score.recipe_source(arch)} recipe, {len(values)} networks of {recipe['epochs']} epochs, "
        f"augmentation {recipe['augment']}"
    )
