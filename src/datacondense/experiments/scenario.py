"""Scenarios of class-incremental learning: the order of the classes, and their steps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from ..utils.errors import InputError
from ..utils.ranges import Batch, Epochs, Images, Networks, Rate, Repeats, check_fields


@final
@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Steps of the classes, and training on the rehearsal memory. The defaults are the published values."""

    steps: Batch = 5
    """Steps in which the classes arrive, as equal in size as possible."""
    ipc: Images = 20
    """Images of each class in the rehearsal memory."""
    orders: Repeats = 5
    """Orders of the classes; that of seed s is numpy.random.RandomState(s).permutation(K)."""
    nets: Networks = 3
    """Networks trained at each step of each order."""
    epochs: Epochs = 1000
    """Training epochs."""
    lr: Rate = 0.01
    """Learning rate of the training; divided by 10 after half of it."""
    batch: Batch = 256
    """Batch of the training."""
    arch: str = "ConvNet"
    """Network to train; methods make the memory for it too."""
    augment: str = "dsa"
    """Augmentation in training, as `evaluate` takes it."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields under their names in files, where `ipc` is per_class."""
        return {"per_class" if name == "ipc" else name: value for name, value in asdict(self).items()}

    def check(self, classes: int) -> None:
        """Raise InputError for values out of range, and for more steps than classes."""
        check_fields(self)
        if self.steps > classes:
            raise InputError(f"--steps {self.steps}: there are {classes} classes, so at most as many steps")


def class_order(classes: int, seed: int) -> list[int]:
    """Return the published order of the classes: the permutation of numpy's legacy generator under `seed`."""
    return np.random.RandomState(seed).permutation(classes).tolist()


def split_into_steps(order: Sequence[int], steps: int) -> list[list[int]]:
    """Return the classes of each step; where they do not divide evenly the first steps have one more."""
    return [part.tolist() for part in np.array_split(np.array(order), steps)]
