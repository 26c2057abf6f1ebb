"""Methods of plug-ins: their names, the checks of their classes, and their sources."""

import inspect
import re
from types import ModuleType
from typing import Any

from ..utils.errors import InputError
from ..utils.plugins import require_frozen
from .base import Method
from .registry import METHODS


def origin(cls: type[Method]) -> dict[str, str] | None:
    """Return the source of a plug-in's method: file and sha256, or package and version; None for any other method."""
    name = METHODS.name_of(cls)
    return None if name is None else METHODS.origin(name)


def defined(module: ModuleType) -> dict[str, type[Method]]:
    """Return the concrete methods that a module defines itself, by the names of their classes.

    A class `NearestMean` has the name nearest-mean.

    Raises:
        InputError: It defines only methods that lack a part.
    """
    classes = [cls for _, cls in inspect.getmembers(module, inspect.isclass) if cls.__module__ == module.__name__]
    methods = [cls for cls in classes if issubclass(cls, Method)]
    concrete = [cls for cls in methods if not inspect.isabstract(cls)]
    if methods and not concrete:
        require_frozen(methods[0])
    words = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
    return {re.sub(words, "-", cls.__name__).lower(): cls for cls in concrete}


def checked(name: str, cls: Any) -> type[Method]:
    """Return the class of a plug-in's method. Raises InputError for anything but a concrete frozen dataclass."""
    if not (inspect.isclass(cls) and issubclass(cls, Method)):
        raise InputError(f"method {name} is not a class derived from datacondense.Method")
    require_frozen(cls)
    return cls
