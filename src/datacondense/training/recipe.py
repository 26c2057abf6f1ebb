"""The recipe of training: epochs, batch, augmentation, and the optimiser of the schedule in each phase."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, final

import torch
from torch import Tensor

from ..utils.ranges import Batch, Epochs, Momentum, Rate
from . import schedule


@final
@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Training of a network from fresh weights (Zhao, Mopuri & Bilen 2021): cross-entropy, SGD in two phases."""

    epochs: Epochs
    augment: str = "none"
    """Name of the augmentation, for `augment.parse_training`."""
    lr: Rate = 0.01
    """Learning rate; divided by 10, with the momentum reset, after `first_phase` epochs."""
    momentum: Momentum = 0.9
    weight_decay: float = 5e-4
    batch: Batch = 256
    full_rate: int | None = None
    """Epochs at the full learning rate; None: epochs // 2 + 1."""

    @property
    def first_phase(self) -> int:
        """Epochs at the full learning rate."""
        return schedule.first_phase(self.epochs) if self.full_rate is None else self.full_rate

    def optimiser(self, weights: Iterable[Tensor], done: int) -> torch.optim.Optimizer:
        """Return the optimiser, without momentum yet, of the phase after `done` epochs."""
        lr = schedule.learning_rate(self.lr, done, self.first_phase)
        return schedule.sgd(weights, lr, self.momentum, self.weight_decay)

    def changes_phase(self, done: int) -> bool:
        """Return whether the next phase, with its own optimiser, begins after `done` epochs."""
        return done == self.first_phase

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; a `full_rate` of None is left out, as in older records."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if name != "full_rate" or value is not None}
