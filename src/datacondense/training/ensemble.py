"""An ensemble: networks of one architecture trained side by side, in one batched computation instead of a loop."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor

from ..augment import Augmentation
from ..data.image_set import Examples
from ..engine.engine import Engine, equal_part
from ..engine.losses import Criterion, ce
from ..networks import Network
from ..networks.layers import at_least_float32
from ..utils.streams import Streams
from .loop import Relabel, Variation
from .optimisation import Optimisation
from .recipe import Recipe


@final
class BatchedNetwork:
    """Losses and predicted classes of several networks at once, as functions of their stacked weights.

    Made once from one network and the loss of an image: code that is compiled for one ensemble serves the next.
    """

    def __init__(self, network: Network, loss: Criterion = ce) -> None:
        self.network = network
        batched = torch.func.vmap(self._logits, randomness="error")
        shared = torch.func.vmap(self._logits, in_dims=(None, 0, 0), randomness="error")

        def losses(images: Tensor, labels: Tensor, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return loss(batched(images, weights, buffers).flatten(0, 1), labels.flatten(0, 1)).sum()

        def classes(images: Tensor, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return shared(images, weights, buffers).argmax(2)

        self.losses, self.classes = losses, classes

    def _logits(self, images: Tensor, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return at_least_float32(torch.func.functional_call(self.network, {**weights, **buffers}, (images,)))


@final
class Ensemble:
    """S networks as one: weights and running statistics stacked along a new first dimension, (S, *shape)."""

    def __init__(self, batched: BatchedNetwork, engine: Engine, streams: Sequence[Streams]) -> None:
        """Draw the weights of each network from its streams, as `train` does."""
        self.batched = batched
        self.engine = engine
        self.size = len(streams)
        network, states = batched.network, list[dict[str, Tensor]]()
        for one in streams:
            network.reset(one("network"))
            states.append({name: tensor.detach().clone() for name, tensor in network.state_dict().items()})
        stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        names = {name for name, _ in network.named_parameters()}
        self.weights = {name: tensor.requires_grad_() for name, tensor in stacked.items() if name in names}
        self.buffers = {name: tensor for name, tensor in stacked.items() if name not in names}

    def add_gradients(self, images: Tensor, labels: Tensor) -> None:
        """Add to each weight's `.grad` the gradient of each network's mean loss on its own batch.

        Images (S, N, C, H, W), labels int64 (S, N) or float (S, N, K).
        """
        loss = self.engine.call(self.batched.losses, images, labels, self.weights, self.buffers)
        (loss / images.shape[1]).backward()

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Predict the class of each normalised image (N, C, H, W) by each network, (S, N), in evaluation mode."""
        size = equal_part(len(images), max(self.engine.execution.chunk // self.size, 1))
        parts = [
            self.engine.call(self.batched.classes, some, self.weights, self.buffers)
            for some in torch.split(images, size)
        ]
        return torch.cat(parts, dim=1)


def train_ensemble(
    batched: BatchedNetwork,
    examples: Examples,
    streams: Sequence[Streams],
    engine: Engine,
    recipe: Recipe,
    *,
    augment: Augmentation,
    on_epoch: Callable[[], None] = lambda: None,
    relabel: Relabel | None = None,
) -> Ensemble:
    """Train networks side by side that `train` would make one by one from the same streams, equal to float accuracy.

    Args:
        batched: The architecture; its network is left in evaluation mode.
        examples: The training images.
        streams: One for each network: draws its weights, order and augmentation.
        engine: Runs the networks.
        recipe: Epochs, loss, optimiser and learning-rate schedule; `batched` has the same loss.
        augment: The augmentation that `recipe.augment` names.
        on_epoch: Called after each epoch once for every network.
        relabel: Gives the labels of each batch of a network in place of those of the examples.
    """
    ensemble = Ensemble(batched, engine, streams)
    batched.network.train()
    optimisation = Optimisation(recipe, ensemble.weights, ensemble.buffers, len(examples))
    variation = Variation(augment, recipe.mixing, examples.spec.classes, relabel)
    for epoch in range(1, recipe.epochs + 1):
        here = [one.at(epoch) for one in streams]
        orders = torch.stack([torch.randperm(len(examples), generator=one("order")) for one in here])  # (S, N)
        for step, index in enumerate(torch.split(orders, recipe.batch, dim=1)):
            images, labels = examples.batch(index.flatten())
            batches = images.reshape(*index.shape, *images.shape[1:])  # (S, N, C, H, W)
            labels = labels.reshape(*index.shape, *labels.shape[1:])
            if variation:
                varied = [
                    variation(images, of_images, one.at(step))
                    for images, of_images, one in zip(batches, labels, here, strict=True)
                ]
                batches, labels = (torch.stack(each) for each in zip(*varied, strict=True))
            optimisation.zero_grad()
            ensemble.add_gradients(batches, labels)
            optimisation.step()
        for _ in streams:
            on_epoch()
    optimisation.finish()
    batched.network.eval()
    return ensemble
