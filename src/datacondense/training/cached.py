"""Long training whose state lies in the cache, under everything that it depends on: done once, and taken up again."""

import hashlib
import json
import math
import re
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..utils import cache
from ..utils.atomic import LOCK
from ..utils.errors import DamagedFile, InputError, Stopped, reason
from ..utils.files import read_tensors, write_tensors
from ..utils.hardware import versions
from ..utils.locks import locked
from ..utils.streams import Streams

KEPT_EVERY = 30.0  # seconds after which a training that goes on is written to the cache
_ADAM = {"step", "exp_avg", "exp_avg_sq"}
_REMEMBERED = {torch.optim.SGD: {"momentum_buffer"}, torch.optim.Adam: _ADAM, torch.optim.AdamW: _ADAM}
"""What optimisers remember of each parameter; others may remember anything."""


class Steps(Protocol):
    """A training in steps that can be put down between two of them."""

    done: int
    """Steps that are done."""
    steps: int
    """Of so many."""

    def step(self) -> None:
        """Make one more."""
        ...

    def state(self) -> dict[str, Tensor]:
        """All that `restore` goes on from, but the number of steps."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where `state` was taken, bit for bit."""
        ...


@final
class Kept:
    """The place of a training in the cache: what it learns from, its random numbers, how it computes, and `what` it is.

    eager: nothing of it is compiled or goes through the engine in chunks, so that only device and threads count.
    """

    def __init__(
        self,
        folder: str,
        real: ImageSet,
        streams: Streams,
        engine: Engine,
        what: Mapping[str, Any],
        *,
        eager: bool = False,
    ) -> None:
        execution = engine.execution.to_json()
        # Chunks too are left out: they follow from the rest, or are what was left of memory when the run went on.
        counting = ("device", "threads") if eager else execution.keys() - {"classes_at_once", "chunk"}
        key = {
            **what,
            "data_sha256": real.fingerprint(),
            "seed": [streams.seed, *streams.position],
            "execution": {name: execution[name] for name in sorted(counting)},
            "processes": engine.processes.size,
            "versions": versions(),
        }
        self.folder = folder
        self.key = json.loads(json.dumps(key))
        self.engine = engine
        self.processes = engine.processes
        self.written = time.perf_counter()

    @property
    def path(self) -> Path:
        """The file, named by a digest of the key."""
        digest = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()
        return cache.folder() / self.folder / f"{digest}.safetensors"

    def take_up(self, training: Steps) -> None:
        """Go on from what the cache has, on all processes from what the leading one's has."""
        state = self.processes.agreed(lambda: self._read(training))
        if state is None:
            return
        done, fresh = training.done, {name: tensor.clone() for name, tensor in training.state().items()}
        training.done = int(state.pop("done"))
        try:
            training.restore(state)
        except (LookupError, ValueError, RuntimeError):  # tensors that do not fit: it is only worth its time
            training.done = done
            training.restore(fresh)

    def finish(self, training: Steps, tell: Callable[[int], None]) -> None:
        """Take a training up, and make all steps that are left. tell: told after each how many are done.

        While another process makes them, this one waits. Raises Stopped where the user or the time budget ends the
        work; the steps that are done are kept then.
        """
        self.take_up(training)
        if training.done < training.steps:
            with ExitStack() as stack:
                self.processes.agreed(lambda: self._lock(stack))
                self.take_up(training)  # it may have gone on meanwhile
                self._go_on(training, tell)
        if self.processes.size > 1:  # each might have rounded otherwise
            training.restore(self.processes.agreed(lambda: {name: t.cpu() for name, t in training.state().items()}))

    def _go_on(self, training: Steps, tell: Callable[[int], None]) -> None:
        kept = training.done
        try:
            while training.done < training.steps:
                self.engine.pause()
                training.step()
                training.done += 1
                due = training.done == training.steps or time.perf_counter() - self.written > KEPT_EVERY
                if due and self.processes.leads:
                    self._write(training)
                    kept = training.done
                tell(training.done)
        except Stopped:
            if training.done > kept and self.processes.leads:
                self._write(training)
            raise

    def _lock(self, stack: ExitStack) -> None:
        """Wait until no other process is at this training."""
        told = False

        def waiting() -> None:
            nonlocal told
            if not told:
                warnings.warn("another process trains what this one needs: waiting for it", stacklevel=2)
            told = True
            if self.processes.size == 1:
                self.engine.pause()

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.with_name(f".{self.path.stem}{LOCK}")
            stack.enter_context(locked(file, self.path, wait=math.inf, stop=waiting, cached=True))
        except OSError:  # a cache that cannot be written only costs time
            return

    def seconds_left(self, training: Steps, seconds: float) -> float:
        """How long `finish` would take, by making steps for `seconds`, two at least, which are not kept."""
        self.take_up(training)
        left = training.steps - training.done
        if not left:
            return 0.0
        training.step()  # compiles
        training.done += 1
        began, made = time.perf_counter(), 0
        while training.done < training.steps and (not made or time.perf_counter() - began < seconds):
            training.step()
            training.done += 1
            made += 1
        return (time.perf_counter() - began) / made * left if made else 0.0

    def _read(self, training: Steps) -> dict[str, Tensor] | None:
        """Return what the cache has; None for nothing, and for what cannot be a state of `training`."""
        if not self.path.exists():
            return None
        try:
            state, key = read_tensors(self.path)
        except InputError:  # damaged: it is only worth its time
            self.path.unlink()
            return None
        if key != self.key or "done" not in state or state["done"].shape or state["done"].dtype != torch.int64:
            return None
        fit = alike(training.state(), state) and 0 <= int(state["done"]) <= training.steps
        return state if fit else None

    def _write(self, training: Steps) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(self.path, {"done": torch.tensor(training.done), **training.state()}, self.key)
            self.written = time.perf_counter()
        except (OSError, InputError) as error:  # a cache only saves time
            warnings.warn(f"not kept in the cache, and so made again the next time: {reason(error)}", stacklevel=2)


