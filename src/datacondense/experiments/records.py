"""The fields of the files that hold results of experiments."""

from typing import Annotated

from msgspec import Meta

from ..utils.schema import Fields, Fraction, Line, Name, Network, Percent, Positive, Seconds, Seed


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
