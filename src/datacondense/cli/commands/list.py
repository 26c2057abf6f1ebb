"""The command `list`."""

from dataclasses import dataclass
from typing import Any, Literal

import tyro
from rich.table import Table

from ...data.registry import DATASETS, SOURCE_FORMS
from ...methods import METHODS
from ...networks import NETWORKS, POOLS
from ..console import print_json, print_line
from ..output_options import Json
from ..plugin_option import Plugins
from ..registry import CHOOSERS
from ..tables import show_table


@dataclass(frozen=True, kw_only=True)
class List:
    """List the methods, datasets, networks, pools of networks or published experiments."""

    what: tyro.conf.Positional[Literal["methods", "data", "archs", "pools", "presets"]]
    """Names to list."""
    json: Json = False
    plugin: Plugins = ()

    def run(self) -> None:
        methods = {**CHOOSERS.summaries(), **METHODS.summaries()}
        if self.json:
            values = {"methods": lambda: methods, "data": _data, "archs": lambda: list(NETWORKS), "pools": _pool_archs}
            print_json({**values, "presets": _preset_values}[self.what]())
            return
        if self.what == "methods":
            table = Table("method", "summary")
            for name, summary in methods.items():
                table.add_row(name, summary)
            show_table(table)
            return
        lines = {"data": _data, "archs": lambda: list(NETWORKS), "pools": _pools, "presets": _presets}
        for line in lines[self.what]():
            print_line(line)


def _data() -> list[str]:
    return [*DATASETS, *(f"{prefix}:{place}" for prefix, place in SOURCE_FORMS.items())]


def _pools() -> list[str]:
    own = ["S: the set's own network, BatchNorm replaced by InstanceNorm", "SS: the set's own network"]
    return own + [f"{letter}: {' '.join(archs)}" for letter, archs in POOLS.items()]


def _pool_archs() -> dict[str, list[str]]:
    return {letter: list(archs) for letter, archs in POOLS.items()}


def _preset_values() -> dict[str, Any]:
    from ...experiments.continual_presets import CONTINUAL_PRESETS  # see below
    from ...experiments.presets import PRESETS

    continual = {name: {"title": one.title, "published": {}} for name, one in CONTINUAL_PRESETS.items()}
    return {
        name: {"title": one.title, "published": {arch: mean for arch, (mean, _) in one.published.items()}}
        for name, one in PRESETS.items()
    } | continual


def _presets() -> list[str]:
    from ...experiments.continual_presets import CONTINUAL_PRESETS  # only here: they are made of methods, on torch
    from ...experiments.presets import PRESETS

    lines = []
    for name, preset in PRESETS.items():
        numbers = ", ".join(f"{arch} {mean}" for arch, (mean, _) in preset.published.items())
        lines.append(f"{name}: {preset.title}" + (f"; published {numbers}" if numbers else ""))
    return lines + [f"{name}: {experiment.title}" for name, experiment in CONTINUAL_PRESETS.items()]
