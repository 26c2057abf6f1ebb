"""The run directory: what a run has written, and how it goes on after it was stopped."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, final

import torch
from torch import Tensor

from .. import pictures
from ..engine.execution import Execution, check_available
from ..synthetic import set as set_file
from ..synthetic.parameters import Synthetic
from ..training.cached import alike, named, packed, part, unpack
from ..utils import torchrun
from ..utils.atomic import sweep, write_bytes
from ..utils.errors import DamagedFile, InputError, naming
from ..utils.files import parse_json, read_json, read_tensors, write_json, write_tensors
from ..utils.schema import check as check_fields
from . import snapshots
from .records import CheckpointHeader, LogEntry, Recorded, Resumable

RUN, LOG = "run.json", "log.jsonl"
_CHECKPOINT, _PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
SCORES = "scores.jsonl"
EVALUATION = "evaluation.json"
"""Scores by the protocol of `reproduce` or of continual learning, so that no evaluation is made twice."""
PROCESS = "process.json"
"""What networks learn from the snapshots of a run."""
REPORT = "report.html"
EVENTS = "tensorboard"
"""The folder of what TensorBoard reads."""
WANDB = "wandb.json"
"""Which run of Weights & Biases a run is logged as."""
_CONTENT = {
    "data_sha256": "the training images are others: read them as then, with the same options",
    "start": "the set it starts from is another",
}
"""What is said where something that is known by its fingerprint differs."""
IMPORTED = "imported"
"""The status of a directory whose set was made elsewhere."""
_OURS = (
    RUN,
    LOG,
    _CHECKPOINT,
    _PREVIOUS,
    SCORES,
    PROCESS,
    REPORT,
    WANDB,
    set_file.FILE_NAME,
    *pictures.FILE_NAMES,
)


@final
@dataclass(frozen=True)
class Checkpoint:
    """Everything a run needs to go on: how far it is, and the state of the images and of their optimiser."""

    iteration: int
    """Iterations that are done."""
    seconds: float
    """Wall time spent so far, over all sessions."""
    tensors: dict[str, Tensor]


@final
class Log:
    """Appends one JSON value a line; what is written reaches the disk once a second, on `flush` and on closing."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._flushed = time.perf_counter()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_error: object) -> None:
        self._file.close()

    def write(self, entry: Mapping[str, Any]) -> None:
        """Append one line."""
        self._file.write(json.dumps(entry) + "\n")
        if time.perf_counter() - self._flushed > 1:
            self.flush()

    def flush(self) -> None:
        """Hand all lines to the operating system."""
        self._file.flush()
        self._flushed = time.perf_counter()


@final
class RunDirectory:
    """Reads and writes the files of one run. Every write is atomic, apart from lines appended to the log."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def occupied(self) -> bool:
        """Whether files named as those of a run are there."""
        return any((self.path / name).exists() for name in _OURS) or bool(
            snapshots.paths(self.path) or events(self.path)
        )

    def has_run(self) -> bool:
        """Whether a run has been recorded here."""
        return (self.path / RUN).exists()

    def recorded(self) -> dict[str, Any]:
        """Return what `run.json` says. Raises DamagedFile when it is not JSON or a field is not as declared."""
        run = read_json(self.path / RUN)
        check_fields(run, Recorded, f"{self.path / RUN} is damaged")
        return run

    def record(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`, with the mark of a launch of several processes."""
        self.path.mkdir(parents=True, exist_ok=True)
        mark = torchrun.mark()
        write_json(self.path / RUN, {**run, "launch": mark} if mark else run)

    def clear(self) -> None:
        """Delete the files of an earlier run, and nothing else; `run.json`, which says that they are ours, last."""
        snapshots.delete(self.path)
        delete_events(self.path)
        for name in reversed(_OURS):
            (self.path / name).unlink(missing_ok=True)

    def sweep(self) -> None:
        """Delete what a killed process was writing. For the process that alone writes to the run."""
        sweep(self.path, all_of=_OURS)
        sweep(self.path / snapshots.FOLDER)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and keep the one before it."""
        header = {"iteration": checkpoint.iteration, "seconds": checkpoint.seconds}
        write_tensors(self.path / _CHECKPOINT, checkpoint.tensors, header, keep=self.path / _PREVIOUS)

    def has_checkpoint(self) -> bool:
        """Whether there is one, be it damaged."""
        return any((self.path / name).exists() for name in (_CHECKPOINT, _PREVIOUS))

    def load_checkpoint(
        self, fits: Callable[[Checkpoint], None] = lambda checkpoint: None
    ) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that is whole, and a message for each that was damaged; None where there is none.

        fits: raises DamagedFile for one that is not of this run. A damaged one is deleted once a good one has been
        read, so that it can never take the place of a good one.
        Raises InputError when there are checkpoints and all are damaged.
        """
        for left in self.path.glob(f".{_CHECKPOINT}.*"):  # by a process that was killed while it wrote
            left.unlink()
        damaged: list[str] = []
        for path in (self.path / _CHECKPOINT, self.path / _PREVIOUS):
            if not path.exists():
                continue
            try:
                tensors, header = read_tensors(path)
                fields = check_fields(header, CheckpointHeader, f"{path} is damaged")
                checkpoint = Checkpoint(fields.iteration, fields.seconds, tensors)
                with naming(f"{path} is damaged"):
                    fits(checkpoint)
            except InputError as error:
                damaged.append(str(error))
                continue
            if damaged:
                (self.path / _CHECKPOINT).unlink()
            return checkpoint, damaged
        if damaged:
            raise DamagedFile(f"{'; '.join(damaged)}; no good checkpoint is left: start again with --overwrite")
        return None, []

    def open_log(self) -> "Log":
        """The log, to append to."""
        return Log((self.path / LOG).open("a"))

    def trim_log(self, iterations: int) -> None:
        """Drop log lines past `iterations`, and what follows a line that a crash has cut short."""
        path = self.path / LOG
        if not path.exists():
            return
        kept = []
        for line in path.read_bytes().splitlines(keepends=True):
            try:
                entry = check_fields(parse_json(line), LogEntry)
            except ValueError:  # also of a field that is not as declared
                break
            if entry.iteration > iterations:
                break
            kept.append(line)
        write_bytes(path, b"".join(kept))


