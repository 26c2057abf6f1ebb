"""Labels that are learned with the images, and the recipe of networks that train on values."""

import math
from typing import Literal

from torch import Tensor

from ..synthetic.targets import LearnedLabels
from ..training.recipe import Recipe
from .ridge import centred

LabelForm = Literal["hard", "probabilities", "values"]

IMAGES_IN_STEP = 500
"""Training images in a step of a network that trains on a set, as in FRePo."""
_SURE = 0.9  # probability of its class in the first label of an image
_STEPS = ((10, 1000), (100, 2000), (200, 20_000), (500, 5000), (1000, 10_000), (10**9, 40_000))
"""Training images at most, and steps of FRePo's recipe."""


def first_labels(numbers: Tensor, classes: int, form: Literal["probabilities", "values"]) -> LearnedLabels:
    """Return labels to learn that begin as classes: probability 0.9, or centred one-hot rows over sqrt(K / 10).

    Args:
        numbers: Classes, int64 (K, V).
        classes: K.
        form: Form of the labels.
    """
    rows = centred(numbers, classes).float()  # (K, V, K)
    if form == "values":
        return LearnedLabels(rows / math.sqrt(classes / 10), softmax=False)
    return LearnedLabels((rows + 1 / classes) * math.log(_SURE * (classes - 1) / (1 - _SURE)))


def mean_margin(labels: Tensor) -> Tensor:
    """Return the mean over labels (n, K) of their largest number less their second, at most 1/K, ()."""
    first, second = labels.topk(2, dim=1).values.unbind(1)
    return (first - second).clamp_max(1 / labels.shape[1]).mean()


def values_recipe(images: int, augment: str) -> Recipe:
    """Return the recipe for labels that are values, by the number of training images."""
    steps = next((steps for most, steps in _STEPS if images <= most), _STEPS[-1][1])
    return Recipe(
        epochs=math.ceil(steps / math.ceil(images / IMAGES_IN_STEP)),
        augment=augment,
        batch=IMAGES_IN_STEP,
        optimiser="adam",
        lr=3e-4,
        weight_decay=0.0,  # its code passes none to Adam
        schedule="cosine",
        warm_up=min(500, steps // 2),
        loss="mse",
        ema=0.995,
    )
