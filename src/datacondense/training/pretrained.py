"""A network that has learned all real images, and how often it forgot each: trained once, and kept in the cache."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from .. import networks
from ..augment import Augmentation
from ..data.image_set import Examples, ImageSet, LabelledImages
from ..engine.engine import Engine
from ..networks import Network
from ..utils.errors import Stopped
from ..utils.streams import Streams
from .cached import Kept
from .loop import Recipe, Training

_TIMED_IMAGES, _TIMED_SECONDS = 1024, 3.0  # on which the pace of training is measured, and for how long


@final
@dataclass(frozen=True)
class Trained:
    """A network after its last epoch on a set of N images."""

    network: Network
    """Frozen, in evaluation mode."""
    forgotten: Tensor
    """(N,), on the CPU: in how many epochs an image was wrong that had been right in the epoch before, each at the step
    that was made on it (Toneva et al. 2019). One that never was right counts as forgotten in every epoch."""


@final
class ForgettingEvents:
    """Counts the forgetting events of N images while a network learns them."""

    def __init__(self, images: int) -> None:
        self.right = torch.zeros(images, dtype=torch.bool)
        self.ever = torch.zeros(images, dtype=torch.bool)
        self.events = torch.zeros(images, dtype=torch.int64)

    def count(self, index: Tensor, right: Tensor) -> None:
        """The images at `index` (n,) have been classified; right: (n,), whether correctly."""
        self.events[index] += self.right[index] & ~right
        self.right[index] = right
        self.ever[index] |= right

    def state(self) -> dict[str, Tensor]:
        """What `restore` goes on from."""
        return {"right": self.right, "ever": self.ever, "events": self.events}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on from where `state` was taken."""
        self.right, self.ever, self.events = (state[name].clone() for name in ("right", "ever", "events"))


@final
@dataclass(frozen=True, kw_only=True)
class Learning:
    """A network that is to learn all of `real` as `recipe` says, and what the cache has of it.

    augment: what `recipe.augment` names. Processes that share the work train together.
    """

    real: ImageSet
    arch: str
    recipe: Recipe
    augment: Augmentation
    streams: Streams
    engine: Engine

    def finished(self, tell: Callable[[float, str], None]) -> Trained:
        """The network, from the cache where it has been trained before, or as far as that was interrupted.

        tell: told which part of the training is done, and what it is.
        """
        epochs = _Epochs(self, tell)
        self._kept().finish(epochs, lambda done: None)
        forgetting = epochs.forgetting
        forgotten = torch.where(forgetting.ever, forgetting.events, self.recipe.epochs)
        return Trained(epochs.training.network.eval().requires_grad_(False), forgotten)

    def seconds_left(self) -> float:
        """How long `finished` would take, by training some steps that are not kept; 0 where all is in the cache."""
        epochs = _Epochs(self, lambda done, what: None)
        self._kept().take_up(epochs)
        left = epochs.steps - epochs.done
        if not left:
            return 0.0
        some = torch.arange(min(_TIMED_IMAGES, len(self.real)))
        rehearsal = self.training(LabelledImages(*self.real.batch(some), self.real.spec))
        rehearsal.epoch()  # compiles
        began, rehearsed = time.perf_counter(), 0
        while not rehearsed or time.perf_counter() - began < _TIMED_SECONDS:
            rehearsal.epoch()
            rehearsed += 1
        return (time.perf_counter() - began) / (rehearsed * len(some)) * len(self.real) * left

    def training(self, examples: Examples) -> Training:
        """The training from its first epoch, on these images."""
        network = self.engine.prepare(networks.build(self.arch, examples.spec))
        return Training(network, examples, self.streams.at("whole"), self.engine, self.recipe, augment=self.augment)

    def _kept(self) -> Kept:
        what = {"arch": self.arch, "recipe": self.recipe.to_json()}
        return Kept("networks", self.real, self.streams, self.engine, what)


@final
class _Epochs:
    """The epochs of a training, and what the network forgets in them."""

    def __init__(self, learning: Learning, tell: Callable[[float, str], None]) -> None:
        self.real = learning.real
        self.what = f"{learning.arch} learns the {len(learning.real)} real images"
        self.training = learning.training(learning.real)
        self.forgetting = ForgettingEvents(len(learning.real))
        self.tell = tell
        self.done = 0
        self.steps = learning.recipe.epochs

    def step(self) -> None:
        labels, seen = self.real.labels.cpu(), self.done * len(self.real)

        def count(index: Tensor, said: Tensor) -> None:
            nonlocal seen
            self.forgetting.count(index, said.cpu() == labels[index])
            seen += len(index)
            self.tell(seen / (len(self.real) * self.steps), self.what)

        before = {name: tensor.clone() for name, tensor in self.state().items()}
        try:
            self.training.epoch(count)
        except Stopped:  # in the middle of it: what is kept is as it was before
            self.restore(before)
            raise

    def state(self) -> dict[str, Tensor]:
        return {**self.training.state(), **self.forgetting.state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.training.restore(state)
        self.forgetting.restore(state)
