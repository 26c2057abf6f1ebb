"""Settings of methods as NAME=VALUE, where a command runs several methods and cannot have a flag for each."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError, unknown
from ..methods import METHODS, Method, method_class


def with_settings(names: Sequence[str], pairs: Sequence[str], **common: Any) -> dict[str, Method]:
    """The methods of these names, with `common` settings and those in `pairs`.

    A pair is METHOD.SETTING=VALUE, or SETTING=VALUE for all methods that have that setting. Raises InputError for a
    method, a setting or a value that is not known.
    """
    given: dict[str, dict[str, Any]] = {name: dict(common) for name in names}
    for name in names:
        method_class(name)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair}: give SETTING=VALUE or METHOD.SETTING=VALUE")
        method, dot, setting = key.rpartition(".")
        if dot and method not in names:
            raise unknown("method", method, names)
        having = [name for name in ([method] if dot else names) if setting in _defaults(name)]
        if not having:
            known = sorted({field for name in ([method] if dot else names) for field in _defaults(name)})
            raise unknown("setting", setting, known)
        for name in having:
            given[name][setting] = _value(pair, value, _defaults(name)[setting])
    return {name: METHODS[name](**settings) for name, settings in given.items()}


def _defaults(name: str) -> Mapping[str, Any]:
    """The settings of a method and what they are by default."""
    return {field.name: field.default for field in dataclasses.fields(METHODS[name]) if field.init}


def _value(pair: str, text: str, default: Any) -> Any:
    """`text` as a value of the type that `default` has; a setting that is None by default is a whole number."""
    kind = int if default is None else type(default)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise InputError(f"--set {pair}: give true or false")
        return text.lower() == "true"
    try:
        return kind(text)
    except ValueError:
        raise InputError(f"--set {pair}: give a {'whole ' if kind is int else ''}number") from None
