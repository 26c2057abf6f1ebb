"""The keywords of `reproduce` and `learn_continually`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..engine.execution import ComputeOptions
from ..run.observers import Observer
from ..utils.distributed import Processes


class ExperimentOptions(ComputeOptions, total=False):
    """Keywords of an experiment, each of which may be left out.

    `device`, `precision` and `compile` are short forms of the fields of `Compute`; they and `compute` exclude each
    other.
    """

    source: Mapping[str, Any] | None
    """The arguments of `load` that gave the images; recorded."""
    overwrite: bool
    """Ignore the results of earlier calls and start again."""
    observers: Sequence[Observer]
    """Objects that are notified while sets are condensed, as in `condense`."""
    on_epoch: Callable[[float, float], None]
    """Called after each training epoch with the work done on the current set or step, and its total."""
    processes: Processes | None
    """Processes that share the work, as in `condense` and `evaluate`."""


class ReproduceOptions(ExperimentOptions, total=False):
    """Keywords of `reproduce`, each of which may be left out."""

    runs: Path
    """Folder of the run directories, runs/reproduce by default."""
    results: Path
    """Folder of the records, results by default."""


class ContinualOptions(ExperimentOptions, total=False):
    """Keywords of `learn_continually`, each of which may be left out."""

    name: str | None
    """Name of the memory in records and figures; None takes that of the method."""
    as_published: bool
    """Count epochs as the authors' code does, whose E epochs are E + 1."""
