"""Split training images from test images, and leave out small classes."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..utils import hardware
from ..utils.errors import InputError
from ..utils.ranges import HeldOut, check_value
from .image_set import ImageSet
from .spec import Encoding
from .statistics import Statistics

_AT_ONCE = 1024  # images
TRAINS = ("train", "training")
"""Names of training parts, in lower case."""
TESTS = ("test", "testing", "validation", "valid", "val", "eval", "dev")
"""Names of test parts, in lower case, the preferred first."""
_SPLIT_SEED = 2018
"""Fixed, so that all runs on the same data are tested on the same images."""
_HELD_SEED = 2019
SET_ASIDE = "test images: a fifth of each class, always the same, as there are no others"
"""Decision of `draw_test`."""


def named_like(names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Return the `names` that are in `wanted`, ignoring case, in the order of `wanted`."""
    return sorted((name for name in names if name.lower() in wanted), key=lambda name: wanted.index(name.lower()))


def split(whole: ImageSet) -> tuple[ImageSet, ImageSet]:
    """Split one set into a training and a test set with `draw_test`; measure mean and std on the training images.

    The memory of `whole` is reused: the training images move to its front, in the same order.
    Raise InputError when every class has a single image.
    """
    test = torch.from_numpy(draw_test(whole.labels.numpy(), whole.spec.classes))
    tested = whole.images[test]
    kept = torch.nonzero(~test).flatten()
    for first in range(0, len(kept), _AT_ONCE):  # moved to the front, to avoid a second copy
        some = kept[first : first + _AT_ONCE]
        whole.images[first : first + len(some)] = whole.images[some]
    images = whole.images[: len(kept)]
    mean, std = Statistics.measure(images).result()
    spec = replace(whole.spec, mean=mean, std=std)
    return ImageSet(images, whole.labels[~test], spec, decisions=(SET_ASIDE,)), ImageSet(
        tested, whole.labels[test], spec
    )


def draw_test(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return a mask (N,) of the images to test on: of n images of a class n/5, rounded, but at least one.

    The only image of a class stays in the training set. The draw depends on the labels alone, never on the seed of a
    run. Raise InputError when every class has a single image.
    """
    tested = _draw_share(labels, classes, 1 / 5, _SPLIT_SEED)
    if not tested.any():
        raise InputError("every class has a single image, so none is left for testing: give test images as well")
    return tested


def split_held_out(train: ImageSet, share: float) -> tuple[ImageSet, ImageSet]:
    """Return a training set without `share` of the images of each class, and a validation set of those images.

    Drawn as `draw_test` draws, but other images; mean and std stay those of all. Raise InputError for a share outside
    [0, 1), and when every class has a single image.
    """
    check_value("hold_out", share, HeldOut)
    held = torch.from_numpy(_draw_share(train.labels.numpy(), train.spec.classes, share, _HELD_SEED))
    if not held.any():
        raise InputError("--hold-out: every class has a single image, so none can be held out")
    size, free = train.images.nbytes, hardware.available_memory()
    if not train.resident and size > free:
        need = f"takes {size / 2**30:,.1f} GiB, and {free / 2**30:,.1f} are free"
        raise InputError(f"--hold-out copies the training images into memory, which {need}: use a smaller --image-size")
    kept, rest = (
        ImageSet(train.images[part], train.labels[part], train.spec, decisions=train.decisions)
        for part in (~held, held)
    )
    return kept, rest


def _draw_share(labels: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """Return a mask (N,) of a share of the images of each class, rounded, at least one and never all."""
    drawn = np.zeros(len(labels), dtype=bool)
    for k in range(classes):
        members = np.flatnonzero(labels == k)
        size = min(max(1, round(len(members) * share)), len(members) - 1) if len(members) else 0
        # RandomState, as NumPy guarantees its numbers; those of default_rng may change with a release.
        drawn[np.random.RandomState([seed, k]).permutation(members)[:size]] = True
    return drawn


def drop_small_classes(train: ImageSet, test: ImageSet, least: int) -> tuple[ImageSet, ImageSet]:
    """Return both sets without classes of fewer than `least` training images; warn of the classes left out.

    The remaining classes are renumbered; mean and std are measured on their images. Raise InputError when fewer than
    two classes remain.
    """
    names = train.spec.class_names
    kept, note = large_classes(names, train.counts.tolist(), least)
    if not note:
        return train, test
    warnings.warn(note, stacklevel=3)
    numbers = torch.from_numpy(new_numbers(kept, len(names)))
    (images, labels), (test_images, test_labels) = (select_classes(part, numbers) for part in (train, test))
    if not len(test_labels):
        raise InputError("the remaining classes have no test image: give more images of each class")
    mean, std = Statistics.measure(images).result()
    encoding = train.spec.encoding or Encoding()
    if encoding.labels is None:
        encoding = replace(encoding, labels={name: k for k, name in enumerate(names)})
    spec = replace(train.spec, class_names=tuple(names[k] for k in kept), mean=mean, std=std, encoding=encoding)
    return ImageSet(images, labels, spec, decisions=train.decisions), ImageSet(test_images, test_labels, spec)


def large_classes(names: Sequence[str], counts: Sequence[int], least: int) -> tuple[list[int], str]:
    """Return the classes with `least` training images or more, and a note on those left out; empty if there are none.

    counts: training images of each class. Raise InputError when fewer than two classes remain.
    """
    kept = [k for k, count in enumerate(counts) if count >= least]
    if len(kept) == len(names):
        return kept, ""
    if len(kept) < 2:
        raise InputError(f"only {len(kept)} of {len(names)} classes have {least} training images or more")
    dropped = ", ".join(f"{names[k]} ({count})" for k, count in enumerate(counts) if count < least)
    return kept, f"left out classes with fewer than {least} training images: {dropped}"


def new_numbers(kept: Sequence[int], classes: int) -> np.ndarray:
    """Return the new number of each class, (classes,), -1 for classes left out."""
    numbers = np.full(classes, -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers


def select_classes(part: ImageSet, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Return images and labels of the classes with a new number in `numbers` (K,); -1 leaves a class out."""
    labels = numbers[part.labels]
    return part.images[labels >= 0], labels[labels >= 0]
