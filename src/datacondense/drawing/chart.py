"""Figures of Matplotlib that a notebook displays without pyplot, which would keep each of them open."""

import io
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from matplotlib.figure import Figure
from PIL.Image import Image

from ..utils.text import printable

_INCH = 100  # pixels


class Chart(Figure):
    """A figure that IPython shows as PNG."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def picture_chart(picture: Image) -> Chart:
    """Return a picture as a figure of its size."""
    figure = Chart(figsize=(picture.width / _INCH, picture.height / _INCH), dpi=_INCH)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(picture, cmap="gray" if picture.mode == "L" else None, interpolation="nearest", vmin=0, vmax=255)
    axes.set_axis_off()
    return figure


def accuracy_chart(bars: Mapping[str, Mapping[str, Sequence[float]]], axis: str) -> Chart:
    """Draw accuracies as bars: mean, and the standard deviation where there are several.

    Args:
        bars: Name of a set -> network -> accuracies in [0, 1].
        axis: Label of the axis.
    """
    archs = list(dict.fromkeys(arch for by_arch in bars.values() for arch in by_arch))
    figure = Chart(figsize=(1.6 + 0.9 * len(bars) * max(len(archs), 1) ** 0.7, 3.2), layout="constrained")
    axes = figure.subplots()
    width, highest = 0.8 / len(archs), 1e-9
    for number, arch in enumerate(archs):
        values = [[100 * value for value in by_arch.get(arch, [])] for by_arch in bars.values()]
        places = [place + (number - (len(archs) - 1) / 2) * width for place in range(len(bars))]
        means = [fmean(one) if one else 0.0 for one in values]
        deviations = [stdev(one) if len(one) > 1 else 0.0 for one in values]
        highest = max(highest, *(mean + deviation for mean, deviation in zip(means, deviations, strict=True)))
        axes.bar(places, means, 0.9 * width, yerr=deviations, capsize=3, label=printable(arch))
        for place, mean, deviation in zip(places, means, deviations, strict=True):
            axes.annotate(
                f"{mean:.1f}", (place, mean + deviation), xytext=(0, 2), textcoords="offset points", ha="center"
            )
    axes.set_xticks(range(len(bars)), [printable(name) for name in bars])
    axes.set_ylabel(axis)
    axes.set_ylim(0, 1.15 * highest)  # room for the numbers
    axes.spines[["top", "right"]].set_visible(False)
    if len(archs) > 1:
        axes.legend(frameon=False)
    return figure
