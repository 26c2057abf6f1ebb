"""A network that has learned all real images, and how often it forgot each: trained once, and kept in the cache."""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import final

import torch
from torch import Tensor

from . import networks
from .augment import Augmentation
from .engine import Engine
from .kept_training import Kept
from .machine import versions
from .networks import Network
from .streams import Streams
from .training import Recipe, Training
from .types import Examples, ImageSet, LabelledImages

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


def trained_on(
    real: ImageSet,
    arch: str,
    recipe: Recipe,
    augment: Augmentation,
    streams: Streams,
    engine: Engine,
    tell: Callable[[float, str], None],
) -> Trained:
    """A network that was trained on all of `real` as `recipe` says, from the cache where it has been before.

    augment: what `recipe.augment` names. tell: told which part of the training is done, and what it is.
    A training that was interrupted goes on from what the cache has of it. Processes that share the work train together.
    """
    learning = _Learning(real, arch, recipe, augment, streams, engine, tell)
    _kept(learning, streams).finish(learning, lambda done: None)
    forgetting = learning.forgetting
    forgotten = torch.where(forgetting.ever, forgetting.events, recipe.epochs)
    return Trained(learning.training.network.eval().requires_grad_(False), forgotten)


def seconds_left(
    real: ImageSet, arch: str, recipe: Recipe, augment: Augmentation, streams: Streams, engine: Engine
) -> float:
    """How long `trained_on` would take, by training some steps that are not kept; 0 where it finds all in the cache."""
    learning = _Learning(real, arch, recipe, augment, streams, engine, lambda done, what: None)
    _kept(learning, streams).take_up(learning)
    left = learning.steps - learning.done
    if not left:
        return 0.0
    some = torch.arange(min(_TIMED_IMAGES, len(real)))
    examples = LabelledImages(*real.batch(some), real.spec)
    rehearsal = _training(examples, arch, recipe, augment, streams, engine)
    rehearsal.epoch()  # compiles
    began, epochs = time.perf_counter(), 0
    while not epochs or time.perf_counter() - began < _TIMED_SECONDS:
        rehearsal.epoch()
        epochs += 1
    return (time.perf_counter() - began) / (epochs * len(some)) * len(real) * left


@final
class _Learning:
    """A training, a step of which is an epoch, and what the network forgets in it."""

    def __init__(
        self,
        real: ImageSet,
        arch: str,
        recipe: Recipe,
        augment: Augmentation,
        streams: Streams,
        engine: Engine,
        tell: Callable[[float, str], None],
    ) -> None:
        self.real = real
        self.arch = arch
        self.engine = engine
        self.training = _training(real, arch, recipe, augment, streams, engine)
        self.forgetting = ForgettingEvents(len(real))
        self.tell = tell
        self.done = 0
        self.steps = recipe.epochs

    def step(self) -> None:
        labels, seen = self.real.labels.cpu(), self.done * len(self.real)

        def count(index: Tensor, said: Tensor) -> None:
            nonlocal seen
            self.forgetting.count(index, said.cpu() == labels[index])
            seen += len(index)
            what = f"{self.arch} learns the {len(self.real)} real images"
            self.tell(seen / (len(self.real) * self.steps), what)

        self.training.epoch(count)

    def state(self) -> dict[str, Tensor]:
        return {**self.training.state(), **self.forgetting.state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.training.restore(state)
        self.forgetting.restore(state)


def _kept(learning: _Learning, streams: Streams) -> Kept:
    execution = learning.engine.execution.to_json()
    del execution["classes_at_once"]  # has no part in training
    key = {
        "data_sha256": learning.real.fingerprint(),
        "arch": learning.arch,
        "recipe": asdict(learning.training.recipe),
        "seed": [streams.seed, *streams.position],
        "execution": execution,
        "processes": learning.engine.processes.size,
        "versions": versions(),
    }
    return Kept("networks", key, learning.engine.processes)


def _training(
    examples: Examples, arch: str, recipe: Recipe, augment: Augmentation, streams: Streams, engine: Engine
) -> Training:
    network = engine.prepare(networks.build(arch, examples.spec))
    return Training(network, examples, streams.at("whole"), engine, recipe, augment=augment)
