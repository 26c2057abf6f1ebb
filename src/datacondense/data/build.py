"""An ImageSet from arrays, with every check, and its statistics."""

import math
from collections.abc import Sequence
from typing import final, overload

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..types import ImageSet, Spec, check_names

_PIXELS_COUNTED = 2**22  # at a time
_ROUNDING = 1e-6
"""How far beyond 0 and 1 arithmetic may have brought floats."""


@overload
def image_set(
    images: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    *,
    name: str,
    class_names: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    flip: bool = True,
    copy: bool = True,
) -> ImageSet: ...


@overload
def image_set(
    images: np.ndarray | Tensor, labels: np.ndarray | Tensor, *, spec: Spec, copy: bool = True
) -> ImageSet: ...


def image_set(
    images: np.ndarray | Tensor,
    labels: np.ndarray | Tensor,
    *,
    name: str | None = None,
    class_names: Sequence[str] | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    flip: bool = True,
    spec: Spec | None = None,
    copy: bool = True,
) -> ImageSet:
    """A checked copy of images and labels, on the CPU: a training set called `name`, or a test set sharing `spec`.

    images: uint8, or floats in [0, 1], which are rounded to steps of 1/255; (N, H, W), (N, C, H, W) or (N, H, W, C)
    with C 1 or 3, where (N, 3, H, 3) and the like are read as (N, C, H, W). labels: integers (N,) in [0, K).
    class_names: K names, "0" to "K-1" unless given. mean, std: per channel, of pixels scaled to [0, 1]; measured on
    the images unless given. flip: whether an image keeps its class when mirrored.
    copy: False keeps images where they are that are writable and in order already, as those mapped from a file.
    With `spec` (a training set's) all of these come from it. Only a test set may lack images of a class.
    Raises InputError for anything else.
    """
    if (name is None) == (spec is None) or (spec and any(given is not None for given in (class_names, mean, std))):
        raise InputError("image_set needs a name for a training set or, alone, the spec that a test set shares")
    pixels = torch.from_numpy(_pixels(_numpy("images", images), copy))
    targets = _targets(_numpy("labels", labels), len(pixels))
    shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
    if spec is None:
        check_names([str(name)], "name of the data")
        names = _class_names(targets, class_names)
        if mean is None or std is None:
            measured = Statistics.of(pixels)
            mean = measured[0] if mean is None else mean
            std = measured[1] if std is None else std
        spec = Spec(str(name), names, shape, _per_channel("mean", mean, shape), _per_channel("std", std, shape), flip)
        if min(spec.std) <= 0:
            raise InputError(f"std is {spec.std}: a standard deviation to divide by must be above 0")
    if shape != spec.shape:
        raise InputError(f"images have shape {shape} (C, H, W), expected {spec.shape} as in the training set")
    _check_range(targets, spec.classes)
    return ImageSet(pixels, torch.from_numpy(targets.astype(np.int64)), spec)


def single_image(image: np.ndarray | Tensor) -> np.ndarray:
    """One image as `image_set` takes them, uint8 (C, H, W). Raises InputError for what it does not take."""
    array = _numpy("images", image)
    try:
        return _pixels(array[None], copy=True)[0]
    except InputError as error:
        hint = ""
        if array.dtype.kind == "f" and array.size and np.isfinite(array).all() and array.min() < 0:
            hint = "; take Normalize out of the transform"
        raise InputError(f"is of no use: {error}{hint}") from None


def _numpy(what: str, array: np.ndarray | Tensor) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        return (array.float() if array.dtype == torch.bfloat16 else array).numpy()  # NumPy has no bfloat16
    if not isinstance(array, np.ndarray):
        raise InputError(f"{what} are of type {type(array).__name__}, expected a NumPy array or a torch tensor")
    return array


def _pixels(images: np.ndarray, copy: bool) -> np.ndarray:
    """uint8 (N, C, H, W), C-ordered and writable; with `copy`, in memory of its own."""
    if images.size == 0:
        raise InputError(f"images have shape {images.shape}: there is no pixel in them")
    if images.dtype.kind == "f":
        _check_floats(images)
    elif images.dtype != np.uint8:
        raise InputError(f"images have dtype {images.dtype}, expected uint8, or floats in [0, 1]")
    ordered = _channels_first(images)
    if images.dtype.kind == "f":
        return _quantise(ordered)
    return np.array(ordered, order="C") if copy else np.require(ordered, requirements=["C", "W"])


