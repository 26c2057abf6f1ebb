"""The only loop that trains a network on a set."""

from collections.abc import Callable

import torch

from .augment import Siamese
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
    augment: Siamese,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    batch: int = 256,
    on_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train from fresh weights: cross-entropy, SGD, lr divided by 10 and momentum reset after epoch epochs//2 + 1.

    The protocol of Zhao, Mopuri & Bilen (2021). `augment` picks one strategy per batch and draws its parameters for
    each image. Weights, order and augmentation come from `streams`; the network is left in evaluation mode.
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
    augment: Siamese,
    batch: int = 256,
) -> None:
    """One pass over all examples in random order, in training mode, from the weights that the network has."""
    network.train().requires_grad_(True)
    order = torch.randperm(len(examples), generator=streams("order"))
    for step, index in enumerate(order.split(batch)):
        images, labels = examples.batch(index)
        if augment:
            view = augment.draw(streams.at(step)("augment"), len(index), one_strategy=True)
            images = view(images[:, None])[:, 0]
        sgd.zero_grad()
        engine.add_gradients(network, images, labels)
        sgd.step()
