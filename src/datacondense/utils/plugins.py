"""Plug-ins: Python files of the user, and the objects that they define for registries."""

import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, final

from .errors import InputError, reason
from .paths import regular, resolved
from .registry import Registry


@final
@dataclass(frozen=True)
class Plugin:
    """A file that was run."""

    module: ModuleType
    file: Path
    sha256: str

    @property
    def origin(self) -> dict[str, str]:
        """The record of an object's source."""
        return {"file": str(self.file), "sha256": self.sha256}

    def entries(self, dictionary: str) -> Mapping[str, Any]:
        """Return the module-level dict of this name; empty without one. Raises InputError if it is no dict.

        A registry is no entry: the file has imported it to look something up.
        """
        found = getattr(self.module, dictionary, {})
        if isinstance(found, Registry):
            return {}
        if not isinstance(found, Mapping):
            raise InputError(
                f"{dictionary} is of type {type(found).__name__}: write a dict, {dictionary} = {{'name': ...}}"
            )
        return found  # pyright: ignore[reportUnknownVariableType]


def run_file(path: str | Path) -> Plugin:
    """Run a Python file as a module of its own.

    Raises:
        InputError: There is no such file, it is not a Python file, or it raises anything. The message begins with
            `--plugin FILE`.
    """
    try:
        path = regular(path)
    except OSError:
        raise InputError(f"--plugin {path}: there is no such file") from None
    except InputError as error:
        raise InputError(f"--plugin {error}") from None
    place = hashlib.sha256(str(resolved(path)).encode()).hexdigest()[:12]  # two files may have the same stem
    spec = importlib.util.spec_from_file_location(f"datacondense_plugin_{path.stem}_{place}", path)
    if spec is None or spec.loader is None:
        raise InputError(f"--plugin {path}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sys.modules[module.__name__] = module  # dataclasses look their own module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # it is the user's own code, which may raise anything
        del sys.modules[module.__name__]
        raise InputError(f"--plugin {path}: {type(error).__name__}: {reason(error)}") from error
    return Plugin(module, path.absolute(), digest)


def require_arguments(kind: str, name: str, function: object, *arguments: str) -> None:
    """Raise InputError unless `function` can be called with these positional arguments."""
    call = f"({', '.join(arguments)})"
    if not callable(function):
        raise InputError(f"{kind} {name} is of type {type(function).__name__}: write a function of {call}")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError:
        raise InputError(f"{kind} {name} cannot be called with {call}: write a function of {call}") from None
    except ValueError:  # a function of C has no signature
        return


def require_frozen(cls: type) -> None:
    """Raise InputError unless a class is a frozen dataclass that overrides every abstract method."""
    lacking = sorted(getattr(cls, "__abstractmethods__", ()))
    if lacking:
        raise InputError(f"class {cls.__name__} lacks {' and '.join(lacking)}")
    parameters = vars(cls).get("__dataclass_params__")
    if not getattr(parameters, "frozen", False):
        raise InputError(f"write @dataclass(frozen=True, kw_only=True) above class {cls.__name__}")
