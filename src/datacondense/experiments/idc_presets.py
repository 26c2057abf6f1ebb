"""The experiments of IDC and IDC-I (Kim et al., ICML 2022) and of DREAM (Liu et al., ICCV 2023) as settings of `dsa`.

Published settings are those of pixels p in [0, 1], and of classes that take turns; ours are those of normalised pixels
x = (p - mean) / std, and of one update of all classes (see `joint`). A step lr on p is one of lr / std^2 on x. This is
exact for one channel; for three, std^2 is their mean (off by at most 3 % on SVHN, 2 % on CIFAR10, 8 % on CIFAR100).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import final

from ..data.named import NAMED
from ..methods import DSA
from ..methods.distances import Distance
from ..training.recipe import Recipe
from .preset import Preset, per_class, published_numbers
from .published_numbers import IDC_I_NUMBERS, IDC_NUMBERS, SOURCES

_BATCH = 64  # real images of each class in an update, and in a step of a network
_MOMENTUM = 0.5
_EVALUATED = "color_crop_flip_scale_rotate"
_EVALUATED_DIGITS = "color_crop_scale_rotate"


@final
@dataclass(frozen=True)
class _Setting:
    """Published settings of one dataset."""

    distance: Distance
    lr: float
    """At 10 images per class, for pixels in [0, 1]; it grows in proportion to them."""
    images: int
    """Real images that the network sees after each update."""


_SETTINGS = {
    "mnist": _Setting("conv-l1", 1e-4, 500),
    "fashion-mnist": _Setting("conv-l1", 1e-4 * (28 / 32) ** 2, 500),
    "svhn": _Setting("conv-mse", 5e-3, 500),
    "cifar10": _Setting("conv-mse", 5e-3, 2000),
    "cifar100": _Setting("conv-mse", 5e-3, 2000),
}
_OF_DREAM = ("mnist", "fashion-mnist", "svhn")  # whose settings are those of IDC
_CLASSES = {"cifar100": 100}


def joint(lr: float, momentum: float, classes: int) -> tuple[float, float]:
    """Return learning rate and momentum of one update of all classes that stand for updates of the classes in turn.

    In IDC one SGD with momentum m holds the images of all classes while each takes its step, so that every class moves
    in all K steps. Between two gradients of a class it moves by lr (1 + m + ... + m^(K-1)) times its buffer, and the
    buffer shrinks by m^K. So it takes the steps of SGD with momentum m^K and learning rate lr (1 - m^K) / (1 - m): both
    see the same images at every gradient.

    Args:
        lr: Learning rate of one step.
        momentum: Momentum m of one step.
        classes: K.
    """
    kept = momentum**classes
    return lr * (1 - kept) / (1 - momentum), kept


def idc_presets() -> Iterator[tuple[str, Preset]]:
    """Yield the experiments of IDC, IDC-I and DREAM by name."""
    for data in _SETTINGS:
        for ipc in (1, 10, 20, 50) if data == "cifar100" else (1, 10, 50):
            for name, factor in (("idc", 2), ("idc-i", 1)):
                numbers = published_numbers(IDC_NUMBERS if factor > 1 else IDC_I_NUMBERS, data, ipc)
                yield (
                    f"{name}/{data}/{ipc}",
                    Preset(
                        title=f"{name.upper()}: {data}, {per_class(ipc)}",
                        data=data,
                        ipc=ipc,
                        method=_method(data, ipc, factor),
                        sets=1,
                        nets=5,
                        published=numbers,
                        source=SOURCES["idc"] if numbers else "",
                        recipe=_recipe(data, ipc, factor),
                    ),
                )
            if data in _OF_DREAM:
                yield (
                    f"dream/{data}/{ipc}",
                    Preset(
                        title=f"DREAM: {data}, {per_class(ipc)}",
                        data=data,
                        ipc=ipc,
                        method=replace(_method(data, ipc, 2), batches="dream", init="kmeans"),
                        sets=1,
                        nets=5,
                        recipe=_recipe(data, ipc, 2),
                    ),
                )


def _method(data: str, ipc: int, factor: int) -> DSA:
    """Return the method with its published settings."""
    setting, std = _SETTINGS[data], NAMED[data].std
    lr = setting.lr * ipc / 10 / (sum(one**2 for one in std) / len(std))
    lr, momentum = joint(lr, _MOMENTUM, _CLASSES.get(data, 10))
    plain = data == "mnist" and factor > 1  # neither cutout nor CutMix
    return DSA(
        iterations=2000,
        lr=lr,
        momentum=momentum,
        batch_real=_BATCH,
        batch_synthetic=128,
        form="tiles" if factor > 1 else "pixels",
        factor=max(factor, 2),
        clamp=True,
        augment="color_crop" if plain else "color_crop_cutout",
        distance=setting.distance,
        updates=100,
        train_on="real",
        warm_up=0,
        steps=math.ceil(setting.images / _BATCH),
        batch_net=_BATCH,
        mix_net="none" if plain else "cutmix",
        momentum_net=0.9,
        decay_net=5e-4,
    )


def _recipe(data: str, ipc: int, factor: int) -> Recipe:
    """Return the recipe of evaluation; published is a fifth of the rate at 2/3 and again at 5/6 of the epochs."""
    strategies = _EVALUATED if NAMED[data].flip else _EVALUATED_DIGITS
    mixed = not (data == "mnist" and factor > 1)
    if data == "svhn" and ipc == factor == 1:
        strategies, mixed = "color_crop_cutout_scale_rotate", False
    return Recipe(epochs=1000, full_rate=667, batch=64, augment=strategies, mix="cutmix" if mixed else "none")
