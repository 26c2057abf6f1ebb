"""Several networks of one architecture trained side by side: one batched computation where a loop would be many."""

from collections.abc import Callable, Sequence
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..augment import Augmentation
from ..data.image_set import Examples
from ..engine.engine import Engine, equal_part
from ..networks import Network, plain
from ..utils.streams import Streams
from .loop import Recipe


@final
class Form:
    """What a stack of networks computes, made once from one of them: what is compiled for one stack serves the next."""

    def __init__(self, network: Network) -> None:
        self.network = network
        batched = torch.func.vmap(self._logits, randomness="error")
        shared = torch.func.vmap(self._logits, in_dims=(None, 0, 0), randomness="error")

        def losses(images: Tensor, labels: Tensor, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return F.cross_entropy(batched(images, weights, buffers).flatten(0, 1), labels.flatten(), reduction="sum")

        def classes(images: Tensor, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
            return shared(images, weights, buffers).argmax(2)

        self.losses, self.classes = losses, classes

    def _logits(self, images: Tensor, weights: dict[str, Tensor], buffers: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(self.network, {**weights, **buffers}, (images,))


@final
class Stack:
    """S networks as one: weights and running statistics stacked along a new first dimension, (S, *shape)."""

    def __init__(self, form: Form, engine: Engine, streams: Sequence[Streams]) -> None:
        """Draws the weights of each network from its streams, as `training.train` does."""
        self.form = form
        self.engine = engine
        self.size = len(streams)
        states = []
        for one in streams:
            form.network.reset(one("network"))
            states.append({name: tensor.detach().clone() for name, tensor in form.network.state_dict().items()})
        stacked = {name: torch.stack([state[name] for state in states]) for name in states[0]}
        names = {name for name, _ in form.network.named_parameters()}
        self.weights = {name: tensor.requires_grad_() for name, tensor in stacked.items() if name in names}
        self.buffers = {name: tensor for name, tensor in stacked.items() if name not in names}

    def add_gradients(self, images: Tensor, labels: Tensor) -> None:
        """Add to each weight's `.grad` the gradient of each network's mean cross-entropy on a batch of its own.

        Images (S, N, C, H, W), labels (S, N).
        """
        with plain():
            loss = self.engine.call(self.form.losses, images, labels, self.weights, self.buffers)
        (loss / images.shape[1]).backward()

    @torch.no_grad()
    def predict(self, images: Tensor) -> Tensor:
        """Class of each normalised image (N, C, H, W) as each network sees it, (S, N). In evaluation mode."""
        size = equal_part(len(images), max(self.engine.execution.chunk // self.size, 1))
        with plain():
            parts = [
                self.engine.call(self.form.classes, some, self.weights, self.buffers) for some in images.split(size)
            ]
        return torch.cat(parts, dim=1)


def train_side_by_side(
    form: Form,
    examples: Examples,
    streams: Sequence[Streams],
    engine: Engine,
    recipe: Recipe,
    *,
    augment: Augmentation,
    on_epoch: Callable[[], None] = lambda: None,
) -> Stack:
    """Networks as `training.train` makes them one by one from the same streams, to float accuracy, all at once.

    on_epoch: called after each epoch once for every network. The network of `form` is left in evaluation mode.
    """
    stack = Stack(form, engine, streams)
    form.network.train()

    def optimiser(rate: float) -> torch.optim.Optimizer:
        weights = list(stack.weights.values())
        return torch.optim.SGD(weights, lr=rate, momentum=recipe.momentum, weight_decay=recipe.weight_decay)

    sgd = optimiser(recipe.lr)
    for epoch in range(1, recipe.epochs + 1):
        here = [one.at(epoch) for one in streams]
        orders = torch.stack([torch.randperm(len(examples), generator=one("order")) for one in here])  # (S, N)
        for step, index in enumerate(orders.split(recipe.batch, dim=1)):
            images, labels = examples.batch(index.flatten())
            images, labels = images.unflatten(0, index.shape), labels.view(index.shape)
            if augment:
                views = [augment.per_image(one.at(step)("augment"), index.shape[1]) for one in here]
                images = torch.stack([view(of_one) for view, of_one in zip(views, images, strict=True)])
            sgd.zero_grad()
            stack.add_gradients(images, labels)
            sgd.step()
        if epoch == recipe.first_phase:
            sgd = optimiser(recipe.lr / 10)
        for _ in streams:
            on_epoch()
    form.network.eval()
    return stack
