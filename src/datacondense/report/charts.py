"""The figures of a report, as Matplotlib figures whose lines take the text colour of the page."""

import io
import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..evaluation.scores import Scores
from ..utils.text import printable
from .figures import PLAIN

Chart = Callable[[], Figure]
"""Draws a figure with the current settings of Matplotlib, so that it can be drawn for a page and for a file."""
_INK = "#0a0b0c"  # replaced by the text colour of the page
_COLOURS = ("#3b82c4", "#d9772b", "#4a9d5b", "#9467bd", "#c44e52", "#8c7a5c")
_MOST_POINTS = 600  # of a curve
_NAMED = 30  # classes of which each is named
_LONGEST = 22  # characters of a name
_WRITTEN = 12  # classes of whose confusions each is written


def to_svg(chart: Chart, identity: str) -> str:
    """Return an SVG element for a page. Its text stays text and has the colour of the page.

    identity: no two figures of a page have the same.
    """
    with matplotlib.rc_context({**_style(_INK), "svg.hashsalt": identity}):
        figure = chart()
        FigureCanvasSVG(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :].replace(_INK, "currentColor")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    return re.sub(r'<(g|svg)([^>]*?) id="[A-Za-z0-9.]+_\d+"', r"<\1\2", text)  # ids that other figures have too


def to_files(chart: Chart) -> dict[str, bytes]:
    """Return the same figure in black, for papers: suffix -> content of the file."""
    found = {}
    with matplotlib.rc_context({**_style("black"), "svg.hashsalt": "datacondense"}):
        figure = chart()
        for suffix, canvas in ((".svg", FigureCanvasSVG), (".png", FigureCanvasAgg)):
            canvas(figure)
            buffer = io.BytesIO()
            metadata = {"Date": None} if suffix == ".svg" else {}
            figure.savefig(buffer, format=suffix[1:], dpi=200, facecolor="white", metadata=metadata)
            found[suffix] = buffer.getvalue()
    return found


def _style(ink: str) -> dict[Any, Any]:
    """Return Matplotlib's settings, under the type that it defines for their names."""
    colours = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    return {
        **dict.fromkeys(colours, ink),
        "axes.prop_cycle": cycler(color=_COLOURS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "font.family": "sans-serif",
        "grid.alpha": 0.2,
        "svg.fonttype": "none",
        **PLAIN,
    }


def loss(x: Sequence[float], losses: Sequence[float], what: str) -> Figure:
    """Draw the loss over `x`; `what` is the label of its axis."""
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.plot(_thinned(np.array(x)), _thinned(np.array(losses)), lw=1.2)
    axes.set_xlim(left=0)
    if min(losses) > 0 and max(losses) > 5 * min(losses):
        axes.set_yscale("log")
    axes.set_xlabel(what)
    axes.set_ylabel("loss")
    axes.grid(visible=True)
    return figure


def learned(x: Sequence[float], values: Sequence[Sequence[float]], what: str, accuracy: str) -> Figure:
    """Draw test accuracy over `x`, such as iterations: mean and standard deviation of `values` at each."""
    percent = [100 * np.array(of_x) for of_x in values]
    deviations = [of_x.std(ddof=1) if len(of_x) > 1 else 0.0 for of_x in percent]
    figure = Figure(figsize=(4.6, 2.8), layout="constrained")
    axes = figure.subplots()
    axes.errorbar(x, [of_x.mean() for of_x in percent], deviations, marker="o", ms=4, capsize=2, lw=1.2)
    axes.set_xlim(left=0)
    axes.set_xlabel(what)
    axes.set_ylabel(printable(accuracy))
    axes.grid(visible=True)
    return figure


def _thinned(values: np.ndarray) -> np.ndarray:
    """Return means of neighbours, at most 600."""
    parts = np.array_split(values, min(len(values), _MOST_POINTS))
    return np.array([part.mean() for part in parts])


def per_class(names: Sequence[str], score: Scores, arch: str) -> Figure:
    """Draw test accuracy on each class, mean over networks; of many classes in the order of their accuracy."""
    values = np.array([[math.nan if v is None else 100 * v for v in of_net] for of_net in score.per_class[arch]])
    means, deviations = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(len(names))
    few = len(names) <= _NAMED
    figure = Figure(figsize=(4.8, 0.8 + 0.26 * len(names) if few else 2.8), layout="constrained")
    axes = figure.subplots()
    if few:
        ink: str = matplotlib.rcParams["text.color"]
        drawn = axes.barh(range(len(names)), means, xerr=deviations, error_kw={"lw": 1, "ecolor": ink}, capsize=2)
        axes.bar_label(drawn, fmt="%.0f", label_type="center", color="white", fontsize=8)
        axes.set_yticks(range(len(names)), _short(names))
        axes.invert_yaxis()
        axes.set_xlabel("test accuracy %")
        axes.set_xlim(0, 100)
        return figure
    order = np.argsort(means)
    axes.fill_between(range(len(names)), means[order], step="mid")
    axes.set_xlabel("classes, the least accurate first")
    axes.set_ylabel("test accuracy %")
    axes.set_ylim(0, 100)
    return figure


def _short(names: Sequence[str]) -> list[str]:
    """Return names shortened to fit beside a figure; the tables of a page have the full names."""
    names = list(map(printable, names))
    return [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names]


def confusion(names: Sequence[str], counts: Sequence[Sequence[int]]) -> Figure:
    """Draw the confusion matrix: of the test images of each class (row), the percentage predicted as each class."""
    table = np.array(counts, dtype=float)
    shares = 100 * table / np.maximum(table.sum(1, keepdims=True), 1)
    side = 1.4 + min(0.36 * len(names), 4.6)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    shown = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, interpolation="nearest")
    if len(names) <= _NAMED:
        axes.set_xticks(range(len(names)), _short(names), rotation=90, fontsize=8)
        axes.set_yticks(range(len(names)), _short(names), fontsize=8)
    if len(names) <= _WRITTEN:
        for row, column in itertools.product(range(len(names)), repeat=2):
            if shares[row, column] >= 0.5:
                colour = "white" if shares[row, column] > 50 else "black"
                place = {"ha": "center", "va": "center", "fontsize": 7}
                axes.text(column, row, f"{shares[row, column]:.0f}", color=colour, **place)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("class")
    figure.colorbar(shown, label="% of the class", shrink=0.8)
    return figure


