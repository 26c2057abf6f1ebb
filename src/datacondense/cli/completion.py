"""The names that completion scripts offer beside commands and options."""

import dataclasses
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import tyro
from tyro.constructors import StructFieldSpec

FLAGS = ("--tyro-print-completion", "--tyro-write-completion")


def offered(field: StructFieldSpec) -> StructFieldSpec:
    """Return an option with the names that complete it as its choices; the same option where there are none.

    Args:
        field: the option, such as `data` or `archs`.
    """
    names = list(_names(field.name))
    kind: Any = field.type
    if not names or Literal in (get_origin(kind), *map(get_origin, get_args(kind))):
        return field
    choices = Literal[tuple(names)]  # pyright: ignore[reportInvalidTypeForm]
    inner = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    several = get_origin(inner) is tuple
    default = names[0] if field.default is None else field.default
    return dataclasses.replace(field, type=tuple[choices, ...] if several else choices, default=default)


def with_names(command: Any, name: str) -> Any:
    """Return a command that takes one of several names as a dataclass with these names as subcommands.

    Scripts complete subcommands, and no positional arguments.

    Args:
        command: the dataclass of the command.
        name: that of the command.
    """
    names = {"reproduce": _presets, "list": lambda: ["methods", "data", "archs", "pools", "presets"]}.get(name)
    if names is None:
        return command
    kinds = [Annotated[_Name, tyro.conf.subcommand(one, description=one)] for one in names()]
    chosen = ("named", Union[tuple(kinds)])  # noqa: UP007  # pyright: ignore[reportInvalidTypeForm]
    return dataclasses.make_dataclass(command.__name__, [chosen], bases=(command,), frozen=True, kw_only=True)


@dataclasses.dataclass(frozen=True)
class _Name:
    """A name on the command line."""


def _names(option: str) -> Iterable[str]:
    """Return the names that complete an option; none of one that takes no names."""
    from ..data.registry import DATASETS, SOURCE_FORMS  # only here: completion needs all registries
    from ..networks import AUTO, NETWORKS, POOLS

    known = {
        "data": lambda: [*DATASETS, *(f"{prefix}:" for prefix in SOURCE_FORMS)],
        "arch": lambda: [AUTO, *NETWORKS],
        "archs": lambda: list(NETWORKS),
        "pool": lambda: list(POOLS),
        "form": _forms,
    }
    return known[option]() if option in known else ()


def _forms() -> list[str]:
    from ..synthetic.decoders import DECODERS

    return list(DECODERS)


def _presets() -> list[str]:
    from ..experiments.continual_presets import CONTINUAL_PRESETS
    from ..experiments.presets import PRESETS

    return [*PRESETS, *CONTINUAL_PRESETS]
