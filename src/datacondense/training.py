"""The only loop that trains a network on a set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch

from .augment import Augmentation
from .engine import Engine
from .networks import Network
from .streams import Streams
from .types import Examples


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a network is trained from fresh weights (Zhao, Mopuri & Bilen 2021): cross-entropy, SGD in two phases."""

    epochs: int
    augment: str = "none"
    """As `augment.parse_training` reads it."""
    lr: float = 0.01
    """Divided by 10, with the momentum reset, after epoch epochs // 2 + 1."""
    momentum: float = 0.9
    weight_decay: float = 5e-4
    batch: int = 256


def train(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    recipe: Recipe,
    *,
    augment: Augmentation,
    on_epoch: Callable[[], None] = lambda: None,
) -> None:
    """Train from fresh weights as `recipe` says.

    augment: what `recipe.augment` names; it draws anew for every batch. Weights, order and augmentation come from
    `streams`; the network is left in evaluation mode.
    """
    network.reset(streams("network"))

    def optimiser(rate: float) -> torch.optim.Optimizer:
        return torch.optim.SGD(
            network.parameters(), lr=rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay
        )

    sgd = optimiser(recipe.lr)
    for epoch in range(1, recipe.epochs + 1):
        train_epoch(network, examples, streams.at(epoch), engine, sgd, augment=augment, batch=recipe.batch)
        if epoch == recipe.epochs // 2 + 1:
            sgd = optimiser(recipe.lr / 10)
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
