"""The fields of the files of a run, each declared once and checked when the file is read.

Only what is read of a file is declared; what else is in it passes. A field of which None is allowed may be missing.
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
    """What a process of torchrun leaves in its files."""

    id: Line
    process: Count


class Recorded(ProvenanceFields, kw_only=True):
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
