"""The keywords of `condense` and `estimate` beside the method, the data and the number of images."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..data.source import DataSource
from ..engine.execution import RunComputeOptions
from ..utils.distributed import Processes
from ..utils.ranges import Pause, Seconds, Snapshots
from .observers import Observer


class RunOptions(RunComputeOptions, total=False):
    """Keywords of `condense`, each of which may be left out.

    `device`, `precision`, `compile` and `classes_at_once` are short forms of the fields of `Compute`; they and
    `compute` exclude each other.
    """

    time_budget: Seconds | None
    """Seconds after which this session stops, counted from the call: after an update of the images, with a valid set,
    or before the first iteration, in which case it raises Stopped. No limit by default."""
    resume: bool
    """Continue the run in `out`, bit for bit as if it had never stopped; start a fresh run if there is none."""
    overwrite: bool
    """Delete the run in `out` first."""
    checkpoint_every: Pause
    """Seconds between checkpoints, 60 by default."""
    snapshots: Snapshots
    """Save the images in `out` at the start and at this many iterations, spread evenly up to the last; 0 by default. A
    resumed run may ask for another number."""
    source: DataSource | Mapping[str, Any] | None
    """The `DataSource`, or the arguments of `load`, that gave the real images; recorded, so that the test images can be
    found."""
    auto: Mapping[str, Any] | None
    """The choice of `auto`, of which this call is the last step; recorded."""
    observers: Sequence[Observer]
    """Objects that are notified of progress, messages and images; of several processes the first alone notifies."""
    progress: bool
    """Show a progress bar, by default, where somebody can see it: on stderr in a terminal, or in a notebook."""
    processes: Processes | None
    """Processes that share the work, each with the same arguments; by default all of PyTorch's process group, if there
    is one. The first writes; all return the set."""