def events(run: Path) -> list[Path]:
    """The files in a run directory that TensorBoard reads."""
    return sorted((run / EVENTS).glob("events.out.tfevents.*"))


def delete_events(run: Path) -> None:
    """Delete the files in a run directory that TensorBoard reads, and their folder if nothing else is in it."""
    for path in events(run):
        path.unlink()
    folder = run / EVENTS
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def pack_state(synthetic: Synthetic, optimiser: torch.optim.Optimizer | None) -> dict[str, Tensor]:
    """The tensors of a checkpoint: the parameters of the images, and what the optimiser remembers of each."""
    return {**named("synthetic", synthetic), **(packed("optimiser", optimiser) if optimiser else {})}


def unpack_state(tensors: Mapping[str, Tensor], synthetic: Synthetic, optimiser: torch.optim.Optimizer | None) -> None:
    """The inverse of `pack_state`, in place. The tensors are copied.

    Raises DamagedFile, before anything is changed, for tensors that are not a state of these two.
    """
    state, own = part("synthetic", tensors), synthetic.state_dict()
    if state.keys() != own.keys() or not alike(own, state):
        raise DamagedFile("its tensors are not those of the images of this run")
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise DamagedFile("its images are not finite")
    if optimiser is not None:
        unpack("optimiser", optimiser, tensors)  # which checks first
    synthetic.load_state_dict(state)


def begun(
    directory: RunDirectory, identity: Mapping[str, Any], *, resume: bool, overwrite: bool
) -> dict[str, Any] | None:
    """What the run to be resumed has recorded of how it computes; None for a fresh run.

    The name of the data, which may be that of a folder, is not compared: their content is.
    A process that torchrun has started again goes on with the run that was begun before, whatever was asked.
    Raises InputError where two runs would mix: another run is there, or `identity` is not that of the run to resume.
    """
    if not directory.occupied():
        return None
    if not directory.has_run():
        raise InputError(
            f"{directory.path} has files named like those of a run, but no run.json: name another directory"
        )
    again = torchrun.mark() is not None and torchrun.restarted(directory.recorded().get("launch"))
    if overwrite and not again:
        return None
    if not resume and not again:
        raise InputError(f"{directory.path} holds another run: go on with it by --resume, or replace it by --overwrite")
    recorded = directory.recorded()
    if recorded.get("status") == IMPORTED:
        raise InputError(f"{directory.path} was imported, so there is no run to go on with: name another directory")
    place = f"{directory.path / RUN} is damaged or of another version, replace the run by --overwrite"
    check_fields(recorded, Resumable, place)
    before, now = _flat({key: recorded.get(key) for key in identity}), _flat(json.loads(json.dumps(identity)))
    if recorded["status"] != "complete":  # of those there is nothing left to compute
        check_available(Execution.from_json(recorded["execution"]))
    kept = {key: recorded[key] for key in ("status", "execution", "versions", "machine", "data")}
    different = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    if "data_sha256" not in different:  # the same images, which only have another name now
        different = [key for key in different if key != "data"]
    if different:
        changes = ", ".join(
            _CONTENT.get(key) or f"{key} was {before.get(key)!r} and is {now.get(key)!r}" for key in different
        )
        raise InputError(f"cannot resume {directory.path} under other settings: {changes}")
    return {**kept, "plugin": recorded.get("plugin")}


def _flat(identity: Mapping[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in identity.items() if key != "settings"}
    return {**identity["settings"], **rest}
