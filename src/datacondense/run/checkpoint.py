"""Checkpoints: the tensors and the header from which a run is resumed, and their two files in a run directory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor, nn

from ..synthetic.parameters import Synthetic
from ..training.cached import alike, named, optimiser_state, packed, part
from ..utils.errors import DamagedFile, InputError, naming
from ..utils.files import read_tensors, write_tensors
from ..utils.schema import check
from .records import CheckpointHeader
from .updates import IMAGES

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
    """The images, the state of the method and those of its optimisers, as `pack` names them."""


def pack(
    synthetic: Synthetic, state: nn.Module | None, optimisers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint.

    They are `synthetic.NAME`, `state.NAME`, `optimiser.INDEX.NAME` for the optimiser of the images, and
    `optimisers.OPTIMISER.INDEX.NAME` for every other.
    """
    tensors = {**named("synthetic", synthetic), **(named("state", state) if state is not None else {})}
    for name, optimiser in optimisers.items():
        tensors |= packed(_prefix(name), optimiser)
    return tensors


def unpack(
    tensors: Mapping[str, Tensor],
    synthetic: Synthetic,
    state: nn.Module | None,
    optimisers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """Restore images, state and optimisers in place from the tensors of `pack`, which are copied.

    Raises DamagedFile, before anything is changed, for tensors that do not fit these.
    """
    images, own = part("synthetic", tensors), synthetic.state_dict()
    if images.keys() != own.keys() or not alike(own, images):
        raise DamagedFile("its tensors are not those of the images of this run")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in images.values()):
        raise DamagedFile("its images are not finite")
    kept, own = part("state", tensors), {} if state is None else state.state_dict()
    if kept.keys() != own.keys() or not alike(own, kept):
        raise DamagedFile("its tensors are not those of the state of this method")
    contents = {name: optimiser_state(_prefix(name), one, tensors) for name, one in optimisers.items()}
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict({**optimiser.state_dict(), "state": contents[name]})
    synthetic.load_state_dict(images)
    if state is not None:
        state.load_state_dict(kept)


def _prefix(optimiser: str) -> str:
    """Return the beginning of the names of an optimiser's tensors."""
    return "optimiser" if optimiser == IMAGES else f"optimisers.{optimiser}"


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
