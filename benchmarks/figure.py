"""The plot of `make bench`: how many times faster, and how time grows with the work."""

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

_NAIVE, _OURS = "#9aa0a6", "#1a66b0"


def draw(rows: list[dict[str, Any]], scaling: list[dict[str, Any]], path: Path) -> None:
    """Bars of the ratio for each row; for each group of `scaling` both times over its number."""
    groups = list(dict.fromkeys(row["group"] for row in scaling))
    figure = Figure(figsize=(11, 7), layout="constrained")
    parts: Any = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    above, below = parts
    axes = above.subplots()
    labels = [f"{row['name']}, ipc {row['x']}" for row in rows]
    bars = axes.barh(labels[::-1], [row["ratio"] for row in rows][::-1], color=_OURS)
    axes.bar_label(bars, labels=[f"{row['ratio']:.1f}x" for row in rows][::-1], padding=3)
    axes.axvline(1, color=_NAIVE)
    axes.set_xlabel("times as fast as the published algorithm")
    for axes, group in zip(below.subplots(1, max(len(groups), 1), squeeze=False)[0], groups, strict=False):
        part = [row for row in scaling if row["group"] == group]
        for key, color, label in (("naive", _NAIVE, "published"), ("ours", _OURS, "ours"), ("floor", "black", "floor")):
            style = ":" if key == "floor" else "o-"
            axes.loglog([row["x"] for row in part], [row[key] for row in part], style, color=color, label=label)
        axes.set_xlabel(group)
        axes.set_ylabel("seconds per dm iteration")
        axes.legend(frameon=False)
    figure.savefig(path, dpi=120)


def draw_over_time(presets: dict[str, Any], path: Path) -> None:
    """Validation accuracy over the seconds of condensing, a line for each preset, dashed for several views."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    colors = {"1": "#1a66b0", "10": "#c2571a", "50": "#3a7d44"}
    for name, preset in presets.items():
        ipc, _, views = name.partition("/")
        color, line = colors[ipc], "o--" if views else "o-"
        points = preset["points"]
        seconds = [point["seconds"] for point in points]
        means = [sum(point["accuracy"]) / len(point["accuracy"]) for point in points]
        axes.semilogx(seconds, means, line, color=color, label=f"{ipc} per class{' as views' if views else ''}")
        axes.axhline(preset["published"], color=color, linestyle=":", linewidth=1)
    axes.set_xlabel("seconds of condensing (dotted: published test accuracy of DSA, and of IDC beside views)")
    axes.set_ylabel("validation accuracy %")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=120)
