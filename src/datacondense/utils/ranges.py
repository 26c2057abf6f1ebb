"""Ranges of numbers, declared in the type of a field or a parameter and checked here.

For example `lr: Annotated[float, Meta(gt=0, le=1e6)]`, with `Meta` of msgspec. A number without a range must be finite,
and an integer must fit 64 bits.
"""

import dataclasses
import math
import numbers
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import numpy as np
from msgspec import Meta

from .defaults import field_defaults
from .errors import InputError

T = TypeVar("T")
_WORD = 2**63

Iterations: TypeAlias = Annotated[int, Meta(ge=0, le=10**7)]
"""Iterations or steps; 0 is allowed."""
Tiles: TypeAlias = Annotated[int, Meta(ge=1, le=16)]
"""Tiles along each side of an image."""
Images: TypeAlias = Annotated[int, Meta(ge=1, le=10**5)]
"""Images per class."""
Epochs: TypeAlias = Annotated[int, Meta(ge=1, le=10**6)]
Networks: TypeAlias = Annotated[int, Meta(ge=1, le=10**4)]
Batch: TypeAlias = Annotated[int, Meta(ge=1, le=10**6)]
Repeats: TypeAlias = Annotated[int, Meta(ge=1, le=10**3)]
"""Repetitions of an experiment: seeds, or orders of classes."""
Rate: TypeAlias = Annotated[float, Meta(gt=0, le=1e6)]
"""A learning rate."""
Momentum: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
Penalty: TypeAlias = Annotated[float, Meta(ge=0, le=1e6)]
"""The factor of a penalty, such as weight decay."""
Share: TypeAlias = Annotated[float, Meta(ge=0, le=1)]
Temperature: TypeAlias = Annotated[float, Meta(gt=0, le=1e6)]
"""A number that divides logits before the softmax."""
Views: TypeAlias = Annotated[int, Meta(ge=1, le=10**4)]
"""Augmented views of an image."""
Scale: TypeAlias = Annotated[float, Meta(gt=0, le=1)]
Seed: TypeAlias = Annotated[int, Meta(ge=0, le=_WORD - 1)]
Seconds: TypeAlias = Annotated[float, Meta(gt=0, le=1e9)]
"""A time budget, at most 30 years."""
Side: TypeAlias = Annotated[int, Meta(ge=1, le=4096)]
"""Pixels along one side of an image; networks for condensation use less than a tenth of the maximum."""
HeldOut: TypeAlias = Annotated[float, Meta(ge=0, lt=1)]
"""Share of the training images to leave out."""
Pause: TypeAlias = Annotated[float, Meta(ge=0, le=1e9)]
"""Seconds between two events; 0 is allowed."""
Snapshots: TypeAlias = Annotated[int, Meta(ge=0, le=10**5)]


def check_fields(settings: Any) -> None:
    """Check the numbers and choices in the fields of a dataclass, and of dataclasses in its fields.

    Args:
        settings: An instance of a dataclass.

    Raises:
        InputError: When a number is not finite or outside its range, or a text is not among its choices. The message
            names the field as an option: `--lr 1e39: must be above 0 and at most 1e6`.
    """
    kinds = _hints(settings.__class__)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            check_fields(value)
        elif field.init:
            check_value(field.name, value, kinds[field.name])


def check_used(settings: Any, needs: Mapping[str, tuple[bool, str]]) -> None:
    """Check that the fields of a dataclass that have no effect beside the others keep their defaults.

    A field without a default has to be given, and may have any value.

    Args:
        settings: An instance of a dataclass.
        needs: For fields by name: whether the field has an effect, and the option that gives it one.

    Raises:
        InputError: A field without effect has another value than its default. The message names it as an option:
            `--pool 20 needs --networks pool: it has no effect without it, so leave it out`.
    """
    defaults = field_defaults(settings)
    for name, (used, option) in needs.items():
        value = getattr(settings, name)
        if not used and name in defaults and value != defaults[name]:
            flag = f"--{name.replace('_', '-')}{'' if value is True else f' {_shown(value)}'}"
            raise InputError(f"{flag} needs {option}: it has no effect without it, so leave it out")


def plain(value: Any) -> Any:
    """Return a NumPy number as the Python number that files and PyTorch accept; any other value unchanged."""
    number: Any = value
    return number.item() if isinstance(value, np.number | np.bool_) else number


