"""The loop that trains a network on a set."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..augment import Augmentation
from ..augment.mix import Mix
from ..data.image_set import Examples, ImageSet
from ..engine.engine import Engine
from ..networks import Network
from ..utils.errors import InputError
from ..utils.streams import Streams
from .cached import named, part
from .optimisation import Optimisation
from .optimiser import Stepper
from .recipe import Recipe

OnBatch = Callable[[Tensor, Tensor], None]
"""Called after each step with the positions of its examples, (n,), and their predicted classes, (n,)."""
Relabel = Callable[[Tensor], Tensor]
"""Normalised images (n, C, H, W) of a batch, augmented and mixed, -> their soft labels (n, K): a teacher online."""
PUBLISHED = Recipe(epochs=1)
"""One epoch of the published recipe: batches of 256, cross-entropy, no mixing."""


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
        relabel: Relabel | None = None,
    ) -> None:
        self.network = network
        self.examples = examples
        self.streams = streams
        self.engine = engine
        self.recipe = recipe
        self.variation = Variation(augment, recipe.mixing, examples.spec.classes, relabel)
        self.done = 0
        network.reset(streams("network"))
        network.train().requires_grad_(True)
        weights, buffers = dict(network.named_parameters()), dict(network.named_buffers())
        self.optimisation = Optimisation(recipe, weights, buffers, len(examples))

    def epoch(self, on_batch: OnBatch = lambda index, predictions: None) -> None:
        """Train for one more epoch."""
        _train_epoch(
            self.network,
            self.examples,
            self.streams.at(self.done + 1),
            self.engine,
            self.optimisation,
            self.variation,
            self.recipe,
            on_batch,
        )
        self.done += 1

    def finish(self) -> Network:
        """Return the trained network in evaluation mode; averaged weights replace the last ones."""
        self.optimisation.finish()
        return self.network.eval()

    def state(self) -> dict[str, Tensor]:
        """Return the state that `restore` needs: epochs, weights, momenta and averages."""
        return {"epochs": torch.tensor(self.done), **named("network", self.network), **self.optimisation.state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Resume from `state`, bit for bit. Its tensors may be shared: they are copied."""
        self.done = int(state["epochs"])
        self.optimisation.restore(state, self.done)
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
    relabel: Relabel | None = None,
) -> None:
    """Train a network from fresh weights by a recipe, and leave it in evaluation mode.

    Args:
        network: Prepared by the engine; its weights are drawn anew.
        examples: The training images.
        streams: Draws weights, order and augmentation.
        engine: Runs the network.
        recipe: Epochs, loss, optimiser and learning-rate schedule.
        augment: The augmentation that `recipe.augment` names; it is drawn anew for every batch.
        on_epoch: Called after each epoch.
        relabel: Gives the labels of each batch in place of those of the examples.
    """
    training = Training(network, examples, streams, engine, recipe, augment=augment, relabel=relabel)
    for _ in range(recipe.epochs):
        training.epoch()
        on_epoch()
    training.finish()


def train_epoch(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    optimiser: Stepper,
    *,
    augment: Augmentation,
    recipe: Recipe = PUBLISHED,
    on_batch: OnBatch = lambda index, predictions: None,
) -> None:
    """Train a network, from its current weights, on all examples once in random order.

    Args:
        network: Trained in place; in training mode, and its weights require gradients. (Setting both takes as long as
            a small layer, so it is left to the caller, who may do it once for all epochs.)
        examples: The training images.
        streams: Draws order and augmentation.
        engine: Runs the network.
        optimiser: The optimiser of the network's weights.
        augment: The augmentation, drawn anew for every batch.
        recipe: Gives the images in a step, the loss and the mixing; the optimiser is not taken from it.
        on_batch: Called after each step with the positions of its examples and their predicted classes.
    """
    variation = Variation(augment, recipe.mixing, examples.spec.classes)
    _train_epoch(network, examples, streams, engine, optimiser, variation, recipe, on_batch)


def _train_epoch(
    network: Network,
    examples: Examples,
    streams: Streams,
    engine: Engine,
    optimiser: Stepper,
    variation: "Variation",
    recipe: Recipe,
    on_batch: OnBatch,
) -> None:
    """Train as `train_epoch` does, on batches that `variation` changes."""
    order = torch.randperm(len(examples), generator=streams("order"))
    for step, index in enumerate(torch.split(order, recipe.batch)):
        batch = variation(*examples.batch(index), streams.at(step))
        optimiser.zero_grad()
        predictions = engine.add_gradients(network, *batch, recipe.criterion)
        optimiser.step()
        on_batch(index, predictions)


def train_step(
    network: Network,
    real: ImageSet,
    streams: Streams,
    engine: Engine,
    optimiser: Stepper,
    *,
    augment: Augmentation,
    batch: int,
    mixing: Mix = PUBLISHED.mixing,
) -> None:
    """Train a network, from its current weights, for one step on real images of any class, augmented one by one.

    Args:
        network: Trained in place; in training mode, and its weights require gradients.
        real: The images, of which the batch is drawn with replacement.
        streams: Draws the batch and its augmentation.
        engine: Runs the network.
        optimiser: The optimiser of the network's weights.
        augment: The augmentation.
        batch: Images in the batch.
        mixing: The mixing of the batch; by default none.
    """
    index = torch.randint(len(real), (batch,), generator=streams("train"))
    images, labels = real.batch(index)
    images = augment.per_image(streams("train_augment"), len(index))(images)
    if mixing:
        images, labels = mixing.draw(streams("train_mix"), len(index))(images, labels, real.spec.classes)
    optimiser.zero_grad()
    engine.add_gradients(network, images, labels)
    optimiser.step()


@final
@dataclass(frozen=True)
class Variation:
    """The changes of a training batch: augmentation, then mixing, then labels of a teacher."""

    augment: Augmentation
    """The augmentation of each image."""
    mixing: Mix
    """The mixing of the batch and of its labels alike."""
    classes: int
    """K."""
    relabel: Relabel | None = None
    """Gives the labels of the images that result."""

    def __bool__(self) -> bool:
        """Return whether anything changes."""
        return bool(self.augment or self.mixing or self.relabel)

    def __call__(self, images: Tensor, labels: Tensor, streams: Streams) -> tuple[Tensor, Tensor]:
        """Change a batch.

        Args:
            images: Normalised images (n, C, H, W).
            labels: Their labels, int64 (n,) or float (n, K).
            streams: Draws augmentation and mixing, for this step.

        Returns:
            Images (n, C, H, W) and labels, which are soft, (n, K), after mixing and from a teacher.

        Raises:
            InputError: `relabel` does not give a number for each image and class.
        """
        if self.augment:
            images = self.augment.per_image(streams("augment"), len(images))(images)
        if self.mixing:
            images, labels = self.mixing.draw(streams("mix"), len(images))(images, labels, self.classes)
        return images, labels if self.relabel is None else self._relabelled(images, self.relabel)

    def _relabelled(self, images: Tensor, relabel: Relabel) -> Tensor:
        with torch.no_grad():
            labels = relabel(images)
        expected = len(images), self.classes
        if labels.shape != expected or not labels.is_floating_point():
            raise InputError(
                f"relabel gives {str(labels.dtype)[6:]} {tuple(labels.shape)} for {len(images)} images of "
                f"{self.classes} classes: return float {expected}"
            )
        return labels.to(images)
