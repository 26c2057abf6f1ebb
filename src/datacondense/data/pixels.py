"""Convert arrays of pixels to bytes."""

import numpy as np
from torch import Tensor

from ..utils.errors import InputError
from .statistics import AT_ONCE

_ROUNDING = 1e-6
"""Tolerance for floats outside [0, 1], from rounding."""
_WHOLE = "images are floats that are whole numbers from {:g} to {:g}: they are read as bytes"

Extent = tuple[float, float]
"""Source values that become 0 and 255."""


def numpy(what: str, array: np.ndarray | Tensor) -> np.ndarray:
    """Return an array or a tensor as an array. Raise InputError for other types."""
    if isinstance(array, Tensor):
        array = array.detach().cpu()
        return (array.float() if array.is_floating_point() else array).numpy()  # NumPy has no bfloat16
    if not isinstance(array, np.ndarray):
        raise InputError(f"{what} are of type {type(array).__name__}, expected a NumPy array or a torch tensor")
    return array


def to_bytes(images: np.ndarray, copy: bool, extent: Extent | None = None) -> tuple[np.ndarray, list[str]]:
    """Return images as uint8 (N, C, H, W), C-ordered and writable, and notes.

    Args:
        images: (N, H, W), (N, C, H, W) or (N, H, W, C) with C 1 or 3: uint8, booleans, integers from 0 to 255,
            floats in [0, 1], or floats that are whole numbers from 0 to 255.
        copy: Copy even images that are uint8 and in order already.
        extent: The values that become 0 and 255; other values are scaled, and clipped to this range.

    Raises:
        InputError: For another shape, no pixel, numbers that are not finite, and values of an unknown range.
    """
    check_numbers(images)
    ordered = _channels_first(images)
    if extent is not None:
        return _scaled(ordered, *extent), _beyond(images, extent)
    kind = images.dtype.kind
    if images.dtype == np.uint8:
        return np.array(ordered, order="C") if copy else np.require(ordered, requirements=["C", "W"]), []
    if kind == "b":
        return _scaled(ordered, 0, 1), []
    low, high = images.min().item(), images.max().item()
    if kind == "f" and low >= -_ROUNDING and high <= 1 + _ROUNDING:
        return _scaled(ordered, 0, 1), []
    if low >= 0 and high <= 255 and (kind != "f" or is_whole(images)):
        return ordered.astype(np.uint8, order="C"), [_WHOLE.format(low, high)] if kind == "f" else []
    if kind == "f":
        raise InputError(
            f"images are floats from {low:g} to {high:g}, expected [0, 1]: scale them, or give 0 to 255 as uint8, "
            "or let --pixel-range own scale them by their own range"
        )
    raise InputError(
        f"images have dtype {images.dtype} and go from {low} to {high}, expected 0 to 255: scale them, or let "
        "--pixel-range own scale them by their own range"
    )


def measure_extent(images: np.ndarray) -> Extent:
    """Return the lowest and the highest value. Raise InputError when they are equal, and as `to_bytes`."""
    check_numbers(images)
    low, high = float(images.min()), float(images.max())
    check_extent(low, high)
    return low, high


def check_extent(low: float, high: float) -> None:
    """Raise InputError for an empty range."""
    if low >= high:
        raise InputError(f"--pixel-range own: all pixels are {low:g}, so there is no range to scale")


def check_numbers(images: np.ndarray) -> None:
    """Raise InputError for an array without pixels, and for values that are not finite numbers."""
    if images.size == 0:
        raise InputError(f"images have shape {images.shape}: they hold no pixel")
    if images.dtype.kind not in "biuf":
        raise InputError(f"images have dtype {images.dtype}, expected uint8, or floats in [0, 1]")
    if images.dtype.kind == "f" and not np.isfinite([images.min(), images.max()]).all():
        wrong = ~np.isfinite(images)
        first = tuple(int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
        raise InputError(f"images hold {wrong.sum()} pixels that are NaN or infinite, the first at index {first}")


def is_whole(images: np.ndarray) -> bool:
    """Return True when all values are whole numbers."""
    rows = max(AT_ONCE // images[0].size, 1)
    return all(
        bool((images[first : first + rows] == np.rint(images[first : first + rows])).all())
        for first in range(0, len(images), rows)
    )


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


def _scaled(images: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return uint8 of the same shape: low becomes 0, high 255; values beyond are clipped."""
    result = np.empty(images.shape, np.uint8)
    rows = max(AT_ONCE // images[0].size, 1)
    for first in range(0, len(images), rows):  # in parts, as a float copy takes four to eight times the result
        some = images[first : first + rows]
        if (low, high) == (0, 1):
            scaled = (some if some.dtype.kind == "f" else some.astype(np.float32)).clip(0, 1) * 255
        else:
            scaled = (some.astype(np.float64).clip(low, high) - low) * (255 / (high - low))
        result[first : first + rows] = np.rint(scaled, out=scaled)
    return result


def _beyond(images: np.ndarray, extent: Extent) -> list[str]:
    low, high = extent
    beyond = int(((images < low) | (images > high)).sum())
    if not beyond:
        return []
    return [f"{beyond} of {images.size} pixels are outside the range of the training images ({low:g} to {high:g})"]
