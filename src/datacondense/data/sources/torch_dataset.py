"""Read a user's torch dataset."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from typing_extensions import Unpack

from ...utils.errors import InputError, naming
from ...utils.ranges import Side, check_value
from ..build import ArrayOptions, image_set
from ..image_set import ImageSet
from ..options import ArrayKeywords, PixelRange, TrainingKeywords
from ..pixels import Extent
from ..spec import Encoding, Spec
from ..splits import drop_small_classes, split
from .torch_classes import ItemClasses, Names, item_classes
from .torch_items import Scale, read_items


def from_torch(
    dataset: Any,
    *,
    name: str,
    test: Any = None,
    class_names: Iterable[str] | Mapping[Any, str] | None = None,
    image_size: int | None = None,
    workers: int = 0,
    **options: Unpack[TrainingKeywords],
) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set, in memory, of a map-style torch dataset whose items are (image, label).

    Args:
        dataset: Its images are Pillow images, which are turned by their EXIF data and composited onto white as image
            files are; or tensors and arrays (C, H, W), (H, W) or (H, W, C), of the kinds that `image_set` takes. One
            channel if every image is grey, otherwise three for all. Its labels are of the kinds that `image_set`
            takes, or tensors and arrays of one.
        name: Name of the data.
        test: A dataset to test on; without one a fixed fifth of each class is set aside. Where both datasets have class
            names, its labels are matched by name.
        class_names: By default those of the dataset, or of the datasets that it is a Subset or ConcatDataset of:
            `classes`, `class_to_idx`, or `info["label"]`; else the labels. Classes without an image are left out; a
            warning names them.
        image_size: Resize the short side to this many pixels and crop the middle square.
        workers: Processes that read items, as of torch's DataLoader.
        flip: Set to False where an image changes its class when it is mirrored, as digits do.
        pixel_range: As of `image_set`. With "own", images are kept in memory as they come until the last is read.
        min_per_class: Leave out classes with fewer training images; a warning names them.

    Returns:
        The train set and the test set: uint8 images (N, C, H, W), which share one Spec.

    Raises:
        InputError: With the position of the item, for items that cannot be read or are of another kind.
        TypeError: For a keyword that is not listed here.
    """
    training = ArrayOptions.checked("from_torch", TrainingKeywords, options)
    check_value("image_size", image_size, Side | None)
    check_value("pixel_range", training.pixel_range, PixelRange)
    with naming(name):
        scale = Scale() if training.pixel_range == "own" else None
        images, labels = read_items("dataset", dataset, image_size, workers, scale)
        tested, test_labels = (None, []) if test is None else read_items("test", test, image_size, workers, scale)
        channels = max(len(images[0]), 0 if tested is None else len(tested[0]))
        names, own = class_names, item_classes(dataset, len(labels))
        if names is None:
            labels, names = _named(own, labels)
        elif not isinstance(names, Mapping):
            names = list(names)
        colour = _with_channels(images, channels)
        train = image_set(colour, labels, name=name, class_names=names, flip=training.flip, copy=False)
        train = train if scale is None else _with_pixels(train, scale.source_extent)
        if tested is None:
            return drop_small_classes(*split(train), training.min_per_class)
        with naming("test"):
            if class_names is None and names is not None:
                test_labels = _matched(own, item_classes(test, len(test_labels)), test_labels)
            as_bytes = _with_pixels(train, None).spec
            tests = image_set(_with_channels(tested, channels), test_labels, spec=as_bytes, copy=False)
        return drop_small_classes(train, ImageSet(tests.images, tests.labels, train.spec), training.min_per_class)


def read_whole(
    dataset: Any,
    *,
    name: str,
    spec: Spec | None = None,
    image_size: int | None = None,
    **options: Unpack[ArrayKeywords],
) -> ImageSet:
    """Return all images of a map-style dataset as one set, in memory.

    Args:
        dataset: Items (image, label), as `from_torch` takes them.
        name: Name of a new training set.
        spec: Spec of the training set to which these images belong; its classes are matched by name where the dataset
            has names. Without it, the images are a training set.
        image_size: As of `from_torch`.
        options: As of `image_set`; for a training set only.

    Raises:
        InputError: As `from_torch`.
    """
    training = ArrayOptions.checked("as_image_set", ArrayKeywords, options)
    with naming(name if spec is None else spec.name):
        scale = Scale() if training.pixel_range == "own" else None
        images, labels = read_items("dataset", dataset, image_size, 0, scale)
        own = item_classes(dataset, len(labels))
        if spec is not None:
            if spec.encoding is not None and spec.encoding.pixels is not None:
                raise InputError("its pixels are scaled by their own range: give these images as arrays, a pair (X, y)")
            known = {one for names in own.lists for one in names.values()} & set(spec.class_names)
            labels = own.named(labels, "the dataset") if known and not own.transformed else labels
            return image_set(_with_channels(images, max(spec.shape[0], len(images[0]))), labels, spec=spec, copy=False)
        names = training.class_names
        if names is None:
            labels, names = _named(own, labels)
        others: Any = {**options, "class_names": names, "pixel_range": "full"}
        train = image_set(images, labels, name=name, copy=False, **others)
        return train if scale is None else _with_pixels(train, scale.source_extent)


def _with_pixels(part: ImageSet, extent: Extent | None) -> ImageSet:
    """Return the same images with the values of the source that became 0 and 255 recorded in their spec."""
    encoding = replace(part.spec.encoding or Encoding(), pixels=extent)
    return ImageSet(part.images, part.labels, replace(part.spec, encoding=encoding))


def _named(own: ItemClasses, labels: list[Any]) -> tuple[list[Any], Sequence[str] | Names | None]:
    """Return labels, and the class names of the dataset itself."""
    if len(own.lists) > 1:
        names = list(dict.fromkeys(name for names in own.lists for name in names.values()))
        return own.named(labels, "dataset"), names
    if own.transformed and own.lists and set(own.lists[0]) != {label for label in labels if isinstance(label, int)}:
        warnings.warn(
            "the class names of the dataset are not used: its target_transform may have changed the labels "
            "that they belong to",
            stacklevel=3,
        )
        return labels, None
    return labels, own.names


def _matched(own: ItemClasses, theirs: ItemClasses, labels: list[Any]) -> list[Any]:
    """Return labels of the test set, as names when both datasets have class names that differ."""
    if not theirs.lists or theirs.transformed or (len(own.lists) == 1 and theirs.lists == own.lists):
        return labels
    return theirs.named(labels, "the test set")


def _with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """Return images with that many channels; grey images fill all."""
    return images if images.shape[1] == channels else images.repeat(channels, axis=1)
