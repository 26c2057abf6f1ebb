"""Write the page of results: reproduced beside published numbers, from the records of `reproduce`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from ..utils.errors import DamagedFile
from ..utils.files import parse_json
from ..utils.paths import regular
from ..utils.schema import check
from ..utils.text import mean_std
from .continual import load_record
from .presets import PRESETS
from .records import ReproductionRecord

_COMPARED = ("method", "first", "labels", "recipes", "data_sha256", "asked")
"""Entries that two records of one experiment have in common, beside the settings of the method."""
_HEAD = """# Results

Made by `datacondense results` from the records in `results/`, which `datacondense reproduce NAME` appends to; a record
holds every setting, all accuracies and the versions. Test accuracy in percent after the last epoch, mean ± sample
standard deviation over n = sets x networks; published numbers are over 5 sets x 20 networks (DM: 5 x 5).
"""


def best_records(folder: Path) -> list[dict[str, Any]]:
    """Return for each experiment the record over most networks with the settings of the last, the newest of these.

    Raises InputError for a line that is not a record.
    """
    best = []
    for path in sorted(folder.glob("*.jsonl")):
        records = [parse_record(path, line) for line in regular(path).read_text(errors="replace").splitlines()]
        if records:
            current = [record for record in reversed(records) if _of_one_method(record, records[-1])]
            best.append(max(current, key=lambda record: len(record["seeds"]) * record["nets"]))
    return best


def _of_one_method(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two records are of one version of a preset: equal in all settings and data that both have."""
    mine, others = (record.get("settings", {}) for record in (one, other))
    alike = all(mine[key] == others[key] for key in mine.keys() & others)
    return alike and all(one[key] == other[key] for key in _COMPARED if key in one and key in other)


def parse_record(path: Path, line: str) -> dict[str, Any]:
    """Return the record in a line of `path`. Raises DamagedFile when it is none."""
    place = f"{path} has a line that is not a record of `datacondense reproduce`: remove {line[:40]!r}"
    try:
        record = parse_json(line)
        check(record, ReproductionRecord)
    except ValueError as error:
        raise DamagedFile(f"{place} ({error})") from None
    return record


def render_page(folder: Path) -> str:
    """Return the page in Markdown: experiments as published, changed ones, and published numbers without a record."""
    records = best_records(folder)
    published = [record for record in records if not record["changed"]]
    changed = [record for record in records if record["changed"]]
    parts = [_HEAD]
    if published:
        parts += ["## As published\n", _table(published)]
    if changed:
        parts += [
            "## Quick looks: fewer iterations, networks or epochs, or other data; not to be compared\n",
            _table(changed),
        ]
    continual = _continual_table(folder / "continual")
    if continual:
        parts += ["## Continual learning\n", continual]
    parts += ["## Published numbers without a run of ours yet\n", _missing({record["preset"] for record in published})]
    return "\n".join(parts)


def compare_with_published(record: Mapping[str, Any], arch: str) -> tuple[str, str, str]:
    """Return the reproduced number, the published one and the difference of means, as text."""
    score = record["scores"][arch]
    ours = mean_std(score["mean"], score["std"])
    if arch not in record["published"]:
        return ours, "-", ""
    mean, std = record["published"][arch]
    return ours, mean_std(mean, std), f"{score['mean'] - mean:+.1f}"


def _table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return a row for each record and network."""
    lines = [
        "| experiment | tested on | ours | n | published | difference | condensing a set | evaluating it | machine |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for record in records:
        n = f"{len(record['seeds'])} x {record['nets']}"
        condensing, evaluating = (_minutes(fmean(record["seconds"][part])) for part in ("condense", "evaluate"))
        where = _unbroken(f"{record['machine']}{_threads(record)}, torch {record['versions']['torch']}")
        for arch in record["scores"]:
            ours, published, difference = compare_with_published(record, arch)
            columns = [record["variant"], arch, ours, n, published, difference, condensing, evaluating, where]
            lines.append(f"| {' | '.join(columns)} |")
    return "\n".join(lines) + "\n"


def _unbroken(text: str) -> str:
    """Return a text that stays in one line of a narrow column, so that rows are not tall."""
    return text.replace(" ", "&nbsp;")


def _threads(record: Mapping[str, Any]) -> str:
    """Return the threads that condensed the sets; nothing where the record does not tell them."""
    found = sorted({one["execution"]["threads"] for one in record.get("condensed_by", ())})
    if not found:
        return ""
    return f", {' or '.join(map(str, found))} thread{'s' if found != [1] else ''}"


def _continual_table(folder: Path) -> str:
    """Return a row for each record of continual learning: test accuracy after each step."""
    lines = []
    for path in sorted(folder.glob("*.json")):
        record = load_record(path)
        steps = zip(record["classes_seen"], record["mean"], record["std"], strict=True)
        values = ", ".join(
            f"{seen}: {mean_std(100 * mean, None if std is None else 100 * std)}" for seen, mean, std in steps
        )
        scenario = record["scenario"]
        n = f"{scenario['orders']} x {scenario['nets']}"
        where = _unbroken(f"{record['machine']}, torch {record['versions']['torch']}")
        took = " | ".join(_minutes(record["seconds"][part]) for part in ("memory", "networks"))
        lines.append(f"| {path.stem} | {scenario['per_class']} | {values} | {n} | {took} | {where} |")
    head = (
        "| experiment | images per class | classes seen: accuracy on them | n = orders x networks | memory | networks "
        "| machine |\n|---|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(lines) + "\n" if lines else ""


def _missing(done: set[str]) -> str:
    """Return the presets with a published number and no record, a line for each experiment and dataset."""
    groups: dict[str, list[str]] = {}
    for name, preset in PRESETS.items():
        if preset.published and name not in done:
            group, _, last = name.rpartition("/")
            groups.setdefault(group, []).append(last)
    return "\n".join(f"- `{group}/`: {', '.join(names)}" for group, names in groups.items()) + "\n"


def _minutes(seconds: float) -> str:
    """Return seconds as minutes:seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}"
