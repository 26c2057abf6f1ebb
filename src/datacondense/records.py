"""The fields of every file that we write, each declared once and checked by `schema.check` when it is read.

Only what is read of a file is declared; what else is in it passes. A field of which None is allowed may be missing.
"""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, UnsetType

from .schema import (
    DEVICE,
    IDENTITY,
    Count,
    Fields,
    Fraction,
    Line,
    Loss,
    Name,
    Network,
    Positive,
    Seconds,
    Seed,
    Sha256,
    Side,
    Single,
    Text,
)


class EncodingFields(Fields, kw_only=True):
    """`Encoding`, in the `Spec` of data whose labels or pixels were made numbers by rule."""

    labels: dict[Name, Seed | None] | None = None
    pixels: tuple[Single, Single] | None = None

    def __post_init__(self) -> None:
        if self.pixels is not None and self.pixels[0] >= self.pixels[1]:
            raise ValueError("pixels has not the lower value first")


class SpecFields(Fields, kw_only=True):
    """`Spec`, in every artefact."""

    name: Name
    class_names: Annotated[list[Name], Meta(min_length=1)]
    shape: tuple[Literal[1, 3], Side, Side]
    mean: list[Single]
    std: list[Annotated[float, Meta(gt=0, lt=1e38)]]
    flip: bool
    encoding: EncodingFields | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.shape[0]:
                raise ValueError(f"{name} has {len(getattr(self, name))} numbers for {self.shape[0]} channels")


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


class Header(Fields, kw_only=True):
    """What every artefact says of its tensors."""

    spec: SpecFields
    provenance: Provenance


class ExecutionFields(Fields, kw_only=True, forbid_unknown_fields=True):
    """`Execution`. All of it is kept by a resumed run, so that an unknown field cannot pass."""

    device: Annotated[str, Meta(pattern=DEVICE)]
    precision: Literal["fp32", "tf32", "bf16"]
    compile: bool
    chunk: Positive
    classes_at_once: Positive
    threads: Annotated[int, Meta(ge=1, le=2**12)]


class Launch(Fields, kw_only=True):
    """What a process of torchrun leaves in its files."""

    id: Line
    process: Count


class Recorded(Provenance, kw_only=True):
    """run.json."""

    status: Line = ""
    launch: Launch | None = None


class Resumable(Fields, kw_only=True):
    """What run.json must have, beside being `Recorded`, for the run to go on."""

    status: Name
    method: Name
    settings: Settings
    data: Line
    data_sha256: Line
    ipc: Positive
    seed: Seed
    execution: ExecutionFields
    versions: dict[Line, Line]
    machine: Line


class Finished(Fields, kw_only=True):
    """What the provenance of a set must have that a run of ours has finished."""

    iterations_done: Count
    wall_seconds: Seconds


class LogEntry(Fields, kw_only=True):
    """A line of log.jsonl."""

    iteration: Count
    loss: Loss
    seconds: Seconds


class CheckpointHeader(Fields, kw_only=True):
    """What a checkpoint says of its tensors."""

    iteration: Count
    seconds: Seconds


class SnapshotHeader(Fields, kw_only=True, forbid_unknown_fields=True):
    """What a snapshot says of its tensors."""

    iteration: Count


class WandbRun(Fields, kw_only=True):
    """wandb.json."""

    id: Annotated[str, Meta(pattern=IDENTITY)]


class Marker(Fields, kw_only=True):
    """datacondense.json of an export. header: as in `Header`, which is checked beside it."""

    layout: Line = ""
    sets: Count | None = None
    folders: list[Name] | None = None
    sha256: Line | None = None


class StoredPart(Fields, kw_only=True):
    """A part of an entry in the cache of decoded images."""

    images: Positive
    bytes: Positive
    sha256: Sha256


class StoredSet(Fields, kw_only=True):
    """set.json of an entry in the cache of decoded images."""

    spec: SpecFields
    notes: list[Text]
    train: StoredPart
    test: StoredPart


class Listing(Fields, kw_only=True):
    """The key in the cache that a listing of files has. It becomes a part of a path."""

    key: Sha256
