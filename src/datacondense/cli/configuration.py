"""Settings of `condense` from a file: --config FILE.yaml, FILE.json, or the run.json of a run."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, TypeAlias, TypeVar, cast, final, get_type_hints

import msgspec
import tyro
import yaml

from ..data.options import ReadOptions
from ..evaluation.soft_labels import option_of
from ..run.directory import LABELLED, RUN
from ..run.records import Recorded
from ..utils import schema
from ..utils.errors import DamagedFile, InputError, naming, reason, unknown
from ..utils.files import parse_json
from ..utils.paths import regular
from ..utils.ranges import check_value

Config: TypeAlias = Annotated[
    Path | None,
    tyro.conf.arg(
        metavar="FILE",
        help="YAML or JSON file of options by name, such as `image_size: 32`, or the run.json of a run, which is then "
        "repeated. Options on the command line win.",
    ),
]
"""Help of --config, which is removed from the arguments before they are parsed."""

Given: TypeAlias = Annotated[tuple[str, ...], tyro.conf.Fixed, tyro.conf.Suppress]
"""Names of the options that the user gives; it is no option itself."""

FLAG = "--config"
_LARGEST = 2**20  # bytes of a file
_OF_RUN = ("ipc", "seed", "device", "precision", "compile", "classes_at_once")
"""Entries of run.json that are options of the same name."""


@final
class _Loader(yaml.SafeLoader):
    """Reads the core schema of YAML 1.2, so that `off` is text and 1e-3 a number; no aliases, no key twice."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 (as PyYAML declares it)

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("it has an alias (*name): write the value again")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for place, key in enumerate(keys) if key in keys[:place]), None)
        if twice is not None:
            raise yaml.YAMLError(f"{twice} occurs twice")
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)


@final
class Settings:
    """The options that a file gives.

    Args:
        place: the file.
        values: options by name, with "_".
        method: the method or chooser that the file names, if any.
    """

    def __init__(self, place: Path, values: Mapping[str, Any], method: str | None) -> None:
        self.place = place
        self.values = values
        self.method = method

    def command(self, kind: type, method: type | None = None) -> Any:
        """Return an instance of a command, whose other options have their defaults.

        Args:
            kind: the dataclass of the command.
            method: that of its method; None for a command without one.

        Raises:
            InputError: an option is unknown or of a wrong type; the message names file and option.
        """
        for name in ("plugin", "config"):
            if name in self.values:
                raise InputError(f"{self.place}: {name}: give it on the command line, as --{name} FILE")
        known: list[str] = []
        made = self._built(kind, method, known)
        for name in self.values:
            if name not in known:
                with naming(self.place):
                    raise unknown("option", name, known)
        return made

    def _built(self, kind: type, method: type | None, known: list[str]) -> Any:
        kinds, found = get_type_hints(kind, include_extras=True), dict[str, Any]()
        for field in fields(cast("Any", kind)):
            one = method if isinstance(kinds[field.name], TypeVar) else kinds[field.name]
            if not field.init:
                continue
            if isinstance(one, type) and is_dataclass(one):
                found[field.name] = self._built(one, None, known)
                continue
            if field.name in ("plugin", "config", "given"):
                continue
            known.append(field.name)
            if field.name in self.values:
                found[field.name] = self._value(field.name, one)
            elif field.default is MISSING and field.default_factory is MISSING:
                found[field.name] = tyro.MISSING
        return kind(**found)

    def _value(self, name: str, kind: Any) -> Any:
        """Return the value of an option as its type."""
        value = self.values[name]
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and name in ("time_budget", "checkpoint_every")
        ):
            value = f"{value:.9f}".rstrip("0").removesuffix(".")  # seconds
        try:
            converted = msgspec.convert(value, kind, dec_hook=_path)
            check_value(name, converted, kind)
        except InputError as error:
            raise InputError(f"{self.place}: {str(error).removeprefix('--')}") from None
        except msgspec.ValidationError as error:
            found = _problem(name, value, kind) or schema.readable(str(error)).replace("the value", name)
            raise InputError(f"{self.place}: {found}") from None
        return converted


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise msgspec.ValidationError("Expected `str`, got another type")


