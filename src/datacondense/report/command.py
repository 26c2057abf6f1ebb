"""The command line that repeats a run."""

import shlex
from typing import Any

from ..engine.execution import Compute
from ..evaluation.soft_labels import option_of
from ..methods import METHODS, defaults
from ..synthetic.provenance import Provenance

_COMPUTE = Compute().to_json()
"""Defaults of the options of computing."""


def command(provenance: Provenance) -> str | None:
    """Return the `datacondense condense ...` that repeats the run with this provenance.

    None if there is none: for imported sets and sets made in steps, where settings, ipc or seed are not recorded,
    for methods that are neither registered nor in a file, and data without a source; for labels of a teacher that was
    not chosen by default; and for a `min_per_class` other than `ipc`, which no option gives.
    """
    method, source = provenance.method, provenance.source
    if not source or provenance.steps or not provenance.settings or provenance.ipc is None or provenance.seed is None:
        return None
    if method not in METHODS and not provenance.plugin.get("file"):
        return None
    words = ["datacondense", "condense", str(method)]
    for file in provenance.plugin_files:
        words += ["--plugin", shlex.quote(file)]
    flags = {"data" if name == "source" else name: value for name, value in source.items()}
    if (least := flags.pop("min_per_class", 1)) not in (1, provenance.ipc):
        return None
    flags["drop_small_classes"] = least != 1
    flags["ipc"] = provenance.ipc
    settings = provenance.settings
    usual = defaults(str(method)) if method in METHODS else {}
    # without --iterations, the command line chooses a number
    changed = [n for n in usual or settings if n in settings and (n == "iterations" or settings[n] != usual.get(n))]
    flags |= {name: settings[name] for name in changed}
    flags["seed"] = provenance.seed
    labels = option_of(provenance.labels)
    if labels is None:
        return None
    flags["labels"] = None if labels == "own" else labels
    flags |= {name: value for name, value in _compute(provenance).items() if value != _COMPUTE[name]}
    for name, value in flags.items():
        flag = f"--{name.replace('_', '-')}"
        if value is False and (name == "flip" or usual.get(name) is True):
            words.append(f"--no-{flag[2:]}")
        elif isinstance(value, list | tuple):
            words += [flag, *(shlex.quote(str(one)) for one in value)]
        elif value is not None and value is not False:
            words += [flag] if value is True else [flag, shlex.quote(str(value))]
    return " ".join(words)


def _compute(provenance: Provenance) -> dict[str, Any]:
    """Return the requested device, precision, compilation and classes at once."""
    return {
        name: usual if getattr(provenance, name) is None else getattr(provenance, name)
        for name, usual in _COMPUTE.items()
    }
