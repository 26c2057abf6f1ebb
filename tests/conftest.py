"""A toy dataset that every battery runs on: class prototypes under heavy noise, so that a good mean beats a sample."""

import os
import tempfile
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from datacondense import DECODERS, LOSSES, METHODS, NETWORKS, ImageSet, image_set
from datacondense.data.registry import DATASETS

os.environ["COLUMNS"] = "200"  # tables are not cut, whatever the terminal
os.environ["HF_HUB_OFFLINE"] = "1"  # read when its library is imported: no test asks the network
_HUB = tempfile.TemporaryDirectory(prefix="datacondense-hf-")  # gone when the tests are
os.environ["HF_HOME"] = _HUB.name

Toy = Callable[..., ImageSet]


def make_toy(*, sizes: Sequence[int] = (40, 40, 40), channels: int = 1, side: int = 8, draw: int = 0) -> ImageSet:
    """Images of len(sizes) classes, sizes[k] of class k; the same prototypes for every `draw` of the noise."""
    coarse = np.random.default_rng(1).normal(0.5, 0.2, (len(sizes), channels, side // 4, side // 4))
    prototypes = np.kron(coarse, np.ones((4, 4)))  # patches of 4x4 pixels: something a pooling network can see
    labels = np.repeat(np.arange(len(sizes)), sizes)
    noise = np.random.default_rng(2 + draw).normal(0, 0.25, (len(labels), channels, side, side))
    images = (np.clip(prototypes[labels] + noise, 0, 1) * 255).round().astype(np.uint8)
    statistics = [0.5] * channels, [0.25] * channels
    return image_set(images, labels, name="toy", mean=statistics[0], std=statistics[1], flip=False)


@pytest.fixture
def toy() -> Toy:
    return make_toy


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of each test's own, and data from nowhere else."""
    monkeypatch.setenv("DATACONDENSE_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.delenv("DATACONDENSE_DATA", raising=False)


@pytest.fixture(autouse=True)
def registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registries as they are now: what a test enters or removes is undone, with the origin of each entry."""
    for registry in (METHODS, NETWORKS, LOSSES, DECODERS, DATASETS):
        for name in ("_entries", "_loaded", "_origins"):
            monkeypatch.setattr(registry, name, dict(vars(registry)[name]))
