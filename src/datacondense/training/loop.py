"""The loop that trains a network on a set."""

from collections.abc import Callable, Mapping
from typing import final

import torch
from torch import Tensor

from ..augment import Augmentation
from ..data.image_set import Examples
from ..engine.engine import Engine
from ..networks import Network
from ..utils.streams import Streams
from .cached import named, packed, part, unpack
from .recipe import Recipe

OnBatch = Callable[[Tensor, Tensor], None]
"""Called after each step with the positions of its examples, (n,), and their predicted classes, (n,)."""


@final
class Training:
    """The training of one network from fresh weights, epoch by epoch; it can be saved and resumed between two epochs.

    Attributes:
        done: Epochs that are done.
    """

    def __init__(
        self,
        network: Network,
        examples: Examples,
        streams: Streams,
        engine: Engine,
        recipe: Recipe,
        *,
        augment: Augmentation,
    ) -> None:
        self.network = network
        self.examples = examples
        self.streams = streams
        self.engine = engine
        self.recipe = recipe
        self.augment = augment
        self.done = 0
        network.reset(streams("network"))
        self.sgd = recipe.optimiser(network.parameters(), 0)

    def epoch(self, on_batch: OnBatch = lambda index, predictions: None) -> None:
        """Train for one more epoch."""
        train_epoch(
            self.network,
            self.examples,
            self.streams.at(self.done + 1),
            self.engine,
            self.sgd,
            augment=self.augment,
            batch=self.recipe.batch,
            on_batch=on_batch,
        )
        self.done += 1
        if self.recipe.changes_phase(self.done):
            self.sgd = self.recipe.optimiser(self.network.parameters(), self.done)

    def state(self) -> dict[str, Tensor]:
        """Return the state that `restore` needs: epochs, weights and momenta."""
        return {"epochs": torch.tensor(self.done), **named("network", self.network), **packed("sgd", self.sgd)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from `state`, bit for bit. Its tensors may be shared: they are copied."""
        self.done = int(state["epochs"])
        self.sgd = self.recipe.optimiser(self.network.parameters(), self.done)
        unpack("sgd", self.sgd, state)
        self.network.load_state_dict(part("network", state))


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
    """Train a network from fresh weights by a recipe, and leave it in evaluation mode.

    Args:
        network: Prepared by the engine; its weights are drawn anew.
        examples: The training images.
        streams: Draws weights, order and augmentation.
        engine: Runs the network.
        recipe: Epochs, optimiser and learning-rate schedule.
        augment: The augmentation that `recipe.augment` names; it is drawn anew for every batch.
        on_epoch: Called after each epoch.
    """
    training = Training(network, examples, streams, engine, recipe, augment=augment)
    for _ in range(recipe.epochs):
        training.epoch()
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
    on_batch: OnBatch = lambda index, predictions: None,
) -> None:
    """Train a network, from its current weights, on all examples once in random order.

    Args:
        network: Trained in place, in training mode.
        examples: The training images.
        streams: Draws order and augmentation.
        engine: Runs the network.
        sgd: The optimiser of the network's weights.
        augment: The augmentation, drawn anew for every batch.
        batch: Images in a step.
        on_batch: Called after each step with the positions of its examples and their predicted classes.
    """
    network.train().requires_grad_(True)
    order = torch.randperm(len(examples), generator=streams("order"))
    for step, index in enumerate(torch.split(order, batch)):
        images, labels = examples.batch(index)
        if augment:
            images = augment.per_image(streams.at(step)("augment"), len(index))(images)
        sgd.zero_grad()
        predictions = engine.add_gradients(network, images, labels)
        sgd.step()
        on_batch(index, predictions)
