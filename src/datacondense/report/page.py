"""The HTML page about runs."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from ..utils.paths import named
from ..utils.text import file_name, printable
from . import charts, pictures
from .comparison import Draw, compare
from .marked import Chart, to_files, to_svg
from .reading import Run
from .run_names import path_names
from .section import section
from .summary import alike, colour, result, size_table, summary_table

_FIRST = {"sets": 10, "sets stacked": 4}
"""Style of the gallery -> classes that are not folded; 20 in the others."""
_COLUMNS = 4  # sets that stand side by side; more stand below each other
_WIDE, _FEW = 5, 1  # images of a class that take a row of their own, and so few that classes stand side by side


class Row(NamedTuple):
    """A class in the gallery of a page."""

    name: str
    cells: list[pictures.ClassImages | None]
    """Its images in each set; None in a set that has no such class."""


def write_report(
    runs: str | Path | Sequence[str | Path], out: str | Path, *, figures_in: str | Path | None = None
) -> list[Path]:
    """Write an HTML page about runs, from the files in their directories alone. The page loads nothing.

    Args:
        runs: one run directory, or several to compare.
        out: HTML file to write.
        figures_in: directory for the figures as SVG and PNG; None writes none.

    Returns:
        The written files, the page first.

    Raises:
        InputError: a directory has no set, or a file in it is damaged.
    """
    if not runs:
        raise InputError("name a run: datacondense report RUN")
    paths = [named(run) for run in ([runs] if isinstance(runs, str | Path) else runs)]
    names = path_names(paths)
    read = [Run.at(path, name) for path, name in zip(paths, names, strict=True)]
    drawn: dict[str, Chart] = {}

    def chart(identity: str, draw: Chart) -> Markup:
        drawn[identity] = draw
        return Markup(to_svg(draw, identity))

    text = _render(read, chart)
    out = named(out)
    written = [out]
    write_bytes(out, text.encode())
    if figures_in is not None:
        folder = named(figures_in)
        folder.mkdir(parents=True, exist_ok=True)
        names = _file_names(drawn)
        for identity, draw in drawn.items():
            for suffix, data in to_files(draw).items():
                written.append(folder / f"{names[identity]}{suffix}")
                write_bytes(written[-1], data)
    return written


def _render(runs: Sequence[Run], chart: Draw) -> str:
    """Return the page."""
    loader = PackageLoader("datacondense.report", ".")
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,  # Markup is ours
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = (loader.get_source(environment, name)[0] for name in ("page.css", "page.js"))
    images, choice = pictures.by_class(runs)
    opening = result(runs)
    rows = _rows([one.training for one in images])
    several = len(runs) > 1
    form = _form(min(_widest(rows), choice.each), len(runs))
    frames = [pictures.frame(run, form) for run in runs]
    shown = [{"name": run.name, "colour": colour(index), "frame": frames[index]} for index, run in enumerate(runs)]
    return environment.get_template("page.html.j2").render(
        title=_title(runs),
        policy=_policy(style, script),
        style=Markup(style),
        script=Markup(script),
        result=opening,
        chart=_result_chart(opening.bars, opening.axis, chart),
        bars="; ".join(charts.in_words(bar) for bar in opening.bars),
        several=several,
        form=form,
        first=_FIRST.get(form, 20),
        gallery=rows,
        shown=shown,
        choice=choice,
        has_real=choice.real > 0 and any(run.neighbours for run in runs),
        soft=any(run.synthetic.soft for run in runs),
        summary=summary_table(runs),
        sizes=size_table(runs),
        alike=alike(runs),
        comparison=compare(runs, chart) if several else [],
        runs=[
            {
                **section(run, index, len(runs), chart),
                "stored": _rows([images[index].stored]),
                "width": frames[index].width,
            }
            for index, run in enumerate(runs)
        ],
    )


def _policy(style: str, script: str) -> str:
    """Return the policy by which a browser runs this script alone, and loads nothing."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; img-src data: blob:; style-src 'sha256-{hashes[0]}'; style-src-attr 'unsafe-inline'; "
        f"script-src 'sha256-{hashes[1]}'; base-uri 'none'; form-action 'none'"
    )


def _result_chart(bars: Sequence[charts.Bar], axis: str, chart: Draw) -> Markup | None:
    return chart("result", lambda: charts.result(bars, axis)) if bars else None


def _rows(sets: Sequence[Sequence[pictures.ClassImages]]) -> list[Row]:
    """Return the classes of several sets, each with its images in every set."""
    by_name: list[dict[str, pictures.ClassImages]] = [{one.name: one for one in classes} for classes in sets]
    names = dict.fromkeys(name for classes in by_name for name in classes)
    return [Row(name, [classes.get(name) for classes in by_name]) for name in names]


def _form(widest: int, sets: int) -> str:
    """Return the style of the gallery, by the images in a class of a set and the number of sets."""
    if sets > 1:
        return "sets few" if widest <= _FEW else "sets" if sets <= _COLUMNS else "sets stacked"
    return "rows" if widest >= _WIDE else "tiles"


def _widest(rows: Sequence[Row]) -> int:
    return max(len(cell.images) for row in rows for cell in row.cells if cell)


def _file_names(identities: Iterable[str]) -> dict[str, str]:
    """Return a file name for each figure; it contains the name of a network, which may be any text."""
    names: dict[str, str] = {}
    for identity in identities:
        name, again = file_name(identity), 1
        while name.casefold() in (other.casefold() for other in names.values()):
            again += 1
            name = f"{file_name(identity)}-{again}"
        names[identity] = name
    return names


def _title(runs: Sequence[Run]) -> str:
    data = ", ".join(dict.fromkeys(run.synthetic.spec.name for run in runs))
    names = ", ".join(run.name for run in runs) if len(runs) < 4 else f"{len(runs)} runs"
    return data if data == names else f"{data}: {names}"
