"""Base of gradient matching: DC, and DSA, which is DC under Siamese augmentation."""

from abc import ABC
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from ..augment import View
from ..augment.mix import MixKind
from ..data.spec import Spec
from ..engine.execution import Workload
from ..networks import Network
from ..synthetic.parameters import Synthetic, take
from ..training.optimiser import build_optimiser
from ..utils.errors import InputError
from ..utils.ranges import Batch, Iterations, Momentum, Penalty, Rate
from ..utils.streams import Streams
from ..utils.transfer import sent
from .base import Iteration
from .batch_norm import set_running_statistics
from .distances import DISTANCES, Distance, Gradients
from .losses import Updates
from .problem import Problem
from .real_batches import representatives_under
from .trained_networks import TrainedNetworks

TrainOn = Literal["synthetic", "real"]

_MOST_UPDATES = 50
_INNER = {10: 50, 20: 25, 30: 20, 40: 15, 50: 10}  # images per class -> epochs between updates, as published


@dataclass(frozen=True, kw_only=True)
class GradientMatching(TrainedNetworks, ABC):
    """Match the gradients of a network on synthetic and on real images: the loop of DC and DSA.

    loss = sum_k D(grad_theta L(A(S_k)), grad_theta L(A(T_k))): L the mean cross-entropy of a network theta on the
    synthetic images S_k and a batch of real images T_k of class k, D a distance between gradients, A one augmentation
    draw per class. theta starts from fresh weights in each iteration and trains on the synthetic images between their
    updates. BatchNorm uses, in each update, the running statistics of one forward of 16 real images per class (Zhao,
    Mopuri & Bilen, ICLR 2021, algorithm 1; Zhao & Bilen, ICML 2021; see `batch_norm.py`).

    With `train_on="real"` theta trains on real images instead, the variant of Kim et al., ICML 2022.
    """

    trains_networks: ClassVar[bool] = True

    iterations: Iterations = 1000
    """Iterations; each draws a fresh network."""
    networks: Literal["fresh", "trained", "blended"] = "fresh"
    """Weights that the network of an iteration begins with: fresh, random as published, which cost nothing; trained,
    those of one of 10 moments of a training on the real images (--training-steps, before the first iteration, cached);
    or blended, drawn from the line between its fresh and its trained weights."""
    lr: Rate = 0.1
    """Learning rate of the images; 0.01 is published for the MLP."""
    distance: Distance = "layerwise"
    """Distance between gradients: layerwise, the published sum over output units of 1 - cosine (ours, its name in the
    papers' code, is the same); mse, squared differences; cos, 1 - cosine of all weights joined; or conv-mse and
    conv-l1, squared and absolute differences of the weights of convolutions alone, as in IDC."""
    batch_synthetic: Batch | None = None
    """Synthetic images of each class per update, drawn at random; by default all."""
    updates: Annotated[int, Meta(ge=1, le=10**5)] | None = None
    """Batches of real images under each network, T, with an update of the images each; by default as published: one
    for each image per class, at most 50."""
    repeats: Annotated[int, Meta(ge=1, le=10**4)] = 1
    """Updates of the images on one batch of real images, whose gradients are computed once and reused."""
    epochs: Annotated[int, Meta(ge=0, le=10**5)] | None = None
    """Epochs that the network trains on synthetic images between two updates; by default the published 50, 25, 20, 15,
    10 at 10, 20, 30, 40, 50 images per class, linear between these and constant outside."""
    lr_net: Rate = 0.01
    """Learning rate of the network."""
    train_on: TrainOn = "synthetic"
    """Training images of the network between two updates: synthetic, as published, or real."""
    steps: Iterations = 2
    """Steps of the network on batches of real images between two updates; for --train-on real."""
    warm_up: Iterations = 10
    """Steps on real images before the first update, for --train-on real: fresh networks have far larger gradients than
    all later ones."""
    momentum_net: Momentum = 0.0
    """Momentum of the network."""
    decay_net: Penalty = 0.0
    """Weight decay of the network."""
    batch_net: Batch = 128
    """Real images in a step of the network, for --train-on real."""
    mix_net: MixKind = "none"
    """Mixing of the real images in half of the steps of the network, for --train-on real: none, mixup or cutmix. With
    cutmix, the augmentation of these images leaves cutout out."""
    interval: Annotated[int, Meta(ge=1, le=10**5)] = 10
    """Updates on the same real images, for --batches dream."""

    @property
    def least_classes(self) -> int:
        """Return 2: classifiers are compared."""
        return 2

    def needs(self) -> Mapping[str, tuple[bool, str]]:
        """Return the settings that have an effect only beside others: those of the training of a network."""
        real = self.train_on == "real", "--train-on real"
        return {
            **super().needs(),
            **dict.fromkeys(("steps", "warm_up", "batch_net", "mix_net"), real),
            "epochs": (self.train_on == "synthetic", "--train-on synthetic"),
            "interval": (self.batches == "dream", "--batches dream"),
        }

    def check_network(self, network: Network, spec: Spec) -> None:
        """Check that there are convolutions for a distance between those alone, and embeddings for --batches dream."""
        if self.batches == "dream":
            network.eval().embed(torch.empty(1, *spec.shape, device="meta"))
        if self.distance in ("conv-mse", "conv-l1") and all(one.dim() != 4 for one in network.parameters()):
            raise InputError(f"--distance {self.distance}: the network has no convolutions: use layerwise, mse or cos")

    def loops(self, each: int) -> tuple[int, int]:
        """Return the updates under each network and the epochs between two updates, for `each` images per class."""
        updates = min(each, _MOST_UPDATES) if self.updates is None else self.updates
        if self.train_on == "real":
            return updates, 0
        published = round(float(np.interp(each, list(_INNER), list(_INNER.values()))))
        return updates, published if self.epochs is None else self.epochs

    @classmethod
    def recorded(cls, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings as files record them: the layerwise distance as "ours", as the papers' code names it."""
        return {**settings, "distance": "ours"} if settings.get("distance") == "layerwise" else dict(settings)

    def workload(self, each: int) -> Workload:
        """Return the workload of all updates under one network, and of its training between them."""
        updates, epochs = self.loops(each)
        made = min(each, self.batch_synthetic or each)
        # a gradient costs 3 forwards, and its gradient 6 more
        matching = updates * 3 * (self.batch_real + 3 * made * self.repeats)
        return Workload(
            passes=matching + (updates - 1) * epochs * 3 * each,
            real=self.batch_real,
            synthetic=3 * made,
            gradients=6,  # of real and synthetic images, both while they are joined, and those the distance stores
            updates=updates * self.repeats,
            together=self.repeats,
            epochs=epochs,
        )

    def iterate(self, run: Iteration) -> Updates:
        """Yield the distances of each update, one term for each group of classes; train the network between them."""
        synthetic, problem, streams = run.synthetic, run.problem, run.streams
        network = self.compared(run).matching
        updates, epochs = self.loops(synthetic.labels().shape[1])
        sgd = build_optimiser(
            network.parameters(), lr=self.lr_net, momentum=self.momentum_net, weight_decay=self.decay_net
        )
        index = torch.empty(0, dtype=torch.int64)
        for update in range(updates):
            here = streams.at(update)
            if self.train_on == "real":
                for step in range(self.steps if update else self.warm_up):
                    problem.train_step(network, here.at(step), sgd, batch=self.batch_net, mix=self.mix_net)
            if network.batch_statistics:
                set_running_statistics(network, problem.real, here("statistics"))
            view = problem.augment.draw(here("augment"), problem.classes)  # one draw for each class
            if self.batches != "dream":
                index = self.draw_real(problem, here)  # (K, B)
            elif update % self.interval == 0:
                index = representatives_under(network, problem, self.batch_real, here("real"))
            targets: list[Gradients] = []
            for repeat in range(self.repeats):
                made = self._subset(synthetic, here.at(repeat))
                yield self._distances(network.eval(), synthetic, problem, view, index, made, targets)
            if update < updates - 1:
                for epoch in range(epochs):
                    problem.train_epoch(network, synthetic, here.at(epoch), sgd)

    def _subset(self, synthetic: Synthetic, streams: Streams) -> Tensor | None:
        """Draw the synthetic images of each class that are compared, (K, m); None for all."""
        labels = synthetic.labels()
        if self.batch_synthetic is None or self.batch_synthetic >= labels.shape[1]:
            return None
        order = torch.rand(labels.shape[:2], generator=streams("synthetic")).argsort(1)
        return sent(order[:, : self.batch_synthetic], labels.device)

    def _distances(
        self,
        network: Network,
        synthetic: Synthetic,
        problem: Problem,
        view: View,
        index: Tensor,
        made: Tensor | None,
        targets: list[Gradients],
    ) -> Iterator[Tensor]:
        """Yield the loss of each group of classes.

        index: positions of each class's real images, (K, B). made: positions of its synthetic images, (K, m), None for
        all. targets: the real gradients of each group, cached if there are repeats.
        """
        labels = torch.arange(problem.classes, device=problem.engine.device)[:, None]
        for number, group in enumerate(problem.groups(network)):
            if number < len(targets):
                real = targets[number]
            else:
                batch = view[group](problem.real.at(index[group]))
                real = problem.engine.class_gradients(network, batch, labels[group].expand(-1, batch.shape[1]))
                if self.repeats > 1:
                    targets.append(real)
            images, of_images = synthetic(group) if made is None else synthetic.at(made, group), synthetic.labels(group)
            if made is not None:
                of_images = take(of_images, made[group])
            gradients = problem.engine.class_gradients(network, view[group](images), of_images, differentiable=True)
            yield DISTANCES[self.distance](gradients, real)
