"""Build an ImageSet from arrays, with every check."""

import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final, overload

import numpy as np
import torch
from torch import Tensor
from typing_extensions import Unpack

from ..utils.errors import InputError
from ..utils.keywords import check_keywords
from ..utils.ranges import Images, check_value
from .image_set import ImageSet
from .labels import Labels, number_classes, number_labels
from .options import ArrayKeywords, PixelRange
from .pixels import Extent, measure_extent, numpy, to_bytes
from .spec import Encoding, Spec, check_names
from .splits import large_classes, new_numbers
from .statistics import NARROW, Statistics


@final
@dataclass(frozen=True, kw_only=True)
class ArrayOptions:
    """Defaults of the keyword arguments of `image_set` for a training set."""

    class_names: Sequence[str] | Mapping[Any, str] | None = None
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    flip: bool = True
    pixel_range: PixelRange = "full"
    min_per_class: Images = 1

    @classmethod
    def checked(cls, function: str, kind: type, options: Mapping[str, Any]) -> "ArrayOptions":
        """Return the options of a call. Raise TypeError, which names `function`, for one that `kind` lacks."""
        check_keywords(function, kind, options)
        return cls(**options)


@overload
def image_set(
    images: np.ndarray | Tensor, labels: Any, *, name: str, copy: bool = True, **options: Unpack[ArrayKeywords]
) -> ImageSet: ...


@overload
def image_set(images: np.ndarray | Tensor, labels: Any, *, spec: Spec, copy: bool = True) -> ImageSet: ...


def image_set(
    images: np.ndarray | Tensor,
    labels: Any,
    *,
    name: str | None = None,
    spec: Spec | None = None,
    copy: bool = True,
    **options: Unpack[ArrayKeywords],
) -> ImageSet:
    """Return a checked copy of images and labels, on the CPU: a training set called `name`, or a test set with `spec`.

    Args:
        images: (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3, where (N, 3, H, 3) and the like are read as
            (N, C, H, W). uint8; booleans; integers from 0 to 255; floats in [0, 1], which are rounded to steps of
            1/255; or floats that are whole numbers from 0 to 255.
        labels: One for each image: integers, whole floats, booleans or strings, (N,) or (N, 1), or one-hot rows
            (N, K). Integers may start at 1 or have gaps: each class is then named by its label.
        name: Name of a new training set.
        spec: Spec of the training set to which this test set belongs. Labels and pixels mean what they mean there:
            strings are matched by name. A test set may lack images of a class.
        copy: Pass False to keep writable uint8 images that are in order where they are, such as those mapped from a
            file.
        class_names: K names, or a mapping from label to name; by default the labels themselves. Classes without an
            image are left out; a warning names them.
        mean: (C,), of pixels scaled to [0, 1]; measured on the images by default.
        std: (C,), of pixels scaled to [0, 1]; measured on the images by default.
        flip: Set to False where an image changes its class when it is mirrored, as digits do.
        pixel_range: "full" takes pixels as they are; "own" scales the lowest value of all training images to 0 and the
            highest to 255, and the test images in the same way.
        min_per_class: Leave out classes with fewer training images; a warning names them.

    Returns:
        An ImageSet of uint8 images (N, C, H, W) and int64 labels (N,).

    Raises:
        InputError: For anything else, and for labels of a test set whose class the training set does not have.
        TypeError: For a keyword that is not listed here.
    """
    training = ArrayOptions.checked("image_set", ArrayKeywords, options)
    known = (training.class_names, training.mean, training.std)
    if (name is None) == (spec is None) or (spec and any(one is not None for one in known)):
        raise InputError("image_set needs either the name of a training set or the spec that a test set shares")
    check_value("pixel_range", training.pixel_range, PixelRange)
    check_value("min_per_class", training.min_per_class, Images)
    array = numpy("images", images)
    if spec is None:
        return _training_set(array, labels, str(name), training, copy)
    if training.pixel_range != "full" or training.min_per_class != 1:
        raise InputError(
            "pixel_range and min_per_class of a test set come from the spec: give them for the training set only"
        )
    return _test_set(array, labels, spec, copy)


