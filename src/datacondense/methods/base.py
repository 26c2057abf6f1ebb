"""What a method is, and the problem it is given."""

import dataclasses
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias, final

import torch
from torch import Tensor

from .. import augment, networks
from ..augment import Siamese
from ..data.image_set import ImageSet, LabelledImages
from ..data.spec import Spec
from ..engine.engine import Engine, equal_part, gradients
from ..engine.execution import Load
from ..networks import Network
from ..synthetic.parameters import Pixels, Synthetic, noise
from ..training.loop import train_epoch
from ..utils.distributed import ALONE
from ..utils.ranges import Batch, Iterations, Momentum, Rate, check_fields
from ..utils.streams import Streams
from .representative import representatives
from .uneven import chosen, varied

Loss: TypeAlias = Tensor | Iterable[Tensor]
Updates: TypeAlias = Generator[Loss, None, None]
Init = Literal["real", "kmeans", "noise"]
Schedule = Literal["constant", "cosine"]

_TRAIN_BATCH = 128
"""Real images on which a network takes a step while a set is condensed."""

_SQUARES = 0.99  # Adam's memory of squared gradients; there are hundreds of updates, not thousands
_LAST_RATE = 0.01  # of a learning rate that falls on a cosine


def differentiate(loss: Loss, synthetic: Synthetic, problem: "Problem | None" = None) -> float:
    """Add the gradient of a loss to that of the synthetic images, term by term. Returns the loss.

    Over the several processes of `problem`, between which there must be no gradient yet, the terms of all are summed;
    of a loss in one term, which all of them have, that of the leading process counts. Such a loss must not be made of
    `Problem.groups`, of which each process has others.
    """
    processes = problem.engine.processes if problem else ALONE
    parameters, value = list(synthetic.parameters()), 0.0
    if isinstance(loss, Tensor):
        assert not (problem and problem.parted), (
            "a loss over Problem.groups must yield its terms one by one, not their sum: each process has a part only"
        )
        loss = [loss] if processes.leads else []
    for term in loss:
        term.backward(inputs=parameters)
        value += float(term.detach())
    if processes.size > 1:
        total = parameters[0].new_tensor([value])
        processes.all_sum([*gradients(parameters), total])
        value = float(total)
    if problem:
        problem.parted = False
    return value


