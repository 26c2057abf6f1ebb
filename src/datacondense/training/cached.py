"""Run long training once: cache its state under a key of everything that it depends on, and resume it."""

import hashlib
import json
import math
import re
import statistics
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol, final

import torch
from torch import Tensor, nn

from ..engine.engine import Engine
from ..utils import cache
from ..utils.atomic import LOCK
from ..utils.errors import DamagedFile, InputError, Stopped, reason
from ..utils.files import read_cached_tensors, write_tensors
from ..utils.hardware import versions
from ..utils.locks import locked
from ..utils.streams import Streams

SAVE_EVERY = 30.0  # seconds between two writes of a running training to the cache
_FEWEST_TIMED = 3  # steps of an estimate
_ADAM = {"step", "exp_avg", "exp_avg_sq"}
_AMSGRAD = {"max_exp_avg_sq"}
_OPTIMISER_STATE: dict[type[torch.optim.Optimizer], set[str]] = {
    torch.optim.SGD: {"momentum_buffer"},
    torch.optim.Adam: _ADAM,
    torch.optim.AdamW: _ADAM,
}
"""Tensors that known optimisers store for each parameter; other optimisers may store any."""


class Fingerprinted(Protocol):
    """Images that a training learns, known by their content."""

    def fingerprint(self) -> str:
        """Return a digest of images and labels."""
        ...


class Steps(Protocol):
    """A training in steps that can be saved and resumed between two steps."""

    done: int
    """Steps that are done."""
    steps: int
    """Steps in all."""

    def step(self) -> None:
        """Make one more step."""
        ...

    def state(self) -> dict[str, Tensor]:
        """Return the state that `restore` needs besides the number of steps."""
        ...

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from `state`, bit for bit."""
        ...


@final
class TrainingCache:
    """The cache entry of a training, under a key of everything that it depends on.

    Args:
        folder: The folder of the cache.
        real: The training images.
        streams: Its random numbers.
        engine: How it computes.
        key: The training itself, as JSON values: architecture, recipe; None for a training that is not cached.
        eager: True if nothing is compiled or passes the engine in chunks, so that the result depends only on device and
            threads, and on a GPU on the precision.
    """

    def __init__(
        self,
        folder: str,
        real: Fingerprinted,
        streams: Streams,
        engine: Engine,
        key: Mapping[str, Any] | None,
        *,
        eager: bool = False,
    ) -> None:
        execution = engine.execution.to_json()
        # Chunks are left out too: they follow from the rest, or from the memory left when the run was resumed.
        few = {"device", "threads"} | ({"precision"} if engine.device.type == "cuda" else set[str]())
        relevant = few if eager else execution.keys() - {"classes_at_once", "chunk"}
        full_key = {
            **(key or {}),
            "data_sha256": real.fingerprint(),
            "seed": [streams.seed, *streams.position],
            "execution": {name: execution[name] for name in sorted(relevant)},
            "processes": engine.processes.size,
            "versions": versions(),
        }
        self.cached = key is not None
        self.folder = folder
        self.key = json.loads(json.dumps(full_key))
        self.engine = engine
        self.processes = engine.processes
        self.written = time.perf_counter()  # of the last write, or try of one

    @property
    def path(self) -> Path:
        """Path of the file, named by a digest of the key."""
        digest = hashlib.sha256(json.dumps(self.key, sort_keys=True).encode()).hexdigest()
        return cache.folder() / self.folder / f"{digest}.safetensors"

    def resume(self, training: Steps) -> None:
        """Resume a training from the cache, all processes from the state that the leading one reads."""
        state = self.processes.agreed(lambda: self._read(training))
        if state is None:
            return
        done, fresh = training.done, {name: tensor.clone() for name, tensor in training.state().items()}
        training.done = int(state.pop("done"))
        try:
            training.restore(state)
        except (LookupError, ValueError, RuntimeError):  # tensors that do not fit: it is trained again
            training.done = done
            training.restore(fresh)

    def finish(self, training: Steps, report: Callable[[int], None]) -> None:
        """Resume a training and run all remaining steps. Waits while another process runs them.

        Args:
            training: Changed in place.
            report: Called after each step with the number of steps done.

        Raises:
            Stopped: The user or the time budget ended the work; finished steps are saved.
        """
        self.resume(training)
        if training.done < training.steps:
            with ExitStack() as stack:
                self.processes.agreed(lambda: self._lock(stack))
                self.resume(training)  # another process may have made steps meanwhile
                self._run(training, report)
        if self.processes.size > 1:  # each might have rounded differently
            training.restore(self.processes.agreed(lambda: {name: t.cpu() for name, t in training.state().items()}))

    def _run(self, training: Steps, report: Callable[[int], None]) -> None:
        saved = training.done
        try:
            while training.done < training.steps:
                self.engine.pause()
                training.step()
                training.done += 1
                due = training.done == training.steps or time.perf_counter() - self.written > SAVE_EVERY
                if due and self.processes.leads:
                    self._write(training)
                    saved = training.done
                report(training.done)
        except Stopped:
            if training.done > saved and self.processes.leads:
                self._write(training)
            raise

    def _lock(self, stack: ExitStack) -> None:
        """Wait until no other process runs this training."""
        if not self.cached:
            return
        warned = False

        def waiting() -> None:
            nonlocal warned
            if not warned:
                warnings.warn("another process trains what this one needs: waiting for it", stacklevel=2)
            warned = True
            if self.processes.size == 1:
                self.engine.pause()

        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = self.path.with_name(f".{self.path.stem}{LOCK}")
            stack.enter_context(locked(file, self.path, wait=math.inf, stop=waiting, cached=True))
        except OSError:  # a cache that cannot be written only costs time
            return

    def seconds_left(self, training: Steps, seconds: float) -> float:
        """Estimate the seconds of `finish` by the median of steps in `seconds`, at least three; they are not saved.

        Steps that compile, for a new augmentation such as a new shape, take many times as long as the others.
        """
        self.resume(training)
        left = training.steps - training.done
        if not left:
            return 0.0
        training.step()  # compiles
        training.done += 1
        times: list[float] = []
        while training.done < training.steps and (len(times) < _FEWEST_TIMED or sum(times) < seconds):
            began = time.perf_counter()
            training.step()
            training.done += 1
            times.append(time.perf_counter() - began)
        return statistics.median(times) * left if times else 0.0

    def _read(self, training: Steps) -> dict[str, Tensor] | None:
        """Return the cached state; None without one, or if it does not fit `training`."""
        found = read_cached_tensors(self.path) if self.cached else None
        if found is None:
            return None
        state, key = found
        if key != self.key or "done" not in state or state["done"].shape or state["done"].dtype != torch.int64:
            return None
        fit = alike(training.state(), state) and 0 <= int(state["done"]) <= training.steps
        return state if fit else None

    def _write(self, training: Steps) -> None:
        if not self.cached:
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(self.path, {"done": torch.tensor(training.done), **training.state()}, self.key)
        except (OSError, InputError) as error:  # a cache only saves time
            warnings.warn(f"not written to the cache, so the next run trains again: {reason(error)}", stacklevel=2)
        self.written = time.perf_counter()


def named(name: str, module: nn.Module) -> dict[str, Tensor]:
    """Return the state of a module as tensors whose names begin with `name`."""
    return {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}


def packed(name: str, optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the state of an optimiser as tensors whose names begin with `name`."""
    state = optimiser.state_dict()["state"].items()
    return {
        f"{name}.{index}.{key}": torch.as_tensor(value)
        for index, values in state
        for key, value in values.items()
        if value is not None
    }


