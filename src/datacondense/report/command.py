"""The command line that makes a run again."""

import dataclasses
import shlex
from collections.abc import Mapping
from typing import Any

from ..methods import METHODS

_EXECUTION = {"device": "auto", "precision": "auto", "compile": "auto", "classes_at_once": None}
"""How a run computes, unless asked otherwise."""


def defaults(method: str) -> dict[str, Any]:
    """The settings of a method and what they are unless given."""
    return {field.name: field.default for field in dataclasses.fields(METHODS[method]) if field.init}


def command(made: Mapping[str, Any]) -> str | None:
    """`datacondense condense ...` that gives the set with the provenance `made` again.

    None where this cannot be said: of imported sets, of methods that are not here, of data without a source.
    """
    method, source = made.get("method"), made.get("source")
    if method not in METHODS or not source:
        return None
    words = ["datacondense", "condense", str(method)]
    flags = {"data" if name == "source" else name: value for name, value in source.items()}
    if flags.pop("min_per_class", None):
        flags["drop_small_classes"] = True
    flags["ipc"] = made["ipc"]
    given = made["settings"]
    flags |= {name: given[name] for name, value in defaults(str(method)).items() if given.get(name, value) != value}
    flags["seed"] = made["seed"]
    flags |= {name: made[name] for name, value in _EXECUTION.items() if made.get(name, value) != value}
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is not None and value is not False:
            words += [flag] if value is True else [flag, shlex.quote(str(value))]
    return " ".join(words)
