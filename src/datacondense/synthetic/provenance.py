"""Provenance of a set: `Provenance`, and `ProvenanceFields`, by which files are checked."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, final

import msgspec
from msgspec import UNSET, UnsetType

from ..utils.schema import (
    Count,
    Fields,
    Fraction,
    Line,
    Name,
    Network,
    Positive,
    Seconds,
    Seed,
    Temperature,
    Text,
)


class Settings(Fields, kw_only=True):
    """Settings that are read for every method."""

    arch: Network | UnsetType = UNSET
    augment: Line | UnsetType = UNSET
    iterations: Count | UnsetType = UNSET


class Source(Fields, kw_only=True, forbid_unknown_fields=True):
    """The arguments of `data.load`."""

    source: Text
    data_dir: Text | None = None
    image_size: int | UnsetType = UNSET
    skip_broken: bool | UnsetType = UNSET
    image_column: str | UnsetType = UNSET
    label_column: str | UnsetType = UNSET
    min_per_class: int | UnsetType = UNSET
    hold_out: float | UnsetType = UNSET
    pixel_range: str | UnsetType = UNSET
    flip: bool | UnsetType = UNSET


class Start(Fields, kw_only=True):
    """The set that a run started from."""

    sha256: Line | None = None
    wall_seconds: Seconds | None = None


class Plugin(Fields, kw_only=True):
    """File or package of an object that is not part of datacondense."""

    file: Text | None = None
    sha256: Line | None = None
    package: Line | None = None
    version: Line | None = None


class Imported(Fields, kw_only=True):
    """The file that a set was imported from."""

    file: Text = ""


class TriedCandidate(Fields, kw_only=True):
    """A candidate of `auto`."""

    name: Name
    method: Name
    settings: Settings
    ipc: Positive
    reason: Line = ""
    score: Fraction | None = None
    """Mean accuracy over classes on held-out training images, in its last round; None if it was not scored."""
    iterations: Count | None = None
    """Iterations in its last round."""
    dropped: Line | None = None
    """Fault for which it left the race."""


class Auto(Fields, kw_only=True):
    """The choice of `auto`."""

    chosen: Name
    why: Line
    candidates: list[TriedCandidate]
    held_out: Count
    """Training images on which candidates were scored; 0 without a race."""
    seconds: Seconds
    """Wall time before the final run: that of the race, or of timing the teacher."""
    time_budget: Seconds
    bytes: Positive | None = None


class LabelTrial(Fields, kw_only=True):
    """Labels that were tried on held-out training images; its own, those the set had, without a temperature."""

    accuracy: Fraction
    temperature: Temperature | None = None
    moment: Fraction | None = None


CLASSES = "classes"
"""Entry of `Provenance.labels`: the classes of the stored images, which the labels of a teacher need not show."""


class Labels(Fields, kw_only=True):
    """The teacher that labelled a set."""

    teacher: Name
    arch: Network
    temperature: Temperature
    top_k: Positive | None = None
    views: Positive | None = None
    mix: Literal["mixup", "cutmix"] | None = None
    classes: list[tuple[Count, Positive]] = msgspec.field(default_factory=list)
    """A class and the number of stored images of it that follow one another, from the first image to the last."""
    plugin: Plugin | None = None
    augment: Line | None = None
    seed: Seed | UnsetType = UNSET
    steps: Count | UnsetType = UNSET
    lr: Annotated[float, msgspec.Meta(gt=0)] | UnsetType = UNSET
    moment: Fraction | None = None
    step: Count | UnsetType = UNSET
    file: Line | None = None
    sha256: Line | None = None
    method: Line | None = None
    set_sha256: Line | None = None
    trials: list[LabelTrial] = msgspec.field(default_factory=list)
    held_out: Count | UnsetType = UNSET
    seconds: Seconds = 0.0


class ProvenanceFields(Fields, kw_only=True):
    """`Provenance`, in every artefact and in run.json."""

    method: Name | UnsetType = UNSET
    settings: Settings | UnsetType = UNSET
    data: Line | None = None
    data_sha256: Line | None = None
    ipc: Positive | None = None
    seed: Seed | UnsetType = UNSET
    device: Line | None = None
    precision: Line | None = None
    compile: Line | None = None
    classes_at_once: Positive | None = None
    start: Start | None = None
    source: Source | None = None
    plugin: Plugin | None = None
    plugins: dict[Line, Plugin] | None = None
    auto: Auto | None = None
    imported: Imported | UnsetType = UNSET
    labels: Labels | None = None
    real_images: Positive | None = None
    iterations_done: Count | UnsetType = UNSET
    wall_seconds: Seconds | None = None
    training_seconds: Seconds | None = None
    versions: dict[Line, Line] | None = None
    machine: Line | None = None
    memory: Line | None = None
    steps: list[list[Name]] | UnsetType = UNSET
    published: dict[Network, list[Fraction]] | UnsetType = UNSET


@final
class Provenance(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The way a set was made. A field is None, or empty, where it is not known.

    Entries of a file that are not fields here, as a newer version may write them, are kept: `to_json` returns all of
    them, in their order.
    """

    method: str | None = None
    """Name of the method."""
    settings: dict[str, Any] = {}
    """Settings of the method, with the architecture as `arch` and the augmentation as `augment`."""
    data: str | None = None
    """Name of the training images."""
    data_sha256: str | None = None
    """Fingerprint of the training images."""
    ipc: int | None = None
    """Images of each class."""
    seed: int | None = None
    device: str | None = None
    """Requested device; like `precision`, `compile` and `classes_at_once`, a field of `Compute`."""
    precision: str | None = None
    compile: str | None = None
    classes_at_once: int | None = None
    start: dict[str, Any] = {}
    """The set that the run started from: sha256, method, settings, seed, wall_seconds."""
    source: dict[str, Any] = {}
    """The arguments of `load` that give the training and test images."""
    plugin: dict[str, Any] = {}
    """File or package of a method that is not part of datacondense."""
    plugins: dict[str, dict[str, Any]] = {}
    """Files or packages of other objects of the run: network, decoder, loss and data."""
    auto: dict[str, Any] = {}
    """The choice of `auto`, if it made the set: candidates, their scores on held-out training images, seconds of the
    race."""
    imported: dict[str, Any] = {}
    """The file that the set was imported from."""
    labels: dict[str, Any] = {}
    """The teacher that labelled the set, if one did: its origin, temperature, and what was tried to choose them."""
    real_images: int | None = None
    """Number of training images."""
    iterations_done: int | None = None
    wall_seconds: float | None = None
    """Wall time over all sessions of the run, in seconds, with `training_seconds`."""
    training_seconds: float | None = None
    """Part of it in which networks were trained on the real images before the first iteration, also where an earlier
    run trained them and the cache gave them."""
    execution: dict[str, Any] = {}
    """Execution of the run: the fields of `Execution`."""
    versions: dict[str, str] = {}
    """Versions of Python and of packages."""
    machine: str | None = None
    memory: str | None = None
    """Name of a memory of continual learning."""
    steps: list[list[str]] = []
    """Names of the classes of each step of continual learning."""
    published: dict[str, list[float]] = {}
    """Architecture -> published accuracies in [0, 1] of an imported file."""
    _order: tuple[str, ...] = ()
    """Names of all entries of `from_json`."""
    _others: dict[str, Any] = {}
    """Entries that are not fields, and fields that were written as None."""

    @property
    def plugin_files(self) -> tuple[str, ...]:
        """Return the files of plug-ins that the run needs, each once."""
        files = [one.get("file") for one in (self.plugin, *self.plugins.values())]
        return tuple(dict.fromkeys(file for file in files if file))

    @classmethod
    def from_json(cls, entries: Mapping[str, Any]) -> "Provenance":
        """Return the provenance with these entries, which are not checked. The inverse of `to_json`."""
        known = {name: entries[name] for name in _NAMES if entries.get(name) is not None}
        others = {name: value for name, value in entries.items() if name not in known}
        return cls(**known, _order=tuple(entries), _others=others)

    def to_json(self) -> dict[str, Any]:
        """Return all entries as JSON values: those of `from_json` in their order, then other fields that are set."""
        values = {name: getattr(self, name) for name in _NAMES}
        entries: dict[str, Any] = {}
        for name in dict.fromkeys((*self._order, *_NAMES)):
            value = values.get(name)
            if value not in (None, {}, []):
                entries[name] = value
            elif name in self._order:
                entries[name] = self._others.get(name, value)
        return entries

    def changed(self, **entries: Any) -> "Provenance":
        """Return the provenance with other or further entries."""
        return Provenance.from_json({**self.to_json(), **entries})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Provenance) and self.to_json() == other.to_json()

    def __repr__(self) -> str:
        return f"Provenance({', '.join(f'{name}={value!r}' for name, value in self.to_json().items())})"


_NAMES = tuple(name for name in Provenance.__struct_fields__ if not name.startswith("_"))
