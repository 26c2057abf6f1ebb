"""Options that several commands have: each class is a group of their help."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import tyro

from ..engine.execution import Compile, Compute, Precision
from ..utils.errors import InputError
from ..utils.paths import resolved
from ..utils.ranges import Batch, Pause, Seconds, Snapshots, check_value

Plugins: TypeAlias = Annotated[
    tuple[Path, ...],
    tyro.conf.arg(
        metavar="FILE.py",
        help="Run this file first, and take the methods that are defined in it; may stand anywhere, and several times.",
    ),
]
"""What help says of --plugin, which is taken out of the arguments before they are parsed."""


@dataclass(frozen=True, kw_only=True)
class Computing:
    """Where and how networks compute."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """Arithmetic of the networks: auto takes tf32 on an NVIDIA GPU, which alone has it, and fp32 elsewhere."""
    compile: Compile = "auto"
    """torch.compile: auto compiles where the work is long enough to pay for it."""

    def compute(self) -> Compute:
        """Return the argument of `condense`, `evaluate` and others."""
        return Compute(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class ComputingRun(Computing):
    """Where and how networks compute."""

    classes_at_once: Batch | None = None
    """Classes whose images are compared together: fewer need less memory. By default as many as fit 1 GiB (an eighth
    of the memory of a GPU). Methods that need all classes in one forward (dm with BatchNorm) take all."""


@dataclass(frozen=True, kw_only=True)
class RunControl:
    """How long a run goes on, how it goes on after that, and what it keeps on the way."""

    time_budget: Annotated[str | None, tyro.conf.arg(metavar="TIME")] = None
    """Stop after this time, preparation included, with a valid set, such as 90s, 5m, 1h30m."""
    resume: bool = False
    """Go on with the run in the run directory, if there is one."""
    overwrite: bool = False
    """Replace the run in the run directory."""
    dry_run: bool = False
    """Say what the whole run would take, time and memory, and write nothing."""
    checkpoint_every: Annotated[str, tyro.conf.arg(metavar="TIME")] = "1m"
    """Time between checkpoints."""
    snapshots: Snapshots = 0
    """Keep the images at the start and at this many iterations, spread evenly up to the last, for `show --process`."""
    log: Annotated[tuple[Literal["tensorboard", "wandb"], ...], tyro.conf.arg(metavar="{tensorboard,wandb} [...]")] = ()
    """Write loss, speed and images as they come, for TensorBoard in the run directory, or for Weights & Biases."""

    def budget(self) -> float | None:
        """Seconds that the session may take."""
        return seconds("--time-budget", self.time_budget) if self.time_budget else None

    def every(self) -> float:
        """Seconds between checkpoints; 0 after each update."""
        return seconds("--checkpoint-every", self.checkpoint_every, Pause)


def check_target(flag: str, path: Path | None) -> None:
    """Check that a file can be written to `path`, before the work that it is to hold is done.

    Raises:
        InputError: there is no such directory, or something is in the way that is no file. The message names `flag`.
    """
    if path is None:
        return
    if not resolved(path).parent.is_dir():
        raise InputError(f"{flag} {path}: there is no directory {path.parent}")
    if path.exists() and not path.is_file():
        raise InputError(f"{flag} {path}: that is no file, name another")


def seconds(flag: str, text: str, kind: Any = Seconds) -> float:
    """Seconds of a text such as 90, 90s, 5m or 1h30m. kind: their range.

    Raises InputError, naming the flag, for anything else.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    if not match or not any(match.groups()):
        raise InputError(f"{flag} {text}: give a time such as 90s, 5m or 1h30m")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    found = hours * 3600 + minutes * 60 + rest
    check_value(flag.removeprefix("--"), found, kind)
    return found
