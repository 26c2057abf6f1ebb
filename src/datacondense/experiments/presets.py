"""Published experiments by name, with the settings to repeat them and the published test accuracy.

A preset without a number is an experiment whose table is printed in its paper only.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

from ..methods import DC, DSA, DistributionMatching
from .dm_variants import dm_variants
from .fast_presets import fast_presets
from .idc_presets import idc_presets
from .krr_presets import krr_presets
from .preset import Preset, per_class, published_network, published_numbers
from .published_numbers import DC_NUMBERS, DM_LARGE_NUMBERS, DM_NUMBERS, DSA_NUMBERS, SOURCES

_DATASETS = ("mnist", "fashion-mnist", "svhn", "cifar10", "cifar100")
_DIGITS = ("mnist", "svhn")
_DSA_STRATEGIES = "color_crop_cutout_flip_scale_rotate"
_DIGIT_STRATEGIES = "color_crop_cutout_scale_rotate"
_CROSS = ("MLP", "LeNet", "ConvNet", "AlexNet", "VGG11BN", "ResNet18BN_AP")
_BATCH_NORM = ("ConvNetBN", "AlexNetBN", "VGG11BN", "ResNet18BN_AP", "ResNet18BN", "ConvNetASwishBN")


def _dc() -> Iterator[tuple[str, Preset]]:
    """Yield the experiments of DC."""
    for data in _DATASETS:
        for ipc in (1, 10, 20, 30, 40, 50):
            numbers = published_numbers(DC_NUMBERS, data, ipc)
            title = f"DC, Table 1: {data}, {per_class(ipc)}"
            yield (
                f"dc/{data}/{ipc}",
                Preset(
                    title=title,
                    data=data,
                    ipc=ipc,
                    method=DC(),
                    published=numbers,
                    source=SOURCES["dc"] if numbers else "",
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
            # the standard ConvNet by its name in a pool: the experiment of Table 1
            standard = arch in ("ConvNet", "ConvNetW128", "ConvNetD3", "ConvNetAR", "ConvNetAP", "ConvNetIN")
            yield (
                f"dc/{name}/{arch}",
                Preset(
                    title=f"DC, {table}: mnist, 1 image per class, condensed with {arch}",
                    data="mnist",
                    ipc=1,
                    method=DC(arch=arch, lr=0.01 if arch == "MLP" else 0.1),
                    pool=pool,
                    published={arch: DC_NUMBERS["mnist"][1]} if standard else {},
                    source=f"{SOURCES['dc']} (the same experiment)" if standard else "",
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
                    published={arch: DC_NUMBERS["mnist"][1]} if same else {},
                    source=f"{SOURCES['dc']} (the same experiment)" if same else "",
                ),
            )


def _dsa() -> Iterator[tuple[str, Preset]]:
    """Yield the experiments of DSA."""
    for data in _DATASETS:
        for ipc in (1, 10, 20, 30, 40, 50):
            numbers = published_numbers(DSA_NUMBERS, data, ipc)
            yield (
                f"dsa/{data}/{ipc}",
                Preset(
                    title=f"DSA, Tables 1 and 2: {data}, {per_class(ipc)}",
                    data=data,
                    ipc=ipc,
                    method=DSA(augment=_dsa_strategies(data)),
                    published=numbers,
                    source=SOURCES["dsa"] if numbers else "",
                ),
            )
    for data in _DATASETS[:4]:
        for strategy in ("color", "crop", "cutout", "flip", "scale", "rotate", _DIGIT_STRATEGIES, _DSA_STRATEGIES):
            same = strategy == (_DIGIT_STRATEGIES if data in _DIGITS else _DSA_STRATEGIES)
            yield (
                f"dsa/strategy/{data}/{strategy}",
                Preset(
                    title=f"DSA, Table 4: {data}, 10 images per class, {strategy}",
                    data=data,
                    ipc=10,
                    method=DSA(augment=strategy),
                    published=published_numbers(DSA_NUMBERS, data, 10) if same else {},
                    source=f"{SOURCES['dsa']} (the same experiment)" if same else "",
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
    """Yield the experiments of DM."""
    for data in (*_DATASETS, "tiny-imagenet"):
        for ipc in (1, 10, 50):
            numbers = published_numbers(DM_NUMBERS, data, ipc)
            arch = "ConvNetD4" if data == "tiny-imagenet" else "ConvNet"
            yield (
                f"dm/{data}/{ipc}",
                Preset(
                    title=f"DM, basic: {data}, {per_class(ipc)}",
                    data=data,
                    ipc=ipc,
                    method=DistributionMatching(arch=arch),
                    nets=5,
                    published={arch: numbers["ConvNet"]} if numbers else {},
                    source=SOURCES["dm"] if numbers else "",
                ),
            )
    for data, lr, sizes in (("cifar10", 10.0, (100, 200, 500, 1000, 1250)), ("cifar100", 1.0, (100, 125))):
        for ipc in sizes:
            known = data == "cifar10"
            yield (
                f"dm/{data}/{ipc}",
                Preset(
                    title=f"DM, large sets: {data}, {per_class(ipc)}",
                    data=data,
                    ipc=ipc,
                    method=DistributionMatching(lr=lr),
                    nets=5,
                    published={"ConvNet": DM_LARGE_NUMBERS[ipc]} if known else {},
                    source=SOURCES["large"] if known else "",
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


def _dsa_strategies(data: str) -> str:
    """Return the published strategies of DSA for a dataset: digits are not mirrored."""
    return _DIGIT_STRATEGIES if data in _DIGITS else "auto"


def _named(preset: Preset) -> Preset:
    """Return a preset whose methods name their networks."""
    first = preset.first and published_network(preset.first)
    return replace(preset, method=published_network(preset.method), first=first)


PRESETS: dict[str, Preset] = {
    name: _named(preset)
    for name, preset in chain(_dc(), _dsa(), _dm(), fast_presets(), idc_presets(), dm_variants(), krr_presets())
}
