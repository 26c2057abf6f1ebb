"""A published experiment, with the settings to repeat it and the published test accuracy."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import final

from ..methods import Method
from ..networks import AUTO
from ..training.recipe import Recipe
from .published_numbers import Published
from .teacher_labels import TeacherLabels


@final
@dataclass(frozen=True, kw_only=True)
class Preset:
    """One published experiment: condense sets under different seeds, and train networks on each."""

    title: str
    data: str
    ipc: int
    method: Method
    first: Method | None = None
    """The method that makes the set from which `method` starts."""
    pool: str = "S"
    """Networks to train and test, by the letter of the published pools."""
    sets: int = 5
    """Sets to condense, under seeds 0, 1, ..."""
    nets: int = 20
    """Networks of each architecture trained on each set."""
    published: Mapping[str, Published] = field(default_factory=dict)
    """Network -> the accuracy to reproduce, in percent; empty if none is published in numbers."""
    source: str = ""
    """Publication from which the number was read."""
    labels: TeacherLabels | None = None
    """Labels that the finished set gets; None for its own."""
    recipe: Recipe | None = None
    """Recipe of the published evaluation; None for that of DC, or with labels of a teacher for that of the set."""


def published_network(method: Method) -> Method:
    """Return a method under the ConvNet of the papers unless it names another: as published, on images of any size."""
    return replace(method, arch="ConvNet") if method.arch == AUTO else method


def published_numbers(tables: Mapping[str, Mapping[int, Published]], data: str, ipc: int) -> dict[str, Published]:
    """Return network -> published number; empty if there is none."""
    return {"ConvNet": tables[data][ipc]} if ipc in tables.get(data, {}) else {}


def per_class(ipc: int) -> str:
    """Return the number of images per class as text."""
    return f"{ipc} image{'s' if ipc > 1 else ''} per class"
