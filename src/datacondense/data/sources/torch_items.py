"""Read images and labels of a torch dataset, item by item."""

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias, final

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset

from ...utils.errors import InputError, reason
from ..build import single_image
from ..label_values import short
from ..pixels import check_extent, check_numbers, is_whole, numpy
from .decode import Extent, extremes_of, pixels, quiet

_Item: TypeAlias = "tuple[Any, Any, str] | str"
"""Image, uint8 (C, H, W) unless it is scaled later, label, and kind of values; or the reason why there is none."""

_UNIT, _BYTES, _EITHER, _OTHER = "floats in [0, 1]", "floats that are whole numbers up to 255", "floats 0 and 1", ""
"""Kinds of values. An image of zeros and ones takes the range of the others."""


@final
@dataclass(frozen=True)
class _Items(Dataset):
    """The items of a dataset, converted in the process that reads them."""

    dataset: Any
    image_size: int | None
    raw: bool = False
    """Leave images unchanged, to be scaled once all are read."""

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
            if self.raw:
                return item[0], _label(item[1]), _OTHER
            return _image(item[0], self.image_size), _label(item[1]), _kind(item[0])
        except InputError as error:
            return str(error)


@final
class Scale:
    """Scale the range of values of the first images to 0 to 255, and all later images in the same way."""

    def __init__(self) -> None:
        self._extent: Extent | None = None
        self.source_extent: Extent | None = None
        """The range in units of the source; Pillow images of 8 bits are measured on the scale of 16 bits."""
        self._pictures = False

    def apply(self, what: str, items: Sequence[_Item], image_size: int | None) -> Iterator[_Item]:
        """Return unscaled items as uint8 (C, H, W). Raise InputError as `read_items`."""
        for index, item in enumerate(items):
            if isinstance(item, str):
                raise InputError(f"item {index} of {what} {item}")
        try:
            self._measure([image for image, _, _ in items])
        except InputError as error:
            raise InputError(f"{what}: {error}") from None
        return (self._scaled(item, image_size) for item in items)

    def _scaled(self, item: _Item, image_size: int | None) -> _Item:
        image, label, kind = item
        try:
            return _image(image, image_size, self._extent), label, kind
        except InputError as error:
            return str(error)

    def _measure(self, images: Sequence[Any]) -> None:
        for image in images:
            _check_type(image)
        pictures = [isinstance(image, Image.Image) for image in images]
        if any(pictures) != all(pictures) or (self._extent and self._pictures != pictures[0]):
            raise InputError("--pixel-range own: some images are Pillow images and others arrays, whose ranges differ")
        if self._extent is not None:
            return
        if pictures[0]:
            with _decoding():
                found = [extremes_of(image) for image in images]
            unit = 1 if any(deep for _, deep in found) else 257
            ends = [extent for extent, _ in found]
        else:
            arrays = [numpy("images", image)[None] for image in images]
            for array in arrays:
                check_numbers(array)
            unit, ends = 1, [(float(array.min()), float(array.max())) for array in arrays]
        low, high = min(low for low, _ in ends), max(high for _, high in ends)
        check_extent(low / unit, high / unit)
        self._extent, self.source_extent, self._pictures = (low, high), (low / unit, high / unit), pictures[0]


