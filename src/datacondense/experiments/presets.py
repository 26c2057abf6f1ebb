"""Every published experiment by name: what was run, and the test accuracy that was published for it.

Numbers are percent, mean and standard deviation, by the network tested; `source` says where we read them. A preset
without a number is an experiment whose table is printed in its paper only.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import final

from ..methods import DC, DSA, DistributionMatching, Herding, Method, Random

Published = tuple[float, float | None]  # percent: mean, standard deviation

_DATA = ("mnist", "fashion-mnist", "svhn", "cifar10", "cifar100")
_DIGITS = ("mnist", "svhn")
_DSA_STRATEGIES = "color_crop_cutout_flip_scale_rotate"
_DIGIT_STRATEGIES = "color_crop_cutout_scale_rotate"
_CROSS = ("MLP", "LeNet", "ConvNet", "AlexNet", "VGG11BN", "ResNet18BN_AP")
_BATCH_NORM = ("ConvNetBN", "AlexNetBN", "VGG11BN", "ResNet18BN_AP", "ResNet18BN", "ConvNetASwishBN")

_SOURCE = {  # where we read the number
    "dc": "DC, Table 1, as in the authors' README; deviation as in Nguyen et al. 2021, Table 1",
    "dsa": "DSA, Tables 1 and 2, as in the authors' README; deviation as in Nguyen et al. 2021, Table 1",
    "dm": "DM, as in Table 1 of PAD, arXiv 2408.03360",
    "large": "DM, as in the authors' README",
}
_DC: dict[str, dict[int, Published]] = {
    "mnist": {1: (91.7, 0.5), 10: (97.4, 0.2), 50: (98.8, None)},
    "fashion-mnist": {1: (70.5, 0.6), 10: (82.3, 0.4), 50: (83.6, 0.4)},
    "svhn": {1: (31.2, 1.4), 10: (76.1, 0.6), 50: (82.3, 0.3)},
    "cifar10": {1: (28.3, 0.5), 10: (44.9, 0.5), 50: (53.9, 0.5)},
    "cifar100": {1: (12.8, 0.3), 10: (25.2, 0.3)},
}
_DSA: dict[str, dict[int, Published]] = {
    "mnist": {1: (88.7, 0.6), 10: (97.8, 0.1), 50: (99.2, 0.1)},
    "fashion-mnist": {1: (70.6, 0.6), 10: (84.6, 0.3), 50: (88.7, 0.2)},
    "svhn": {1: (27.5, 1.4), 10: (79.2, 0.5), 50: (84.4, 0.4)},
    "cifar10": {1: (28.8, 0.7), 10: (52.1, 0.5), 50: (60.6, 0.5)},
    "cifar100": {1: (13.9, 0.3), 10: (32.3, 0.3)},
}
_DM: dict[str, dict[int, Published]] = {
    "cifar10": {1: (26.0, 0.8), 10: (48.9, 0.6), 50: (63.0, 0.4)},
    "cifar100": {1: (11.4, 0.3), 10: (29.7, 0.3), 50: (43.6, 0.4)},
    "tiny-imagenet": {1: (3.9, 0.2), 10: (12.9, 0.4), 50: (24.1, 0.3)},
}
_DM_LARGE: dict[int, Published] = {
    100: (67.0, 0.3),
    200: (71.2, 0.4),
    500: (76.1, 0.3),
    1000: (79.8, 0.3),
    1250: (80.8, 0.3),
}


@final
@dataclass(frozen=True, kw_only=True)
class Preset:
    """One published experiment: sets are condensed under different seeds, and networks trained on each."""

    title: str
    data: str
    ipc: int
    method: Method
    first: Method | None = None
    """What makes the set that `method` starts from."""
    pool: str = "S"
    """Networks it is tested on, by the letter of the published pools."""
    sets: int = 5
    nets: int = 20
    """Networks of each architecture for each set."""
    published: Mapping[str, Published] = field(default_factory=dict)
    """Network tested -> the number to reproduce; empty where none is known to us."""
    source: str = ""
    """Where the number is published."""


@final
@dataclass(frozen=True, kw_only=True)
class ContinualPreset:
    """One published experiment of class-incremental learning on a memory. Its numbers are drawn, not printed."""

    title: str
    data: str
    memory: Method
    steps: int
    per_class: int = 20
    orders: int = 5
    nets: int = 3
    epochs: int = 1000


def _published(tables: Mapping[str, Mapping[int, Published]], data: str, ipc: int) -> dict[str, Published]:
    return {"ConvNet": tables[data][ipc]} if ipc in tables.get(data, {}) else {}


def _per_class(ipc: int) -> str:
    return f"{ipc} image{'s' if ipc > 1 else ''} per class"


def _dc() -> Iterator[tuple[str, Preset]]:
    for data in _DATA:
        for ipc in (1, 10, 20, 30, 40, 50):
            numbers = _published(_DC, data, ipc)
            title = f"DC, Table 1: {data}, {_per_class(ipc)}"
            yield (
                f"dc/{data}/{ipc}",
                Preset(
                    title=title,
                    data=data,
                    ipc=ipc,
                    method=DC(),
                    published=numbers,
                    source=_SOURCE["dc"] if numbers else "",
                ),
            )
    ablations = {
        "cross": ("Table 2", "M", _CROSS),
        "width": ("Tables T2-T7, width", "W", [f"ConvNetW{width}" for width in (32, 64, 128, 256)]),
        "depth": ("Tables T2-T7, depth", "D", [f"ConvNetD{depth}" for depth in (1, 2, 3, 4)]),
        "activation": ("Tables T2-T7, activation", "A", ["ConvNetAS", "ConvNetAR", "ConvNetAL"]),
        "pooling": ("Tables T2-T7, pooling", "P", ["ConvNetNP", "ConvNetMP", "ConvNetAP"]),
        "norm": ("Tables T2-T7, normalisation", "N", [f"ConvNet{norm}" for norm in ("NN", "BN", "LN", "IN", "GN")]),
    }
    for name, (table, pool, archs) in ablations.items():
        for arch in archs:
            # the standard ConvNet under its name in a pool: the experiment of Table 1
            standard = arch in ("ConvNet", "ConvNetW128", "ConvNetD3", "ConvNetAR", "ConvNetAP", "ConvNetIN")
            yield (
                f"dc/{name}/{arch}",
                Preset(
                    title=f"DC, {table}: mnist, 1 image per class, condensed with {arch}",
                    data="mnist",
                    ipc=1,
                    method=DC(arch=arch, lr=0.01 if arch == "MLP" else 0.1),
                    pool=pool,
                    published={arch: _DC["mnist"][1]} if standard else {},
                    source=f"{_SOURCE['dc']} (the same experiment)" if standard else "",
                ),
            )
    for distance in ("ours", "mse", "cos"):
        for arch in _CROSS:
            same = distance == "ours" and arch == "ConvNet"
            yield (
                f"dc/distance/{distance}/{arch}",
                Preset(
                    title=f"DC, gradient distance {distance}: mnist, 1 image per class, {arch}",
                    data="mnist",
                    ipc=1,
                    method=DC(arch=arch, lr=0.01 if arch == "MLP" else 0.1, distance=distance),
                    published={arch: _DC["mnist"][1]} if same else {},
                    source=f"{_SOURCE['dc']} (the same experiment)" if same else "",
                ),
            )


def _dsa() -> Iterator[tuple[str, Preset]]:
    for data in _DATA:
        for ipc in (1, 10, 20, 30, 40, 50):
            numbers = _published(_DSA, data, ipc)
            yield (
                f"dsa/{data}/{ipc}",
                Preset(
                    title=f"DSA, Tables 1 and 2: {data}, {_per_class(ipc)}",
                    data=data,
                    ipc=ipc,
                    method=DSA(augment=_strategies(data)),
                    published=numbers,
                    source=_SOURCE["dsa"] if numbers else "",
                ),
            )
    for data in _DATA[:4]:
        for strategy in ("color", "crop", "cutout", "flip", "scale", "rotate", _DIGIT_STRATEGIES, _DSA_STRATEGIES):
            same = strategy == (_DIGIT_STRATEGIES if data in _DIGITS else _DSA_STRATEGIES)
            yield (
                f"dsa/strategy/{data}/{strategy}",
                Preset(
                    title=f"DSA, Table 4: {data}, 10 images per class, {strategy}",
                    data=data,
                    ipc=10,
                    method=DSA(augment=strategy),
                    published=_published(_DSA, data, 10) if same else {},
                    source=f"{_SOURCE['dsa']} (the same experiment)" if same else "",
                ),
            )
    for arch in _BATCH_NORM:
        yield (
            f"dsa/cross/{arch}",
            Preset(
                title=f"DM, cross-architecture with BatchNorm: DSA on cifar10, 50 images per class, {arch}",
                data="cifar10",
                ipc=50,
                method=DSA(arch=arch),
                pool="B",
                nets=5,
            ),
        )


def _dm() -> Iterator[tuple[str, Preset]]:
    for data in (*_DATA, "tiny-imagenet"):
        for ipc in (1, 10, 50):
            numbers = _published(_DM, data, ipc)
            arch = "ConvNetD4" if data == "tiny-imagenet" else "ConvNet"
            yield (
                f"dm/{data}/{ipc}",
                Preset(
                    title=f"DM, basic: {data}, {_per_class(ipc)}",
                    data=data,
                    ipc=ipc,
                    method=DistributionMatching(arch=arch),
                    nets=5,
                    published={arch: numbers["ConvNet"]} if numbers else {},
                    source=_SOURCE["dm"] if numbers else "",
                ),
            )
    for data, lr, sizes in (("cifar10", 10.0, (100, 200, 500, 1000, 1250)), ("cifar100", 1.0, (100, 125))):
        for ipc in sizes:
            known = data == "cifar10"
            yield (
                f"dm/{data}/{ipc}",
                Preset(
                    title=f"DM, large sets: {data}, {_per_class(ipc)}",
                    data=data,
                    ipc=ipc,
                    method=DistributionMatching(lr=lr),
                    nets=5,
                    published={"ConvNet": _DM_LARGE[ipc]} if known else {},
                    source=_SOURCE["large"] if known else "",
                ),
            )
    for arch in _BATCH_NORM:
        yield (
            f"dm/cross/{arch}",
            Preset(
                title=f"DM, cross-architecture with BatchNorm: cifar10, 50 images per class, {arch}",
                data="cifar10",
                ipc=50,
                method=DistributionMatching(arch=arch),
                pool="B",
                nets=5,
            ),
        )


def _fast() -> Iterator[tuple[str, Preset]]:
    """DSA's accuracies in minutes on two CPU cores. Everything was chosen on a part of the training images."""
    means = DistributionMatching(batch_real=64, init="kmeans", schedule="cosine")
    gradients = DSA(
        batch_real=32,
        adam=True,
        momentum=0.9,
        schedule="cosine",
        distance="mse",
        train_on="real",
        lr_net=0.02,
        momentum_net=0.9,
        updates=75,
    )
    recipes: dict[int, tuple[Method | None, Method]] = {
        1: (None, replace(means, iterations=250)),
        10: (replace(means, iterations=200, lr=10.0), replace(gradients, iterations=3, lr=0.03)),
        50: (None, replace(means, iterations=300, lr=50.0)),
    }
    for ipc, (first, method) in recipes.items():
        yield (
            f"fast/fashion-mnist/{ipc}",
            Preset(
                title=f"Fast on two CPU cores, beside DSA's published number: fashion-mnist, {_per_class(ipc)}",
                data="fashion-mnist",
                ipc=ipc,
                first=first,
                method=method,
                sets=1,
                nets=5,
                published=_published(_DSA, "fashion-mnist", ipc),
                source=f"{_SOURCE['dsa']}; by another method",
            ),
        )


def _strategies(data: str) -> str:
    """DSA's set as it was published for a dataset: digits are not mirrored."""
    return _DIGIT_STRATEGIES if data in _DIGITS else "auto"


PRESETS: dict[str, Preset] = dict(chain(_dc(), _dsa(), _dm(), _fast()))


def _continual() -> Iterator[tuple[str, ContinualPreset]]:
    """The eight commands of DM's continual learning."""
    memories: dict[str, Method] = {
        "random": Random(),
        "herding": Herding(),
        "dsa": DSA(),
        "dm": DistributionMatching(),
    }
    for steps in (5, 10):
        for name, memory in memories.items():
            title = f"DM, continual learning: cifar100 in {steps} steps, 20 images per class by {name}"
            yield (
                f"continual/cifar100/{steps}/{name}",
                ContinualPreset(title=title, data="cifar100", memory=memory, steps=steps),
            )


CONTINUAL: dict[str, ContinualPreset] = dict(_continual())
