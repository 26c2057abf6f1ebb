"""The figures of a report. Numbers stand beside bars and their whiskers, never under them."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import Rectangle

from ..evaluation.scores import Scores
from ..utils.text import mean_std, printable
from ..utils.timing import duration
from .marked import COLOURS, HEAT, MarkedFigure, ink

_MOST_POINTS = 600  # of a curve
NAMED = 30
"""Classes of which each is named in figures."""
_LONGEST = 22  # characters of a name
_MARKED = 500  # largest cells of a confusion matrix of many classes
_BAR = 0.42  # of the height of a row
_SCALE = (0, 25, 50, 75, 100)  # percent


class Bar(NamedTuple):
    """A bar of `result`."""

    name: str
    values: Sequence[float]
    """Accuracies in [0, 1], one of each network."""
    colour: str


def result(bars: Sequence[Bar], accuracy: str) -> MarkedFigure:
    """Draw test accuracy in percent as bars below each other, each under its name; whiskers of ± std."""
    figure = MarkedFigure(size=(3.4, 0.62 + 0.52 * len(bars)))
    axes = figure.subplots()
    for row, bar in enumerate(bars):
        mean, deviation = _mean_std(bar.values)
        axes.barh(row, mean, _BAR, xerr=deviation, color=bar.colour, **_whiskers())
        axes.text(0, row - 0.27, _shortened(bar.name, 44), ha="left", va="bottom", fontsize=9.5)
        text = mean_std(mean, deviation if len(bar.values) > 1 else None)
        _beside(axes, mean + deviation, row, text)
        figure.mark(axes, (0, row - _BAR / 2, mean, row + _BAR / 2), f"{bar.name}: {text} %")
    axes.set_xlim(0, 126)
    axes.set_ylim(len(bars) - 0.6, -0.78)
    axes.set_xticks(_SCALE)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_bounds(0, 100)
    axes.set_xlabel(printable(accuracy))
    return figure


def loss(x: Sequence[float], losses: Sequence[float], seconds: Sequence[float], colour: str) -> MarkedFigure:
    """Draw the loss over iterations `x`, which were done after `seconds`."""
    figure = MarkedFigure(size=(4.3, 2.8))
    axes = figure.subplots()
    places, means, times = (_thinned(np.array(values, dtype=float)) for values in (x, losses, seconds))
    axes.plot(places, means, lw=1.2, color=colour)
    axes.set_xlim(left=0)
    if min(losses) > 0 and max(losses) > 5 * min(losses):
        axes.set_yscale("log")
    axes.set_xlabel(f"iteration ({duration(seconds[-1])} in all)")
    axes.set_ylabel("loss")
    axes.grid(visible=True)
    for place, mean, time in zip(places, means, times, strict=True):
        figure.mark(axes, (place, mean, place, mean), f"iteration {place:.0f}, {duration(time)}: loss {mean:.4g}")
    return figure


def learned(
    x: Sequence[float], values: Sequence[Sequence[float]], seconds: Sequence[float], accuracy: str, colour: str
) -> MarkedFigure:
    """Draw test accuracy over iterations `x`, done after `seconds`: mean and standard deviation of `values` at each."""
    means, deviations = zip(*map(_mean_std, values), strict=True)
    figure = MarkedFigure(size=(4.3, 2.8))
    axes = figure.subplots()
    axes.errorbar(x, means, deviations, marker="o", ms=4, capsize=2, lw=1.2, color=colour)
    axes.set_xlim(left=0)
    axes.set_xlabel(f"iteration ({duration(seconds[-1])} in all)")
    axes.set_ylabel(printable(accuracy))
    axes.grid(visible=True)
    for place, mean, deviation, time in zip(x, means, deviations, seconds, strict=True):
        text = f"iteration {place}, {duration(time)}: {mean_std(mean, deviation or None)} %"
        figure.mark(axes, (place, mean, place, mean), text)
    return figure


def _thinned(values: np.ndarray) -> np.ndarray:
    """Return means of neighbours, at most 600."""
    parts = np.array_split(values, min(len(values), _MOST_POINTS))
    return np.array([part.mean() for part in parts])


def per_class(names: Sequence[str], score: Scores, arch: str, colour: str = COLOURS[0]) -> MarkedFigure:
    """Draw test accuracy on each class, mean over networks; of many classes in the order of their accuracy."""
    values = np.array([[math.nan if v is None else 100 * v for v in of_net] for of_net in score.per_class[arch]])
    means, deviations = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(names))
    spread = [deviation if len(values) > 1 else None for deviation in deviations]
    texts = [
        "no test image" if math.isnan(mean) else mean_std(mean, std) for mean, std in zip(means, spread, strict=True)
    ]
    few = len(names) <= NAMED
    figure = MarkedFigure(size=(4.3, 0.8 + 0.26 * len(names) if few else 2.8))
    axes = figure.subplots()
    if few:
        axes.barh(range(len(names)), means, xerr=deviations, color=colour, **_whiskers())
        axes.set_yticks(range(len(names)), _short(names))
        for row, (mean, deviation) in enumerate(zip(means, deviations, strict=True)):
            if not math.isnan(mean):
                _beside(axes, mean + deviation, row, f"{mean:.0f}")
                figure.mark(axes, (0, row - 0.4, mean, row + 0.4), f"{names[row]}: {texts[row]} %")
        axes.set_ylim(len(names) - 0.4, -0.6)
        axes.set_xlabel("test accuracy %")
        axes.set_xlim(0, 112)
        axes.set_xticks(_SCALE)
        axes.spines["bottom"].set_bounds(0, 100)
        return figure
    order = np.argsort(means)
    axes.fill_between(range(len(names)), means[order], step="mid", color=colour, lw=0)
    axes.set_xlabel("classes, the least accurate first")
    axes.set_ylabel("test accuracy %")
    axes.set_ylim(0, 100)
    for place, index in enumerate(order):
        figure.mark(axes, (place - 0.5, 0, place + 0.5, means[index]), f"{names[index]}: {texts[index]} %")
    return figure


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> MarkedFigure:
    """Draw the confusion matrix: of the test images of each class (row), the percentage predicted as each class."""
    table = np.array(counts, dtype=float)
    shares = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
    few, side = len(names) <= NAMED, min(0.36 if len(names) <= 12 else 0.31, 9.6 / len(names)) * len(names)
    if not few:
        side = 5.2
    figure = MarkedFigure(size=(side + 1.9, side + 1.7))
    axes = figure.subplots()
    if few:
        _draw_cells(axes, shares)
        axes.set_xticks(range(len(names)), _short(names), rotation=90, fontsize=9)
        axes.set_yticks(range(len(names)), _short(names), fontsize=9)
    else:
        seen = LinearSegmentedColormap.from_list("share", [(*_BLUE, 0.0), (*_BLUE, 1.0)])
        axes.imshow(shares, cmap=seen, vmin=0, vmax=100, interpolation="nearest")
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(names) - 0.5, -0.5), aspect="equal")
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class of the test image")
    order = np.argsort(-shares, axis=None, kind="stable")[: min(_MARKED, np.count_nonzero(shares))]
    for row, column in zip(*(index.tolist() for index in np.unravel_index(order, shares.shape)), strict=True):
        text = f"{names[row]} predicted as {names[column]}: {shares[row, column]:.1f} %"
        figure.mark(axes, (column - 0.5, row - 0.5, column + 0.5, row + 0.5), text)
    return figure


_BLUE = (0.23, 0.51, 0.77)


def _draw_cells(axes: Axes, shares: np.ndarray) -> None:
    """Draw each cell in the colour of heat, as opaque as its share, and its number in the colour of text."""
    for row, column in itertools.product(range(len(shares)), repeat=2):
        share = float(shares[row, column])
        if round(share) > 0:
            alpha = 0.06 + 0.94 * share / 100
            axes.add_patch(Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=HEAT, alpha=alpha, lw=0))
            axes.text(column, row, f"{share:.0f}", ha="center", va="center", fontsize=9)


def over_ipc(
    lines: Mapping[str, Sequence[tuple[int, float, float]]], arch: str, colours: Mapping[str, str]
) -> MarkedFigure:
    """Draw test accuracy over images per class.

    Args:
        lines: Name -> (images per class, mean, standard deviation), in percent.
        arch: The network.
        colours: Name -> colour.
    """
    figure = MarkedFigure(size=(4.3, 3.2))
    axes = figure.subplots()
    for (name, points), marker in zip(lines.items(), itertools.cycle("osD^vP*X"), strict=False):
        x, means, deviations = (np.array(column) for column in zip(*sorted(points), strict=True))
        style = {"capsize": 3, "label": printable(name), "color": colours[name]}
        axes.errorbar(x, means, np.nan_to_num(deviations), marker=marker, **style)
        for ipc, mean, deviation in points:
            text = f"{name}, {ipc} per class: {mean_std(mean, deviation)} %"
            figure.mark(axes, (ipc, mean, ipc, mean), text)
    every = sorted({x for points in lines.values() for x, _, _ in points})
    axes.set_xscale("log")
    axes.set_xticks(every, [str(x) for x in every], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("images per class")
    axes.set_ylabel(f"test accuracy % ({printable(arch)})")
    axes.grid(visible=True)
    axes.legend(frameon=False)
    return figure


class Point(NamedTuple):
    """A point of `over_cost`."""

    cost: float
    mean: float
    """In percent."""
    colour: str
    text: str
    """The cost in words."""


def over_cost(points: Mapping[str, Point], levels: Mapping[str, float], arch: str, what: str) -> MarkedFigure:
    """Draw test accuracy over a cost of a set, such as the seconds of condensing.

    Args:
        points: Name -> point.
        levels: Name -> mean of what has no such cost.
        arch: The network.
        what: Label of the axis of the cost.
    """
    figure = MarkedFigure(size=(4.3, 3.2))
    axes = figure.subplots()
    for (name, point), marker in zip(points.items(), itertools.cycle("osD^vP*X"), strict=False):
        x = max(point.cost, 0.1)
        axes.plot([x], [point.mean], marker, label=printable(name), ms=7, color=point.colour)
        figure.mark(axes, (x, point.mean, x, point.mean), f"{name}: {point.mean:.1f} %, {point.text}")
    for (name, mean), style in zip(levels.items(), itertools.cycle((":", "--")), strict=False):
        axes.axhline(mean, ls=style, lw=1, color=ink(), label=name)
    costs = [max(point.cost, 0.1) for point in points.values()]
    if max(costs) > 5 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(what)
    axes.set_ylabel(f"test accuracy % ({printable(arch)})")
    axes.grid(visible=True)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _mean_std(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and sample standard deviation in percent; 0 for a single value."""
    percent = 100 * np.array(values, dtype=float)
    return float(percent.mean()), float(percent.std(ddof=1)) if len(percent) > 1 else 0.0


def _whiskers() -> dict[str, Any]:
    return {"capsize": 2, "error_kw": {"lw": 1, "ecolor": ink()}}


def _beside(axes: Axes, end: float, row: float, text: str) -> None:
    """Write a number to the right of a horizontal bar and its whisker."""
    axes.annotate(text, (end, row), (5, 0), textcoords="offset points", va="center", fontsize=9)


def _short(names: Sequence[str]) -> list[str]:
    """Return names shortened to fit beside a figure; the tables of a page have the full names."""
    return [_shortened(name, _LONGEST) for name in names]


def _shortened(name: str, longest: int) -> str:
    name = printable(name)
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"  # names may differ at either end


def in_words(bar: Bar) -> str:
    """Return a bar as text, for those who do not see it."""
    mean, deviation = _mean_std(bar.values)
    return f"{bar.name} {mean_std(mean, deviation if len(bar.values) > 1 else None)} %"
