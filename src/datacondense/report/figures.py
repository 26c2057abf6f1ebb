"""Figures of scores: a bar for each network, and a heat map over networks trained with and tested on."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ..evaluation.scores import KMEANS, RANDOM, Scores
from ..utils.atomic import write_bytes
from ..utils.text import mean_std, printable
from .marked import COLOURS, PLAIN, RANDOM_COLOUR, WHOLE_COLOUR, MarkedFigure, ink, rendered

_CELL, _LETTER = 1.1, 0.09  # inches: a cell of a heat map, and a letter of a legend
_DPI = 150


@matplotlib.rc_context(PLAIN)
def save_bars(scores: Mapping[str, Scores], path: Path) -> None:
    """Write `bars` as PNG."""
    _save(bars(scores), path)


def bars(scores: Mapping[str, Scores]) -> Figure:
    """Draw test accuracy in percent: a group of bars for each network, a bar for each set, whiskers of ± std.

    Sets may have scores of different networks; a set without scores of a network has no bar there.
    """
    scores = _printable(scores)
    archs = _archs(scores)
    figure = Figure(figsize=(max(4.0, 1.5 + 0.62 * len(archs) * (len(scores) + 0.5)), 3.6), layout="constrained")
    axes = figure.add_subplot()
    width = 0.8 / len(scores)
    highest = 0.0
    colours = _colours(scores)
    for index, (label, score) in enumerate(scores.items()):
        known = [arch for arch in archs if arch in score.accuracy]
        places = np.array([archs.index(arch) for arch in known]) + (index - (len(scores) - 1) / 2) * width
        means = np.array([100 * score.mean(arch) for arch in known])
        deviations = np.nan_to_num([100 * score.std(arch) for arch in known])
        highest = max(highest, *(means + deviations))
        style = {"color": colours[label], "capsize": 3, "error_kw": {"lw": 1, "ecolor": ink()}}
        drawn = axes.bar(places, means, 0.92 * width, yerr=deviations, label=label, **style)
        axes.bar_label(drawn, fmt="%.1f", padding=2, fontsize=9)  # above the whiskers
    axes.set_xticks(
        range(len(archs)), archs, rotation=25 if len(archs) > 3 else 0, ha="right" if len(archs) > 3 else "center"
    )
    axes.set_xlim(-0.5, len(archs) - 0.5)  # also where the last bars are missing
    axes.set_ylim(0, max(1, 1.14 * highest))
    axes.set_ylabel(_accuracy_on(scores))
    axes.spines[["top", "right"]].set_visible(False)
    if len(scores) > 1:
        longest = _LETTER * (max(map(len, scores)) + 6)
        columns = max(min(int(figure.get_figwidth() / longest), len(scores)), 1)
        figure.legend(loc="outside upper center", ncols=columns, frameon=False)
    return figure


def _colours(labels: Iterable[str]) -> dict[str, str]:
    """Return the colour of each set: greys for the baselines of `evaluate --beside`, as on a page."""
    sets = itertools.cycle(COLOURS)
    greys = {RANDOM: RANDOM_COLOUR, KMEANS: RANDOM_COLOUR, "whole set": WHOLE_COLOUR}
    known = {label: next((grey for name, grey in greys.items() if label.startswith(name)), "") for label in labels}
    return {label: grey or next(sets) for label, grey in known.items()}


@matplotlib.rc_context(PLAIN)
def save_heat_map(scores: Mapping[str, Scores], path: Path) -> None:
    """Write `heat_map` as PNG."""
    _save(heat_map(scores), path)


def heat_map(scores: Mapping[str, Scores]) -> MarkedFigure:
    """Draw mean test accuracy in percent as a table in colours: sets as rows, networks as columns."""
    scores = _printable(scores)
    archs, labels = _archs(scores), list(scores)
    values = np.array([[100 * s.mean(a) if a in s.accuracy else np.nan for a in archs] for s in scores.values()])
    deviations = [[100 * s.std(a) if a in s.accuracy else np.nan for a in archs] for s in scores.values()]
    figure = MarkedFigure(size=(2.4 + _CELL * len(archs), 1.6 + 0.62 * len(labels)))
    axes = figure.add_subplot()
    shown = axes.imshow(values, cmap="viridis", aspect="auto")
    low, high = np.nanmin(values), np.nanmax(values)
    for row in range(len(labels)):
        for column in range(len(archs)):
            value, deviation = values[row, column], deviations[row][column]
            if np.isnan(value):
                continue
            text = mean_std(value, deviation, separator="\n±")
            dark = value < (low + high) / 2
            axes.text(column, row, text, ha="center", va="center", color="white" if dark else "black", fontsize=9)
            box = (column - 0.5, row - 0.5, column + 0.5, row + 0.5)
            figure.mark(axes, box, f"{labels[row]}, {archs[column]}: {mean_std(value, deviation)} %")
    axes.set_xticks(range(len(archs)), archs, rotation=25, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("network trained and tested")
    axes.set_ylabel("set")
    figure.colorbar(shown, label=_accuracy_on(scores))
    return figure


@matplotlib.rc_context(PLAIN)
def save_steps(records: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    """Draw test accuracy in percent over the classes seen: a line for each memory, a band of ± std. Written as PNG.

    records: name of a memory -> the result of `learn_continually`.
    """
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.add_subplot()
    for (name, record), marker in zip(records.items(), itertools.cycle("osD^vP*X"), strict=False):
        seen, means = record["classes_seen"], 100 * np.array(record["mean"])
        deviations = 100 * np.array([value or 0.0 for value in record["std"]])
        (line,) = axes.plot(seen, means, marker=marker, label=printable(name))
        axes.fill_between(seen, means - deviations, means + deviations, color=line.get_color(), alpha=0.15, lw=0)
    axes.set_xticks(sorted({number for record in records.values() for number in record["classes_seen"]}))
    axes.set_xlabel("classes seen")
    axes.set_ylabel("test accuracy % on them")
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(len(records), 4), frameon=False)
    _save(figure, path)


def _printable(scores: Mapping[str, Scores]) -> dict[str, Scores]:
    """Return the scores under names that can be drawn; names of networks may come from a file."""
    return {
        printable(label): replace(score, accuracy={printable(arch): v for arch, v in score.accuracy.items()})
        for label, score in scores.items()
    }


def _archs(scores: Mapping[str, Scores]) -> Sequence[str]:
    """Return all networks, in the order in which they first appear."""
    return list(dict.fromkeys(arch for score in scores.values() for arch in score.accuracy))


def _accuracy_on(scores: Mapping[str, Scores]) -> str:
    return f"{next(iter(scores.values())).tested_on} accuracy %"


def _save(figure: Figure, path: Path) -> None:
    FigureCanvasAgg(figure)
    write_bytes(path, rendered(figure, "png", dpi=_DPI))
