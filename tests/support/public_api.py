"""The public names of datacondense with their signatures, one a line.

Write the snapshot again after a change on purpose:
PYTHONPATH=src python tests/support/public_api.py > tests/public_api.txt
"""

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import datacondense


def lines() -> Iterator[str]:
    """Yield a line for each public name, and below a class one for each public method and property."""
    for name in dir(datacondense):
        value = getattr(datacondense, name)
        if inspect.isclass(value):
            yield f"class {name}{signature(value)}"
            yield from members(value)
        elif inspect.isfunction(value):
            yield f"{name}{signature(value)}"
            yield from keywords(value)
        else:
            yield f"{name}: {type(value).__name__}"


def members(cls: type) -> Iterator[str]:
    """Yield the public methods and properties that a class of this package, or a base of it, defines."""
    found: dict[str, Any] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("datacondense"):
            found |= {name: value for name, value in vars(base).items() if not name.startswith("_")}
    for name, value in sorted(found.items()):
        if isinstance(value, (classmethod, staticmethod)):
            value = value.__func__
        if inspect.isfunction(value):
            yield f"    {name}{signature(value)}"
        elif isinstance(value, property):
            yield f"    {name}: property"


def keywords(function: Any) -> Iterator[str]:
    """Yield the keywords that `**options: Unpack[SomeDict]` stands for."""
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD and "Unpack" in str(parameter.annotation):
            (options,) = get_args(parameter.annotation)
            for name, kind in get_type_hints(options).items():
                yield f"    **{parameter.name} {name}: {plain(inspect.formatannotation(kind))}"


def signature(value: Any) -> str:
    """Return the signature without module names and addresses, which differ among versions of Python."""
    try:
        return plain(str(inspect.signature(value)))
    except ValueError:  # a class without a constructor of its own
        return ""


def plain(text: str) -> str:
    """Return a signature in which names stand without their modules, and functions by name."""
    text = re.sub(r"<function (?:\w+\.)*(\S+?) at 0x\w+>", r"\1", text)
    text = re.sub(r"<factory>", "...", text)
    text = re.sub(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])", "", text)
    return " ".join(text.split())


if __name__ == "__main__":
    print("\n".join(lines()))
