"""Images of a torch dataset of one's own."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset

from ..errors import InputError, naming, reason
from ..types import ImageSet
from .build import image_set, single_image
from .decode import pixels, quiet
from .division import split
from .options import Options

_Item: TypeAlias = "tuple[np.ndarray, int] | str"
"""An image uint8 (1, H, W) or (3, H, W) and its label; or why there is none."""


def from_torch(
    dataset: Any,
    *,
    name: str,
    test: Any = None,
    class_names: Iterable[str] | None = None,
    image_size: int | None = None,
    flip: bool = True,
    workers: int = 0,
) -> tuple[ImageSet, ImageSet]:
    """Train and test set, in memory, of a map-style torch dataset whose items are (image, label).

    Images: Pillow's, which are turned by their EXIF data and laid over white as those of files are; or tensors and
    arrays, uint8 or floats in [0, 1], (C, H, W), (H, W) or (H, W, C). One channel if every image is grey, otherwise
    three for all. Labels: integers, or tensors and arrays of one. test: a dataset to test on; without one a fixed fifth
    of each class is set aside. class_names: by default `dataset.classes`, or "0" to "K-1". image_size: resize the short
    side to this many pixels and crop the middle square. flip: whether an image keeps its class when mirrored. workers:
    processes that read items, as of torch's DataLoader.
    Raises InputError, with the position of the item, for items that cannot be read or are of another kind.
    """
    options = Options(image_size=image_size)
    names = _class_names(dataset) if class_names is None else [str(name) for name in class_names]
    with naming(name):
        images, labels = _read("dataset", dataset, options.image_size, workers)
        train = image_set(images, labels, name=name, class_names=names, flip=flip, copy=False)
        if test is None:
            return split(train)
        images, labels = _read("test", test, image_size, workers)
        if images.shape[1] < train.spec.shape[0]:
            images = images.repeat(train.spec.shape[0], axis=1)
        elif images.shape[1] > train.spec.shape[0]:
            whole = train.images.repeat(1, images.shape[1], 1, 1)
            train = image_set(whole, train.labels, name=name, class_names=train.spec.class_names, flip=flip, copy=False)
        with naming("test"):
            return train, image_set(images, labels, spec=train.spec, copy=False)


@final
@dataclass(frozen=True)
class _Items(Dataset):
    """The items of a dataset, brought to one kind where they are read, which may be another process."""

    dataset: Any
    image_size: int | None

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> _Item:
        try:
            item = self.dataset[index]
        except Exception as error:  # the user's code raises errors of any type
            return f"cannot be read ({type(error).__name__}: {reason(error)})"
        try:
            if not isinstance(item, (tuple, list)) or len(item) != 2:
                raise InputError(f"is a {type(item).__name__}, expected a pair (image, label)")
            return _image(item[0], self.image_size), _label(item[1])
        except InputError as error:
            return str(error)


def _class_names(dataset: Any) -> Sequence[str] | None:
    """Those that a dataset, or the one it is a part of, says."""
    while not hasattr(dataset, "classes") and hasattr(dataset, "dataset"):
        dataset = dataset.dataset
    names = getattr(dataset, "classes", None)
    return [str(name) for name in names] if isinstance(names, (list, tuple)) else None


def _read(what: str, dataset: Any, image_size: int | None, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (N, C, H, W), and labels (N,)."""
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(f"{what} is a {type(dataset).__name__} without len() and [i]: give a map-style dataset")
    items = _Items(dataset, image_size)
    if not len(items):
        raise InputError(f"{what} has no item")
    images = np.empty((0, 0, 0, 0), np.uint8)
    labels = []
    with quiet():
        for index, item in enumerate(_loaded(items, workers)):
            if isinstance(item, str):
                raise InputError(f"item {index} of {what} {item}")
            image, label = item
            labels.append(label)
            if index == 0:
                images = np.empty((len(items), *image.shape), np.uint8)
            if image.shape[1:] != images.shape[2:]:
                raise InputError(
                    f"item 0 of {what} has {_size(images)} pixels and item {index} has {_size(image)}: "
                    "image_size=32 makes all images squares of one size"
                )
            if len(image) > len(images[0]):
                images = np.repeat(images, 3, axis=1)
            images[index] = image  # a grey one fills all channels
    return images, np.array(labels)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"


def _loaded(items: _Items, workers: int) -> Iterable[_Item]:
    if workers == 0:
        return (items[index] for index in range(len(items)))
    return DataLoader(items, batch_size=None, num_workers=workers, collate_fn=_as_it_is)


def _as_it_is(item: Any) -> Any:
    return item


def _image(image: Any, image_size: int | None) -> np.ndarray:
    """uint8 (1, H, W) or (3, H, W)."""
    if isinstance(image, Image.Image):
        try:
            return pixels(image, image_size)
        except InputError:
            raise
        except Exception as error:  # Pillow decodes some images only now, and raises errors of any type
            raise InputError(f"cannot be read as an image ({reason(error)})") from None
    if not isinstance(image, (torch.Tensor, np.ndarray)):
        raise InputError(f"has an image of type {type(image).__name__}, expected Pillow's, a tensor or an array")
    array = single_image(image)
    if image_size is None:
        return array
    picture = array[0] if len(array) == 1 else np.ascontiguousarray(array.transpose(1, 2, 0))
    return pixels(Image.fromarray(picture), image_size)


def _label(label: Any) -> int:
    array = label.detach().cpu().numpy() if isinstance(label, torch.Tensor) else np.asarray(label)
    if array.dtype.kind not in "iu" or array.size != 1:
        raise InputError(f"has label {' '.join(repr(label).split())[:60]}, expected an integer")
    return int(array.reshape(()))
