"""Provenance: how a set was made."""

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
    Text,
)


class Settings(Fields, kw_only=True):
    """Settings of a method: those that are read beside its own."""

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


class Start(Fields, kw_only=True):
    """The set that a run started from."""

    sha256: Line | None = None
    wall_seconds: Seconds | None = None


class Plugin(Fields, kw_only=True):
    """Where the method of others came from."""

    file: Text | None = None
    sha256: Line | None = None
    package: Line | None = None
    version: Line | None = None


class Imported(Fields, kw_only=True):
    """The file that a set was imported from."""

    file: Text = ""


class Provenance(Fields, kw_only=True):
    """How a set was made, in every artefact and in run.json."""

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
    imported: Imported | UnsetType = UNSET
    real_images: Positive | None = None
    iterations_done: Count | UnsetType = UNSET
    wall_seconds: Seconds | None = None
    versions: dict[Line, Line] | None = None
    machine: Line | None = None
    memory: Line | None = None
    steps: list[list[Name]] | UnsetType = UNSET
    published: dict[Network, list[Fraction]] | UnsetType = UNSET
