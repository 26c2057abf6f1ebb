"""The fields of the files of a run, each declared once and checked when the file is read.

Only fields that are read are declared; other fields are accepted. A field that may be None may be missing.
"""

from typing import Annotated

from msgspec import Meta

from ..engine.execution import ExecutionFields
from ..synthetic.provenance import ProvenanceFields, Settings
from ..utils.schema import (
    IDENTITY,
    Count,
    Fields,
    Line,
    Loss,
    Name,
    Positive,
    Seconds,
    Seed,
)


class Launch(Fields, kw_only=True):
    """Mark of a process of torchrun in its files."""

    id: Line
    process: Count


class Recorded(ProvenanceFields, kw_only=True):
    """run.json."""

    status: Line = ""
    launch: Launch | None = None


class Resumable(Fields, kw_only=True):
    """Fields that run.json must have for the run to be resumed."""

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
    """Fields that the provenance of a finished run must have."""

    iterations_done: Count
    wall_seconds: Seconds


class LogEntry(Fields, kw_only=True):
    """A line of log.jsonl."""

    iteration: Count
    loss: Loss
    seconds: Seconds


class CheckpointHeader(Fields, kw_only=True):
    """Header of a checkpoint."""

    iteration: Count
    seconds: Seconds


class SnapshotHeader(Fields, kw_only=True, forbid_unknown_fields=True):
    """Header of a snapshot."""

    iteration: Count


class WandbRun(Fields, kw_only=True):
    """wandb.json."""

    id: Annotated[str, Meta(pattern=IDENTITY)]
