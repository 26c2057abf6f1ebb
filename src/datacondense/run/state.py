"""All that an iteration changes, as tensors by name, and the undo point to which it can be set back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from ..methods import Method, Problem
from ..synthetic.parameters import Synthetic
from ..training.cached import alike, named, optimiser_state, packed, part
from ..utils.errors import DamagedFile, InputError
from ..utils.streams import Streams
from .updates import IMAGES, Updates

_copy_each: Any = vars(torch)["_foreach_copy_"]  # undocumented, as all of PyTorch's operations on lists


@final
@dataclass(frozen=True)
class RunState:
    """Images, state of the method, and optimisers."""

    synthetic: Synthetic
    method: nn.Module | None
    """Module that `Method.state` has returned."""
    optimisers: Mapping[str, torch.optim.Optimizer]

    def tensors(self) -> dict[str, Tensor]:
        """Return the current tensors, not copies, by the names that they have in a checkpoint.

        They are `synthetic.NAME`, `state.NAME`, `optimiser.INDEX.NAME` for the optimiser of the images, and
        `optimisers.OPTIMISER.INDEX.NAME` for every other.
        """
        tensors = named("synthetic", self.synthetic)
        if self.method is not None:
            tensors |= named("state", self.method)
        for name, optimiser in self.optimisers.items():
            tensors |= packed(_prefix(name), optimiser)
        return tensors

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore everything in place from copies of the tensors of `tensors`; drop all gradients.

        Raises DamagedFile, before anything is changed, for tensors that do not fit.
        """
        images, own = part("synthetic", tensors), self.synthetic.state_dict()
        if images.keys() != own.keys() or not alike(own, images):
            raise DamagedFile("its tensors are not those of the images of this run")
        if not all(bool(torch.isfinite(tensor).all()) for tensor in images.values()):
            raise DamagedFile("its images are not finite")
        kept = part("state", tensors)
        own = {} if self.method is None else self.method.state_dict()
        if kept.keys() != own.keys() or not alike(own, kept):
            raise DamagedFile("its tensors are not those of the state of this method")
        contents = {name: optimiser_state(_prefix(name), one, tensors) for name, one in self.optimisers.items()}
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict({**optimiser.state_dict(), "state": contents[name]})
            optimiser.zero_grad()
        self.synthetic.load_state_dict(images)
        if self.method is not None:
            self.method.load_state_dict(kept)


@final
class UndoPoint:
    """A copy of a state, in buffers that every iteration uses again."""

    def __init__(self, state: RunState) -> None:
        self.state = state
        self.tensors: dict[str, Tensor] = {}

    def set(self) -> None:
        """Copy the state as it is now.

        Buffers are allocated where there is none that fits: for all tensors the first time, and for the state of an
        optimiser after its first step.
        """
        now = self.state.tensors()
        kept = {name: tensor for name, tensor in self.tensors.items() if name in now and _fits(tensor, now[name])}
        self.tensors = {name: kept[name] if name in kept else torch.empty_like(now[name]) for name in now}
        alike_ones: dict[tuple[torch.device, torch.dtype], list[str]] = {}  # one launch on a GPU copies all of a kind
        for name, tensor in now.items():
            alike_ones.setdefault((tensor.device, tensor.dtype), []).append(name)
        with torch.no_grad():
            for names in alike_ones.values():
                _copy_each([self.tensors[name] for name in names], [now[name] for name in names])

    def undo(self) -> None:
        """Set the state back to the copy."""
        self.state.load(self.tensors)


def begin(method: Method, problem: Problem, synthetic: Synthetic, streams: Streams) -> tuple[RunState, Updates]:
    """Return the state before the first iteration, and the updates by its optimisers."""
    module: Any = method.state(problem, streams)
    if not (module is None or isinstance(module, nn.Module)):
        raise InputError(f"{type(method).__name__}.state must return a torch.nn.Module or None, not {module!r}")
    updates = Updates(method, problem, synthetic, module)
    return RunState(synthetic, module, updates.optimisers), updates


def _prefix(optimiser: str) -> str:
    """Return the beginning of the names of an optimiser's tensors."""
    return "optimiser" if optimiser == IMAGES else f"optimisers.{optimiser}"


def _fits(kept: Tensor, now: Tensor) -> bool:
    return (kept.shape, kept.dtype, kept.device) == (now.shape, now.dtype, now.device)
