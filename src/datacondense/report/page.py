"""The page: what stands in it, and writing it."""

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .. import figures
from ..errors import InputError
from ..exchange.scores import known
from ..files import write_bytes
from ..labels import of_paths
from ..methods import METHODS
from ..pace import duration
from ..types import Scores
from . import charts, pictures
from .command import command, defaults
from .reading import CONDENSED, RANDOM, WHOLE, Run

_GAP = 7  # CSS pixels between two images


def write_report(runs: Sequence[str | Path], out: str | Path, *, figures_in: str | Path | None = None) -> list[Path]:
    """Write an HTML page about `runs` to `out`, and its figures as SVG and PNG into `figures_in`; what was written.

    Nothing is read but the files in the run directories, and nothing is loaded by the page. Raises InputError for
    directories without a set, and for what is damaged in them.
    """
    if not runs:
        raise InputError("name a run: datacondense report RUN")
    paths = [Path(run) for run in runs]
    names = of_paths(paths)
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
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("page.html.j2").render(
        title=_title(read),
        summary=[row for run in read for row in _summary(run)],
        comparison=_comparison(read, chart) if len(read) > 1 else [],
        runs=[_section(run, index, shown, chart) for index, (run, shown) in enumerate(zip(read, images, strict=True))],
    )
    out = Path(out)
    written = [out]
    write_bytes(out, text.encode())
    if figures_in is not None:
        folder = Path(figures_in)
        folder.mkdir(parents=True, exist_ok=True)
        for identity, draw in drawn.items():
            for suffix, data in charts.to_files(draw).items():
                written.append(folder / f"{identity}{suffix}")
                write_bytes(written[-1], data)
    return written


def _title(runs: Sequence[Run]) -> str:
    data = list(dict.fromkeys(run.synthetic.spec.name for run in runs))
    return f"{', '.join(data)}: {', '.join(run.name for run in runs) if len(runs) < 4 else f'{len(runs)} runs'}"


def _summary(run: Run) -> list[dict[str, str]]:
    """A row for each network that learned the set; one where there is none."""
    of_real, kept = run.made.get("real_images"), run.storage
    common = {
        "run": run.name,
        "method": str(run.made.get("method")),
        "images": f"{len(run.synthetic):,}",
        "share": f"{100 * len(run.synthetic) / of_real:.2g} % of {of_real:,}" if of_real else "",
        "bytes": size(kept.total),
        "seconds": _took(run),
    }
    archs = list(dict.fromkeys(arch for score in run.scores.values() for arch in score.accuracy))
    rows = [
        {
            **common,
            "arch": arch,
            **{
                key: accuracy(run.scores[kind].accuracy.get(arch, [])) if kind in run.scores else ""
                for key, kind in (("random", RANDOM), ("condensed", CONDENSED), ("whole", WHOLE))
            },
        }
        for arch in archs
    ]
    empty = {"arch": "", "random": "", "condensed": "", "whole": ""}
    return rows or [{**common, **empty, "condensed": _published(run)}]


def _published(run: Run) -> str:
    """The accuracies that an imported set came with."""
    return ", ".join(f"{arch} {accuracy(one.values)} ({one.how})" for arch, one in known(run.synthetic).items())


