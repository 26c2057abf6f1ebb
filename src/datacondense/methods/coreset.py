"""Methods that choose real images."""

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from ..synthetic.parameters import Synthetic
from ..training.loop import Recipe
from ..training.pretrained import Learning, Trained
from ..utils.ranges import Epochs
from ..utils.streams import Streams
from .base import Problem, Selection
from .uneven import chosen

_AT_ONCE = 1024  # images read and embedded at a time


@final
@dataclass(frozen=True, kw_only=True)
class Random(Selection):
    """Random real images of each class: the baseline that every number is shown against."""

    def select(self, problem: Problem, streams: Streams) -> Tensor:
        return problem.real.draw(problem.ipc, streams("init"), note=False)


@dataclass(frozen=True, kw_only=True)
class LearnedSelection(Selection):
    """Chooses by a network that has learned all real images.

    The network is kept in the cache: another such method with the same settings and seed takes it from there.
    """

    least_classes: ClassVar[int] = 2

    epochs: Epochs = 10
    """Epochs in which a network learns all real images first, under the augmentation; it is kept for the next
    selection."""

    def preparation(self, images: int) -> int:
        return (3 * self.epochs + 1) * images  # backward costs twice a forward

    def select(self, problem: Problem, streams: Streams) -> list[Tensor]:
        trained = self._learning(problem, streams).finished(problem.tell)
        generator = streams("init")
        # in one process: another might round otherwise, and so choose otherwise
        return problem.engine.processes.agreed(
            lambda: [self.of_class(k, problem, trained, generator) for k in range(problem.classes)]
        )

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        draw = Random().select(problem, streams)
        return chosen(problem.real, draw, problem.ipc), self._learning(problem, streams).seconds_left()

    @abstractmethod
    def of_class(self, k: int, problem: Problem, trained: Trained, generator: torch.Generator) -> Tensor:
        """Positions of the chosen images of class k, (ipc,), on the CPU; of all that it has where these are fewer."""

    def _learning(self, problem: Problem, streams: Streams) -> Learning:
        return learning(problem, self.arch, self.epochs, streams)


def learning(problem: Problem, arch: str, epochs: int, streams: Streams) -> Learning:
    """A network that is to learn all real images of a problem under its augmentation."""
    return Learning(
        real=problem.real,
        arch=arch,
        recipe=Recipe(epochs=epochs, augment=str(problem.augment)),
        augment=problem.augment,
        streams=streams,
        engine=problem.engine,
    )


@final
@dataclass(frozen=True, kw_only=True)
class Herding(LearnedSelection):
    """Real images whose running mean embedding stays nearest to the mean of their class.

    The t-th image of a class is the one among those left that minimises |mu - (e_1 + ... + e_t) / t|, where e are
    embeddings and mu is their mean over the class (Welling 2009, as in Rebuffi et al. 2017 without normalisation).
    """

    def of_class(self, k: int, problem: Problem, trained: Trained, generator: torch.Generator) -> Tensor:
        members = of_class(problem, k)
        return members[herd(embeddings(problem, trained, k), problem.ipc)]


@final
@dataclass(frozen=True, kw_only=True)
class KCenter(LearnedSelection):
    """Real images such that none of their class is far from one of them in embedding.

    The first is the one nearest to the class mean; each further one is the image farthest from those chosen, which is
    at most twice as far as the best choice would be (Sener & Savarese 2018, greedy, in each class).
    """

    def of_class(self, k: int, problem: Problem, trained: Trained, generator: torch.Generator) -> Tensor:
        members = of_class(problem, k)
        return members[spread(embeddings(problem, trained, k), problem.ipc)]


@final
@dataclass(frozen=True, kw_only=True)
class Forgetting(LearnedSelection):
    """Real images that a network forgot most often while it learned them; those it never learned come first.

    A forgetting event: an image is wrong at the step made on it, and was right at the one before (Toneva et al. 2019).
    Among images that were forgotten as often chance decides.
    """

    def of_class(self, k: int, problem: Problem, trained: Trained, generator: torch.Generator) -> Tensor:
        members = of_class(problem, k)
        members = members[torch.randperm(len(members), generator=generator)]
        order = trained.forgotten[members].argsort(descending=True, stable=True)
        return members[order[: problem.ipc]]


def of_class(problem: Problem, k: int) -> Tensor:
    """Positions of all images of a class, on the CPU."""
    return problem.real.members[k, : problem.real.counts[k]]


def embeddings(problem: Problem, trained: Trained, k: int) -> Tensor:
    """Embeddings of all images of a class, (n, D), on the device."""

    def parts() -> Iterator[Tensor]:
        for index in of_class(problem, k).split(_AT_ONCE):
            images, _ = problem.real.batch(index)
            yield problem.engine.embed(trained.network, images)

    found = torch.cat(list(parts()))
    problem.tell((k + 1) / problem.classes, "embedding the real images")
    return found


def herd(points: Tensor, count: int) -> Tensor:
    """Positions (count,) of the points (n, D) that `Herding` chooses, on the CPU; all of them where n is smaller."""
    count = min(count, len(points))
    mean, sum_, squares = points.mean(0), torch.zeros_like(points[0]), points.square().sum(1)
    chosen: list[int] = []
    for t in range(1, count + 1):
        # |t mu - sum - e|^2 without what is the same for all e
        distances = squares - 2 * points @ (t * mean - sum_)
        distances[chosen] = torch.inf
        chosen.append(int(distances.argmin()))
        sum_ += points[chosen[-1]]
    return torch.tensor(chosen)


def spread(points: Tensor, count: int) -> Tensor:
    """Positions (count,) of the points (n, D) that `KCenter` chooses, on the CPU; all of them where n is smaller."""
    count = min(count, len(points))
    distances = (points - points.mean(0)).square().sum(1)
    chosen = [int(distances.argmin())]
    nearest = torch.full_like(distances, torch.inf)
    while len(chosen) < count:
        nearest = torch.minimum(nearest, (points - points[chosen[-1]]).square().sum(1))
        nearest[chosen] = -1  # also where all points are alike
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen)
