"""Check values from files against declared types, with one error that names the field.

The fields of a file are declared once, as msgspec types made of the atoms below. Undeclared fields are accepted, as a
newer version may have written them.
"""

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from .errors import DamagedFile

T = TypeVar("T")
_SHOWN = 200  # characters of an error about a field

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_BIDIRECTIONAL = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
LINE = rf"^[^{_CONTROL}]*\Z"
NETWORK = rf"^[^/\\{_CONTROL}{_BIDIRECTIONAL}]*\Z"
SHA256 = r"^[0-9a-f]{64}\Z"
DEVICE = r"^(cpu|cuda(:[0-9]{1,3})?)\Z"
IDENTITY = r"^[A-Za-z0-9_-]{1,128}\Z"
_DESCRIPTIONS = {
    LINE: "one line of text",
    NETWORK: "a name without / and control characters",
    SHA256: "a sha256",
    DEVICE: "cpu, cuda or cuda:N",
    IDENTITY: "letters and digits",
}

Count = Annotated[int, Meta(ge=0, le=2**53)]
Positive = Annotated[int, Meta(ge=1, le=2**53)]
Side = Annotated[int, Meta(ge=1, le=2**20)]
"""Pixels along one side of an image."""
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Seconds = Annotated[float, Meta(ge=0, le=1e11)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Temperature = Annotated[float, Meta(gt=0, le=1e6)]
Loss = Annotated[float, Meta(ge=-1e100, le=1e100)]
Single = Annotated[float, Meta(gt=-1e38, lt=1e38)]
"""A number that float32 can hold."""
Line = Annotated[str, Meta(max_length=1000, pattern=LINE)]
"""Text that can be shown in one line."""
Name = Annotated[str, Meta(min_length=1, max_length=1000, pattern=LINE)]
Network = Annotated[str, Meta(min_length=1, max_length=100, pattern=NETWORK)]
"""Name of a network architecture, which may become part of a file name."""
Text = Annotated[str, Meta(max_length=10_000)]
"""Text of any characters, such as a path."""
Sha256 = Annotated[str, Meta(pattern=SHA256)]


class Fields(msgspec.Struct, kw_only=True):
    """Base of the types that declare the fields of a file."""


def check(value: object, kind: type[T], place: str = "") -> T:
    """Return a JSON value as the declared type.

    Args:
        value: A value that a JSON parser returned.
        kind: A type that msgspec knows, such as a subclass of `Fields`.
        place: Start of the message, such as "RUN/run.json is damaged".

    Returns:
        The declared fields. An int becomes a float where a float is declared.

    Raises:
        DamagedFile: When a field is missing, of another type or out of range; the message names it.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else readable(str(error))
    raise DamagedFile(f"{place}: {text}" if place else text)


def readable(message: str) -> str:
    """Return the message of a `msgspec.ValidationError` as "field execution.chunk is str, expected int"."""
    what, _, where = message.partition(" - at ")
    where = re.sub(r"`\$\.?|`", "", where)
    subject = f"a name in {where.removeprefix('key in ')}" if where.startswith("key in ") else f"field {where}"
    subject = subject if where else "the value"
    inside = f"field {where}{'.' if where else ''}"
    if match := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"{inside}{match[1]} is missing"
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return f"{inside}{match[1][:_SHOWN]} is not known to this version: update datacondense"
    for pattern, words in _DESCRIPTIONS.items():
        what = what.replace(f"`str` matching regex {pattern!r}", words)
    if match := re.fullmatch(r"Expected (.*), got (.*)", what, re.DOTALL):
        return f"{subject} is {match[2]}, expected {match[1]}".replace("`", "")[:_SHOWN]
    if match := re.fullmatch(r"Expected (.*)", what, re.DOTALL):
        return f"{subject} is not {match[1]}".replace("`", "")[:_SHOWN]
    if what.startswith(("Number", "Invalid")):
        return f"{subject}: {what}".replace("`", "")[:_SHOWN]
    return f"{inside}{what}"[:_SHOWN]  # from a `__post_init__`; it begins with the name of a field


def field_names(kind: type[Fields]) -> tuple[str, ...]:
    """Return the names of the fields that a type declares."""
    return kind.__struct_fields__


def to_dict(value: Fields) -> dict[str, Any]:
    """Return the declared fields of a value, by name."""
    return msgspec.structs.asdict(value)
