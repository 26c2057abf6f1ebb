"""The fields of the files that hold accuracies, each declared once, as `records` declares those of sets and runs."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from .schema import Count, Fields, Fraction, Line, Name, Network, Percent, Positive, Seconds, Seed


class RecipeFields(Fields, kw_only=True):
    """How networks were trained."""

    epochs: Count
    augment: Line


class ProtocolFields(Fields, kw_only=True):
    """How an evaluation was made."""

    recipes: dict[Network, RecipeFields]
    tested_on: Line = "test"
    machine: Line | None = None
    versions: dict[Line, Line] | None = None
    execution: dict[Network, dict[str, Any]] = msgspec.field(default_factory=dict)


class TrainedOn(Fields, kw_only=True):
    """What networks were trained on; of a synthetic set with its provenance."""

    images: Positive
    method: Line | None = None
    set_sha256: Line | UnsetType = UNSET


class ScoresFields(Fields, kw_only=True):
    """`Scores`: a value of a line of scores.jsonl, of process.json and of evaluation.json."""

    accuracy: Annotated[dict[Network, Annotated[list[Fraction], Meta(min_length=1)]], Meta(min_length=1)]
    per_class: dict[Network, list[list[Fraction | None]]]
    seconds: Seconds
    protocol: ProtocolFields
    trained_on: TrainedOn
    confusion: dict[Network, list[list[Count]]] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for arch, values in self.accuracy.items():
            if arch not in self.protocol.recipes:
                raise ValueError(f"protocol.recipes lacks {arch!r}")
            rows = self.per_class.get(arch, [])
            if len(rows) != len(values) or not rows[0] or len(set(map(len, rows))) > 1:
                raise ValueError(f"per_class of {arch!r} has not a row for each of its {len(values)} networks")
            table = self.confusion.get(arch, [])
            if table and {len(table), *map(len, table)} != {len(rows[0])}:
                raise ValueError(f"confusion of {arch!r} is not {len(rows[0])} x {len(rows[0])}")


class ProcessEntry(Fields, kw_only=True):
    """An entry of process.json."""

    iteration: Count
    scores: ScoresFields


class Evaluated(Fields, kw_only=True):
    """evaluation.json."""

    asked: dict[str, Any]
    scores: ScoresFields

    def __post_init__(self) -> None:
        protocol = self.scores.protocol
        if protocol.machine is None or protocol.versions is None:
            raise ValueError("scores.protocol lacks machine or versions")
        if not protocol.execution.keys() >= self.scores.accuracy.keys():
            raise ValueError("scores.protocol.execution lacks a network")


class ScenarioFields(Fields, kw_only=True):
    """`Scenario` of continual learning, as far as it is told."""

    per_class: Positive
    orders: Positive
    nets: Positive


class StepsSeconds(Fields, kw_only=True):
    """How long continual learning took."""

    memory: Seconds
    networks: Seconds


class ContinualRecord(Fields, kw_only=True):
    """continual.json."""

    memory: Name
    data: Line
    data_sha256: Line
    scenario: ScenarioFields
    classes_seen: Annotated[list[Positive], Meta(min_length=1)]
    accuracy: Annotated[list[list[Annotated[list[Fraction], Meta(min_length=1)]]], Meta(min_length=1)]
    """By order, step and network."""
    mean: list[Fraction]
    std: list[Fraction | None]
    seconds: StepsSeconds
    machine: Line
    versions: dict[Line, Line]

    def __post_init__(self) -> None:
        steps = len(self.classes_seen)
        if {len(self.mean), len(self.std), *map(len, self.accuracy)} != {steps}:
            raise ValueError(f"mean, std and accuracy are not of the {steps} steps of classes_seen")
        _check_torch(self.versions)


class ReproducedScore(Fields, kw_only=True):
    """Accuracies of networks of one architecture in a record of `reproduce`."""

    mean: Percent
    std: Percent | None


class ReproducedSeconds(Fields, kw_only=True):
    """How long each set took in a record of `reproduce`."""

    condense: Annotated[list[Seconds], Meta(min_length=1)]
    evaluate: Annotated[list[Seconds], Meta(min_length=1)]


class Reproduced(Fields, kw_only=True):
    """A line of the records of `reproduce`."""

    preset: Name
    variant: Name
    changed: bool
    seeds: list[Seed]
    nets: Positive
    scores: dict[Network, ReproducedScore]
    published: dict[Network, tuple[Percent, Percent | None]]
    seconds: ReproducedSeconds
    machine: Line
    versions: dict[Line, Line]
    data_sha256: Line | None = None
    source: Line = ""

    def __post_init__(self) -> None:
        _check_torch(self.versions)


def _check_torch(versions: dict[str, str]) -> None:
    if "torch" not in versions:
        raise ValueError("versions lacks 'torch'")
