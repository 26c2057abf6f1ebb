"""The experiments of FRePo as settings of `krr`.

Published settings are those of LAMB, whose step on a tensor is the learning rate times the size of the tensor. Adam
moves each number by the learning rate, so 3e-4 holds for normalised images, whose size is 1, and 3e-4 times the size of
the first labels for these. No number is listed, because none was read.
"""

import math
from collections.abc import Iterator

from ..methods import KernelRegression
from ..methods.learned_labels import values_recipe
from .preset import Preset, per_class

_CLASSES = {"mnist": 10, "fashion-mnist": 10, "cifar10": 10, "cifar100": 100}
_STRATEGIES = "color_crop_cutout_rotate"  # of the networks that train on the set
_RATE = 3e-4
_BATCH = 1024  # real images of all classes


def krr_presets() -> Iterator[tuple[str, Preset]]:
    """Yield the experiments by name."""
    for data, classes in _CLASSES.items():
        for ipc in (1, 10, 50):
            preset = Preset(
                title=f"FRePo: {data}, {per_class(ipc)}",
                data=data,
                ipc=ipc,
                method=_frepo(classes),
                sets=1,
                nets=5,
                recipe=values_recipe(classes * ipc, _STRATEGIES),
            )
            yield f"frepo/{data}/{ipc}", preset


def _frepo(classes: int) -> KernelRegression:
    """Return FRePo: learned values under a pool of wide networks without norm, and half the squared error."""
    size = math.sqrt(1 / classes * (1 - 1 / classes)) / math.sqrt(classes / 10)  # of the first labels
    return KernelRegression(
        arch="ConvNetFRePo",
        augment="none",
        iterations=500_000,
        lr=_RATE,
        lr_labels=_RATE * size,
        batch_real=math.ceil(_BATCH / classes),
        init="real",
        loss="mse",
        label_form="values",
        ridge=1e-6,
    )
