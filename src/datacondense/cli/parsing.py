"""Parse the words of a command line. An error in them becomes one line."""

import dataclasses
import io
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import tyro
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec, StructTypeInfo

from ..methods import METHODS, method_class
from ..utils.errors import InputError, unknown
from ..utils.ranges import check_fields
from ..utils.torchrun import leads
from . import completion
from .registry import CHOOSERS, COMMANDS

PROGRAM = "datacondense"
_NO_CHOICE = ("", "None", "False")
"""Defaults that help leaves out: the text of the option explains the case without it."""
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
    r"^Error parsing (?:\S*__tyro\S*|method): ": "",
    r"^Missing from \S+ [^:]*: ": "missing: ",
}
"""Message of the parser -> our message."""


def parse(arguments: Sequence[str]) -> Any:
    """Return the command that `arguments` name, such as an Evaluate.

    Raises:
        InputError: the arguments cannot be parsed.
        SystemExit: tyro has printed help or a completion script.
    """
    _check_words(arguments)
    if arguments[0].startswith(completion.FLAGS):
        _completing.append(True)
        try:
            return _parse_as(_all_commands(), PROGRAM, arguments, arguments)
        finally:
            _completing.clear()
    if arguments[0].startswith("-"):  # an error names every command
        return _parse_as(_all_commands(), PROGRAM, arguments, arguments)
    name = arguments[0]
    if name not in COMMANDS:
        raise unknown("command", name, COMMANDS)
    if name == "condense":
        return _parse_condense(arguments)
    return _parse_as(COMMANDS[name], f"{PROGRAM} {name}", arguments[1:], arguments)


def _parse_condense(arguments: Sequence[str]) -> Any:
    """Return the command `condense` of a method, with the options of --config where the command line gives none."""
    from . import configuration  # only here: it imports torch

    arguments, path = configuration.take(arguments)
    words = list(arguments[1:])
    settings = configuration.read(path, words) if path else None
    named = words.pop(0) if words and not words[0].startswith("-") else None
    method = named or (settings and settings.method)
    if method is None:
        raise InputError(
            f"name the method first, datacondense condense METHOD: choose from {', '.join([*CHOOSERS, *METHODS])}"
        )
    if settings and settings.method not in (None, method):
        raise InputError(f"{path} is for {settings.method}, not for {method}: name {settings.method}, or no method")
    program, text, of_method = f"{PROGRAM} condense {method}", None, None
    if method in CHOOSERS:
        kind = base = CHOOSERS[method]
    else:
        of_method, base = method_class(method), COMMANDS["condense"]
        kind, text = base[of_method], METHODS.summary(method)
    default = settings.command(base, of_method) if settings else None
    arguments = ["condense", method, *words]
    command = _parse_as(kind, program, words, arguments, description=text, default=default)
    return replace(command, given=configuration.given(words, settings))


def _parse_as(
    kind: Any,
    program: str,
    words: Sequence[str],
    arguments: Sequence[str],
    description: str | None = None,
    default: Any = None,
) -> Any:
    """Parse `words` as the options of `kind`. Messages refer to the whole of `arguments`.

    default: an instance of `kind` with the options that the command line does not give; options may be negated then.
    """
    messages = io.StringIO()
    pairs = () if default else (tyro.conf.FlagCreatePairsOff,)
    try:
        with redirect_stderr(messages):
            command, left = tyro.cli(
                kind,
                prog=program,
                description=description,
                args=words,
                config=(tyro.conf.OmitArgPrefixes, tyro.conf.OmitSubcommandPrefixes, *pairs),
                default=default if default else tyro.MISSING_NONPROP,
                console_outputs=leads(),
                registry=_registry,
                return_unknown_args=True,
            )
    except SystemExit as end:
        if not end.code or not leads():
            raise
        raise InputError(f"{_reason(messages.getvalue())}; see `{_help(arguments)}`") from None
    sys.stderr.write(messages.getvalue())
    if left:
        raise _not_known(left[0], command, _help(arguments))
    check_fields(command)
    return command


