"""Train a network once on all real images, count the forgetting events of each image, and cache both."""

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
from .cache_keys import with_code
from .cached import TrainingCache
from .loop import Training
from .recipe import Recipe

_TIMED_IMAGES, _TIMED_SECONDS = 1024, 3.0  # on which the speed of training is measured, and for how long


@final
@dataclass(frozen=True)
class PretrainedNetwork:
    """A network after its last epoch on a set of N images."""

    network: Network
    """Frozen, in evaluation mode."""
    forgotten: Tensor
    """Forgetting events of each image (Toneva et al. 2019), (N,), on the CPU: the number of epochs in which it was
    misclassified after being classified correctly in the epoch before, each at the step made on it. An image that was
    never classified correctly counts as forgotten in every epoch."""


@final
class ForgettingEvents:
    """Counts the forgetting events of N images while a network learns them."""

    def __init__(self, images: int) -> None:
        self.right = torch.zeros(images, dtype=torch.bool)
        self.ever = torch.zeros(images, dtype=torch.bool)
        self.events = torch.zeros(images, dtype=torch.int64)

    def count(self, index: Tensor, right: Tensor) -> None:
        """Count the images at `index` (n,), classified correctly or not, `right` (n,)."""
        self.events[index] += self.right[index] & ~right
        self.right[index] = right
        self.ever[index] |= right

    def state(self) -> dict[str, Tensor]:
        """Return the state that `restore` needs."""
        return {"right": self.right, "ever": self.ever, "events": self.events}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from `state`."""
        self.right, self.ever, self.events = (state[name].clone() for name in ("right", "ever", "events"))


@final
@dataclass(frozen=True, kw_only=True)
class Pretraining:
    """The training of a network on all of `real`, resumed from the cache.

    augment: the augmentation that `recipe.augment` names. Processes that share the work train together.
    """

    real: ImageSet
    arch: str
    recipe: Recipe
    augment: Augmentation
    streams: Streams
    engine: Engine

    def finish(self, report: Callable[[float, str], None]) -> PretrainedNetwork:
        """Train the network, or read it from the cache; an interrupted training is resumed.

        report: called with the fraction done and the name of the work.
        """
        training = _PretrainingSteps(self, report)
        self._cache().finish(training, lambda done: None)
        forgetting = training.forgetting
        forgotten = torch.where(forgetting.ever, forgetting.events, self.recipe.epochs)
        return PretrainedNetwork(training.training.finish().requires_grad_(False), forgotten)

    def seconds_left(self) -> float:
        """Estimate the seconds of `finish` by training steps that are not saved; 0 if the cache has the network."""
        training = _PretrainingSteps(self, lambda done, what: None)
        self._cache().resume(training)
        left = training.steps - training.done
        if not left:
            return 0.0
        some = torch.arange(min(_TIMED_IMAGES, len(self.real)))
        trial = self.training(LabelledImages(*self.real.batch(some), self.real.spec))
        trial.epoch()  # compiles
        began, timed = time.perf_counter(), 0
        while not timed or time.perf_counter() - began < _TIMED_SECONDS:
            trial.epoch()
            timed += 1
        return (time.perf_counter() - began) / (timed * len(some)) * len(self.real) * left

    def training(self, examples: Examples) -> Training:
        """Return the training from its first epoch, on these images."""
        network = self.engine.prepare(networks.build(self.arch, examples.spec))
        return Training(network, examples, self.streams.at("whole"), self.engine, self.recipe, augment=self.augment)

    def _cache(self) -> TrainingCache:
        key = {"arch": self.arch, "recipe": self.recipe.to_json()}
        full = with_code(key, [self.arch], [self.recipe.loss])
        return TrainingCache("networks", self.real, self.streams, self.engine, full)


@final
class _PretrainingSteps:
    """The epochs of a training, each a step, with the forgetting events in them."""

    def __init__(self, pretraining: Pretraining, report: Callable[[float, str], None]) -> None:
        self.real = pretraining.real
        self.what = f"{pretraining.arch} learns the {len(pretraining.real)} real images"
        self.training = pretraining.training(pretraining.real)
        self.forgetting = ForgettingEvents(len(pretraining.real))
        self.report = report
        self.done = 0
        self.steps = pretraining.recipe.epochs

    def step(self) -> None:
        labels, seen = self.real.labels.cpu(), self.done * len(self.real)
        if not seen:
            self.report(0.0, self.what)

        def count(index: Tensor, predictions: Tensor) -> None:
            nonlocal seen
            self.forgetting.count(index, predictions.cpu() == labels[index])
            seen += len(index)
            self.report(seen / (len(self.real) * self.steps), self.what)

        before = {name: tensor.clone() for name, tensor in self.state().items()}
        try:
            self.training.epoch(count)
        except Stopped:  # within an epoch: the state before it is saved
            self.restore(before)
            raise

    def state(self) -> dict[str, Tensor]:
        return {**self.training.state(), **self.forgetting.state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.training.restore(state)
        self.forgetting.restore(state)
