"""Images of a torch dataset of one's own."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...utils.errors import naming
from ..build import image_set
from ..image_set import ImageSet
from ..options import Options
from ..spec import Encoding
from ..splits import drop_small, split
from .torch_classes import Declared, Names, declared
from .torch_items import Scale, read


def from_torch(
    dataset: Any,
    *,
    name: str,
    test: Any = None,
    class_names: Iterable[str] | Mapping[Any, str] | None = None,
    image_size: int | None = None,
    flip: bool = True,
    workers: int = 0,
    min_per_class: int = 1,
    pixel_range: str = "full",
) -> tuple[ImageSet, ImageSet]:
    """Return train and test set, in memory, of a map-style torch dataset whose items are (image, label).

    Args:
        dataset: Its images are Pillow's, which are turned by their EXIF data and laid over white as those of files are;
            or tensors and arrays (C, H, W), (H, W) or (H, W, C), of the kinds that `image_set` takes. One channel if
            every image is grey, otherwise three for all. Its labels are of the kinds that `image_set` takes, or
            tensors and arrays of one.
        name: What the data are called.
        test: A dataset to test on; without one a fixed fifth of each class is set aside. Where both datasets have class
            names, its labels are matched by name.
        class_names: By default those of the dataset, or of the datasets that it is a Subset or ConcatDataset of:
            `classes`, `class_to_idx`, or `info["label"]`; else the labels. Classes without an image are left out, and a
            warning names them.
        image_size: Resize the short side to this many pixels and crop the middle square.
        flip: Whether an image keeps its class when mirrored.
        workers: Processes that read items, as of torch's DataLoader.
        min_per_class: Classes with fewer training images are left out; a warning names them.
        pixel_range: As of `image_set`. Of "own", images are kept in memory as they come until the last has been read.

    Raises:
        InputError: With the position of the item, for items that cannot be read or are of another kind.
    """
    options = Options(image_size=image_size, pixel_range=pixel_range)
    with naming(name):
        scale = Scale() if options.pixel_range == "own" else None
        images, labels = read("dataset", dataset, image_size, workers, scale)
        tested, test_labels = (None, []) if test is None else read("test", test, image_size, workers, scale)
        channels = max(len(images[0]), 0 if tested is None else len(tested[0]))
        names, own = class_names, declared(dataset, len(labels))
        if names is None:
            labels, names = _named(own, labels)
        elif not isinstance(names, Mapping):
            names = list(names)
        train = image_set(_coloured(images, channels), labels, name=name, class_names=names, flip=flip, copy=False)
        if scale is not None:
            encoding = replace(train.spec.encoding or Encoding(), pixels=scale.of_source)
            train = ImageSet(train.images, train.labels, replace(train.spec, encoding=encoding))
        if tested is None:
            return drop_small(*split(train), min_per_class)
        theirs = declared(test, len(test_labels))
        by_name = class_names is None and names is not None and theirs.lists and not theirs.transformed
        with naming("test"):
            if by_name and (len(own.lists) > 1 or theirs.lists != own.lists):
                test_labels = theirs.named(test_labels, "the test set")
            as_bytes = replace(train.spec, encoding=replace(train.spec.encoding or Encoding(), pixels=None))
            tests = image_set(_coloured(tested, channels), test_labels, spec=as_bytes, copy=False)
        return drop_small(train, ImageSet(tests.images, tests.labels, train.spec), min_per_class)


def _named(own: Declared, labels: list[Any]) -> tuple[list[Any], Sequence[str] | Names | None]:
    """Labels, and the class names for them that the dataset itself has."""
    if len(own.lists) > 1:
        names = list(dict.fromkeys(name for names in own.lists for name in names.values()))
        return own.named(labels, "dataset"), names
    if own.transformed and own.lists and set(own.lists[0]) != {label for label in labels if isinstance(label, int)}:
        warnings.warn(
            "the class names of the dataset are not used: its target_transform changes labels, which may no longer "
            "have these names",
            stacklevel=3,
        )
        return labels, None
    return labels, own.names


def _coloured(images: np.ndarray, channels: int) -> np.ndarray:
    """Images with at least so many channels; grey ones fill all."""
    return images if images.shape[1] == channels else images.repeat(channels, axis=1)