def plain_fields(settings: T) -> T:
    """Return a dataclass with `plain` numbers in its fields; the same object when nothing changes."""
    instance: Any = settings
    values = {field.name: getattr(instance, field.name) for field in dataclasses.fields(instance) if field.init}
    changed = {name: plain(value) for name, value in values.items() if plain(value) is not value}
    return dataclasses.replace(instance, **changed) if changed else settings


def check_arguments(function: Callable[..., Any], **values: Any) -> None:
    """Check arguments against the types that a function declares. Raise InputError as `check_fields` does."""
    kinds = _hints(function)
    for name, value in values.items():
        check_value(name, value, kinds[name])


def check_value(name: str, value: Any, kind: Any) -> None:
    """Check one value against its type, which may be `Annotated` with a range. Raise InputError as `check_fields`."""
    found = _problem(value, kind, None)
    if found:
        raise InputError(f"--{name.replace('_', '-')} {_shown(value)}: {found}")


@lru_cache(maxsize=256)
def _hints(owner: Callable[..., Any]) -> Mapping[str, Any]:
    return get_type_hints(owner, include_extras=True)


def _problem(value: Any, kind: Any, range_: Meta | None) -> str:
    """Return the reason why `value` is not of `kind`; empty when it is, and for kinds that are checked elsewhere."""
    if get_origin(kind) is Annotated:
        kind, *annotations = get_args(kind)
        return _problem(value, kind, next((one for one in annotations if isinstance(one, Meta)), range_))
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        found = [_problem(value, one, range_) for one in get_args(kind)]
        return "" if "" in found else next(one for one in found if one)
    if origin is Literal:
        return "" if value in get_args(kind) else f"use one of {', '.join(map(str, get_args(kind)))}"
    if origin in (tuple, list) and isinstance(value, tuple | list):
        inner, items = get_args(kind)[:1], cast("Sequence[Any]", value)
        return next((text for one in items for text in [_problem(one, inner[0], range_)] if text), "") if inner else ""
    if kind in (int, float):
        return _number_problem(value, kind, range_)
    if kind is bool:
        return "" if isinstance(value, bool | np.bool_) else "must be true or false"
    if kind is NoneType:
        return "" if value is None else "must be left out"
    is_class = origin is None and isinstance(kind, type)
    return "must not be a number" if is_class and _is_number(value) and not isinstance(value, kind) else ""


def _number_problem(value: Any, kind: type, range_: Meta | None) -> str:
    if not _is_number(value) or (kind is int and not isinstance(value, numbers.Integral)):
        return f"must be a {'whole ' if kind is int else ''}number"
    bounds = range_ or (Meta(ge=-_WORD, le=_WORD - 1) if kind is int else Meta())
    number: Any = value
    is_finite = isinstance(value, numbers.Integral) or math.isfinite(value)
    too_small = (bounds.ge is not None and number < bounds.ge) or (bounds.gt is not None and number <= bounds.gt)
    too_large = (bounds.le is not None and number > bounds.le) or (bounds.lt is not None and number >= bounds.lt)
    return "" if is_finite and not too_small and not too_large else f"must be {_describe(bounds)}"


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, numbers.Real)


def _describe(bounds: Meta) -> str:
    parts: list[str] = []
    if bounds.ge is not None:
        parts.append(f"at least {_shown(bounds.ge)}")
    if bounds.gt is not None:
        parts.append(f"above {_shown(bounds.gt)}")
    if bounds.le == _WORD - 1:
        parts.append("below 2**63")
    elif bounds.le is not None:
        parts.append(f"at most {_shown(bounds.le)}")
    if bounds.lt is not None:
        parts.append(f"below {_shown(bounds.lt)}")
    return " and ".join(parts) or "a finite number"


def _shown(value: Any) -> str:
    """Return a value as short text: floats without trailing zeros, huge integers as powers of two."""
    if isinstance(value, float):
        text = f"{value:g}"
        mantissa, exponent, power = text.partition("e+")
        return f"{mantissa}e{power.lstrip('0')}" if exponent else text
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 200:
        return f"{'-' if value < 0 else ''}2**{value.bit_length() - 1}"
    return str(value)
