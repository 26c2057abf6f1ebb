"""Methods from installed packages and from files."""

import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import MutableMapping
from dataclasses import is_dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from ..utils.errors import InputError, reason
from ..utils.paths import regular
from .base import Method
from .registry import GROUP

_origins: dict[type[Method], dict[str, str]] = {}


def origin(cls: type[Method]) -> dict[str, str] | None:
    """Return the source of a plugin's method: file and sha256, or package and version; None for a built-in method."""
    return _origins.get(cls)


def load_file(path: str | Path, methods: MutableMapping[str, type[Method]]) -> list[str]:
    """Run a Python file and add the methods defined in it to `methods`.

    Args:
        path: The file.
        methods: The registry. A class `NearestMean` is added as nearest-mean.

    Returns:
        The names of the methods that were added.

    Raises:
        InputError: the file cannot be run or defines no method, or a method has a name that exists already or is no
            frozen dataclass.
    """
    try:
        path = regular(path)
    except OSError:
        raise InputError(f"--plugin {path}: there is no such file") from None
    except InputError as error:
        raise InputError(f"--plugin {error}") from None
    spec = importlib.util.spec_from_file_location(f"datacondense_plugin_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"--plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    source = {"file": str(path.absolute()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    sys.modules[module.__name__] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is the user's own code, which may raise anything
        raise InputError(f"--plugin {path}: {type(error).__name__}: {reason(error)}") from error
    found = _defined(module)
    if not found:
        raise InputError(f"--plugin {path}: {_lacking(module)}")
    names: list[str] = []
    for cls in found:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()
        _add(name, cls, methods, f"--plugin {path}", source)
        names.append(name)
    return names


def load_installed(methods: MutableMapping[str, type[Method]]) -> list[str]:
    """Add the methods that installed packages register; return a message for each that cannot be loaded."""
    messages: list[str] = []
    for entry in entry_points(group=GROUP):
        if entry.name in methods:
            continue
        try:
            source = {"package": entry.dist.name, "version": entry.dist.version} if entry.dist else {}
            _add(entry.name, entry.load(), methods, f"the package of {entry.value}", source)
        except Exception as error:  # whatever another package raises, the other methods stay available
            messages.append(f"method {entry.name!r} ({entry.value}) cannot be loaded: {reason(error)}")
    return messages


def _defined(module: ModuleType) -> list[type[Method]]:
    """Return the concrete methods that a module defines itself."""
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    return [cls for cls in classes if issubclass(cls, Method) and not inspect.isabstract(cls)]


def _lacking(module: ModuleType) -> str:
    """Return a message on why a module defines no method."""
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ == module.__name__ and issubclass(cls, Method):
            return f"class {name} lacks {' and '.join(sorted(cls.__abstractmethods__))}"
    return "it defines no method: derive a class from datacondense.Method"


def _add(name: str, cls: Any, methods: MutableMapping[str, type[Method]], where: str, source: dict[str, str]) -> None:
    if not (inspect.isclass(cls) and issubclass(cls, Method)):
        raise InputError(f"{where}: {name} is not a class derived from datacondense.Method")
    if "__dataclass_params__" not in vars(cls) or not is_dataclass(cls):
        raise InputError(f"{where}: write @dataclass(frozen=True, kw_only=True) above class {cls.__name__}")
    if name in methods:
        raise InputError(f"{where}: there is already a method {name}: rename the class")
    methods[name] = cls
    _origins[cls] = source