@final
class Problem:
    """What a method works on: the real images, how many to make of each class, and the means to compare."""

    def __init__(
        self,
        real: ImageSet,
        ipc: int,
        arch: str,
        augmentation: str,
        engine: Engine,
        tell: Callable[[float, str], None] = lambda done, what: None,
        *,
        resumed: bool = False,
    ) -> None:
        self.found: dict[str, Any] = {}
        """What `Method.start` has found or made, for the iterations: it is there again when a run is resumed."""
        self.tell = tell
        """Told of work before the first iteration: which part of it is done, and what it is."""
        self.resumed = resumed
        """Whether the images of a checkpoint take the place of those of `Method.start`, which may be any then."""
        self.real = real
        self.ipc = ipc
        self.engine = engine
        self.parted = False
        """Whether `groups` has handed out this process's part of the classes since the last update."""
        self.augment: Siamese = augment.parse(augmentation, real.spec)
        self._network = engine.prepare(networks.build(arch, real.spec)).requires_grad_(False)

    @property
    def spec(self) -> Spec:
        return self.real.spec

    @property
    def classes(self) -> int:
        return self.spec.classes

    def fresh_network(self, generator: torch.Generator) -> Network:
        """A network with newly drawn, frozen weights, in training mode.

        It is one object whose weights are drawn again at each call, so compiled code stays valid.
        """
        self._network.reset(generator)
        return self._network.requires_grad_(False).train()

    def first_images(self, streams: Streams) -> Tensor:
        """Draw `ipc` real images of each class to start from, normalised (K, ipc, C, H, W).

        A class with fewer images is taken whole and filled up with copies, to which a little noise is added.
        """
        generator = streams("init")
        index = self.real.draw(self.ipc, generator, note=False)
        return varied(self.real.at(index), self.real.counts, generator)

    def groups(self, network: Network) -> Sequence[slice]:
        """The classes, in groups of equal size that are compared one after the other to bound memory.

        Of processes that share the work each has the groups of its own classes, and adds nothing to the loss if it has
        none. Classes that share batch statistics, in a network in training mode, cannot be parted: one process has all.
        """
        processes = self.engine.processes
        self.parted = processes.size > 1
        if network.training and network.batch_statistics:
            return [slice(0, self.classes)] if processes.leads else []
        mine = processes.shard(self.classes)
        size = equal_part(max(mine.stop - mine.start, 1), self.engine.execution.classes_at_once)
        return [slice(first, min(first + size, mine.stop)) for first in range(mine.start, mine.stop, size)]

    @torch.no_grad()
    def set_statistics(self, network: Network, batch: int, generator: torch.Generator) -> None:
        """Pass `batch` real images of each class forward once, in training mode, for the statistics of BatchNorm."""
        network.train()(self.real.sample(batch, generator).flatten(0, 1))

    def train_epoch(self, network: Network, synthetic: Synthetic, streams: Streams, sgd: torch.optim.Optimizer) -> None:
        """Train a network for one epoch on the synthetic images as they are, augmented one by one."""
        images = synthetic().detach()  # (K, M, C, H, W)
        labels = synthetic.labels(self.classes, images.shape[1]).to(images.device)
        examples = LabelledImages(synthetic.listed(images), labels, self.spec)
        train_epoch(network, examples, streams, self.engine, sgd, augment=self.augment)

    def train_step(self, network: Network, streams: Streams, sgd: torch.optim.Optimizer) -> None:
        """Train a network for one step on 128 real images of any class, augmented one by one."""
        index = torch.randint(len(self.real), (_TRAIN_BATCH,), generator=streams("train"))
        images, labels = self.real.batch(index)
        images = self.augment.per_image(streams("train_augment"), len(index))(images)
        network.train().requires_grad_(True)
        sgd.zero_grad()
        self.engine.add_gradients(network, images, labels)
        sgd.step()


