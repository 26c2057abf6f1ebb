"""Base of the methods that choose real images by a network trained on all of them."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ..synthetic.parameters import Synthetic
from ..training.pretrained import PretrainedNetwork, Pretraining
from ..training.recipe import Recipe
from ..utils.ranges import Epochs
from ..utils.streams import Streams
from .problem import Problem
from .random import Random
from .selection import Selection
from .small_classes import selected_images

_AT_ONCE = 1024  # images read and embedded at a time


@dataclass(frozen=True, kw_only=True)
class PretrainedSelection(Selection):
    """Choose real images by a network trained on all real images.

    The network is cached: another such method with the same settings and seed reuses it.
    """

    epochs: Epochs = 10
    """Epochs of the network on all real images, under the augmentation; it is cached for the next selection."""

    @property
    def least_classes(self) -> int:
        """Return 2: a classifier is trained."""
        return 2

    def preparation(self, images: int) -> int:
        """Return the images of `epochs` of training and of one embedding of all."""
        return (3 * self.epochs + 1) * images  # backward costs twice a forward

    def select(self, problem: Problem, streams: Streams) -> list[Tensor]:
        """Train the network, then choose images class by class."""
        pretrained = pretraining(problem, self.arch, self.epochs, streams).finish(problem.report)
        generator = streams("init")
        # in one process: another might round otherwise, and so choose otherwise
        return problem.engine.processes.agreed(
            lambda: [self.select_class(k, problem, pretrained, generator) for k in range(problem.classes)]
        )

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        """Return random images, and the seconds that the training would take."""
        draw = Random().select(problem, streams)
        seconds = pretraining(problem, self.arch, self.epochs, streams).seconds_left()
        return selected_images(problem.real, draw, problem.ipc), seconds

    @abstractmethod
    def select_class(
        self, k: int, problem: Problem, pretrained: PretrainedNetwork, generator: torch.Generator
    ) -> Tensor:
        """Choose images of class k.

        Args:
            k: The class.
            problem: The real images and the engine.
            pretrained: The trained network, and how often it forgot each image.
            generator: Breaks ties.

        Returns:
            Positions (ipc,) on the CPU; of all images of the class where these are fewer.
        """


def pretraining(problem: Problem, arch: str, epochs: int, streams: Streams) -> Pretraining:
    """Return the training of a network on all real images of a problem under its augmentation."""
    return Pretraining(
        real=problem.real,
        arch=arch,
        recipe=Recipe(epochs=epochs, augment=str(problem.augment)),
        augment=problem.augment,
        streams=streams,
        engine=problem.engine,
    )


def class_members(problem: Problem, k: int) -> Tensor:
    """Return the positions of all images of a class, on the CPU."""
    return problem.real.members[k, : problem.real.counts[k]]


def class_embeddings(problem: Problem, pretrained: PretrainedNetwork, k: int) -> Tensor:
    """Return the embeddings of all images of a class, (n, D), on the device."""

    def parts() -> Iterator[Tensor]:
        for index in torch.split(class_members(problem, k), _AT_ONCE):
            images, _ = problem.real.batch(index)
            yield problem.engine.embed(pretrained.network, images)

    embeddings = torch.cat(list(parts()))
    problem.report((k + 1) / problem.classes, "embedding the real images")
    return embeddings