def named(name: str, module: nn.Module) -> dict[str, Tensor]:
    """The state of a module as tensors whose names begin with `name`."""
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def packed(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimiser remembers of each of its parameters, as tensors whose names begin with `name`."""
    state = optimiser.state_dict()["state"].items()
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value)
        for index, values in state
        for key, value in values.items()
        if value is not None
    }


def unpack(name: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """The inverse of `packed`, in place. The tensors may be shared: they are copied.

    Raises DamagedFile for tensors that this optimiser cannot have remembered.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in part(name, tensors).items():
        index, _, key = full.partition(".")
        state.setdefault(int(index) if re.fullmatch("[0-9]{1,9}", index) else -1, {})[key] = tensor.clone()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    for index, remembered in state.items():
        if not 0 <= index < len(parameters):
            raise DamagedFile(f"its optimiser remembers more than {len(parameters)} tensors")
        if remembered.keys() != _REMEMBERED.get(type(optimiser), remembered.keys()):
            raise DamagedFile(f"its optimiser, {type(optimiser).__name__}, remembers {', '.join(sorted(remembered))}")
        for key, tensor in remembered.items():
            whole = tensor.shape == parameters[index].shape and tensor.dtype == parameters[index].dtype
            number = key == "step" and not tensor.shape and bool(tensor >= 0)
            if type(optimiser) in _REMEMBERED and not (number if key == "step" else whole):
                raise DamagedFile(f"what its optimiser remembers as {key} is of shape {tuple(tensor.shape)}")
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def alike(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> bool:
    """Return whether all `expected` tensors are in `found`, with the same shapes and dtypes."""
    return all(
        name in found and (found[name].shape, found[name].dtype) == (tensor.shape, tensor.dtype)
        for name, tensor in expected.items()
    )


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `name` and a dot, without it."""
    return {full.removeprefix(f"{name}."): tensor for full, tensor in tensors.items() if full.startswith(f"{name}.")}
