"""The keywords of `reproduce`, `learn_continually` and `auto`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta

from ..engine.execution import ComputeOptions
from ..run.observers import Observer
from ..run.options import RunOptions
from ..utils.distributed import Processes
from ..utils.ranges import Epochs, Networks

RaceShare: TypeAlias = Annotated[float, Meta(gt=0, le=0.5)]
"""Share of the training images that is held out in a race."""


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


class AutoOptions(RunOptions, total=False):
    """Keywords of `auto`, each of which may be left out: those of `condense`, and others.

    `time_budget` is that of the whole call, with the race; 300 seconds by default.
    """

    arch: str | None
    """Network that the set is made for; by default a ConvNet whose depth suits the size of the images."""
    labels: Literal["own", "soft"]
    """own, the default: candidates are condensed under the classes of their images. soft: as many random real images,
    in 8 bits, are seen in mixed views, which a teacher of the real images labels; there is no race."""
    race_hold_out: RaceShare
    """Share of the training images of each class that scores the candidates, 0.15 by default. The final run condenses
    all training images."""
    race_epochs: Epochs
    """The most training epochs of a network that scores a candidate, 300 by default."""
    race_nets: Networks
    """The most networks that score a candidate, 3 by default."""
