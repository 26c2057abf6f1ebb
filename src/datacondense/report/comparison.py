"""The comparison of several runs."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import fmean, stdev
from typing import Any

from markupsafe import Markup

from ..evaluation.scores import Scores
from . import charts, figures
from .marked import Chart
from .number_text import accuracy, size
from .reading import CONDENSED, WHOLE, Run
from .run_names import labels
from .summary import colour

Draw = Callable[[str, Chart], Markup]
"""Adds a figure to the page under its own name, and to the files."""
Lines = dict[str, list[tuple[int, float, float]]]
"""Name -> images per class, mean and deviation in percent."""


def compare(runs: Sequence[Run], chart: Draw) -> list[dict[str, Any]]:
    """Return the figures over all runs that have scores; those on one network stand in the bars of the result."""
    colours = {run.name: colour(index) for index, run in enumerate(runs)}
    tested = {run.name: run.scores[CONDENSED] for run in runs if CONDENSED in run.scores}
    if not tested:
        return []
    archs = list(dict.fromkeys(arch for score in tested.values() for arch in score.accuracy))
    found: list[dict[str, Any]] = []
    if len(archs) > 1:
        found.append(
            {
                "title": "Accuracy by set and network",
                "alt": "; ".join(f"{name}: {_in_words(score)}" for name, score in tested.items()),
                "name": "accuracy",
                "svg": chart("accuracy", partial(figures.heat_map, tested)),
            }
        )
    common = [arch for arch in archs if all(arch in score.accuracy for score in tested.values())]
    if not common:
        return found
    arch = common[0]
    lines, firsts = _over_ipc([run for run in runs if run.name in tested], arch)
    points: dict[str, charts.Point] = {}
    levels: dict[str, float] = {}
    for run in runs:
        if run.name not in tested:
            continue
        mean = 100 * tested[run.name].mean(arch)
        if run.synthetic.seconds is not None:
            points[run.name] = charts.Point(run.synthetic.seconds, mean, colours[run.name], run.condensing_time)
        whole = run.scores.get(WHOLE)
        if whole and arch in whole.accuracy:
            levels[WHOLE] = 100 * whole.mean(arch)
    if len({ipc for line in lines.values() for ipc, _, _ in line}) > 1:
        found.append(
            {
                "title": "Accuracy over images per class",
                "alt": "; ".join(f"{name}: {_path(line)}" for name, line in lines.items()),
                "name": "over-ipc",
                "svg": chart(
                    "over-ipc",
                    partial(charts.over_ipc, lines, arch, {name: colours[first] for name, first in firsts.items()}),
                ),
            }
        )
    if len(points) > 1:
        found.append(
            {
                "title": "Accuracy over the time of condensing",
                "alt": "; ".join(f"{name}: {one.mean:.1f} % after {one.text}" for name, one in points.items()),
                "name": "over-time",
                "svg": chart("over-time", partial(charts.over_cost, points, levels, arch, "seconds of condensing")),
            }
        )
    shown = {run.name: run for run in runs if run.name in tested}
    return found + _over_size([(run, colours[name]) for name, run in shown.items()], levels, arch, chart)


def _over_size(
    runs: Sequence[tuple[Run, str]], levels: Mapping[str, float], arch: str, chart: Draw
) -> list[dict[str, Any]]:
    """Return the figure over bytes; none for sets of float32 pixels and classes, whose bytes follow their number."""
    if len(runs) < 2 or not any(run.synthetic.stored or run.synthetic.soft for run, _ in runs):
        return []
    points = {
        run.name: charts.Point(
            run.storage.total / 1e3, 100 * run.scores[CONDENSED].mean(arch), its, size(run.storage.total)
        )
        for run, its in runs
    }
    return [
        {
            "title": "Accuracy over size",
            "alt": "; ".join(f"{name}: {one.mean:.1f} % in {one.text}" for name, one in points.items()),
            "name": "over-size",
            "svg": chart("over-size", partial(charts.over_cost, points, levels, arch, "size in kB")),
        }
    ]


def _over_ipc(runs: Sequence[Run], arch: str) -> tuple[Lines, dict[str, str]]:
    """Return the lines, and the name of the first run of each. Seeds are averaged into a point.

    A line is a method; where there are several kinds of a method with as many images, or several forms, each kind is a
    line.
    """
    runs = [run for run in runs if run.provenance.ipc is not None]
    kinds = labels([run.provenance.changed(ipc=None) for run in runs])
    found: dict[tuple[str, str, int], list[float]] = {}
    for run, kind in zip(runs, kinds, strict=True):
        place = str(run.provenance.method), kind, run.provenance.ipc or 0
        found.setdefault(place, []).extend(run.scores[CONDENSED].accuracy[arch])
    counts = Counter((method, ipc) for method, _, ipc in found)
    mixed = {method for (method, _), count in counts.items() if count > 1}
    forms: dict[str, set[object]] = {}
    for run in runs:
        forms.setdefault(str(run.provenance.method), set()).add(run.provenance.settings.get("form", "pixels"))
    mixed |= {method for method, found_forms in forms.items() if len(found_forms) > 1}
    lines: Lines = {}
    for (method, kind, ipc), values in found.items():
        deviation = 100 * stdev(values) if len(values) > 1 else math.nan
        lines.setdefault(kind if method in mixed else method, []).append((ipc, 100 * fmean(values), deviation))
    firsts: dict[str, str] = {}
    for run, kind in zip(runs, kinds, strict=True):
        method = str(run.provenance.method)
        firsts.setdefault(kind if method in mixed else method, run.name)
    return lines, firsts


def _in_words(score: Scores) -> str:
    return ", ".join(f"{arch} {accuracy(values)} %" for arch, values in score.accuracy.items())


def _path(line: Sequence[tuple[int, float, float]]) -> str:
    return ", ".join(f"{mean:.1f} % with {ipc} per class" for ipc, mean, _ in sorted(line))
