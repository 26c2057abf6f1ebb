"""Gradient matching: DC, and DSA, which is DC under Siamese augmentation."""

from abc import ABC
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, final

import numpy as np
import torch
from msgspec import Meta
from torch import Tensor

from ..augment import View
from ..engine.execution import Load
from ..networks import Network
from ..synthetic.parameters import Synthetic
from ..utils.ranges import Batch, Iterations, Momentum, Rate
from ..utils.streams import Streams
from .base import Init, Matching, Problem, Updates
from .distances import DISTANCES, Distance, Gradients

TrainOn = Literal["synthetic", "real"]

_MOST_UPDATES = 50
_INNER = {10: 50, 20: 25, 30: 20, 40: 15, 50: 10}  # images per class -> epochs between updates, as published
_STATISTICS = 16  # real images of each class that set the statistics of BatchNorm


@dataclass(frozen=True, kw_only=True)
class GradientMatching(Matching, ABC):
    """The loop of DC and DSA.

    loss = sum_k D(grad_theta L(A(S_k)), grad_theta L(A(T_k))): L the mean cross-entropy of a network theta on the
    synthetic images S_k and a batch of real images T_k of class k, D a distance between gradients, A one augmentation
    draw per class. theta starts from fresh weights in each iteration and trains on the synthetic images between the
    updates of these. BatchNorm keeps, for each update, the running statistics that one forward of 16 real images per
    class leaves (Zhao, Mopuri & Bilen, ICLR 2021, algorithm 1; Zhao & Bilen, ICML 2021).

    With `train_on="real"` theta trains on real images instead, as in Kim et al., ICML 2022.
    """

    least_classes: ClassVar[int] = 2

    iterations: Iterations = 1000
    """Iterations; each draws a fresh network."""
    lr: Rate = 0.1
    """Learning rate of the images; 0.01 is published for the MLP."""
    distance: Distance = "ours"
    """Distance between gradients: the papers' sum over output units of 1 - cosine (ours), squared differences (mse),
    or 1 - cosine of all weights joined (cos)."""
    batch_synthetic: Batch | None = None
    """Synthetic images of each class per update, drawn at random; by default all."""
    updates: Annotated[int, Meta(ge=1, le=10**5)] | None = None
    """Batches of real images under each network, T, with an update of the images each; by default as published: as many
    as images per class, at most 50."""
    repeats: Annotated[int, Meta(ge=1, le=10**4)] = 1
    """Updates of the images on one batch of real images, whose gradients are computed once for all of them."""
    epochs: Annotated[int, Meta(ge=0, le=10**5)] | None = None
    """Epochs that the network trains on synthetic images between two updates; by default the published 50, 25, 20, 15,
    10 at 10, 20, 30, 40, 50 images per class, on straight lines between these and constant outside."""
    lr_net: Rate = 0.01
    """Learning rate of the network."""
    train_on: TrainOn = "synthetic"
    """What the network trains on between two updates: the synthetic images, as published, or real ones."""
    steps: Iterations = 2
    """Steps that the network trains on 128 real images between two updates."""
    warm_up: Iterations = 10
    """Steps on real images before the first update: fresh networks have far larger gradients than all later ones."""
    momentum_net: Momentum = 0.0
    """Momentum of the network."""

    def loops(self, ipc: int) -> tuple[int, int]:
        """Updates under each network, and epochs on the synthetic images between them, for `ipc` images per class."""
        updates = min(ipc, _MOST_UPDATES) if self.updates is None else self.updates
        if self.train_on == "real":
            return updates, 0
        published = round(float(np.interp(ipc, list(_INNER), list(_INNER.values()))))
        return updates, published if self.epochs is None else self.epochs

    def load(self, ipc: int) -> Load:
        updates, epochs = self.loops(ipc)
        made = min(ipc, self.batch_synthetic or ipc)
        # a gradient costs 3 forwards, and its gradient 6 more
        matching = updates * 3 * (self.batch_real + 3 * made * self.repeats)
        return Load(
            passes=matching + (updates - 1) * epochs * 3 * ipc,
            real=self.batch_real,
            synthetic=3 * made,
            gradients=6,  # of real and synthetic images, both as they are put together, and what the distance keeps
            updates=updates * self.repeats,
            together=self.repeats,
            epochs=epochs,
        )

    def iterate(self, synthetic: Synthetic, problem: Problem, streams: Streams) -> Updates:
        network = problem.fresh_network(streams("network"))
        updates, epochs = self.loops(problem.ipc)
        sgd = torch.optim.SGD(network.parameters(), lr=self.lr_net, momentum=self.momentum_net)
        for update in range(updates):
            here = streams.at(update)
            if self.train_on == "real":
                for step in range(self.steps if update else self.warm_up):
                    problem.train_step(network, here.at(step), sgd)
            if network.batch_statistics:
                problem.set_statistics(network, _STATISTICS, here("statistics"))
            view = problem.augment.draw(here("augment"), problem.classes)  # one draw for each class
            index = problem.real.draw(self.batch_real, here("real"))  # (K, B)
            targets: list[Gradients] = []
            for repeat in range(self.repeats):
                made = self._subset(problem, here.at(repeat))
                yield self._distances(network.eval(), synthetic, problem, view, index, made, targets)
            if update < updates - 1:
                for epoch in range(epochs):
                    problem.train_epoch(network, synthetic, here.at(epoch), sgd)

    def _subset(self, problem: Problem, streams: Streams) -> Tensor | None:
        """Which synthetic images of each class are compared, (K, m); None for all."""
        if self.batch_synthetic is None or self.batch_synthetic >= problem.ipc:
            return None
        order = torch.rand(problem.classes, problem.ipc, generator=streams("synthetic")).argsort(1)
        return order[:, : self.batch_synthetic].to(problem.engine.device)

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
        """The loss, group of classes by group. Of each class, index: positions of the real images, (K, B); made: those
        of the synthetic images among its own, (K, m), None for all. targets: the real gradients of each group, kept
        where there are repeats.
        """
        labels = torch.arange(problem.classes, device=problem.engine.device)
        for number, group in enumerate(problem.groups(network)):
            if number < len(targets):
                real = targets[number]
            else:
                batch = view[group](problem.real.at(index[group]))
                real = problem.engine.class_gradients(network, batch, labels[group])
                if self.repeats > 1:
                    targets.append(real)
            images = synthetic()[group]
            if made is not None:
                images = torch.take_along_dim(images, made[group][:, :, None, None, None], 1)
            of_made = problem.engine.class_gradients(network, view[group](images), labels[group], differentiable=True)
            yield DISTANCES[self.distance](of_made, real)


@final
@dataclass(frozen=True, kw_only=True)
class DC(GradientMatching):
    """Match the gradients of networks trained along on the images (Zhao, Mopuri & Bilen 2021)."""

    augment: str = "none"
    """Augmentation that images pass while condensing: none, auto (DSA's for the dataset), or strategies joined by "_".
    Without, evaluation follows DC's rule: none, but crop_scale_rotate on MNIST and crop_noise for ConvNetBN."""
    init: Init = "noise"
    """What the images start from: random real images, the real images nearest to the centres of k-means, or N(0, 1)
    noise."""


@final
@dataclass(frozen=True, kw_only=True)
class DSA(GradientMatching):
    """Match gradients as DC does, with real and synthetic images under one augmentation (Zhao & Bilen 2021)."""
