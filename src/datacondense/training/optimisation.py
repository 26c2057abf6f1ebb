"""The steps of one training by a recipe: optimiser, learning rate and averaged weights."""

import math
from collections.abc import Mapping
from typing import final

import torch
from torch import Tensor

from .cached import packed, part, unpack
from .optimiser import build_optimiser
from .recipe import Recipe
from .schedule import learning_rate

_STATE = "sgd"  # prefix of the optimiser's tensors in cached trainings, of any kind


@final
class Optimisation:
    """The optimiser of a training, its learning-rate schedule, and the moving average of the weights.

    Args:
        recipe: The recipe.
        weights: Name -> weight, of one network or of several stacked.
        buffers: Name -> running statistic; these are averaged alike.
        images: Training images; their number gives the steps of an epoch.
    """

    def __init__(
        self, recipe: Recipe, weights: Mapping[str, Tensor], buffers: Mapping[str, Tensor], images: int
    ) -> None:
        self.recipe = recipe
        self.weights = weights
        self.per_epoch = math.ceil(images / recipe.batch)
        self.done = 0
        """Steps that are done."""
        self.tracked = {name: one for name, one in {**weights, **buffers}.items() if one.is_floating_point()}
        self.average = {name: one.detach().clone() for name, one in self.tracked.items()} if recipe.ema else {}
        self.optimiser = self._fresh()

    def zero_grad(self) -> None:
        """Forget the gradients of the weights."""
        self.optimiser.zero_grad()

    def step(self) -> None:
        """Update the weights by their gradients at the learning rate of this step, and then their average."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        self.optimiser.step()
        self.done += 1
        if self.recipe.schedule == "step" and self.done == self._full_steps:
            self.optimiser = self._fresh()  # without momentum, as published
        decay = min(self.recipe.ema, self.done / (9 + self.done))
        with torch.no_grad():
            for name, average in self.average.items():
                average.lerp_(self.tracked[name], 1 - decay)

    def finish(self) -> None:
        """Replace the weights by their average, if there is one."""
        with torch.no_grad():
            for name, average in self.average.items():
                self.tracked[name].copy_(average)

    def state(self) -> dict[str, Tensor]:
        """Return the state that `restore` needs besides the number of epochs and the weights."""
        average = {f"average.{name}": one for name, one in self.average.items()}
        return {**packed(_STATE, self.optimiser), **average}

    def restore(self, state: Mapping[str, Tensor], epochs: int) -> None:
        """Resume from `state` after `epochs` epochs, bit for bit. Its tensors may be shared: they are copied."""
        self.done = epochs * self.per_epoch
        self.optimiser = self._fresh()
        unpack(_STATE, self.optimiser, state)
        averages = part("average", state)
        for name, average in self.average.items():
            average.copy_(averages[name])

    @property
    def _full_steps(self) -> int:
        return self.recipe.first_phase * self.per_epoch

    def _learning_rate(self) -> float:
        recipe = self.recipe
        return learning_rate(
            recipe.lr,
            recipe.schedule,
            self.done,
            steps=recipe.epochs * self.per_epoch,
            full=self._full_steps,
            warm_up=recipe.warm_up,
        )

    def _fresh(self) -> torch.optim.Optimizer:
        """Return the optimiser without momentum."""
        recipe = self.recipe
        return build_optimiser(
            self.weights.values(),
            self._learning_rate(),
            kind=recipe.optimiser,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
        )
