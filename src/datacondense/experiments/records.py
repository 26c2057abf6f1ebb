"""Fields of the files that hold results of experiments."""

from typing import Annotated, Any

from msgspec import Meta, field

from ..engine.execution import ExecutionFields
from ..utils.schema import Fields, Fraction, Line, Name, Network, Percent, Positive, Seconds, Seed


class ScenarioFields(Fields, kw_only=True):
    """The fields of `Scenario` that the page of results shows."""

    per_class: Positive
    orders: Positive
    nets: Positive


class ContinualSeconds(Fields, kw_only=True):
    """Seconds of continual learning: making the memory, and training networks on it."""

    memory: Seconds
    networks: Seconds


class ContinualRecord(Fields, kw_only=True):
    """The file continual.json."""

    memory: Name
    data: Line
    data_sha256: Line
    scenario: ScenarioFields
    classes_seen: Annotated[list[Positive], Meta(min_length=1)]
    accuracy: Annotated[list[list[Annotated[list[Fraction], Meta(min_length=1)]]], Meta(min_length=1)]
    """By order, step and network."""
    mean: list[Fraction]
    std: list[Fraction | None]
    seconds: ContinualSeconds
    machine: Line
    versions: dict[Line, Line]

    def __post_init__(self) -> None:
        steps = len(self.classes_seen)
        if {len(self.mean), len(self.std), *map(len, self.accuracy)} != {steps}:
            raise ValueError(f"mean, std and accuracy do not match the {steps} steps of classes_seen")
        _check_torch(self.versions)


class ReproductionScore(Fields, kw_only=True):
    """Accuracies of networks of one architecture in a record of `reproduce`."""

    mean: Percent
    std: Percent | None


class ReproductionSeconds(Fields, kw_only=True):
    """Seconds for each set in a record of `reproduce`."""

    condense: Annotated[list[Seconds], Meta(min_length=1)]
    evaluate: Annotated[list[Seconds], Meta(min_length=1)]


class CondensedOn(Fields, kw_only=True):
    """How a set of a record was computed."""

    execution: ExecutionFields


class ReproductionRecord(Fields, kw_only=True):
    """A line of the records of `reproduce`."""

    preset: Name
    variant: Name
    changed: bool
    seeds: list[Seed]
    nets: Positive
    scores: dict[Network, ReproductionScore]
    published: dict[Network, tuple[Percent, Percent | None]]
    seconds: ReproductionSeconds
    machine: Line
    versions: dict[Line, Line]
    data_sha256: Line | None = None
    source: Line = ""
    method: Line = ""
    settings: dict[Line, Any] = field(default_factory=dict)
    condensed_by: list[CondensedOn] = field(default_factory=list)

    def __post_init__(self) -> None:
        _check_torch(self.versions)


def _check_torch(versions: dict[str, str]) -> None:
    if "torch" not in versions:
        raise ValueError("versions lacks 'torch'")
