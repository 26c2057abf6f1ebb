"""Matplotlib figures that know where their values stand: for a page, and in black for a paper."""

import io
import json
import math
import re
import warnings
from collections.abc import Callable
from html import escape
from typing import Any

import matplotlib
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from ..utils.text import printable

INK, HEAT = "#0a0b0c", "#9cc9f4"  # replaced by colours of the page
COLOURS = ("#3b82c4", "#d9772b", "#4a9d5b", "#9467bd", "#c44e52", "#8c7a5c", "#2a9aa1", "#c2589e")
"""Colours of runs, in their order; the same run has the same colour in every figure."""
RANDOM_COLOUR, WHOLE_COLOUR = "#8a9299", "#5f6972"
"""Colours of random images and of the whole training set: greys, as no run has."""
PLAIN: dict[Any, Any] = {"text.parse_math": False}
"""Matplotlib's setting that draws a $ in a name literally."""
_PIXELS = 96  # CSS pixels of an inch


class MarkedFigure(Figure):
    """A figure with the places of its values, which a page shows under the pointer."""

    def __init__(self, *, size: tuple[float, float]) -> None:
        super().__init__(figsize=size, layout="constrained")
        self._marks: list[tuple[Axes, tuple[float, float, float, float], str]] = []

    def mark(self, axes: Axes, box: tuple[float, float, float, float], text: str) -> None:
        """Name what stands in a box of an axes: left, bottom, right, top in its data; a point has no area."""
        if all(map(math.isfinite, box)):
            self._marks.append((axes, box, printable(text)))

    def marks(self) -> list[tuple[float, float, float, float, str]]:
        """Return left, top, right, bottom in points from the top left corner, and the text, of each mark."""
        width, height = 72 * self.get_figwidth(), 72 * self.get_figheight()
        found = []
        for axes, (left, bottom, right, top), text in self._marks:
            inside = axes.transData + self.transFigure.inverted()
            corners = inside.transform([(left, bottom), (right, top)])
            x, y = sorted(width * corners[:, 0]), sorted(height * (1 - corners[:, 1]))
            found.append((round(x[0], 1), round(y[0], 1), round(x[1], 1), round(y[1], 1), text))
        return found


Chart = Callable[[], MarkedFigure]
"""Draws a figure with the current settings of Matplotlib, so that it can be drawn for a page and for a file."""


def rendered(figure: Figure, kind: str, **options: Any) -> bytes:
    """Return the bytes of a figure that has its canvas: png or svg. options: those of `Figure.savefig`.

    Matplotlib warns of each letter that its font lacks, such as those of Chinese names. They remain in an SVG, and are
    boxes in a PNG.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from|Matplotlib currently does not support")
        figure.savefig(buffer, format=kind, **options)
    return buffer.getvalue()


def to_svg(chart: Chart, identity: str) -> str:
    """Return an SVG element for a page, with its marks. Its text stays text, and its colours are those of the page.

    identity: no two figures of a page have the same.
    """
    with matplotlib.rc_context({**_style(INK), "svg.hashsalt": identity}):
        figure = chart()
        FigureCanvasSVG(figure)
        text = rendered(figure, "svg", transparent=True, metadata={"Date": None, "Creator": None}).decode()
        marks = figure.marks()
    text = text[text.index("<svg") :].replace(INK, "currentColor").replace(HEAT, "var(--heat)")
    text = re.sub(r"<(metadata|style)\b.*?</\1>", "", text, flags=re.DOTALL)
    text = re.sub(r'<(g|svg)([^>]*?) id="[A-Za-z0-9.]+_\d+"', r"<\1\2", text)  # ids that other figures have too
    text = re.sub(r'^<svg([^>]*?) height="[^"]*"', r"<svg\1", text)
    width = f"--width: {figure.get_figwidth() * _PIXELS:.0f}px"
    data = escape(json.dumps(marks, separators=(",", ":")), quote=False).replace("'", "&#39;")
    attributes = f'class="chart" style="{width}" data-marks=\'{data}\''
    return re.sub(r'^<svg([^>]*?) width="[^"]*"', lambda found: f"<svg{found[1]} {attributes}", text)


def to_files(chart: Chart) -> dict[str, bytes]:
    """Return the same figure in black, for papers: suffix -> content of the file."""
    found = {}
    with matplotlib.rc_context({**_style("black"), "svg.hashsalt": "datacondense"}):
        figure = chart()
        for suffix, canvas in ((".svg", FigureCanvasSVG), (".png", FigureCanvasAgg)):
            canvas(figure)
            metadata = {"Date": None} if suffix == ".svg" else {}
            found[suffix] = rendered(figure, suffix[1:], dpi=200, facecolor="white", metadata=metadata)
    return found


def ink() -> str:
    """Return the colour of text."""
    return matplotlib.rcParams["text.color"]


def _style(colour: str) -> dict[Any, Any]:
    """Return Matplotlib's settings, under the type that it defines for their names."""
    colours = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    return {
        **dict.fromkeys(colours, colour),
        "axes.prop_cycle": cycler(color=COLOURS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "font.family": "sans-serif",
        "grid.alpha": 0.2,
        "svg.fonttype": "none",
        **PLAIN,
    }
