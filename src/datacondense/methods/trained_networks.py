"""Networks that were trained on the real images, as a part of the methods that compare images under networks."""

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch

from ..networks import Network
from ..synthetic.parameters import Synthetic
from ..synthetic.set import SyntheticSet
from ..training.trajectories import Steps, Trajectory, TrajectoryRecipe, TrajectoryTraining, blend
from ..utils.ranges import Networks, Share, check_arguments, check_fields
from ..utils.streams import Streams
from .base import Iteration
from .matching import Matching
from .problem import Problem

_TIMED = 3.0  # seconds for which a training is measured
_FOUND = "trajectories"


@final
@dataclass(frozen=True)
class Compared:
    """The networks of an iteration, both frozen, in training mode."""

    matching: Network
    """Network under which real and synthetic images are compared."""
    classifying: Network | None
    """Network that classifies the synthetic images, which may be the same; None where none was trained, and where
    `TrainedNetworks.classifies` says that none is needed."""


def trajectories(
    problem: Problem, count: Networks, streams: Streams, recipe: TrajectoryRecipe | None = None
) -> list[Trajectory]:
    """Train networks on the real images, or take them from the cache, and return weights of several moments.

    Call it in `Method.start`. The networks have the architecture of the problem, and learn the images under its
    augmentation. The cache holds each of them for itself, under data, seed, architecture, augmentation and recipe, so
    that methods share them. An interrupted training is resumed. Its seconds are recorded with the set. In a rehearsal
    the training is only measured, and all moments of a trajectory are fresh weights.

    Args:
        problem: The real images and the engine.
        count: The number of networks, each with random numbers of its own.
        streams: Every random number comes from them: those of `Method.start`.
        recipe: Steps, learning rate and moments; by default those of `TrajectoryRecipe()`.

    Returns:
        `count` trajectories.

    Raises:
        InputError: The recipe has a number outside its range.
        Stopped: The user or the time budget ended the work; finished steps are saved.
        Diverged: The weights of a network are not finite.
    """
    recipe = TrajectoryRecipe() if recipe is None else recipe
    check_arguments(trajectories, count=count)
    check_fields(recipe)
    trainings = [_training(problem, streams.at("trajectory", number), recipe) for number in range(count)]
    if problem.rehearsal:
        return _rehearsed(problem, trainings, streams)
    found: list[Trajectory] = []
    for number, training in enumerate(trainings):
        which = f"network {number + 1} of {count}" if count > 1 else "a network"
        found.append(
            training.finish(lambda done, which=which: problem.report(done, f"training {which} on real images"))
        )
        problem.training.spent += found[-1].seconds
        problem.training.cached += found[-1].cached
    return found


def _training(problem: Problem, streams: Streams, recipe: TrajectoryRecipe) -> TrajectoryTraining:
    return TrajectoryTraining(
        real=problem.real,
        network=problem.fresh_network(streams("network")),  # one object, whose code is compiled once
        arch=problem.arch,
        recipe=recipe,
        augment=problem.augment,
        streams=streams,
        engine=problem.engine,
    )


def _rehearsed(problem: Problem, trainings: list[TrajectoryTraining], streams: Streams) -> list[Trajectory]:
    """Return trajectories of fresh weights, and count the seconds that the trainings would take."""
    left = [training.seconds_left(0.0)[0] for training in trainings]
    if any(left):
        first = next(number for number, steps in enumerate(left) if steps)
        seconds = trainings[first].seconds_left(_TIMED)[1]
        problem.training.left += seconds / left[first] * sum(left)
    weights = problem.fresh_network(streams("network")).state_dict()
    fresh = {name: tensor.clone() for name, tensor in weights.items()}
    steps = (0, *trainings[0].recipe.kept_steps())
    return [Trajectory(steps, (fresh,) * len(steps), 0.0, 0.0) for _ in trainings]


