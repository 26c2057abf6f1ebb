"""What is told of several runs together."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup

from .. import figures
from ..pace import duration
from ..types import Scores
from . import charts
from .reading import CONDENSED, WHOLE, Run
from .words import accuracy

Draw = Callable[[str, charts.Chart], Markup]
"""Makes a figure part of the page, under a name of its own, and keeps it for a file."""


def compare(runs: Sequence[Run], chart: Draw) -> list[dict[str, Any]]:
    """Figures over all runs that have scores."""
    tested = {run.name: run.scores[CONDENSED] for run in runs if CONDENSED in run.scores}
    if not tested:
        return []
    archs = list(dict.fromkeys(arch for score in tested.values() for arch in score.accuracy))
    several = len(archs) > 1
    found = [
        {
            "title": "Which networks learn from which set" if several else "Test accuracy",
            "alt": "; ".join(f"{name}: {_in_words(score)}" for name, score in tested.items()),
            "svg": chart("accuracy", partial(figures.heat_map if several else figures.bars, tested)),
        }
    ]
    common = [arch for arch in archs if all(arch in score.accuracy for score in tested.values())]
    if not common:
        return found
    arch = common[0]
    lines: dict[str, list[tuple[int, float, float]]] = {}
    points: dict[str, tuple[float, float]] = {}
    levels: dict[str, float] = {}
    for run in runs:
        if run.name not in tested:
            continue
        score, ipc = tested[run.name], run.made.get("ipc")
        mean, std = 100 * score.mean(arch), 100 * score.std(arch)
        if isinstance(ipc, int):
            lines.setdefault(str(run.made.get("method")), []).append((ipc, mean, std))
        if run.made.get("wall_seconds") is not None:
            points[run.name] = float(run.made["wall_seconds"]), mean
        whole = run.scores.get(WHOLE)
        if whole and arch in whole.accuracy:
            levels[WHOLE] = 100 * whole.mean(arch)
    if len({ipc for line in lines.values() for ipc, _, _ in line}) > 1:
        found.append(
            {
                "title": "Accuracy over images per class",
                "alt": "; ".join(f"{name}: {_path(line)}" for name, line in lines.items()),
                "svg": chart("over-ipc", partial(charts.over_ipc, lines, arch)),
            }
        )
    if len(points) > 1:
        found.append(
            {
                "title": "Accuracy over the time of condensing",
                "alt": "; ".join(f"{name}: {mean:.1f} % after {duration(s)}" for name, (s, mean) in points.items()),
                "svg": chart("over-time", partial(charts.over_time, points, levels, arch)),
            }
        )
    return found


def _in_words(score: Scores) -> str:
    return ", ".join(f"{arch} {accuracy(values)} %" for arch, values in score.accuracy.items())


def _path(line: Sequence[tuple[int, float, float]]) -> str:
    return ", ".join(f"{mean:.1f} % with {ipc} per class" for ipc, mean, _ in sorted(line))
