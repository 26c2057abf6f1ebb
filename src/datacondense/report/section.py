"""The section of the page on one run."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from ..evaluation.scores import Scores
from ..formats.accuracies import known_accuracies
from ..methods import METHODS, defaults
from ..utils.timing import duration
from . import charts, footprint, pictures
from .command import command
from .comparison import Draw
from .fair import fair_tables
from .number_text import accuracy, ratio, share, size
from .reading import CONDENSED, RANDOM, WHOLE, Run

_GAP = 7  # CSS pixels between two images


def section(run: Run, index: int, shown: pictures.RunImages, chart: Draw) -> dict[str, Any]:
    """Return the variables of the template for one run."""
    key = f"run{index + 1}"
    width, height = pictures.shown_size(run)
    tested_on, learned = _learned(run, key, chart)
    images = shown.training
    return {
        "id": key,
        "name": run.name,
        "facts": _facts(run),
        "scores": _score_rows(run),
        "tables": fair_tables(run),
        "published": published(run),
        "images": images,
        "stored_images": shown.stored,
        "has_neighbours": any(one.neighbour for k in images for one in k.images),
        "width": width,
        "height": height,
        "row": max(len(k.images) for k in images) * (width + _GAP),
        "stored_row": max((len(k.images) for k in shown.stored), default=0) * (width + _GAP),
        "process": pictures.process(run),
        "loss": _loss(run, key, chart),
        "learned": learned,
        "learned_on": tested_on,
        "correlation": "" if run.correlation is None else str(run.correlation),
        "classes": _classes(run, key, chart),
        "settings": _settings(run),
        "command": command(run.provenance),
        "soft": run.synthetic.soft,
        "started": run.provenance.start.get("sha256"),
    }


def _loss(run: Run, key: str, chart: Draw) -> list[tuple[str, Markup]]:
    if len(run.log) < 2:
        return []
    iterations, losses, seconds = zip(*run.log, strict=True)
    return _over_both(f"{key}-loss", iterations, seconds, chart, lambda x, unit: charts.loss(x, losses, unit))


def _learned(run: Run, key: str, chart: Draw) -> tuple[str, list[tuple[str, Markup]]]:
    """Return the images tested on, and figures of the accuracy at the snapshots."""
    if not run.process:
        return "", []
    iterations, seconds, scores = zip(*run.process, strict=True)
    (arch, *_), tested_on = scores[0].accuracy, scores[0].tested_on
    values = [score.accuracy[arch] for score in scores]

    def draw(x: Sequence[float], unit: str) -> Figure:
        return charts.learned(x, values, unit, f"{tested_on} accuracy % ({arch})")

    return tested_on, _over_both(f"{key}-accuracy", iterations, seconds, chart, draw)


def _over_both(
    name: str,
    iterations: Sequence[int],
    seconds: Sequence[float],
    chart: Draw,
    draw: Callable[[Sequence[float], str], Figure],
) -> list[tuple[str, Markup]]:
    """Return the figure over iterations and over time, each with the name of its axis."""
    return [
        ("iterations", chart(f"{name}-iterations", partial(draw, iterations, "iteration"))),
        ("time", chart(f"{name}-time", partial(draw, seconds, "seconds"))),
    ]


def _classes(run: Run, key: str, chart: Draw) -> list[dict[str, Any]]:
    """Return accuracies by class and the confusion matrix of each evaluated network."""
    own, names = run.scores.get(CONDENSED), run.synthetic.spec.class_names
    if own is None:
        return []
    return [
        {
            "arch": arch,
            "nets": len(values),
            "bars": chart(f"{key}-{arch}-classes", partial(charts.per_class, names, own, arch)),
            "confusion": chart(f"{key}-{arch}-confusion", partial(charts.confusion, names, own.confusion[arch]))
            if own.confusion.get(arch)
            else None,
            "rows": _class_rows(names, own, arch),
        }
        for arch, values in own.accuracy.items()
    ]


def _facts(run: Run) -> dict[str, str]:
    provenance, stored = run.provenance, run.storage
    versions = provenance.versions
    iterations = provenance.settings.get("iterations")
    facts = {
        "method": str(provenance.method),
        "data": str(provenance.data),
        "images": f"{len(run.synthetic):,}, {run.synthetic.per_class} per class",
        **_form(run),
        "stored": f"{size(stored.total)} ({stored.form})"
        + (f"; as PNG files {size(stored.png)}" if stored.png else ""),
        "bytes": _parts(stored),
        "size": _ratios(stored),
        "iterations": "" if iterations is None else f"{provenance.iterations_done} of {iterations}",
        "time": condensing_time(run),
        "of that, training networks": duration(provenance.training_seconds) if provenance.training_seconds else "",
        "status": "" if run.status in ("", "complete") else run.status,
        "seed": "" if provenance.seed is None else str(provenance.seed),
        "method from": _from(provenance.plugin),
        **{f"{kind} from": _from(origin) for kind, origin in provenance.plugins.items()},
        "machine": "" if provenance.machine is None else provenance.machine,
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "imported from": provenance.imported.get("file", ""),
        "fingerprint": run.synthetic.fingerprint(),
    }
    return {name: value for name, value in facts.items() if value}


def _from(origin: Mapping[str, Any]) -> str:
    """Return the file or the package of a plug-in."""
    return str(origin.get("file") or origin.get("package", ""))


def _form(run: Run) -> dict[str, str]:
    """Return the facts in which a set differs from one of pixels with hard labels and the published recipe."""
    made, stored = run.synthetic, run.storage
    facts = {}
    if stored.training_images != stored.stored_images:
        views = f"{stored.training_images / stored.stored_images:.3g}"
        facts["decoder"] = f"{views} training images in the room of one, all in that of {stored.stored_images:,}"
    if made.soft:
        facts["labels"] = f"soft: {made.spec.classes:,} numbers for each image{_teacher(run)}"
    if made.recipe:
        words = made.recipe.to_json().items()
        facts["recipe"] = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in words)
    return facts


def _teacher(run: Run) -> str:
    """Return the teacher that labelled a set, in words; empty if none did."""
    record = run.provenance.labels
    if not record:
        return ""
    moment = f", moment {record['moment']:g}" if "moment" in record else ""
    return f", of a teacher ({record['teacher']}, {record['arch']}{moment}, temperature {record['temperature']:g})"


def _parts(stored: footprint.Footprint) -> str:
    """Return the bytes of each part, in words."""
    parts = {
        "images": stored.images,
        "generator" if stored.decoder == footprint.LATENTS else "masks and ranges": stored.shared,
        "labels": stored.labels,
        "mean and std": stored.statistics,
    }
    return ", ".join(f"{name} {count:,}" for name, count in parts.items() if count)


def _ratios(stored: footprint.Footprint) -> str:
    """Return the three ratios of size, in words."""
    images = f"{stored.stored_images:,} image{'s' if stored.stored_images > 1 else ''}"
    whole = f", {share(stored.to_whole)} of the whole training set in uint8" if stored.to_whole else ""
    return f"{ratio(stored.to_uint8)} times {images} in uint8, {ratio(stored.to_float32)} times in float32{whole}"


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
                    "kind": str(run.provenance.method) if kind == CONDENSED else kind,
                    "images": f"{score.trained_on['images']:,}",
                    "arch": arch,
                    "accuracy": accuracy(values),
                    "n": f"{len(values)} x {recipe['epochs']}",
                    "augment": recipe["augment"],
                    "recipe": score.recipe_source(arch),
                }
            )
    return rows


def _class_rows(names: Sequence[str], score: Scores, arch: str) -> list[tuple[str, str]]:
    columns = zip(*score.per_class[arch], strict=True)
    return [(name, accuracy(list(values))) for name, values in zip(names, columns, strict=True)]


def _settings(run: Run) -> list[dict[str, Any]]:
    """Return every setting; for registered methods also its default if it differs."""
    usual = defaults(str(run.provenance.method)) if run.provenance.method in METHODS else {}
    return [
        {"name": name, "value": str(value), "usual": str(usual[name]) if usual.get(name, value) != value else None}
        for name, value in run.provenance.settings.items()
    ]


def published(run: Run) -> str:
    """Return the published accuracies of an imported set."""
    return ", ".join(
        f"{arch} {accuracy(one.values)} ({one.how})" for arch, one in known_accuracies(run.synthetic).items()
    )


def condensing_time(run: Run) -> str:
    """Return the duration of condensing; empty if it is not known."""
    return "" if run.synthetic.seconds is None else duration(run.synthetic.seconds)
