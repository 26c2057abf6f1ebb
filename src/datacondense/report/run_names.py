"""Short unique names of sets and runs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..synthetic.provenance import Provenance
from ..utils.errors import InputError
from ..utils.paths import resolved

_NOT_OF_LABELS = ("teacher", "moment", "temperature", "seed", "seconds", "trials", "held_out", "classes", "real_images")
"""Entries of `Provenance.labels` that are named otherwise, or that differ by the seed or the machine."""
_LONGEST = 40  # characters of a value in a name


def labels(provenances: Sequence[Provenance]) -> list[str]:
    """Return short names: the method, arch and ipc if they differ, and further settings that make names unique.

    Sets that differ only in the seed share a name.
    """
    facts = [_all_facts(one) for one in provenances]
    kinds = {json.dumps(fact, sort_keys=True) for fact in facts}
    varied = [
        key for key in dict.fromkeys(key for fact in facts for key in fact) if len({str(f.get(key)) for f in facts}) > 1
    ]
    names = [str(fact["method"]) for fact in facts]
    for key in varied:
        if key == "method" or (key not in ("arch", "ipc") and len(set(names)) == len(kinds)):
            continue
        shown = "" if key == "arch" else f"{key} "
        values = [fact.get(key) for fact in facts]
        names = [name if v is None else f"{name} {shown}{v}" for name, v in zip(names, values, strict=True)]
    return names


def _all_facts(made: Provenance) -> dict[str, Any]:
    """Return what tells a set apart; a setting with the name of another fact, such as steps, is called a setting."""
    first = {
        "method": made.method or "set",
        "arch": made.settings.get("arch"),
        "ipc": made.ipc,
        "data": made.data,
    }
    last = {
        "iterations_done": made.iterations_done,
        "data_sha256": made.data_sha256,
        "start": _short(made.start.get("sha256")),
        "plugin": _short(made.plugin.get("sha256") or made.plugin.get("version")),
        "labels": _teacher(made),
        **_facts("labels", made.labels, _NOT_OF_LABELS),
        "memory": made.memory,
        "steps": len(made.steps) or None,
        "file": made.imported.get("file") if made.method == "imported" else None,
        **(_facts("file", made.imported, ("file", "sets")) if made.method == "imported" else {}),
    }
    taken = {*first, *last} - {"arch"}
    settings = {f"setting {name}" if name in taken else name: value for name, value in made.settings.items()}
    return {**first, **settings, **last}


def _facts(of: str, record: Mapping[str, Any], without: Sequence[str]) -> dict[str, Any]:
    """Return the entries of a record by longer names; of what is no number and no short word, a fingerprint."""
    facts: dict[str, Any] = {}
    for name in record.keys() - set(without):
        text = json.dumps(record[name], sort_keys=True)
        short = not isinstance(record[name], dict | list) and len(text) <= _LONGEST
        facts[f"{of} {name}"] = record[name] if short else _short(hashlib.sha256(text.encode()).hexdigest())
    return dict(sorted(facts.items()))


def _teacher(made: Provenance) -> str | None:
    """Return the teacher that labelled a set, with moment and temperature."""
    if not made.labels:
        return None
    moment = f" {made.labels['moment']:g}" if made.labels.get("moment") else ""
    return f"{made.labels['teacher']}{moment} T {made.labels['temperature']:g}"


def _short(text: Any) -> str | None:
    """Return the beginning of a fingerprint."""
    return None if text is None else str(text)[:8]


def path_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of each run's directory or file, with the folders before it that make the names unique."""
    parts = [[part.strip("/\\") for part in resolved(path).parts] for path in paths]
    for count in range(1, max(map(len, parts), default=0)):
        short = ["/".join(part[-count:]) for part in parts]
        if len(set(short)) == len(paths):
            return short
    return [str(path) for path in paths]


def check_named_once(paths: Sequence[Path]) -> None:
    """Raise InputError if two paths are of the same run."""
    places = [resolved(path) for path in paths]
    for place, path in zip(places, paths, strict=True):
        if places.count(place) > 1:
            raise InputError(f"{path} is named twice: name it once")