def _training_set(images: np.ndarray, labels: Any, name: str, options: ArrayOptions, copy: bool) -> ImageSet:
    extent = measure_extent(images) if options.pixel_range == "own" else None
    pixels, notes = to_bytes(images, copy, extent)
    check_names([name], "name of the data")
    classes = number_classes(labels, options.class_names, count=len(pixels))
    kept, numbers, small = _large(classes, options.min_per_class)
    if small:
        pixels = pixels[numbers >= 0]
    whole = torch.from_numpy(pixels)
    mean, std = options.mean, options.std
    if mean is None or std is None or _is_narrow(pixels):
        statistics = Statistics.measure(whole)
        measured = statistics.result()
        mean, std = measured[0] if mean is None else mean, measured[1] if std is None else std
        notes += statistics.notes()
    shape = (whole.shape[1], whole.shape[2], whole.shape[3])
    known = {name: k for k, name in enumerate(classes.names)} if small and classes.known is None else classes.known
    spec = Spec(
        name,
        tuple(classes.names[k] for k in kept),
        shape,
        _per_channel("mean", mean, shape),
        _per_channel("std", std, shape),
        options.flip,
        None if known is None and extent is None else Encoding(known, extent),
    )
    if min(spec.std) <= 0:
        raise InputError(f"std is {spec.std}: a standard deviation to divide by must be above 0")
    warn_of([*notes, *classes.notes, *small])
    return ImageSet(whole, torch.from_numpy(numbers[numbers >= 0]), spec)


def _test_set(images: np.ndarray, labels: Any, spec: Spec, copy: bool) -> ImageSet:
    """Return images whose labels and pixels are encoded as in the training set with this `spec`."""
    encoding = spec.encoding or Encoding()
    pixels, notes = to_bytes(images, copy, encoding.pixels)
    shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
    if shape != spec.shape:
        raise InputError(f"images have shape {shape} (C, H, W), expected {spec.shape} as in the training set")
    numbers = number_labels(labels, spec.class_names, encoding.labels, count=len(pixels))
    if (numbers < 0).any():
        notes.append(f"left out {(numbers < 0).sum()} images of classes that the training set leaves out")
        pixels, numbers = pixels[numbers >= 0], numbers[numbers >= 0]
        if not len(numbers):
            raise InputError("the remaining classes have no test image: give more images of each class")
    whole = torch.from_numpy(pixels)
    warn_of([*notes, *Statistics.measure(whole).far_from(spec.mean, spec.std)])
    return ImageSet(whole, torch.from_numpy(numbers), spec)


def warn_of(notes: Iterable[str]) -> None:
    """Warn of each note, in the name of the code that calls `image_set`."""
    for note in notes:
        warnings.warn(note, stacklevel=4)


def single_image(image: np.ndarray | Tensor, extent: Extent | None = None) -> np.ndarray:
    """Return one image, of the kinds that `image_set` takes, as uint8 (C, H, W). Raise InputError for other images.

    extent: the values that become 0 and 255; by default those of the image's type.
    """
    array = numpy("images", image)
    try:
        return to_bytes(array[None], copy=True, extent=extent)[0][0]
    except InputError as error:
        hint = ""
        if array.dtype.kind == "f" and array.size and np.isfinite(array).all() and array.min() < 0:
            hint = "; take Normalize out of the transform"
        raise InputError(f"cannot be used: {error}{hint}") from None


def _large(classes: Labels, least: int) -> tuple[list[int], np.ndarray, list[str]]:
    """Return the classes with at least `least` images, the new number of each image's class or -1 (N,), and notes."""
    counts = np.bincount(classes.numbers, minlength=len(classes.names)).tolist()
    kept, note = large_classes(classes.names, counts, least)
    if not note:
        return kept, classes.numbers, []
    return kept, new_numbers(kept, len(classes.names))[classes.numbers], [note]


def _is_narrow(pixels: np.ndarray) -> bool:
    """Return True when pixels use a small part of the range, so that `Statistics.notes` is worth its time."""
    return int(pixels.max()) - int(pixels.min()) <= NARROW


def _per_channel(what: str, values: Sequence[float], shape: tuple[int, int, int]) -> tuple[float, ...]:
    numbers = tuple(float(value) for value in values)
    if len(numbers) != shape[0] or not all(map(math.isfinite, numbers)):
        raise InputError(f"{what} is {numbers}, expected {shape[0]} numbers: one per channel")
    return numbers
