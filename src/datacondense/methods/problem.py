"""The problem that a method solves: the real images, the number of images to make, and the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from .. import augment, networks
from ..augment import Siamese
from ..augment.mix import Mix, MixKind
from ..data.image_set import ImageSet, LabelledImages
from ..data.spec import Spec
from ..engine.engine import Engine, equal_part
from ..networks import Network
from ..synthetic.parameters import Synthetic
from ..training.loop import PUBLISHED, train_epoch, train_step
from ..training.recipe import Recipe
from ..utils.streams import Streams
from .small_classes import jitter_copies

TRAIN_BATCH = 128
"""Real images on which a network takes a step while a set is condensed."""
_MIXED, _BETA = 0.5, 1.0
"""Share of the steps on real images that are mixed, and parameter of the Beta distribution of the share, as in IDC."""


@final
@dataclass
class TrainingSeconds:
    """Seconds of training networks on the real images before the first iteration."""

    spent: float = 0.0
    """Seconds of all sessions, also where the cache gave the networks: their cost."""
    cached: float = 0.0
    """Seconds of these that earlier sessions spent, of this run or of others."""
    left: float = 0.0
    """Seconds that are left, as a rehearsal estimates them."""


@final
class Problem:
    """The real images, the number of images per class to make, and the engine that runs networks on both.

    Attributes:
        real: The real images, on the device of the engine.
        ipc: Images per class to make.
        spec: Classes, shape and normalisation of the images.
        classes: The number of classes, K.
        engine: Runs networks over many images: `class_means`, `class_gradients`, `embed`.
        augment: The augmentation of the method; `augment.draw(generator, groups)` gives one draw for each group.
        found: Results of `Method.start` that the iterations need. `start` runs again when a run is resumed, and so
            finds them again.
        report: Called with the fraction done and the name of work before the first iteration.
        resumed: True if the images of a checkpoint replace those of `Method.start`, which may then return any images.
        rehearsal: True for an estimate: long training before the first iteration is only measured.
        training: Seconds of training on the real images before the first iteration. `trajectories` counts them.
    """

    def __init__(
        self,
        real: ImageSet,
        ipc: int,
        arch: str,
        augmentation: str,
        engine: Engine,
        report: Callable[[float, str], None] = lambda done, what: None,
        *,
        resumed: bool = False,
        rehearsal: bool = False,
    ) -> None:
        self.found: dict[str, Any] = {}
        self.report = report
        self.resumed = resumed
        self.rehearsal = rehearsal
        self.training = TrainingSeconds()
        self.arch = arch
        self.real = real
        self.ipc = ipc
        self.engine = engine
        self.sharded = False
        """True after `groups` has returned this process's part of the classes, until the next update."""
        self.augment: Siamese = augment.parse(augmentation, real.spec)
        self._networks = [self._built()]

    def _built(self) -> Network:
        return self.engine.prepare(networks.build(self.arch, self.real.spec)).requires_grad_(False)

    @property
    def spec(self) -> Spec:
        return self.real.spec

    @property
    def classes(self) -> int:
        return self.spec.classes

    def fresh_network(self, generator: torch.Generator) -> Network:
        """Return a network with newly drawn, frozen weights, in training mode.

        It is one object whose weights are drawn again at each call, so compiled code stays valid.

        Args:
            generator: Draws the weights.
        """
        network = self._networks[0]
        network.reset(generator)
        return network.requires_grad_(False).train()

    def network_with(self, weights: Mapping[str, Tensor], number: int = 0) -> Network:
        """Return a network with given weights, frozen, in training mode.

        It is one object for each number, 0 that of `fresh_network`, so compiled code stays valid.

        Args:
            weights: Name -> tensor of its state, weights and buffers; they are copied.
            number: 1 for a second network beside the first, and so on.
        """
        while len(self._networks) <= number:
            self._networks.append(self._built())
        network = self._networks[number]
        network.load_state_dict(weights)
        return network.requires_grad_(False).train()

    def first_images(self, streams: Streams, each: int | None = None) -> Tensor:
        """Draw real images of each class to start from.

        A class with fewer images is taken whole and filled up with copies, to which a little noise is added.

        Args:
            streams: Draws the images.
            each: Images of each class, V; by default `ipc`.

        Returns:
            Normalised images (K, V, C, H, W), on the device of the real images.
        """
        generator = streams("init")
        index = self.real.draw(self.ipc if each is None else each, generator, note=False)
        return jitter_copies(self.real.at(index), self.real.counts, generator)

    def groups(self, network: Network) -> Sequence[slice]:
        """Split the classes into groups that are compared one after the other to bound memory; the last may be smaller.

        Each of several processes gets the groups of its own classes, and adds nothing to the loss without any.
        Classes that share batch statistics, in a network in training mode, cannot be split: one process has all.

        Args:
            network: The network under which the groups are compared.

        Returns:
            Slices of the class axis. A loss over them must be yielded term by term.
        """
        processes = self.engine.processes
        self.sharded = processes.size > 1
        if network.training and network.batch_statistics:
            return [slice(0, self.classes)] if processes.leads else []
        mine = processes.shard(self.classes)
        size = equal_part(max(mine.stop - mine.start, 1), self.engine.execution.classes_at_once)
        return [slice(first, min(first + size, mine.stop)) for first in range(mine.start, mine.stop, size)]

    def train_epoch(
        self,
        network: Network,
        synthetic: Synthetic,
        streams: Streams,
        sgd: torch.optim.Optimizer,
        recipe: Recipe | None = None,
    ) -> None:
        """Train a network for one epoch on the current synthetic images, augmented one by one.

        Args:
            network: Trained in place, in training mode.
            synthetic: The images; no gradient reaches them.
            streams: Draws order and augmentation.
            sgd: The optimiser of the network's weights.
            recipe: Gives the images in a step, the loss and the mixing, and nothing else; by default the published one.
        """
        with torch.no_grad():
            images, labels = (synthetic.listed(values.detach()) for values in (synthetic(), synthetic.labels()))
        examples = LabelledImages(images, labels, self.spec)
        network.train().requires_grad_(True)
        train_epoch(network, examples, streams, self.engine, sgd, augment=self.augment, recipe=recipe or PUBLISHED)

    def train_step(
        self,
        network: Network,
        streams: Streams,
        sgd: torch.optim.Optimizer,
        batch: int = TRAIN_BATCH,
        *,
        mix: MixKind = "none",
    ) -> None:
        """Train a network for one step on real images of any class, augmented one by one.

        Args:
            network: Trained in place, in training mode.
            streams: Draws the images, their augmentation and their mixing.
            sgd: The optimiser of the network's weights.
            batch: The number of images.
            mix: Mixing of the images, which half of the steps have. CutMix takes the place of cutout.
        """
        left_out = "cutout" if mix == "cutmix" else ""
        augment = Siamese(tuple(name for name in self.augment.strategies if name != left_out))
        mixing = Mix(mix, _MIXED, _BETA)
        network.train().requires_grad_(True)
        train_step(network, self.real, streams, self.engine, sgd, augment=augment, batch=batch, mixing=mixing)
