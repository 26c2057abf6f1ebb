"""The only loop that trains a network on a set."""

from collections.abc import Callable

import torch

from .augment import Augmentation
from .engine import Engine
from .networks import Network
from .streams import Streams
from .types import Examples


def train(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    *,
    epochs: int,
    augment: Augmentation,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    batch: int = 256,
    on_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train from fresh weights: cross-entropy, SGD, lr divided by 10 and momentum reset after epoch epochs//2 + 1.

    The protocol of Zhao, Mopuri & Bilen (2021). `augment` draws anew for every batch. Weights, order and augmentation
    come from `streams`; the network is left in evaluation mode.
    """
    network.reset(streams("network"))

    def optimiser(rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(network.parameters(), lr=rate, momentum=momentum, weight_decay=weight_decay)

    sgd = optimiser(lr)
    for epoch in range(1, epochs + 1):
        train_epoch(network, examples, streams.at(epoch), engine, sgd, augment=augment, batch=batch)
        if epoch == epochs // 2 + 1:
            sgd = optimiser(lr / 10)
        on_epoch()
    network.eval()


def train_epoch(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    sgd: torch.optim.Optimizer,
    *,
    augment: Augmentation,
    batch: int = 256,
) -> None:
    """One pass over all examples in random order, in training mode, from the weights that the network has."""
    network.train().requires_grad_(True)
    order = torch.randperm(len(examples), generator=streams("order"))
    for step, index in enumerate(order.split(batch)):
        images, labels = examples.batch(index)
        if augment:
            images = augment.per_image(streams.at(step)("augment"), len(index))(images)
        sgd.zero_grad()
        engine.add_gradients(network, images, labels)
        sgd.step()
