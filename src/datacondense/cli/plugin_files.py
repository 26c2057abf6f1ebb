"""Methods of installed packages and of --plugin FILE.py, added to the registry before the arguments are parsed."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from ..methods import METHODS
from ..methods.registry import GROUP
from ..utils.errors import InputError
from ..utils.paths import resolved

if TYPE_CHECKING:
    from ..methods import Method

_loaded: set[Path] = set()
"""Plug-ins that are loaded: another command of the same process finds their methods."""


def load_installed() -> None:
    """Add the methods of installed packages; warn of each that cannot be loaded."""
    if not entry_points(group=GROUP):
        return
    from ..methods import plugins  # only here: it imports torch

    for message in plugins.load_installed(METHODS):
        warnings.warn(message, stacklevel=1)


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
                _load(path)
        else:
            others.append(argument)
    return others


def _load(path: str) -> None:
    from ..methods import plugins

    found = dict(METHODS)
    _check_settings({name: found[name] for name in plugins.load_file(path, found)}, path)
    METHODS.update(found)
    _loaded.add(resolved(path))


def _check_settings(methods: "Mapping[str, type[Method]]", path: str) -> None:
    """Raise InputError if a setting has the name of an option that every run has."""
    from ..data.options import ReadOptions
    from .commands.condense import Condense
    from .options import ComputingRun, RunControl

    reserved = {one.name for group in (Condense, RunControl, ComputingRun, ReadOptions) for one in fields(group)}
    for name, cls in methods.items():
        clash = sorted({one.name for one in fields(cls)} & reserved)
        if clash:
            raise InputError(
                f"--plugin {path}: {name} has a setting {clash[0]}, which is also an option of every run: rename it"
            )
