"""Checkpoints: the tensors and the header from which a run is resumed, and their two files in a run directory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from torch import Tensor

from ..utils.errors import DamagedFile, InputError, naming
from ..utils.files import read_tensors, write_tensors
from ..utils.schema import check
from .records import CheckpointHeader

FILE_NAME, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"


@final
@dataclass(frozen=True)
class Checkpoint:
    """Everything from which a run is resumed."""

    iteration: int
    """Iterations that are done."""
    seconds: float
    """Wall time spent so far, over all sessions."""
    tensors: dict[str, Tensor]
    """The images, the state of the method and those of its optimisers, as `RunState` names them."""


def save(run: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into a run directory and keep the one before it."""
    header = {"iteration": checkpoint.iteration, "seconds": checkpoint.seconds}
    write_tensors(run / FILE_NAME, checkpoint.tensors, header, keep=run / PREVIOUS)


def exists(run: Path) -> bool:
    """Return whether a run directory has a checkpoint, even a damaged one."""
    return any((run / name).exists() for name in (FILE_NAME, PREVIOUS))


def load(
    run: Path, check_fit: Callable[[Checkpoint], None] = lambda checkpoint: None
) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest intact checkpoint, and a message for each damaged one; None if there is no checkpoint.

    check_fit: raises DamagedFile for a checkpoint of another run. A damaged one is deleted once a good one has been
    read, so that it can never take the place of a good one.
    Raises DamagedFile when there are checkpoints and all are damaged.
    """
    for left in run.glob(f".{FILE_NAME}.*"):  # by a process that was killed while it wrote
        left.unlink()
    damaged: list[str] = []
    for path in (run / FILE_NAME, run / PREVIOUS):
        if not path.exists():
            continue
        try:
            tensors, header = read_tensors(path)
            fields = check(header, CheckpointHeader, f"{path} is damaged")
            checkpoint = Checkpoint(fields.iteration, fields.seconds, tensors)
            with naming(f"{path} is damaged"):
                check_fit(checkpoint)
        except InputError as error:
            damaged.append(str(error))
            continue
        if damaged:
            (run / FILE_NAME).unlink()
        return checkpoint, damaged
    if damaged:
        raise DamagedFile(f"{'; '.join(damaged)}; no good checkpoint is left: start again with --overwrite")
    return None, []