def unpack(name: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Load the state that `packed` returned into an optimiser. The tensors may be shared: they are copied.

    Raises DamagedFile for tensors that do not fit this optimiser.
    """
    optimiser.load_state_dict({**optimiser.state_dict(), "state": optimiser_state(name, optimiser, tensors)})


def optimiser_state(
    name: str, optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> dict[int, dict[str, Tensor]]:
    """Return copies of the tensors of `packed` by number of the parameter.

    Raises DamagedFile for tensors that do not fit this optimiser.
    """
    state: dict[int, dict[str, Tensor]] = {}
    for full, tensor in part(name, tensors).items():
        index, _, key = full.partition(".")
        state.setdefault(int(index) if re.fullmatch("[0-9]{1,9}", index) else -1, {})[key] = tensor.clone()
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    expected = _expected_state(optimiser)
    for index, tensors_kept in state.items():
        if not 0 <= index < len(parameters):
            raise DamagedFile(f"its optimiser stores more than {len(parameters)} tensors")
        if tensors_kept.keys() != expected.get(index, tensors_kept.keys()):
            raise DamagedFile(f"its optimiser, {type(optimiser).__name__}, stores {', '.join(sorted(tensors_kept))}")
        for key, tensor in tensors_kept.items():
            whole = tensor.shape == parameters[index].shape and tensor.dtype == parameters[index].dtype
            number = key == "step" and not tensor.shape and bool(tensor >= 0)
            if type(optimiser) in _OPTIMISER_STATE and not (number if key == "step" else whole):
                raise DamagedFile(f"the state {key} of its optimiser has shape {tuple(tensor.shape)}")
    return state


def _expected_state(optimiser: torch.optim.Optimizer) -> dict[int, set[str]]:
    """Return the names of the tensors for each parameter of a known optimiser; of any other nothing."""
    names = _OPTIMISER_STATE.get(type(optimiser))
    if names is None:
        return {}
    groups = optimiser.param_groups
    each = [names | _AMSGRAD if group.get("amsgrad") else names for group in groups for _ in group["params"]]
    return dict(enumerate(each))


def alike(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> bool:
    """Return whether all `expected` tensors are in `found`, with the same shapes and dtypes."""
    return all(
        name in found and (found[name].shape, found[name].dtype) == (tensor.shape, tensor.dtype)
        for name, tensor in expected.items()
    )


def part(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors whose names begin with `name` and a dot, without this prefix."""
    return {full.removeprefix(f"{name}."): tensor for full, tensor in tensors.items() if full.startswith(f"{name}.")}