@dataclass(frozen=True, kw_only=True)
class TrainedNetworks(Matching, ABC):
    """A method that compares images under networks, which may come from real training."""

    networks: str = "fresh"
    """Networks that embed the images: fresh, trained, blended, or others that a method has."""
    trainings: Networks = 1
    """Networks trained on the real images, for --networks trained or blended. Each costs time before the first
    iteration, once: the cache keeps it for all methods with this seed, network and augmentation. The weights of each
    are kept 11 times, in memory and in the cache."""
    training_steps: Steps = 500
    """Steps of each such training, on 128 real images each, under the augmentation. A step takes about as long as 384
    images in an iteration of dm."""
    fresh_share: Share = 0.0
    """Share of the iterations that take a fresh network all the same, drawn at random."""

    @property
    def least_classes(self) -> int:
        """Return 2 if a network is trained on the real images, otherwise 1."""
        return 1 if self.networks == "fresh" else 2

    @property
    def trains_first(self) -> bool:
        """Return whether networks are trained on the real images before the first iteration."""
        return self.networks in ("trained", "blended") and self.iterations > 0

    @property
    def classifies(self) -> bool:
        """Return whether a trained network also has to classify the synthetic images."""
        return False

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others: those of trainings on the real images.

        The steps of a training are also those of the teacher that labels the finished set.
        """
        drawn = self.networks in ("trained", "blended"), "--networks trained or blended"
        return {**super().needs(), **dict.fromkeys(("trainings", "fresh_share"), drawn)}

    def preparation(self, images: int) -> int:
        """Return the images of the training before the first iteration, times 3 for the backward passes."""
        recipe = self._recipe()
        return 3 * self.trainings * recipe.steps * recipe.batch if self.trains_first else 0

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """Train the networks, or take them from the cache, and return the initial images."""
        self._train(problem, streams)
        return super().start(problem, streams)

    def start_from(self, start: SyntheticSet, problem: Problem, streams: Streams) -> Synthetic:
        """Train the networks, or take them from the cache, and return the images of a finished set."""
        self._train(problem, streams)
        return super().start_from(start, problem, streams)

    def compared(self, run: Iteration) -> Compared:
        """Return the networks of an iteration: fresh, of a training at a random moment, or of its blended ends."""
        return self._drawn(run.problem, run.streams)

    def _drawn(self, problem: Problem, streams: Streams, ahead: int = 0) -> Compared:
        """Draw networks. ahead: moments by which the classifying one may be later than the matching one."""
        if not self.trains_first or self._fresh(streams):
            return Compared(problem.fresh_network(streams("network")), None)
        found = self.trained(problem)
        weights = found[_below(len(found), streams("training"))].weights
        if self.networks == "blended":
            share = float(torch.rand((), generator=streams("blend")))
            blended = problem.network_with(blend(weights[0], weights[-1], share))
            return Compared(blended, problem.network_with(weights[-1], 1) if self.classifies else None)
        moment = 1 + _below(len(weights) - 1, streams("moment"))
        later = min(moment + _below(ahead + 1, streams("ahead")), len(weights) - 1)
        matching = problem.network_with(weights[moment])
        return Compared(matching, matching if later == moment else problem.network_with(weights[later], 1))

    def trained(self, problem: Problem) -> list[Trajectory]:
        """Return the trainings on the real images, which `start` has found."""
        return problem.found[_FOUND]

    def _fresh(self, streams: Streams) -> bool:
        return float(torch.rand((), generator=streams("fresh"))) < self.fresh_share

    def _recipe(self) -> TrajectoryRecipe:
        return TrajectoryRecipe(steps=self.training_steps)

    def _train(self, problem: Problem, streams: Streams) -> None:
        if self.trains_first:
            problem.found[_FOUND] = trajectories(problem, self.trainings, streams, self._recipe())


def _below(count: int, generator: torch.Generator) -> int:
    return int(torch.randint(count, (), generator=generator))
