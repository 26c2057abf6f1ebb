"""Scores: test accuracies of networks that were trained on one set, and their fields in files."""

import statistics
from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any, final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..utils.schema import Count, Fields, Fraction, Line, Network, Positive, Seconds

PUBLISHED = "published"
"""Source of the published recipe."""
HARD, OWN_LABELS, ONLINE = "hard", "own", "online"
"""Columns of a fair table: each label replaced by its class, and the published recipe; the stored labels, and the
recipe that is stored with the set; labels that a teacher gives to each training batch."""
SET, RANDOM, KMEANS = "set", "random real", "k-means real"
"""Rows of a fair table: the set, and as many real images as it stores, drawn at random or chosen by k-means."""
BESIDE = "beside"
"""Entry in the provenance of a baseline: fingerprints of the sets that it is for."""


class RecipeFields(Fields, kw_only=True):
    """The recipe of networks, of which tables show these fields."""

    epochs: Count
    augment: Line
    source: Line = PUBLISHED


class ProtocolFields(Fields, kw_only=True):
    """The protocol of an evaluation."""

    recipes: dict[Network, RecipeFields]
    tested_on: Line = "test"
    column: Line = ""
    machine: Line | None = None
    versions: dict[Line, Line] | None = None
    execution: dict[Network, dict[str, Any]] = msgspec.field(default_factory=dict)


class TrainedOn(Fields, kw_only=True):
    """The set that networks were trained on; of a synthetic set with its provenance."""

    images: Positive
    method: Line | None = None
    set_sha256: Line | UnsetType = UNSET
    row: Line | UnsetType = UNSET
    beside: list[Line] | UnsetType = UNSET


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
                raise ValueError(f"per_class of {arch!r} does not have a row for each of its {len(values)} networks")
            table = self.confusion.get(arch, [])
            if table and {len(table), *map(len, table)} != {len(rows[0])}:
                raise ValueError(f"confusion of {arch!r} is not {len(rows[0])} x {len(rows[0])}")


class ProcessEntry(Fields, kw_only=True):
    """An entry of process.json."""

    iteration: Count
    scores: ScoresFields


@final
@dataclass(frozen=True)
class Scores:
    """Test accuracies of networks trained on one set. Accuracies are fractions in [0, 1]."""

    accuracy: dict[str, list[float]]
    """Architecture -> accuracy of each network."""
    per_class: dict[str, list[list[float | None]]]
    """Architecture -> network -> accuracy on each class; None for a class without test images."""
    seconds: float
    """Wall time of training and testing."""
    protocol: dict[str, Any]
    """Protocol of the training: everything needed to repeat it."""
    trained_on: dict[str, Any]
    """The set they were trained on: name, number of images, and the provenance of a synthetic set."""
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)
    """Architecture -> class -> its test images by predicted class, over all networks. Empty if an older version made
    the scores."""

    @property
    def tested_on(self) -> str:
        """Return validation if networks were tested on held-out training images, and test otherwise."""
        return self.protocol.get("tested_on", "test")

    @property
    def column(self) -> str:
        """Return the column of a fair table that the score belongs to; empty for none."""
        return self.protocol.get("column", "")

    @property
    def is_plain(self) -> bool:
        """Return whether the set was trained on as it is stored, by its own recipe or one that was asked for."""
        return self.column in ("", OWN_LABELS)

    def in_table(self, column: str, row: str, fingerprint: str) -> "Scores":
        """Return the scores as an entry of the fair table of the set with this fingerprint."""
        trained_on = {**self.trained_on, "row": row, BESIDE: [fingerprint]}
        return replace(self, protocol={**self.protocol, "column": column}, trained_on=trained_on)

    def recipe_source(self, arch: str) -> str:
        """Return the source of a network's recipe: published, own, the name of a file, or given (from Python).

        With ", changed" where fields of it were set otherwise.
        """
        return self.protocol["recipes"][arch].get("source", PUBLISHED)

    def mean(self, arch: str) -> float:
        """Return the mean accuracy over networks, in [0, 1]."""
        return statistics.fmean(self.accuracy[arch])

    def std(self, arch: str) -> float:
        """Return the sample standard deviation over networks (n - 1); nan for a single network."""
        values = self.accuracy[arch]
        return statistics.stdev(values) if len(values) > 1 else float("nan")

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)
