"""Trajectories: the weights of a network at several moments of its training on all real images, in the cache."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, TypeAlias, final

import torch
from msgspec import Meta
from torch import Tensor

from ..augment import Augmentation
from ..data.image_set import ImageSet
from ..engine.engine import Engine
from ..networks import Network
from ..utils.errors import DamagedFile, Diverged, Stopped
from ..utils.ranges import Batch, Momentum, Penalty, Rate
from ..utils.streams import Streams
from .cache_keys import with_code
from .cached import TrainingCache, alike, named, packed, part, unpack
from .loop import train_step
from .optimiser import build_optimiser
from .schedule import learning_rate

Weights: TypeAlias = dict[str, Tensor]
"""Name -> tensor of the state of a network: weights and buffers."""
Steps: TypeAlias = Annotated[int, Meta(ge=1, le=10**6)]
"""Steps of a training on real images."""

MOMENTS = (1 / 160, 1 / 80, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4, 1.0)
"""Fractions of a training after which weights are kept: the early steps change a network most."""


@final
@dataclass(frozen=True, kw_only=True)
class TrajectoryRecipe:
    """The training of a network on real images, whose weights are kept at several moments.

    SGD on batches that are drawn from all real images with replacement; the learning rate falls to 0 on half a cosine.
    """

    steps: Steps = 500
    """Steps of the training."""
    batch: Batch = 128
    """Real images in a step."""
    lr: Rate = 0.02
    """Learning rate of the first step."""
    momentum: Momentum = 0.9
    weight_decay: Penalty = 5e-4
    moments: tuple[Annotated[float, Meta(gt=0, le=1)], ...] = MOMENTS
    """Fractions of the steps, above 0, after which the weights are kept; the last step is one of them in any case."""

    def kept_steps(self) -> tuple[int, ...]:
        """Return the distinct numbers of steps, at least 1, after which the weights are kept, in order."""
        return tuple(sorted({max(round(moment * self.steps), 1) for moment in (*self.moments, 1.0)}))


@final
@dataclass(frozen=True)
class Trajectory:
    """A network at M moments of its training on real images."""

    steps: tuple[int, ...]
    """Number of steps at each moment, (M,): first 0, last all."""
    weights: tuple[Weights, ...]
    """Weights and buffers at each moment, (M,), on the device of the engine; the first are fresh."""
    seconds: float
    """Seconds that the training took, over all sessions."""
    cached: float
    """Seconds of these that an earlier session spent, so that now they came from the cache."""


@final
@dataclass(frozen=True, kw_only=True)
class TrajectoryTraining:
    """The training of one trajectory, resumed from the cache. Processes that share the work train together."""

    real: ImageSet
    network: Network
    """A prepared network of `arch`. The training changes it, and leaves it frozen."""
    arch: str
    recipe: TrajectoryRecipe
    augment: Augmentation
    """The augmentation of the real images, drawn for each image."""
    streams: Streams
    """Draws weights, batches and augmentation."""
    engine: Engine

    def finish(self, report: Callable[[float], None]) -> Trajectory:
        """Train the network, or read its weights from the cache; an interrupted training is resumed.

        Args:
            report: Called after each step with the fraction done.

        Raises:
            Stopped: The user or the time budget ended the work; finished steps are saved.
            Diverged: Weights are not finite.
        """
        training = _TrajectorySteps(self)
        try:
            self._cache().finish(training, lambda done: report(done / training.steps))
        finally:
            training.close()
        kept = (0, *self.recipe.kept_steps())
        return Trajectory(kept, tuple(training.kept), training.seconds, training.seconds - training.spent)

    def seconds_left(self, seconds: float) -> tuple[int, float]:
        """Return the steps that the cache lacks, and estimate their seconds by steps that are not saved.

        Args:
            seconds: Measure for about so long, but at least two steps; 0 measures nothing.
        """
        training, cache = _TrajectorySteps(self), self._cache()
        try:
            cache.resume(training)
            left = training.steps - training.done
            return left, cache.seconds_left(training, seconds) if left and seconds else 0.0
        finally:
            training.close()

    def _cache(self) -> TrainingCache:
        key = {"arch": self.arch, "augment": str(self.augment), "recipe": asdict(self.recipe)}
        return TrainingCache("trajectories", self.real, self.streams, self.engine, with_code(key, [self.arch]))


@final
class _TrajectorySteps:
    """The steps of a training, and the weights that it has kept so far."""

    def __init__(self, training: TrajectoryTraining) -> None:
        self.training = training
        self.network = training.network
        recipe = training.recipe
        self.done, self.steps = 0, recipe.steps
        self.moments = recipe.kept_steps()
        self.seconds, self.spent = 0.0, 0.0
        self.network.reset(training.streams("network"))
        self.network.train().requires_grad_(True)
        self.sgd = build_optimiser(
            self.network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )
        self.kept = [weights_of(self.network)]

    def step(self) -> None:
        began = time.perf_counter()
        training, recipe = self.training, self.training.recipe
        for group in self.sgd.param_groups:
            group["lr"] = learning_rate(recipe.lr, "cosine", self.done, steps=self.steps, full=0, warm_up=0)
        buffers = [(buffer, buffer.clone()) for buffer in self.network.buffers()]
        streams, engine = training.streams.at(self.done), training.engine
        try:
            train_step(
                self.network, training.real, streams, engine, self.sgd, augment=training.augment, batch=recipe.batch
            )
        except Stopped:  # after a forward: the statistics before it are saved
            for buffer, before in buffers:
                buffer.copy_(before)
            raise
        if self.done + 1 in self.moments:
            self._keep()
        took = time.perf_counter() - began
        self.seconds += took
        self.spent += took

    def close(self) -> None:
        """Leave the network frozen, without gradients."""
        self.sgd.zero_grad()
        self.network.requires_grad_(False)

    def state(self) -> dict[str, Tensor]:
        network, sgd = named("network", self.network), packed("sgd", self.sgd)
        seconds = torch.tensor(self.seconds, dtype=torch.float64)
        return {"seconds": seconds, **numbered("kept", self.kept), **network, **sgd}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.seconds = float(state["seconds"])
        count = 1 + sum(moment <= self.done for moment in self.moments)
        self.kept = from_numbered("kept", state, count, self.network)
        unpack("sgd", self.sgd, state)
        self.network.load_state_dict(part("network", state))

    def _keep(self) -> None:
        """Keep the weights as they are now. Raises Diverged if they are not finite."""
        weights = weights_of(self.network)
        if not all(bool(torch.isfinite(one).all()) for one in weights.values()):  # waits for a GPU
            raise Diverged(
                f"the weights of a network are not finite after {self.done + 1} steps on the real images: "
                "use --networks fresh"
            )
        self.kept.append(weights)


def weights_of(network: Network) -> Weights:
    """Return a copy of the weights and buffers of a network."""
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def numbered(name: str, weights: Sequence[Weights]) -> dict[str, Tensor]:
    """Return the weights of several networks as tensors named NAME.NUMBER.TENSOR."""
    return {f"{name}.{number}.{key}": one for number, each in enumerate(weights) for key, one in each.items()}


def from_numbered(name: str, tensors: Mapping[str, Tensor], count: int, network: Network) -> list[Weights]:
    """Return the weights of the first `count` networks that `numbered` has named, on the device of `network`.

    Raises DamagedFile if they are not those of a network like `network`.
    """
    own = network.state_dict()
    found = [part(f"{name}.{number}", tensors) for number in range(count)]
    if not all(alike(own, one) for one in found):
        raise DamagedFile("its tensors are not the weights of this network")
    return [{key: one[key].to(tensor.device, copy=True) for key, tensor in own.items()} for one in found]


def blend(first: Weights, last: Weights, share: float) -> Weights:
    """Return share * first + (1 - share) * last of each tensor; integers, such as counters, of `last`."""
    return {name: torch.lerp(end, first[name], share) if end.is_floating_point() else end for name, end in last.items()}
