"""Real images that stand for their class."""

import warnings

import numpy as np
import pytest
import torch

from datacondense import ImageSet, condense, image_set
from datacondense.methods import DC, DistributionMatching
from datacondense.methods.kmeans import representatives


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def heaps(per_heap: int = 20, side: int = 8) -> ImageSet:
    """Two classes of three heaps each: the heap h of a class has its own gray, from 20 h on in steps of 1."""
    gray = np.concatenate([np.full(per_heap, 80 * heap) + np.arange(per_heap) % 5 for heap in range(3)] * 2)
    images = np.repeat(gray.astype(np.uint8), side * side).reshape(-1, side, side)
    return image_set(images, np.repeat([0, 1], 3 * per_heap), name="heaps")


def test_each_heap_of_a_class_gives_the_image_nearest_to_its_mean() -> None:
    real = heaps()
    index = representatives(real, 3, draw())
    assert index.shape == (2, 3)
    assert torch.equal(real.labels[index], torch.tensor([[0] * 3, [1] * 3]))
    gray = real.images[index].float().mean((2, 3, 4))
    assert gray.sort(1).values.tolist() == [[2, 82, 162]] * 2


def test_one_is_nearest_to_the_mean_of_its_class() -> None:
    real = heaps()
    gray = real.images[representatives(real, 1, draw())].float().mean((2, 3, 4))
    assert all(80 <= value <= 84 for value in gray.flatten().tolist())


def test_all_images_of_a_class_are_different_though_they_look_alike() -> None:
    images = np.zeros((12, 8, 8), dtype=np.uint8)
    real = image_set(np.concatenate([images, images + 200]), np.repeat([0, 1], 12), name="flat")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index = representatives(real, 12, draw())
    assert index.sort(1).values.tolist() == [list(range(12)), list(range(12, 24))]


def test_the_same_draw_gives_the_same_images(toy) -> None:
    real = toy(sizes=(30, 40))
    assert torch.equal(representatives(real, 4, draw(1)), representatives(real, 4, draw(1)))


def test_large_images_are_compared_small(toy) -> None:
    assert representatives(toy(sizes=(10, 10), side=80), 2, draw()).shape == (2, 2)


@pytest.mark.parametrize("method", [DistributionMatching, DC])
def test_a_method_starts_from_them(method, toy) -> None:
    real = toy()
    made = condense(method(iterations=0, init="kmeans", arch="ConvNetD1"), real, ipc=3)
    found = [(real.spec.normalise(real.images) == image).flatten(1).all(1).any() for image in made.images]
    assert all(found)
    assert len(torch.unique(made.images, dim=0)) == 9
