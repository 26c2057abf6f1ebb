"""Long training whose state lies in the cache, under everything that it depends on: done once, and taken up again."""

import hashlib
import json
import math
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from . import cache
from .atomic import LOCK
from .engine import Engine
from .errors import InputError, Stopped, reason
from .files import read_tensors, write_tensors
from .locks import locked
from .machine import versions
from .streams import Streams
from .types import ImageSet

KEPT_EVERY = 30.0  # seconds after which a training that goes on is written to the cache


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
        state = self.processes.agreed(self._read)
        if state is not None:
            training.done = int(state.pop("done"))
            training.restore(state)

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

    def _read(self) -> dict[str, Tensor] | None:
        if not self.path.exists():
            return None
        try:
            state, key = read_tensors(self.path)
        except InputError:  # damaged: it is only worth its time
            self.path.unlink()
            return None
        return state if key == self.key and "done" in state else None

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
    """The inverse of `packed`, in place. The tensors may be shared: they are copied."""
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in tensors.items():
        if full.startswith(f"{name}."):
            index, key = full.removeprefix(f"{name}.").split(".", 1)
            state.setdefault(int(index), {})[key] = tensor.clone()
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `name` and a dot, without it."""
    return {full.removeprefix(f"{name}."): tensor for full, tensor in tensors.items() if full.startswith(f"{name}.")}