@dataclass(frozen=True, kw_only=True)
class Method(ABC):
    """A method is its hyper-parameters, how it starts, and what it compares in each iteration."""

    takes_start: ClassVar[bool] = True
    """Whether a run may begin from the pixels of another set, in place of what `start` gives."""
    fills_up: ClassVar[bool] = True
    """Whether it makes `ipc` images of a class that has fewer; otherwise the set has fewer of that class."""
    least_classes: ClassVar[int] = 1
    """Classes without which there is nothing to learn from: 2 where networks are trained to tell them apart."""

    iterations: Iterations
    arch: str = "ConvNet"
    """Network the set is made for; evaluation takes it when told no other."""
    augment: str = "auto"
    """Augmentation that images pass: auto (DSA's for the dataset), none, or strategies joined by "_", such as
    color_crop_cutout_flip_scale_rotate. Evaluation takes it when told no other."""

    @abstractmethod
    def load(self, ipc: int) -> Load:
        """What one iteration at `ipc` images per class asks of the machine."""

    @abstractmethod
    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        """The synthetic images before the first iteration."""

    def rehearse(self, problem: Problem, streams: Streams) -> tuple[Synthetic, float]:
        """For an estimate: images such as `start` gives, and by how many seconds `start` takes longer than this."""
        return self.start(problem, streams), 0.0

    def preparation(self, images: int) -> int:
        """Images passed forward before the first iteration on a real set of `images`; a backward counts as two."""
        return 0

    @abstractmethod
    def optimiser(self, synthetic: Synthetic) -> torch.optim.Optimizer | None:
        """What applies the updates; None for a method that makes none."""

    @abstractmethod
    def iterate(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Updates:
        """One iteration: yield one loss per update of the images; on return from `yield` it is applied.

        A loss is a scalar, or an iterable of scalars whose sum it is, one for each of `Problem.groups`: each is
        differentiated before the next is asked for, so that a sum over classes needs the memory of one term. What is
        made of `Problem.groups` must be such an iterable: each of several processes has a part of the groups, and their
        terms are summed over all, while of a scalar the leading process's counts.
        """

    def rate(self, done: float) -> float:
        """What the learning rate of the optimiser is multiplied by when this part of all iterations is done."""
        return 1.0

    def check(self) -> None:
        """Check what the types of the fields do not say. The driver calls it before anything else.

        The types say which values are allowed: `Annotated[float, Meta(gt=0, le=1e6)]` with `Meta` of msgspec, or
        `Literal`. A method whose settings depend on one another overrides this.

        Raises:
            InputError: a hyper-parameter is outside its range, or makes no sense beside another.
        """
        check_fields(self)

    def settings(self) -> dict[str, Any]:
        """The hyper-parameters that the constructor takes, as JSON values."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}


@dataclass(frozen=True, kw_only=True)
class Matching(Method):
    """A method that moves pixels by gradients until synthetic and real images look alike to networks."""

    iterations: Iterations = 20_000
    """Iterations; each draws a fresh network."""
    lr: Rate = 1.0
    """Learning rate of the images."""
    schedule: Schedule = "constant"
    """Learning rate over the iterations: constant, as published, or cosine (down to a hundredth on half a cosine)."""
    adam: bool = False
    """Adam moves the images instead of the published SGD: each pixel by about the learning rate."""
    momentum: Momentum = 0.5
    """Momentum of the images, by either."""
    batch_real: Batch = 256
    """Real images of each class per update, B."""
    init: Init = "real"
    """What the images start from: random real images, the real images nearest to the centres of k-means, or N(0, 1)
    noise."""

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        shape = (problem.classes, problem.ipc, *problem.spec.shape)
        if problem.resumed:
            return Pixels(torch.zeros(shape, device=problem.engine.device))
        if self.init == "real":
            return Pixels(problem.first_images(streams))
        if self.init == "kmeans":
            agreed = problem.engine.processes.agreed  # each might add in another order
            index = agreed(lambda: representatives(problem.real, problem.ipc, streams("init"), problem.tell))
            return Pixels(varied(problem.real.at(index), problem.real.counts, streams("jitter")))
        return Pixels(noise(shape, streams("init"), problem.engine.device))

    def optimiser(self, synthetic: Synthetic) -> torch.optim.Optimizer:
        if self.adam:
            return torch.optim.Adam(synthetic.parameters(), lr=self.lr, betas=(self.momentum, _SQUARES))
        return torch.optim.SGD(synthetic.parameters(), lr=self.lr, momentum=self.momentum)

    def rate(self, done: float) -> float:
        if self.schedule == "constant":
            return 1.0
        return _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True, kw_only=True)
class Selection(Method):
    """A method that chooses real images and changes none."""

    takes_start: ClassVar[bool] = False
    fills_up: ClassVar[bool] = False

    iterations: Iterations = field(default=0, init=False)

    def load(self, ipc: int) -> Load:
        return Load(passes=0, real=0, synthetic=0)

    @abstractmethod
    def select(self, problem: Problem, streams: Streams) -> Tensor | Sequence[Tensor]:
        """Positions of the chosen real images, (K, ipc); or of each class positions (n,), n at most `ipc`.

        Of a class with fewer than `ipc` images all are kept: its row begins with them, and what follows is dropped.
        """

    def start(self, problem: Problem, streams: Streams) -> Synthetic:
        return chosen(problem.real, self.select(problem, streams), problem.ipc)

    def optimiser(self, synthetic: Synthetic) -> None:
        return None

    def iterate(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Updates:
        yield from ()
