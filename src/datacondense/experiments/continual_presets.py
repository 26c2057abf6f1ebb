"""Published experiments of class-incremental learning on a rehearsal memory, by name."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

from ..methods import DSA, DistributionMatching, Herding, Method, Random
from .preset import published_network


@final
@dataclass(frozen=True, kw_only=True)
class ContinualPreset:
    """One published experiment of class-incremental learning. Its paper shows the accuracies as curves, not numbers."""

    title: str
    data: str
    memory: Method
    """Makes the rehearsal memory."""
    steps: int
    ipc: int = 20
    orders: int = 5
    nets: int = 3
    epochs: int = 1000


def _continual() -> Iterator[tuple[str, ContinualPreset]]:
    """Yield the eight experiments of DM's continual learning."""
    memory_methods: dict[str, Method] = {
        "random": Random(),
        "herding": Herding(),
        "dsa": DSA(),
        "dm": DistributionMatching(),
    }
    for steps in (5, 10):
        for name, method in memory_methods.items():
            title = f"DM, continual learning: cifar100 in {steps} steps, 20 images per class by {name}"
            yield (
                f"continual/cifar100/{steps}/{name}",
                ContinualPreset(title=title, data="cifar100", memory=published_network(method), steps=steps),
            )


CONTINUAL_PRESETS: dict[str, ContinualPreset] = dict(_continual())
