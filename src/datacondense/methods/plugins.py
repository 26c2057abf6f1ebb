"""Methods of others: from installed packages, and from a file."""

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

from ..utils.errors import InputError, reason
from ..utils.paths import regular
from .base import Method
from .registry import GROUP

_origins: dict[type[Method], dict[str, str]] = {}


def origin(cls: type[Method]) -> dict[str, str] | None:
    """Where a method of others came from: file and sha256, or package and version; None for our own."""
    return _origins.get(cls)


def load_file(path: str | Path, methods: MutableMapping[str, type[Method]]) -> list[str]:
    """Run a Python file and add the methods defined in it to `methods`; their names.

    A class `NearestMean` is named nearest-mean. Raises InputError for a file that cannot be run, that defines no
    method, or one whose name is taken or that is no frozen dataclass.
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
    whence = {"file": str(path.absolute()), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    sys.modules[module.__name__] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is the user's own code, which may raise anything
        raise InputError(f"--plugin {path}: {type(error).__name__}: {reason(error)}") from error
    found = _defined(module)
    if not found:
        raise InputError(f"--plugin {path}: {_lacking(module)}")
    names = []
    for cls in found:
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", cls.__name__).lower()
        _add(name, cls, methods, f"--plugin {path}", whence)
        names.append(name)
    return names


def load_installed(methods: MutableMapping[str, type[Method]]) -> list[str]:
    """Add the methods that installed packages announce; a message for each that cannot be had."""
    messages = []
    for entry in entry_points(group=GROUP):
        if entry.name in methods:
            continue
        try:
            whence = {"package": entry.dist.name, "version": entry.dist.version} if entry.dist else {}
            _add(entry.name, entry.load(), methods, f"the package of {entry.value}", whence)
        except Exception as error:  # of a package that is not ours: the others are not to suffer from it
            messages.append(f"method {entry.name!r} ({entry.value}) cannot be loaded: {reason(error)}")
    return messages


def _defined(module: ModuleType) -> list[type[Method]]:
    """The classes of methods that a module defines itself, and that can be used as they are."""
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    return [cls for cls in classes if issubclass(cls, Method) and not inspect.isabstract(cls)]


def _lacking(module: ModuleType) -> str:
    """Why a module defines no method."""
    for name, cls in inspect.getmembers(module, inspect.isclass):
        if cls.__module__ == module.__name__ and issubclass(cls, Method):
            return f"class {name} lacks {' and '.join(sorted(cls.__abstractmethods__))}"
    return "it defines no method, which is a class derived from datacondense.Method"


def _add(
    name: str, cls: type[Method], methods: MutableMapping[str, type[Method]], where: str, whence: dict[str, str]
) -> None:
    if not (inspect.isclass(cls) and issubclass(cls, Method)):
        raise InputError(f"{where}: {name} is no class derived from datacondense.Method")
    if "__dataclass_params__" not in vars(cls) or not is_dataclass(cls):
        raise InputError(f"{where}: write @dataclass(frozen=True, kw_only=True) above class {cls.__name__}")
    if name in methods:
        raise InputError(f"{where}: there is a method {name} already, name the class otherwise")
    methods[name] = cls
    _origins[cls] = whence
