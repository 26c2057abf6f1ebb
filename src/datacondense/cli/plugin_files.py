"""Files of --plugin FILE.py, whose objects are added to the registries before the arguments are parsed."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..utils.errors import InputError, naming
from ..utils.paths import resolved
from ..utils.plugins import Plugin, run_file
from ..utils.registry import Registry

_loaded: set[Path] = set()
"""Plug-ins that are loaded: another command of the same process finds their objects."""


def registries() -> dict[str, Registry[Any]]:
    """Return the registries by the names of the dicts with which a plug-in extends them."""
    from ..data.registry import DATASETS  # only here: some of them import torch
    from ..engine.losses import LOSSES
    from ..methods import METHODS
    from ..networks import NETWORKS
    from ..synthetic.decoders import DECODERS

    return {"METHODS": METHODS, "NETWORKS": NETWORKS, "DECODERS": DECODERS, "LOSSES": LOSSES, "DATA": DATASETS}


def load_named(arguments: Sequence[str]) -> list[str]:
    """Load each --plugin FILE.py. Returns the other arguments."""
    others, rest = [], iter(arguments)
    for argument in rest:
        if argument == "--plugin" or argument.startswith("--plugin="):
            _, _, path = argument.partition("=")
            path = path or next(rest, "")
            if not path:
                raise InputError("--plugin: name a Python file")
            if resolved(path) not in _loaded:
                load_file(path)
                _loaded.add(resolved(path))
        else:
            others.append(argument)
    return others


def load_file(path: str | Path) -> dict[str, list[str]]:
    """Run a Python file and register the methods defined in it and the entries of its dicts, or nothing.

    Args:
        path: The file. A class `NearestMean` that is derived from `Method` becomes nearest-mean; every entry of a
            module-level dict with the name of a registry, such as NETWORKS, keeps its name.

    Returns:
        Name of a dict, such as NETWORKS -> names that were registered.

    Raises:
        InputError: The file cannot be run or registers nothing, or an object in it has a name that exists already or
            is of another kind than its registry.
    """
    plugin, known = run_file(path), registries()
    with naming(f"--plugin {path}"):
        found = {name: _checked(registry, _entries(plugin, name)) for name, registry in known.items()}
        if not any(found.values()):
            *most, last = known
            raise InputError(
                "it registers nothing: derive a class from datacondense.Method, or fill a dict "
                f"{', '.join(most)} or {last}"
            )
        _check_settings(found["METHODS"])
    for name, registry in known.items():
        for key, value in found[name].items():
            registry.add(key, value, plugin.origin)
    return {name: list(entries) for name, entries in found.items() if entries}


def _entries(plugin: Plugin, dictionary: str) -> dict[str, Any]:
    """Return what a file defines for one registry."""
    entries = dict(plugin.entries(dictionary))
    if dictionary != "METHODS":
        return entries
    from ..methods.plugins import defined  # only here: it imports torch

    classes = {name: cls for name, cls in defined(plugin.module).items() if cls not in entries.values()}
    twice = sorted(classes.keys() & entries.keys())
    if twice:
        raise InputError(f"METHODS names two methods {twice[0]}: choose another name")
    return classes | entries


def _checked(registry: Registry[Any], entries: Mapping[str, Any]) -> dict[str, Any]:
    return {name: registry.checked(name, value) for name, value in entries.items()}


def _check_settings(methods: Mapping[str, Any]) -> None:
    """Raise InputError if a setting has the name of an option that every run has."""
    from ..data.options import ReadOptions
    from .commands.condense import Condense
    from .options import ComputingRun, RunControl

    reserved = {one.name for group in (Condense, RunControl, ComputingRun, ReadOptions) for one in fields(group)}
    for name, cls in methods.items():
        clash = sorted({one.name for one in fields(cls)} & reserved)
        if clash:
            raise InputError(f"{name} has a setting {clash[0]}, which is also an option of every run: rename it")
