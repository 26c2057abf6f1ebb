"""The section of the page on one run."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from markupsafe import Markup

from ..evaluation.scores import PUBLISHED, Scores
from ..methods import METHODS, defaults
from ..networks import resolved
from ..run.directory import LABELLED
from . import charts, pictures
from .command import command
from .comparison import Draw
from .facts import facts
from .fair import fair_tables
from .marked import COLOURS
from .number_text import TIMES
from .reading import CONDENSED, RANDOM, WHOLE, Run
from .summary import colour
from .tables import Cell, Column, Table, accuracy_cell, by_class, count_cell, table

_SCORES = (
    Column("trained on"),
    Column("images", number=True),
    Column("network"),
    Column("test accuracy %", number=True),
    Column(f"n {TIMES} epochs", number=True),
    Column("augmentation"),
    Column("recipe"),
)
_SCORES_NOTE = "Test accuracy in percent after the last epoch, mean ± sample standard deviation over n networks."


def section(run: Run, index: int, among: int, chart: Draw) -> dict[str, Any]:
    """Return the variables of the template for one run `among` several."""
    key, its = f"run{index + 1}", colour(index)
    tested_on, learned = _learned(run, key, chart, its)
    return {
        "id": key,
        "name": run.name,
        "facts": facts(run),
        "scores": _score_table(run, key),
        "tables": fair_tables(run, key),
        "published": run.published,
        "process": pictures.process(run, among),
        "loss": _loss(run, key, chart, its),
        "learned": learned,
        "learned_on": tested_on,
        "correlation": "" if run.correlation is None else str(run.correlation),
        "classes": _classes(run, key, chart, its),
        "settings": _settings(run, key),
        "command": None if run.status == LABELLED else command(run.provenance),  # two commands made it
        "started": run.provenance.start.get("sha256"),
        "fingerprint": run.synthetic.fingerprint(),
    }


def _loss(run: Run, key: str, chart: Draw, its: str = COLOURS[0]) -> Markup | None:
    if len(run.log) < 2:
        return None
    iterations, losses, seconds = zip(*run.log, strict=True)
    return chart(f"{key}-loss", partial(charts.loss, iterations, losses, seconds, its))


def _learned(run: Run, key: str, chart: Draw, its: str = COLOURS[0]) -> tuple[str, Markup | None]:
    """Return the images tested on, and the figure of the accuracy at the snapshots."""
    if not run.process:
        return "", None
    iterations, seconds, scores = zip(*run.process, strict=True)
    (arch, *_), tested_on = scores[0].accuracy, scores[0].tested_on
    values, label = [score.accuracy[arch] for score in scores], f"{tested_on} accuracy % ({arch})"
    return tested_on, chart(f"{key}-accuracy", partial(charts.learned, iterations, values, seconds, label, its))


def _classes(run: Run, key: str, chart: Draw, its: str = COLOURS[0]) -> list[dict[str, Any]]:
    """Return accuracies by class and the confusion matrix of each evaluated network."""
    own, names = run.scores.get(CONDENSED), run.synthetic.spec.class_names
    if own is None:
        return []
    return [
        {
            "arch": arch,
            "nets": len(values),
            "name": f"{key}-{arch}",
            "bars": chart(f"{key}-{arch}-classes", partial(charts.per_class, names, own, arch, its)),
            "confusion": chart(f"{key}-{arch}-confusion", partial(charts.confusion, names, own.confusion[arch]))
            if own.confusion.get(arch)
            else None,
            "table": _class_table(names, own, arch, f"{key}-{arch}-classes"),
        }
        for arch, values in own.accuracy.items()
    ]


def _score_table(run: Run, key: str) -> Table | None:
    """Return the accuracies of all networks; None if there are none."""
    rows = _score_rows(run)
    if all(row[-1] == PUBLISHED for row in rows):
        rows = [[*row[:-1], ""] for row in rows]
    return table(f"{key}-accuracies", _SCORES, rows, note=_SCORES_NOTE) if rows else None


def _score_rows(run: Run) -> list[list[Cell | str]]:
    rows: list[list[Cell | str]] = []
    for kind in (RANDOM, CONDENSED, WHOLE):
        score = run.scores.get(kind)
        for arch, values in score.accuracy.items() if score else ():
            assert score, "it has accuracies"
            recipe = score.protocol["recipes"][arch]
            rows.append(
                [
                    str(run.provenance.method) if kind == CONDENSED else kind,
                    count_cell(score.trained_on["images"]),
                    arch,
                    accuracy_cell(values),
                    f"{len(values)} {TIMES} {recipe['epochs']}",
                    str(recipe["augment"]),
                    score.recipe_source(arch),
                ]
            )
    return rows


def _class_table(names: Sequence[str], score: Scores, arch: str, name: str) -> Table:
    """Return the accuracy on each class, and the class for which its images are taken most often."""
    values = zip(*score.per_class[arch], strict=True)
    columns = (
        Column("class"),
        Column("test accuracy %", number=True),
        Column("most often taken for"),
        Column("of the class", number=True, unit="%"),
    )
    rows = [
        [own, accuracy_cell(list(of_class)), *_mistaken(names, score.confusion.get(arch, []), index)]
        for index, (own, of_class) in enumerate(zip(names, values, strict=True))
    ]
    return by_class(table(name, columns, rows))


def _mistaken(names: Sequence[str], confusion: Sequence[Sequence[int]], index: int) -> tuple[str, Cell]:
    """Return the class for which images of a class are taken most often, and the share of them."""
    counts = np.array(confusion[index] if confusion else [], dtype=float)
    others = np.delete(counts, index) if len(counts) else counts
    if not others.sum():
        return "", Cell("")
    place = int(others.argmax())
    share = 100 * others[place] / counts.sum()
    return names[place + (place >= index)], Cell(f"{share:.1f} %", float(share))


def _settings(run: Run, key: str) -> Table | None:
    """Return every setting; for registered methods also its default if it differs. None if there are no settings."""
    usual = defaults(str(run.provenance.method)) if run.provenance.method in METHODS else {}
    if "arch" in usual:
        usual["arch"] = resolved(str(usual["arch"]), run.synthetic.spec)
    rows = [
        [name, str(value), str(usual[name]) if usual.get(name, value) != value else ""]
        for name, value in run.provenance.settings.items()
    ]
    columns = Column("setting"), Column("value"), Column("default, where another")
    return table(f"{key}-settings", columns, rows) if rows else None
