"""Options that several commands have: each class is a group of their help."""

import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import tyro

from ..engine.execution import Compile, Compute, Precision
from ..experiments.continual import RECORD
from ..formats.export_marker import MARKER
from ..run.directory import AUTO, EVALUATION, PROCESS, RUN, TESTED, WANDB
from ..utils.errors import InputError
from ..utils.paths import resolved
from ..utils.ranges import Batch, Pause, Seconds, Snapshots, check_value

Data: TypeAlias = Annotated[str, tyro.conf.arg(metavar="DATA")]
"""Data to condense."""
_RECORDS = {RUN, EVALUATION, TESTED, PROCESS, AUTO, WANDB, RECORD, MARKER}
"""Names of JSON files that commands read again."""
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9}


@dataclass(frozen=True, kw_only=True)
class Computing:
    """Device, precision and compilation."""

    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    precision: Precision = "auto"
    """Arithmetic of the networks: auto uses tf32 on an NVIDIA GPU and fp32 elsewhere; bf16 is for processors with
    AMX and for GPUs."""
    compile: Compile = "auto"
    """torch.compile: auto compiles if the work is long enough to repay the compilation; graphs compiles to CUDA
    graphs, on an NVIDIA GPU."""

    def compute(self) -> Compute:
        """Return the argument of `condense`, `evaluate` and others."""
        return Compute(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class ComputingRun(Computing):
    """Device, precision and compilation."""

    classes_at_once: Batch | None = None
    """Classes whose images are compared together: fewer need less memory. By default as many as fit into 1 GiB (an
    eighth of the memory of a GPU). Methods that need all classes in one forward (dm with BatchNorm) use all."""


@dataclass(frozen=True, kw_only=True)
class RunControl:
    """Resume, checkpoints, snapshots, logging."""

    resume: bool = False
    """Continue the run in the run directory, if there is one."""
    overwrite: bool = False
    """Replace the run in the run directory."""
    dry_run: bool = False
    """Estimate the time and memory of the whole run, and write nothing."""
    checkpoint_every: Annotated[str, tyro.conf.arg(metavar="TIME")] = "1m"
    """Time between checkpoints."""
    snapshots: Snapshots = 0
    """Save the images at the start and at this many evenly spaced iterations, for `show --process`."""
    log: Annotated[tuple[Literal["tensorboard", "wandb"], ...], tyro.conf.arg(metavar="{tensorboard,wandb} [...]")] = ()
    """Log loss, speed and images during the run, to TensorBoard in the run directory or to Weights & Biases."""

    def every(self) -> float:
        """Return the seconds between checkpoints; 0 is after each update."""
        return seconds("--checkpoint-every", self.checkpoint_every, Pause)


@dataclass(frozen=True, kw_only=True)
class AutoControl(RunControl):
    """Resume, checkpoints, snapshots, logging."""

    dry_run: bool = False
    """Measure the speed of the candidates, print what would be tried, and write nothing."""


def check_target(flag: str, path: Path | None, suffix: str) -> None:
    """Check that a file can be written to `path`, before the work whose result it will hold.

    A file that is there is replaced, so its name must end as such files do: no mistaken path replaces a set, or the
    record of a run.

    Raises:
        InputError: there is no such directory, something is in the way that is no file, the name does not end with
            `suffix`, or it is that of a record. The message names `flag`.
    """
    if path is None:
        return
    if not resolved(path).parent.is_dir():
        raise InputError(f"{flag} {path}: there is no directory {path.parent}")
    if path.exists() and not path.is_file():
        raise InputError(f"{flag} {path}: this is not a file: name a file")
    if path.suffix.lower() != suffix:
        raise InputError(f"{flag} {path}: name a file that ends with {suffix}")
    if path.name in _RECORDS and path.exists():
        raise InputError(f"{flag} {path}: this is the record of a run, of its evaluation or of an export: name another")


def seconds(flag: str, text: str, kind: Any = Seconds) -> float:
    """Return the seconds of a text such as 90, 90s, 5m or 1h30m, checked against the range `kind`.

    Raises InputError, naming the flag, for anything else.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s?)?", text)
    short = match and match[1] and not match[2] and match[3] and not text.endswith("s")  # 1h30 means minutes to many
    if not match or not any(match.groups()) or short:
        raise InputError(f"{flag} {text}: give a time such as 90s, 5m or 1h30m")
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    found = hours * 3600 + minutes * 60 + rest
    check_value(flag.removeprefix("--"), found, kind)
    return found


def size(flag: str, text: str) -> int:
    """Return the bytes of a text such as 8000, 8k, 8kB or 1.5M, where k is 1000. Raises InputError for others."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([kMG]?)B?", text)
    if not match or float(match[1]) * _UNITS[match[2]] < 1:
        raise InputError(f"{flag} {text}: give a number of bytes such as 8000, 8k or 1.5M")
    return int(float(match[1]) * _UNITS[match[2]])
