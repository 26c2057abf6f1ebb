"""The experiments of M3D, NCFM, TGDD, IDM and DataDAM as settings of `dm`.

Published settings are those of pixels p in [0, 1]. Only IDM and DataDAM build on DM and optimise normalised pixels
x = (p - mean) / std, as we do. A step lr of SGD on p is one of lr / std^2 on x, a step of Adam one of lr / std. This is
exact for one channel; for three, std^2 is their mean. NCFM's networks see p, ours x: the norm after the first
convolution makes both alike but for the pixels beyond the border.

The losses have the published scales, except that of DataDAM, which is 100 times ours, so that its learning rate is 100
times the published one. A published weight of the cross-entropy is a factor on the loss (`classify_by="loss"`).
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from ..data.named import NAMED
from ..methods import DistributionMatching
from ..training.recipe import Recipe
from .preset import Preset, per_class
from .published_numbers import (
    IDM_NUMBERS,
    M3D_NUMBERS,
    NCFM_NUMBERS,
    NCFM_SAMPLER_NUMBERS,
    SOURCES,
    TGDD_NUMBERS,
    Published,
)

_SIZES = 1, 10, 50
_COLOUR = "cifar10", "cifar100", "tiny-imagenet"
_TRAINING_IMAGES = {"cifar10": 50_000, "cifar100": 50_000, "tiny-imagenet": 100_000}
_OF_A_CLASS = {"cifar10": 5000, "cifar100": 500, "tiny-imagenet": 500}
_EPOCHS = 60  # of a network, in batches of 128
_PERCENT = 50.0  # accuracy of IDM's networks, which multiplies its weight
_IDM_WEIGHTS = {
    "cifar10": {1: 0.5, 10: 0.5, 50: 0.1},
    "cifar100": {1: 0.5, 10: 0.1, 50: 0.1},
    "tiny-imagenet": {1: 0.5, 10: 0.5, 50: 0.8},
}
_IDM_LONG = ("cifar100", 10), ("tiny-imagenet", 50)
_VIEWS = DistributionMatching(form="tiles", factor=2, clamp=True, augment="color_crop_cutout")


def dm_variants() -> Iterator[tuple[str, Preset]]:
    """Yield the experiments by name."""
    for data in (*_COLOUR, "fashion-mnist"):
        for ipc in _SIZES:
            if data in ("cifar10", "fashion-mnist"):
                yield _preset("m3d", data, ipc, _m3d(data), M3D_NUMBERS)
            if data not in _COLOUR:
                continue
            yield _preset("tgdd", data, ipc, _tgdd(data, ipc), TGDD_NUMBERS, _tgdd_recipe(data))
            ncfm = _ncfm(data, ipc)
            yield _preset("ncfm", data, ipc, ncfm, NCFM_NUMBERS)
            yield _preset("ncfm", data, ipc, replace(ncfm, sampler=True), NCFM_SAMPLER_NUMBERS)
            yield _preset("idm", data, ipc, _idm(data, ipc), IDM_NUMBERS)
            yield _preset("datadam", data, ipc, _datadam(), {}, Recipe(epochs=1800, augment="auto"))


def _preset(
    name: str,
    data: str,
    ipc: int,
    method: DistributionMatching,
    numbers: dict[str, dict[int, Published]],
    recipe: Recipe | None = None,
) -> tuple[str, Preset]:
    """Return the name and the preset of one experiment."""
    arch = "ConvNetD4" if data == "tiny-imagenet" else "ConvNet"
    known = numbers.get(data, {})
    sampled = method.sampler
    paper = {"datadam": "DataDAM"}.get(name, name.upper())
    preset = Preset(
        title=f"{paper}{', with its sampling network' if sampled else ''}: {data}, {per_class(ipc)}",
        data=data,
        ipc=ipc,
        method=replace(method, arch=arch),
        sets=1,
        nets=5,
        published={arch: known[ipc]} if ipc in known else {},
        source=SOURCES[name] if ipc in known else "",
        recipe=recipe,
    )
    return f"{name}/{'sampler/' if sampled else ''}{data}/{ipc}", preset


def _sgd_rate(lr: float, data: str) -> float:
    """Return a learning rate of SGD on normalised pixels, of one on pixels in [0, 1]."""
    return lr / _variance(data)


def _variance(data: str) -> float:
    std = NAMED[data].std
    return sum(one**2 for one in std) / len(std)


def _training_steps(data: str) -> int:
    return _EPOCHS * math.ceil(_TRAINING_IMAGES[data] / 128)


def _m3d(data: str) -> DistributionMatching:
    return replace(_VIEWS, distance="mmd", keep=500, iterations=10_000, lr=_sgd_rate(1.0, data))


def _tgdd(data: str, ipc: int) -> DistributionMatching:
    """Return TGDD; of our ten moments of a training, one later is about the published six of 60 epochs."""
    return replace(
        _VIEWS,
        networks="trained",
        trainings=20,
        training_steps=_training_steps(data),
        ahead=1,
        classify=2.5 if ipc <= 10 else 0.5,
        classify_by="loss",
        iterations=10_000,
        batch_real=128,
        lr=_sgd_rate(0.01 * ipc, data),
    )


def _tgdd_recipe(data: str) -> Recipe:
    """Return the recipe of IDC's evaluation, which TGDD takes."""
    strategies = "color_crop_flip_scale_rotate" if NAMED[data].flip else "color_crop_scale_rotate"
    return Recipe(epochs=1000, full_rate=667, batch=64, augment=strategies, mix="cutmix")


def _ncfm(data: str, ipc: int) -> DistributionMatching:
    """Return NCFM without its sampling network, as its published settings are."""
    adam = (data, ipc) != ("cifar100", 10)
    return replace(
        _VIEWS,
        distance="cf",
        frequencies=4096,
        networks="blended",
        trainings=20,
        training_steps=_training_steps(data),
        classify=1.0,
        classify_by="loss",
        batch_real=min(1024, _OF_A_CLASS[data]),
        adam=adam,
        momentum=0.9 if adam else 0.5,
        lr=1e-3 / math.sqrt(_variance(data)) if adam else _sgd_rate(0.01, data),
    )


def _idm(data: str, ipc: int) -> DistributionMatching:
    """Return IDM; its weight times the accuracy of the network in percent, here always 50."""
    return DistributionMatching(
        form="tiles",
        factor=2,
        networks="queue",
        queue_steps=50 if (data, ipc) in _IDM_LONG else 10,
        classify=_IDM_WEIGHTS[data][ipc] * _PERCENT,
        classify_by="loss",
        batch_real=_OF_A_CLASS[data] if ipc == 1 else 256,
        lr=0.2,
    )


def _datadam() -> DistributionMatching:
    return DistributionMatching(features="attention", batch_real=64, lr=100.0)
