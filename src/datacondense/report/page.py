"""The HTML page about runs."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..utils.atomic import write_bytes
from ..utils.errors import InputError
from ..utils.paths import named
from ..utils.text import file_name, printable
from . import charts, pictures
from .comparison import compare
from .number_text import accuracy, ratio, share, size
from .reading import CONDENSED, RANDOM, WHOLE, Run
from .run_names import path_names
from .section import condensing_time, published, section


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
    drawn: dict[str, charts.Chart] = {}

    def chart(identity: str, draw: charts.Chart) -> Markup:
        drawn[identity] = draw
        return Markup(charts.to_svg(draw, identity))

    images = pictures.by_class(read)
    environment = Environment(
        loader=PackageLoader("datacondense.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: printable(value) if type(value) is str else value,  # Markup is ours
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.j2").render(
        title=_title(read),
        summary=[row for run in read for row in _summary(run)],
        sizes=[_size_row(run) for run in read],
        alike=_alike(read),
        comparison=compare(read, chart) if len(read) > 1 else [],
        runs=[section(run, index, shown, chart) for index, (run, shown) in enumerate(zip(read, images, strict=True))],
    )
    out = named(out)
    written = [out]
    write_bytes(out, text.encode())
    if figures_in is not None:
        folder = named(figures_in)
        folder.mkdir(parents=True, exist_ok=True)
        names = _file_names(drawn)
        for identity, draw in drawn.items():
            for suffix, data in charts.to_files(draw).items():
                written.append(folder / f"{names[identity]}{suffix}")
                write_bytes(written[-1], data)
    return written


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
    data = list(dict.fromkeys(run.synthetic.spec.name for run in runs))
    return f"{', '.join(data)}: {', '.join(run.name for run in runs) if len(runs) < 4 else f'{len(runs)} runs'}"


def _alike(runs: Sequence[Run]) -> bool:
    """Return whether all networks of one kind, except on the whole set, had equal epochs, augmentation and recipe."""
    recipes: dict[str, set[tuple[int, str, str]]] = {}
    for score in (run.scores[kind] for run in runs for kind in (CONDENSED, RANDOM) if kind in run.scores):
        for arch in score.accuracy:
            recipe = score.protocol["recipes"][arch]
            same = recipe["epochs"], recipe["augment"], score.recipe_source(arch)
            recipes.setdefault(arch, set()).add(same)
    return all(len(one) == 1 for one in recipes.values())


def _summary(run: Run) -> list[dict[str, str]]:
    """Return a row for each evaluated network; one row if there is none."""
    of_real, stored = run.provenance.real_images, run.storage
    common = {
        "run": run.name,
        "method": str(run.provenance.method),
        "images": f"{len(run.synthetic):,}",
        "share": f"{100 * len(run.synthetic) / of_real:.2g} % of {of_real:,}" if of_real else "",
        "bytes": size(stored.total),
        "seconds": condensing_time(run),
    }
    archs = list(dict.fromkeys(arch for score in run.scores.values() for arch in score.accuracy))
    rows = [
        {
            **common,
            "arch": arch,
            "recipe": ", ".join(
                dict.fromkeys(
                    s.recipe_source(arch) for kind, s in run.scores.items() if arch in s.accuracy and kind != WHOLE
                )
            ),
            **{
                key: accuracy(run.scores[kind].accuracy.get(arch, [])) if kind in run.scores else ""
                for key, kind in (("random", RANDOM), ("condensed", CONDENSED), ("whole", WHOLE))
            },
        }
        for arch in archs
    ]
    empty = {"arch": "", "recipe": "", "random": "", "condensed": "", "whole": ""}
    return rows or [{**common, **empty, "condensed": published(run)}]


def _size_row(run: Run) -> list[str]:
    """Return the cells of the table of sizes, in the order of its columns."""
    stored = run.storage
    numbers = (stored.stored_images, stored.images, stored.shared, stored.labels, stored.statistics, stored.total)
    ratios = ratio(stored.to_uint8), ratio(stored.to_float32), share(stored.to_whole)
    return [run.name, stored.form, *(f"{number:,}" for number in numbers), *ratios]