def _channels_first(images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        return images[:, None]
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[3] in (1, 3):
        return images.transpose(0, 3, 1, 2)
    raise InputError(
        f"images have shape {images.shape}, expected (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3"
    )


def _check_floats(images: np.ndarray) -> None:
    if not np.isfinite([images.min(), images.max()]).all():
        wrong = ~np.isfinite(images)
        first = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        raise InputError(f"images hold {wrong.sum()} pixels that are NaN or infinite, the first at index {first}")
    low, high = float(images.min()), float(images.max())
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise InputError(
            f"images are floats from {low:g} to {high:g}, expected [0, 1]: scale them, or give 0 to 255 as uint8"
        )


def _quantise(images: np.ndarray) -> np.ndarray:
    """uint8 (N, C, H, W) of floats in [0, 1]."""
    result = np.empty(images.shape, np.uint8)
    rows = max(_PIXELS_COUNTED // images[0].size, 1)
    for first in range(0, len(images), rows):  # a whole copy of floats would take four to eight times the result
        scaled = images[first : first + rows].clip(0, 1) * 255
        result[first : first + rows] = np.rint(scaled, out=scaled)
    return result


def _targets(labels: np.ndarray, count: int) -> np.ndarray:
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels have dtype {labels.dtype}, expected integers")
    if labels.shape != (count,):
        raise InputError(f"labels have shape {labels.shape}, expected ({count},): one for each image")
    return labels


def _class_names(targets: np.ndarray, class_names: Sequence[str] | None) -> tuple[str, ...]:
    """The names of all classes, each of which has an image."""
    if class_names is None:
        classes = int(targets.max()) + 1
        check_classes(targets, classes)
        return tuple(map(str, range(classes)))
    names = tuple(map(str, class_names))
    if not names:
        raise InputError("class_names is empty: give the name of each class, or none at all")
    check_names(names)
    check_classes(targets, len(names), names)
    return names


def check_classes(labels: np.ndarray, classes: int, class_names: Sequence[str] | None = None) -> None:
    """Raises InputError unless labels (N,) are in [0, classes), and each of two or more has an image to train on."""
    _check_range(labels, classes)
    if classes < 2:
        raise InputError("there is one class only, and nothing can be told from it: give images of two or more")
    present = np.unique(labels).tolist()
    if len(present) < classes:
        missing = next(k for k, label in enumerate([*present, classes]) if k < label)
        name = str(missing) if class_names is None else class_names[missing]
        raise InputError(f"class {name!r} (label {missing}) has no image, and a training set needs some of every class")


def _check_range(targets: np.ndarray, classes: int) -> None:
    if targets.min() < 0:
        raise InputError(f"labels go down to {targets.min()}: classes are numbered from 0")
    if targets.max() >= classes:
        raise InputError(f"labels go up to {targets.max()}, but the {classes} classes are numbered 0 to {classes - 1}")


@final
class Statistics:
    """Mean and (population) standard deviation of each channel of uint8 images, in units of [0, 1].

    Exact, from counts of the 256 values. The standard deviation is at least one step, 1/255, so that a channel of
    one colour can be divided by it.
    """

    def __init__(self, channels: int) -> None:
        self._counts = torch.zeros(channels, 256, dtype=torch.int64)

    @classmethod
    def of(cls, images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std of images (N, C, H, W)."""
        statistics = cls(images.shape[1])
        for some in images.split(max(_PIXELS_COUNTED // images[0].numel(), 1)):
            statistics.add(some)
        return statistics.result()

    def add(self, images: Tensor) -> None:
        """Count images (N, C, H, W)."""
        for counts, channel in zip(self._counts, images.unbind(1), strict=True):
            counts += torch.bincount(channel.flatten(), minlength=256)

    def result(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std, each (C,), of all that was counted."""
        mean, std = [], []
        for counts in self._counts.tolist():
            number = sum(counts)
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value * value * count for value, count in enumerate(counts))
            mean.append(total / number / 255)
            std.append(max(math.sqrt(number * squares - total * total) / number, 1) / 255)
        return tuple(mean), tuple(std)


def _per_channel(what: str, values: Sequence[float], shape: tuple[int, int, int]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != shape[0] or not all(map(math.isfinite, numbers)):
        raise InputError(f"{what} is {numbers}, expected {shape[0]} numbers: one per channel")
    return numbers
