"""The default values of a dataclass."""

from dataclasses import MISSING, fields
from typing import Any


def field_defaults(owner: Any) -> dict[str, Any]:
    """Return the default of each field that the constructor of a dataclass takes; required fields are left out.

    Args:
        owner: The dataclass, or an instance of it.
    """
    found: dict[str, Any] = {}
    for one in fields(owner):
        if one.init and one.default is not MISSING:
            found[one.name] = one.default
        elif one.init and one.default_factory is not MISSING:
            found[one.name] = one.default_factory()
    return found