def over_ipc(lines: Mapping[str, Sequence[tuple[int, float, float]]], arch: str) -> Figure:
    """Draw test accuracy over images per class.

    lines: name -> (images per class, mean, standard deviation), in percent.
    """
    figure = Figure(figsize=(4.4, 3.2), layout="constrained")
    axes = figure.subplots()
    arch, lines = printable(arch), {printable(name): points for name, points in lines.items()}
    for (name, points), marker in zip(lines.items(), itertools.cycle("osD^vP*X"), strict=False):
        x, means, deviations = (np.array(column) for column in zip(*sorted(points), strict=True))
        axes.errorbar(x, means, np.nan_to_num(deviations), marker=marker, capsize=3, label=name)
    every = sorted({x for points in lines.values() for x, _, _ in points})
    axes.set_xscale("log")
    axes.set_xticks(every, [str(x) for x in every], minor=False)
    axes.minorticks_off()
    axes.set_xlabel("images per class")
    axes.set_ylabel(f"test accuracy % ({arch})")
    axes.grid(visible=True)
    axes.legend(frameon=False)
    return figure


def over_cost(points: Mapping[str, tuple[float, float]], levels: Mapping[str, float], arch: str, what: str) -> Figure:
    """Draw test accuracy over a cost of a set, such as the seconds of condensing.

    Args:
        points: Name -> (cost, mean in percent).
        levels: Name -> mean of what has no such cost.
        arch: The network.
        what: Label of the axis of the cost.
    """
    figure = Figure(figsize=(4.4, 3.2), layout="constrained")
    axes = figure.subplots()
    arch, points = printable(arch), {printable(name): point for name, point in points.items()}
    for (name, (cost, mean)), marker in zip(points.items(), itertools.cycle("osD^vP*X"), strict=False):
        axes.plot([max(cost, 0.1)], [mean], marker, label=name, ms=7)
    for (name, mean), style in zip(levels.items(), itertools.cycle((":", "--")), strict=False):
        axes.axhline(mean, ls=style, lw=1, color=matplotlib.rcParams["text.color"], label=name)
    costs = [max(one, 0.1) for one, _ in points.values()]
    if max(costs) > 5 * min(costs):
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(what)
    axes.set_ylabel(f"test accuracy % ({arch})")
    axes.grid(visible=True)
    axes.legend(frameon=False, fontsize=8)
    return figure