def _problem(name: str, value: Any, kind: Any) -> str:
    """Return the words of a range or choice that a value misses; empty where its type is wrong otherwise."""
    try:
        check_value(name, value, kind)
    except InputError as error:
        return str(error).removeprefix("--")
    return ""


def take(words: Sequence[str]) -> tuple[list[str], Path | None]:
    """Return the words without --config FILE, and the file. Raises InputError for two files, or none after it."""
    others, files, rest = list[str](), list[str](), iter(words)
    for word in rest:
        if word == FLAG or word.startswith(f"{FLAG}="):
            files.append(word.partition("=")[2] or next(rest, ""))
        else:
            others.append(word)
    if len(files) > 1:
        raise InputError(f"{FLAG}: name one file, not {len(files)}")
    if files and (not files[0] or files[0].startswith("--")):
        raise InputError(f"{FLAG}: name a YAML or JSON file")
    return others, Path(files[0]) if files else None


def given(words: Sequence[str], settings: Settings | None) -> tuple[str, ...]:
    """Return the options that the command line or the file gives, by name, with "_"."""
    flags = (word.removeprefix("--").partition("=")[0] for word in words if word.startswith("--"))
    return (*(flag.replace("-", "_") for flag in flags), *(settings.values if settings else ()))


def read(path: Path, words: Sequence[str]) -> Settings:
    """Return the options in a file, or in the run.json of a run directory.

    Args:
        path: the file, or the directory.
        words: the command line, which may give what a run does not record.

    Raises:
        InputError: it cannot be read, or has no options by name.
    """
    path = path / RUN if path.is_dir() else path
    found = _parsed(path)
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in cast("dict[Any, Any]", found)):
        raise InputError(f"{path} holds no options by name: write one in each line, such as ipc: 10")
    entries = cast("dict[str, Any]", found)
    if "settings" in entries:
        return _of_run(path, entries, given(words, None))
    values = {key.replace("-", "_"): value for key, value in entries.items()}
    if len(values) < len(entries):
        raise InputError(f"{path} has an option twice, with - and with _: keep one")
    method = values.pop("method", None)
    if not isinstance(method, str | None):
        raise InputError(f"{path}: method is {method!r}: give a name")
    return Settings(path, values, method)


def _parsed(path: Path) -> Any:
    if not path.exists():
        raise InputError(f"{FLAG} {path}: there is no such file")
    data = regular(path).read_bytes()
    if len(data) > _LARGEST:
        raise InputError(f"{path} has {len(data)} bytes: options take less than {_LARGEST}")
    kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
    try:
        return parse_json(data) if kind == "JSON" else yaml.load(data, _Loader)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise DamagedFile(f"{path} cannot be read as {kind} ({reason(error)})") from None


def _of_run(path: Path, run: dict[str, Any], words: Sequence[str]) -> Settings:
    """Return the options of the run that a run.json records."""
    schema.check(run, Recorded, f"{path} is damaged")
    source = dict(run.get("source") or {})
    if not source and "data" not in words:
        raise InputError(f"{path} does not record the source of its images: name it with --data")
    if run.get("start") and "start" not in words:
        raise InputError(f"{path}: the run began from another set: name it with --start RUN")
    values = {**run["settings"], **{name: run[name] for name in _OF_RUN if run.get(name) is not None}}
    reading = {field.name for field in fields(ReadOptions)}
    values |= {name: value for name, value in source.items() if name in reading}
    values |= {"data": source["source"]} if source else {}
    least = source.get("min_per_class", 1)
    if least != 1 and least != values.get("ipc"):
        raise InputError(f"{path}: min_per_class was {least}, which no option gives: repeat the run in Python")
    values |= {"drop_small_classes": True} if least != 1 else {}
    labels = option_of(run.get("labels") or {})
    values |= {"labels": labels} if labels not in (None, "own") and run.get("status") != LABELLED else {}
    return Settings(path, values, run.get("method"))