def _all_commands() -> Any:
    """Return the union of all commands, condense with every method."""

    def named(cls: Any, name: str, summary: str) -> Any:
        return Annotated[cls, tyro.conf.subcommand(name, description=summary)]

    condense = COMMANDS["condense"]
    choosers = tuple(named(CHOOSERS[name], name, CHOOSERS.summary(name)) for name in CHOOSERS)
    methods = tuple(named(condense[METHODS[name]], name, METHODS.summary(name)) for name in METHODS.available())
    with_method = dataclasses.make_dataclass("Methods", [("job", Union[(*choosers, *methods)])])
    commands = {name: with_method if name == "condense" else COMMANDS[name] for name in COMMANDS}
    if _completing:
        commands = {name: completion.with_names(cls, name) for name, cls in commands.items()}
    return Union[tuple(named(cls, name, COMMANDS.summary(name)) for name, cls in commands.items())]  # noqa: UP007


def _check_words(arguments: Sequence[str]) -> None:
    """Raise InputError for a word that can be no name or value: empty, or with characters that no text has."""
    before = ""
    for word in arguments:
        flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if (equals or not flag) and not value:
            where = flag or (before if before.startswith("--") and "=" not in before else "")
            raise InputError(f"{where}: its value is empty" if where else "an argument is empty: leave it out")
        if "\0" in word or any("\ud800" <= letter <= "\udfff" for letter in word):
            raise InputError(f"{word!r} is not UTF-8 text: give the file or directory another name")
        before = word


def _help(arguments: Sequence[str]) -> str:
    """Return the command line that shows the help for `arguments`."""
    named = [word for word in arguments[:2] if not word.startswith("-")]
    if named[:1] != ["condense"]:
        named = named[:1]
    return " ".join([PROGRAM, *(named if named and named[0] in COMMANDS else []), "--help"])


def _reason(box: str) -> str:
    """Return the text of the box that tyro draws around an error, from its title to the first rule, on one line.

    The box has a border of lines if the terminal can show them, and only rules of hyphens otherwise.
    """
    lines = [line.strip("│ ") for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()]
    below = [line for line in lines[1:] if not line.startswith("╰")]
    below = below[1:] if below and _is_rule(below[0]) else below
    found = " ".join(" ".join(itertools.takewhile(lambda line: not _is_rule(line), below)).split())
    for pattern, plainer in _PLAINER.items():
        found = re.sub(pattern, plainer, found)
    return found.removesuffix(" (required)").rstrip(".") or "the command cannot be parsed"


def _is_rule(line: str) -> bool:
    return bool(line) and set(line) <= {"─", "-"}


def _not_known(word: str, command: Any, helped_by: str) -> InputError:
    if not word.startswith("-"):
        return InputError(f"unexpected argument {word!r}: see `{helped_by}`")
    return unknown("option", word.partition("=")[0], _flags(command), listed_by=helped_by)


def _flags(command: Any) -> Iterator[str]:
    """Yield the options of a command and of the groups in it."""
    for field in dataclasses.fields(command):
        value = getattr(command, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flags(value)
        elif field.init and field.name != "given":
            yield f"--{field.name.replace('_', '-')}"


_registry = ConstructorRegistry()
_inside: list[Any] = []
_completing: list[bool] = []
"""Not empty while a completion script is written, which offers names as choices."""


@_registry.struct_rule
def _with_plain_help(info: StructTypeInfo) -> StructConstructorSpec | None:
    """Return tyro's fields with plain help: no text for a missing default, no line breaks."""
    if not dataclasses.is_dataclass(info.type) or info.type in _inside:
        return None
    _inside.append(info.type)  # now tyro's own rule applies
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

    field = completion.offered(field) if _completing else field
    kind: Any = field.type
    kind, *metadata = get_args(kind) if get_origin(kind) is Annotated else (kind,)
    hint = _hint_of_iterations if field.name == "iterations" else _hint
    configured = tyro.conf.arg(help_behavior_hint=hint, metavar=_optional(kind))
    return replace(field, type=Annotated[(kind, configured, *metadata)], helptext=text)


def _hint(default: str) -> str:
    return "" if default in _NO_CHOICE else f"(default: {default})"


def _hint_of_iterations(default: str) -> str:
    return _hint(default).replace("default: ", "default: as many as pay, at most ")


def _optional(kind: Any) -> str | None:
    """Return the name of the type of an optional value: INT for `int | None`."""
    kinds = get_args(kind)
    if len(kinds) != 2 or type(None) not in kinds:
        return None
    (inner,) = (one for one in kinds if one is not type(None))
    inner = get_args(inner)[0] if get_origin(inner) is Annotated else inner
    return {int: "INT", float: "FLOAT", str: "STR", Path: "PATH"}.get(inner)
