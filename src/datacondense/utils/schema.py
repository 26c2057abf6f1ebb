"""Checks values out of files against declared types: one error that names the field, whatever is wrong with it.

A file's fields are declared once, as msgspec types made of the atoms below. Fields that a type does not declare pass,
as a newer version may have written them.
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
_IN_WORDS = {
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
Loss = Annotated[float, Meta(ge=-1e100, le=1e100)]
Single = Annotated[float, Meta(gt=-1e38, lt=1e38)]
"""A number that float32 can hold."""
Line = Annotated[str, Meta(max_length=1000, pattern=LINE)]
"""Text that can be shown in one line."""
Name = Annotated[str, Meta(min_length=1, max_length=1000, pattern=LINE)]
Network = Annotated[str, Meta(min_length=1, max_length=100, pattern=NETWORK)]
"""The name of an architecture, which may become a part of the name of a file."""
Text = Annotated[str, Meta(max_length=10_000)]
"""Text of any characters, such as a path."""
Sha256 = Annotated[str, Meta(pattern=SHA256)]


class Fields(msgspec.Struct, kw_only=True):
    """Base of the types of files: fields by name, in any order."""


def check(value: object, kind: type[T], place: str = "") -> T:
    """Return a JSON value as the declared type.

    Args:
        value: What a JSON parser returns.
        kind: A type that msgspec knows, such as a subclass of `Fields`.
        place: What stands in front of the message, such as "RUN/run.json is damaged".

    Returns:
        The declared fields; numbers are as written, except that an int becomes a float where one is declared.

    Raises:
        DamagedFile: A field is missing, of another type or out of range; the message names it.
    """
    try:
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        text = "nested too deeply" if isinstance(error, RecursionError) else in_words(str(error))
    raise DamagedFile(f"{place}: {text}" if place else text)


def in_words(message: str) -> str:
    """The message of a `msgspec.ValidationError` as "field execution.chunk is str, expected int"."""
    what, _, where = message.partition(" - at ")
    where = re.sub(r"`\$\.?|`", "", where)
    subject = f"a name in {where.removeprefix('key in ')}" if where.startswith("key in ") else f"field {where}"
    subject = subject if where else "the value"
    inside = f"field {where}{'.' if where else ''}"
    if match := re.fullmatch(r"Object missing required field `(.*)`", what):
        return f"{inside}{match[1]} is missing"
    if match := re.fullmatch(r"Object contains unknown field `(.*)`", what, re.DOTALL):
        return f"{inside}{match[1][:_SHOWN]} is not known to this version: update datacondense"
    for pattern, words in _IN_WORDS.items():
        what = what.replace(f"`str` matching regex {pattern!r}", words)
    if match := re.fullmatch(r"Expected (.*), got (.*)", what, re.DOTALL):
        return f"{subject} is {match[2]}, expected {match[1]}".replace("`", "")[:_SHOWN]
    if match := re.fullmatch(r"Expected (.*)", what, re.DOTALL):
        return f"{subject} is not {match[1]}".replace("`", "")[:_SHOWN]
    if what.startswith(("Number", "Invalid")):
        return f"{subject}: {what}".replace("`", "")[:_SHOWN]
    return f"{inside}{what}"[:_SHOWN]  # of a `__post_init__`, which begins with the name of a field


def declared(kind: type[Fields]) -> tuple[str, ...]:
    """The names of the fields of a type."""
    return kind.__struct_fields__


def parts(value: Fields) -> dict[str, Any]:
    """The declared fields of a value, by name."""
    return msgspec.structs.asdict(value)
