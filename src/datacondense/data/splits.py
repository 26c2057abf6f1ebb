"""Sets taken apart: some images of every class for testing, and classes that are too small left out."""

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ..utils.errors import InputError
from ..utils.ranges import HeldOut, check_value
from .image_set import ImageSet
from .spec import Encoding
from .statistics import Statistics

_AT_ONCE = 1024  # images
TRAINS = ("train", "training")
"""Names, in lower case, of the part to train on."""
TESTS = ("test", "testing", "validation", "valid", "val", "eval", "dev")
"""Of the part to test on, the best first."""
_SPLIT_SEED = 2018
"""Not the seed of a run: all runs on the same data must be tested on the same images."""
_HELD_SEED = 2019


def parts(names: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """Those of `names` that are in `wanted` but for their case, in its order."""
    return sorted((name for name in names if name.lower() in wanted), key=lambda name: wanted.index(name.lower()))


def split(whole: ImageSet) -> tuple[ImageSet, ImageSet]:
    """A training and a test set out of one, as `testing` says; mean and std are measured on the training images.

    The images of `whole` are used up: those to train on stay where they are in memory, in the same order.
    Raises InputError when nothing is left to test on.
    """
    test = torch.from_numpy(testing(whole.labels.numpy(), whole.spec.classes))
    tested = whole.images[test]
    kept = torch.nonzero(~test).flatten()
    for first in range(0, len(kept), _AT_ONCE):  # each moves to the front, so that all are not there twice
        some = kept[first : first + _AT_ONCE]
        whole.images[first : first + len(some)] = whole.images[some]
    images = whole.images[: len(kept)]
    mean, std = Statistics.of(images).result()
    spec = replace(whole.spec, mean=mean, std=std)
    return ImageSet(images, whole.labels[~test], spec), ImageSet(tested, whole.labels[test], spec)


def testing(labels: np.ndarray, classes: int) -> np.ndarray:
    """Which images to set aside for testing, (N,): of n images of a class n/5, rounded, but at least one.

    The only image of a class stays in the training set. The draw is fixed: it depends on the labels alone, never on
    the seed of a run. Raises InputError when every class has a single image.
    """
    tested = _drawn(labels, classes, 1 / 5, _SPLIT_SEED)
    if not tested.any():
        raise InputError("every class has a single image, so none is left to test on: give test images as well")
    return tested


def held_out(train: ImageSet, share: float) -> tuple[ImageSet, ImageSet]:
    """A training set without `share` of the images of each class, and those: to choose settings by, not to test on.

    Drawn as `testing` draws, but other images; mean and std stay those of all. Raises InputError for a share that is
    not between 0 and 1, and when every class has a single image.
    """
    check_value("hold_out", share, HeldOut)
    held = torch.from_numpy(_drawn(train.labels.numpy(), train.spec.classes, share, _HELD_SEED))
    if not held.any():
        raise InputError("--hold-out: every class has a single image, so none can be held out")
    kept, rest = (ImageSet(train.images[part], train.labels[part], train.spec) for part in (~held, held))
    return kept, rest


def _drawn(labels: np.ndarray, classes: int, share: float, seed: int) -> np.ndarray:
    """A share of the images of each class, rounded, but at least one, and never all; (N,)."""
    drawn = np.zeros(len(labels), dtype=bool)
    for k in range(classes):
        members = np.flatnonzero(labels == k)
        size = min(max(1, round(len(members) * share)), len(members) - 1) if len(members) else 0
        # RandomState, since NumPy has frozen its numbers; those of default_rng may change with a release.
        drawn[np.random.RandomState([seed, k]).permutation(members)[:size]] = True
    return drawn


def drop_small(train: ImageSet, test: ImageSet, least: int) -> tuple[ImageSet, ImageSet]:
    """Both sets without the classes of which fewer than `least` images are for training; a warning names those.

    The classes left are numbered anew; mean and std are measured on their images. Raises InputError when fewer than
    two classes are left.
    """
    names = train.spec.class_names
    kept, note = large(names, train.counts.tolist(), least)
    if not note:
        return train, test
    warnings.warn(note, stacklevel=3)
    numbers = torch.from_numpy(renumbered(kept, len(names)))
    (images, labels), (test_images, test_labels) = (of_classes(part, numbers) for part in (train, test))
    if not len(test_labels):
        raise InputError("no test image is of a class that is left: give more images of each class")
    mean, std = Statistics.of(images).result()
    encoding = train.spec.encoding or Encoding()
    if encoding.labels is None:
        encoding = replace(encoding, labels={name: k for k, name in enumerate(names)})
    spec = replace(train.spec, class_names=tuple(names[k] for k in kept), mean=mean, std=std, encoding=encoding)
    return ImageSet(images, labels, spec), ImageSet(test_images, test_labels, spec)


def large(names: Sequence[str], counts: Sequence[int], least: int) -> tuple[list[int], str]:
    """The classes with `least` training images or more, and which were left out, in words if there are any.

    counts: training images of each. Raises InputError when fewer than two classes are left.
    """
    kept = [k for k, count in enumerate(counts) if count >= least]
    if len(kept) == len(names):
        return kept, ""
    if len(kept) < 2:
        raise InputError(f"only {len(kept)} of {len(names)} classes have {least} training images or more")
    dropped = ", ".join(f"{names[k]} ({count})" for k, count in enumerate(counts) if count < least)
    return kept, f"left out classes with fewer than {least} training images: {dropped}"


def renumbered(kept: Sequence[int], classes: int) -> np.ndarray:
    """The new number of each class, (classes,), -1 for those that are not kept."""
    numbers = np.full(classes, -1, np.int64)
    numbers[kept] = np.arange(len(kept))
    return numbers


def of_classes(part: ImageSet, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Images and labels of the classes with a number in `numbers` (K,), -1 for those to leave out."""
    labels = numbers[part.labels]
    return part.images[labels >= 0], labels[labels >= 0]