def _section(run: Run, index: int, images: list[pictures.OfClass], chart: Any) -> dict[str, Any]:
    """What is told of one run."""
    names, key = run.synthetic.spec.class_names, f"run{index + 1}"
    width, height = pictures.shown_size(run)
    shown: dict[str, Any] = {"loss": [], "classes": []}
    if len(run.log) > 1:
        iterations, losses, seconds = zip(*run.log, strict=True)
        for x, what, unit in ((iterations, "iterations", "iteration"), (seconds, "time", "seconds")):
            shown["loss"].append((what, chart(f"{key}-loss-{what}", partial(charts.loss, x, losses, unit))))
    shown["learned"], shown["learned_on"] = [], ""
    if run.process:
        iterations, seconds, scores = zip(*run.process, strict=True)
        (arch, *_), shown["learned_on"] = scores[0].accuracy, scores[0].protocol.get("tested_on", "test")
        values = [score.accuracy[arch] for score in scores]
        for x, what, unit in ((iterations, "iterations", "iteration"), (seconds, "time", "seconds")):
            drawn = partial(charts.learned, x, values, unit, f"{shown['learned_on']} accuracy % ({arch})")
            shown["learned"].append((what, chart(f"{key}-accuracy-{what}", drawn)))
    own = run.scores.get(CONDENSED)
    for arch in own.accuracy if own else []:
        assert own is not None
        entry = {
            "arch": arch,
            "nets": len(own.accuracy[arch]),
            "confusion": None,
            "rows": _class_rows(names, own, arch),
        }
        entry["bars"] = chart(f"{key}-{arch}-classes", partial(charts.per_class, names, own, arch))
        if own.confusion.get(arch):
            entry["confusion"] = chart(f"{key}-{arch}-confusion", partial(charts.confusion, names, own.confusion[arch]))
        shown["classes"].append(entry)
    return {
        "id": key,
        "name": run.name,
        "facts": _facts(run),
        "scores": _score_rows(run),
        "published": _published(run),
        "images": images,
        "has_neighbours": any(one.neighbour for k in images for one in k.images),
        "width": width,
        "height": height,
        "row": max(len(k.images) for k in images) * (width + _GAP),
        "process": pictures.process(run),
        "settings": _settings(run),
        "command": command(run.made),
        "started": (run.made.get("start") or {}).get("sha256"),
        **shown,
    }


def _took(run: Run) -> str:
    """How long condensing took; empty where it is not known."""
    seconds = run.made.get("wall_seconds")
    return "" if seconds is None else duration(seconds)


def _facts(run: Run) -> dict[str, str]:
    made, kept = run.made, run.storage
    versions = made.get("versions") or {}
    iterations = (made.get("settings") or {}).get("iterations")
    facts = {
        "method": str(made.get("method")),
        "data": str(made.get("data")),
        "images": f"{len(run.synthetic):,}, {made.get('ipc')} per class",
        "stored": f"{size(kept.total)} ({kept.form}); as PNG files {size(kept.png)}",
        "iterations": "" if iterations is None else f"{made.get('iterations_done')} of {iterations}",
        "time": _took(run),
        "status": "" if run.status in ("", "complete") else run.status,
        "seed": str(made.get("seed", "")),
        "machine": str(made.get("machine", "")),
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "imported from": (made.get("imported") or {}).get("file", ""),
        "fingerprint": run.synthetic.fingerprint(),
    }
    return {name: value for name, value in facts.items() if value}


def _score_rows(run: Run) -> list[dict[str, str]]:
    rows = []
    for kind in (RANDOM, CONDENSED, WHOLE):
        if kind not in run.scores:
            continue
        score = run.scores[kind]
        for arch, values in score.accuracy.items():
            recipe = score.protocol["recipes"][arch]
            rows.append(
                {
                    "kind": str(run.made.get("method")) if kind == CONDENSED else kind,
                    "images": f"{score.trained_on['images']:,}",
                    "arch": arch,
                    "accuracy": accuracy(values),
                    "n": f"{len(values)} x {recipe['epochs']}",
                    "augment": recipe["augment"],
                }
            )
    return rows


def _class_rows(names: Sequence[str], score: Scores, arch: str) -> list[tuple[str, str]]:
    columns = zip(*score.per_class[arch], strict=True)
    return [(name, accuracy(list(values))) for name, values in zip(names, columns, strict=True)]


def _settings(run: Run) -> list[dict[str, Any]]:
    """Every setting with what it is by default, of methods that are here."""
    usual = defaults(str(run.made["method"])) if run.made.get("method") in METHODS else {}
    return [
        {"name": name, "value": str(value), "usual": str(usual[name]) if usual.get(name, value) != value else None}
        for name, value in (run.made.get("settings") or {}).items()
    ]


def _comparison(runs: Sequence[Run], chart: Any) -> list[dict[str, Any]]:
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


def accuracy(values: Sequence[float | None]) -> str:
    """Mean and sample standard deviation in percent; empty where there is none."""
    numbers = [100 * value for value in values if value is not None]
    if not numbers:
        return ""
    deviation = f" ± {statistics.stdev(numbers):.1f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.1f}{deviation}"


def size(count: int) -> str:
    """A number of bytes, in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
