"""Check keyword arguments against a TypedDict, which Python does not do."""

from collections.abc import Mapping
from typing import Any, get_type_hints

from .ranges import check_arguments


def check_keywords(function: str, kind: type, options: Mapping[str, Any], *ranged: str) -> None:
    """Check the keywords that `function` was called with.

    Args:
        function: its name, for the message.
        kind: the TypedDict of its options.
        options: the keywords of the call.
        ranged: the options whose values are checked, by the types that `kind` declares.

    Raises:
        TypeError: `kind` does not declare a keyword.
        InputError: a value is out of its range.
    """
    declared = get_type_hints(kind)
    for name in options:
        if name not in declared:
            raise TypeError(f"{function}() got an unexpected keyword argument {name!r}")
    check_arguments(kind, **{name: options[name] for name in ranged if name in options})
