"""Scores: test accuracies of networks that were trained on one set, and their fields in files."""

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..drawing.shown import html_table
from ..utils.errors import InputError
from ..utils.schema import Count, Fields, Fraction, Line, Network, Positive, Seconds
from ..utils.text import percent_mean_std, printable
from ..utils.timing import duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
@dataclass(frozen=True, repr=False)
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
    beside: Mapping[str, "Scores"] = field(default_factory=dict)
    """Name of a baseline -> its scores, where `evaluate` was asked for them. Files hold them as scores of their own."""

    def __repr__(self) -> str:
        lines = [f"{name}: {', '.join(one._accuracies())}" for name, one in self._all().items()]
        return f"Scores({printable('; '.join(lines))})"

    def _repr_html_(self) -> str:
        columns = ("trained on", "images", "network", f"{self.tested_on} accuracy %", "n", "epochs", "time")
        rows = [
            (
                name,
                one.trained_on["images"],
                arch,
                percent_mean_std(values),
                len(values),
                one.protocol["recipes"][arch]["epochs"],
                duration(one.seconds),
            )
            for name, one in self._all().items()
            for arch, values in one.accuracy.items()
        ]
        return html_table(columns, rows)

    def _all(self) -> dict[str, "Scores"]:
        """Return the scores of the set and of the baselines by name."""
        own = self.trained_on.get("row") or self.trained_on.get("method") or "set"
        return {str(own): self, **{name: one for name, one in self.beside.items() if name != own}}

    def _accuracies(self) -> list[str]:
        """Return mean and deviation of each network as text."""
        return [f"{arch} {percent_mean_std(values)} %, n = {len(values)}" for arch, values in self.accuracy.items()]

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
        """Return all fields but `beside` as JSON values, as files hold them."""
        fields = asdict(replace(self, beside={}))
        del fields["beside"]
        return fields

    def to_dict(self) -> dict[str, list[Any]]:
        """Return a table as column -> values: a row for each set, the baselines included, and each network.

        Accuracies are fractions; the standard deviation (n - 1) of a single network is nan.
        """
        rows = [
            {
                "trained_on": name,
                "images": one.trained_on["images"],
                "network": arch,
                "mean": one.mean(arch),
                "std": one.std(arch),
                "n": len(values),
                "epochs": one.protocol["recipes"][arch]["epochs"],
                "seconds": one.seconds,
            }
            for name, one in self._all().items()
            for arch, values in one.accuracy.items()
        ]
        return {column: [row[column] for row in rows] for column in rows[0]}

    def to_pandas(self) -> Any:
        """Return the table of `to_dict` as a `pandas.DataFrame`. Raises InputError without pandas."""
        try:
            import pandas
        except ImportError:
            raise InputError("this needs pandas: pip install pandas, or take to_dict()") from None
        return pandas.DataFrame(self.to_dict())

    def plot(self) -> "Figure":
        """Draw the accuracies as bars, a group for each set; a notebook displays the figure, `savefig` writes it."""
        from ..drawing.chart import accuracy_chart

        bars = {name: one.accuracy for name, one in self._all().items()}
        return accuracy_chart(bars, f"{self.tested_on} accuracy %")
