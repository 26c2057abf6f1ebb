"""Settings of methods as NAME=VALUE, for commands that run several methods."""

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

from ..methods import METHODS, Method, defaults, method_class
from ..utils.errors import InputError, unknown


def with_settings(names: Sequence[str], pairs: Sequence[str], **common: Any) -> dict[str, Method]:
    """Return the methods of these names, with `common` settings and those in `pairs`.

    A pair is METHOD.SETTING=VALUE, or SETTING=VALUE for all methods that have that setting. Raises InputError for an
    unknown method, setting or value.
    """
    options: dict[str, dict[str, Any]] = {name: dict(common) for name in names}
    kinds = {name: _kinds(name) for name in names}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InputError(f"--set {pair}: give SETTING=VALUE or METHOD.SETTING=VALUE")
        method, dot, setting = key.rpartition(".")
        if dot and method not in names:
            raise unknown("method", method, names)
        targets = [method] if dot else names
        having = [name for name in targets if setting in kinds[name]]
        if not having:
            raise unknown("setting", setting, sorted({one for name in targets for one in kinds[name]}))
        for name in having:
            options[name][setting] = _value(pair, value, kinds[name][setting])
    for name, settings in options.items():
        missing = [one for one in kinds[name] if one not in defaults(name) and one not in settings]
        if missing:
            raise InputError(f"{name} needs a value for {missing[0]}: give --set {name}.{missing[0]}=VALUE")
    return {name: METHODS[name](**settings) for name, settings in options.items()}


def _kinds(name: str) -> dict[str, Any]:
    """Return the settings of a method and their types."""
    types = get_type_hints(method_class(name))
    return {field.name: types[field.name] for field in dataclasses.fields(METHODS[name]) if field.init}


def _value(pair: str, text: str, kind: Any) -> Any:
    """Return `text` as a value of a setting's type: a number, a truth value, None where allowed, or the text."""
    kinds = set(get_args(kind) or (kind,))
    if type(None) in kinds and text == "None":
        return None
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise InputError(f"--set {pair}: give true or false")
        return text.lower() == "true"
    for number in (int, float):
        if number in kinds:
            try:
                return number(text)
            except ValueError:
                if float in kinds and number is int:
                    continue
                raise InputError(f"--set {pair}: give a {'whole ' if number is int else ''}number") from None
    return text