def read_items(
    what: str, dataset: Any, image_size: int | None, workers: int, scale: Scale | None = None
) -> tuple[np.ndarray, list[Any]]:
    """Return images uint8 (N, C, H, W), and N labels.

    Args:
        what: Name of the dataset in messages.
        dataset: A map-style dataset of (image, label).
        image_size: Resize the short side to this many pixels and crop the middle square.
        workers: Processes that read items.
        scale: The range of values to scale; if not measured yet, it becomes that of this dataset.

    Raises:
        InputError: With the position of the item, for items that cannot be read or are of another kind.
    """
    if isinstance(dataset, IterableDataset) or not (hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__")):
        raise InputError(f"{what} is a {type(dataset).__name__} without len() and [i]: give a map-style dataset")
    items = _Items(dataset, image_size, raw=scale is not None)
    if not len(items):
        raise InputError(f"{what} has no item")
    images = np.empty((0, 0, 0, 0), np.uint8)
    labels = []
    kinds: dict[str, list[int]] = {}
    with quiet():
        loaded = _loaded(items, workers)
        for index, item in enumerate(loaded if scale is None else scale.apply(what, list(loaded), image_size)):
            if isinstance(item, str):
                raise InputError(f"item {index} of {what} {item}")
            image, label, kind = item
            labels.append(label)
            kinds.setdefault(kind, []).append(index)
            if index == 0:
                images = np.empty((len(items), *image.shape), np.uint8)
            if image.shape[1:] != images.shape[2:]:
                raise InputError(
                    f"item 0 of {what} has {_size(images)} pixels and item {index} has {_size(image)}: "
                    "image_size=32 makes all images squares of one size"
                )
            if len(image) > len(images[0]):
                images = np.repeat(images, 3, axis=1)
            images[index] = image  # grey images fill all channels
    _settle(what, images, kinds)
    return images, labels


def _settle(what: str, images: np.ndarray, kinds: Mapping[str, list[int]]) -> None:
    """Bring images of zeros and ones, which were read as floats in [0, 1], into the range of the others."""
    if _BYTES not in kinds:
        return
    if _UNIT in kinds:
        first, other = kinds[_UNIT][0], kinds[_BYTES][0]
        raise InputError(f"item {first} of {what} has {_UNIT} and item {other} {_BYTES}: give one range to all")
    for index in kinds.get(_EITHER, []):
        images[index] = np.rint(images[index] / 255)
    warnings.warn(f"images of {what} are {_BYTES}: they are read as bytes", stacklevel=3)


def _size(image: np.ndarray) -> str:
    return f"{image.shape[-1]}x{image.shape[-2]}"


def _loaded(items: _Items, workers: int) -> Iterable[_Item]:
    if workers == 0:
        return (items[index] for index in range(len(items)))
    return DataLoader(items, batch_size=None, num_workers=workers, collate_fn=_identity)


def _identity(item: Any) -> Any:
    return item


def _image(image: Any, image_size: int | None, extent: Extent | None = None) -> np.ndarray:
    """Return an image as uint8 (1, H, W) or (3, H, W)."""
    _check_type(image)
    if isinstance(image, Image.Image):
        with _decoding():
            return pixels(image, image_size, extent=extent)
    array = single_image(image, extent)
    if image_size is None:
        return array
    picture = array[0] if len(array) == 1 else np.ascontiguousarray(array.transpose(1, 2, 0))
    return pixels(Image.fromarray(picture), image_size)


def _check_type(image: Any) -> None:
    if not isinstance(image, (torch.Tensor, np.ndarray, Image.Image)):
        raise InputError(f"has an image of type {type(image).__name__}, expected a Pillow image, a tensor or an array")


@contextmanager
def _decoding() -> Iterator[None]:
    """Convert errors of Pillow, which decodes some images only when their pixels are read, to InputError."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:  # Pillow raises errors of any type on bytes it does not understand
        raise InputError(f"cannot be read as an image ({reason(error)})") from None


def _kind(image: Any) -> str:
    """Return the kind of values of an image that was converted without an error."""
    if isinstance(image, Image.Image):
        return _OTHER
    array = numpy("images", image)
    if array.dtype.kind != "f":
        return _OTHER
    if is_whole(array[None]):
        return _EITHER if array.max() <= 1 else _BYTES
    return _UNIT


def _label(label: Any) -> Any:
    """Return a label as a plain integer, float, boolean or string, or a row of numbers."""
    array = label.detach().cpu().numpy() if isinstance(label, torch.Tensor) else np.asarray(label)
    if array.dtype.kind not in "biufUS" or (array.size != 1 and (array.ndim != 1 or array.dtype.kind not in "biuf")):
        raise InputError(f"has label {short(label)}, expected an integer or a string")
    return array.reshape(()).item() if array.size == 1 else array
