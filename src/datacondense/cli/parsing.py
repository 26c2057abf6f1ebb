"""From words to a command. What is wrong with them is said on one line."""

import dataclasses
import io
import itertools
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from ..utils.errors import InputError, unknown
from ..utils.ranges import check_fields
from ..utils.torchrun import leads

PROGRAM = "datacondense"
_NO_CHOICE = ("", "None", "False")
"""Defaults that help does not name: its text says what happens without the option."""
_PLAINER = {
    r"^Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)": r"\1 \2: must be a whole number",
    r"^Error parsing (\S+): could not convert string to float: (.*)": r"\1 \2: must be a number",
    r"^Error parsing (\S+): no type matching \{None\}\|INT could be instantiated from \[(.*?)\]\..*": (
        r"\1 \2: must be a whole number"
    ),
    r"^Error parsing (\S+): no type matching \{None\}\|FLOAT could be instantiated from \[(.*?)\]\..*": (
        r"\1 \2: must be a number"
    ),
    r"^invalid choice '(.*)' for argument '(.*)'\. Expected one of \((.*?),?\)\.": r"\2 '\1': must be one of \3",
    r"^Missing value for argument '(.*)'\. Expected 1 values": r"\1: its value is missing",
    r"^Error parsing \S*__tyro\S*: ": "",
    r"^Missing from \S+ [^:]*: ": "missing: ",
}
"""What the parser says -> what we say."""


def parse(arguments: Sequence[str], commands: Mapping[str, Any], union: Any) -> Any:
    """The command that `arguments` name. commands: name -> class; union: tyro's type of all of them.

    Raises InputError for what cannot be understood, and SystemExit after help or a script of completion.
    """
    if not arguments[0].startswith("-") and arguments[0] not in commands:
        raise unknown("command", arguments[0], commands)
    _check_words(arguments)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            command, left = tyro.cli(
                union,
                prog=PROGRAM,
                args=arguments,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
                console_outputs=leads(),
                registry=_registry,
                return_unknown_args=True,
            )
    except SystemExit as end:
        if not end.code or not leads():
            raise
        raise InputError(f"{_reason(said.getvalue())}; `{_help(arguments, commands)}` tells more") from None
    sys.stderr.write(said.getvalue())
    if left:
        raise _not_known(left[0], command, _help(arguments, commands))
    check_fields(command)
    return command


def _check_words(arguments: Sequence[str]) -> None:
    """Raises InputError for a word that can be no name or value: empty, or with characters that no text has."""
    before = ""
    for word in arguments:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if (equals or not flag) and not value:
            where = flag or (before if before.startswith("--") and "=" not in before else "")
            raise InputError(
                f"{where}: its value is empty" if where else "a word of the command is empty: leave it out"
            )
        if "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            raise InputError(f"{word!r} is not UTF-8 text: give the file or directory another name")
        before = word


def _help(arguments: Sequence[str], commands: Mapping[str, Any]) -> str:
    """The command line whose help is about `arguments`."""
    named = [word for word in arguments[:2] if not word.startswith("-")]
    if named[:1] != ["condense"]:
        named = named[:1]
    return " ".join([PROGRAM, *(named if named and named[0] in commands else []), "--help"])


def _reason(box: str) -> str:
    """What stands below the title of the box that tyro draws around an error, up to a rule, on one line.

    The box has a border of lines where the terminal can show them, and otherwise rules of hyphens only.
    """
    lines = [line.strip("│ ") for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    below = [line for line in lines[1:] if not line.startswith("╰")]
    below = below[1:] if below and _is_rule(below[0]) else below
    found = " ".join(" ".join(itertools.takewhile(lambda line: not _is_rule(line), below)).split())
    for pattern, plainer in _PLAINER.items():
        found = re.sub(pattern, plainer, found)
    return found.removesuffix(" (required)").rstrip(".") or "the command is not understood"


def _is_rule(line: str) -> bool:
    return bool(line) and set(line) <= {"─", "-"}


def _not_known(word: str, command: Any, helped_by: str) -> InputError:
    if not word.startswith("-"):
        return InputError(f"{word!r} is one word too many; `{helped_by}` tells what is taken")
    return unknown("option", word.partition("=")[0], _flags(command), listed_by=helped_by)


def _flags(command: Any) -> Iterator[str]:
    """The options of a command and of the groups in it."""
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flags(value)
        elif field.init:
            yield f"--{field.name.replace('_', '-')}"


_registry = ConstructorRegistry()
_inside: list[Any] = []


@_registry.struct_rule
def _with_plain_help(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Fields as tyro has them, but for what their help says: no default where there is none, no line breaks."""
    if not dataclasses.is_dataclass(info.type) or info.type in _inside:
        return None
    _inside.append(info.type)  # tyro's own rule is asked now
    try:
        spec = ConstructorRegistry.get_struct_spec(info)
    finally:
        _inside.pop()
    if not isinstance(spec, StructConstructorSpec):
        return None
    return replace(spec, fields=tuple(_plain(field) for field in spec.fields))


def _plain(field: StructFieldSpec) -> StructFieldSpec:
    def text() -> str | None:
        found = field.helptext() if callable(field.helptext) else field.helptext
        return None if found is None else " ".join(found.split())

    kind: Any = field.type
    kind, *given = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    configured = tyro.conf.arg(help_behavior_hint=_hint, metavar=_optional(kind))
    return replace(field, type=Annotated[(kind, configured, *given)], helptext=text)


def _hint(default: str) -> str:
    return "" if default in _NO_CHOICE else f"(default: {default})"


def _optional(kind: Any) -> str | None:
    """The name of the type of what may be left out: INT of `int | None`."""
    kinds = get_args(kind)
    if len(kinds) != 2 or type(None) not in kinds:
        return None
    (inner,) = (one for one in kinds if one is not type(None))
    inner = get_args(inner)[0] if get_origin(inner) is Annotated else inner
    return {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}.get(inner)
