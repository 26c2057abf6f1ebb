"""Bring images and labels of other programs into this package's shapes and types."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.spec import Spec
from ..synthetic.targets import class_numbers
from ..utils.errors import InputError


def standard_shapes(images: Any, labels: Any, spec: Spec) -> tuple[Tensor, Tensor]:
    """Return images as (N, C, H, W), and labels as they are, both as tensors.

    Images may have their channels last, or no channel axis. Raises InputError for anything but numbers.
    """
    images, labels = (torch.from_numpy(_native(x)) if isinstance(x, np.ndarray) else x for x in (images, labels))
    if images.is_complex():
        raise InputError(f"images have dtype {images.dtype}, expected numbers of pixels")
    c, h, w = spec.shape
    if images.dim() == 3 and c == 1 and images.shape[1:] == (h, w):
        images = images[:, None]
    elif images.dim() == 4 and images.shape[1:] == (h, w, c) != spec.shape:
        images = images.permute(0, 3, 1, 2)
    return images.contiguous(), labels


def _native(array: np.ndarray) -> np.ndarray:
    """Copy an array to a type and byte order that PyTorch takes. Raises InputError for anything but numbers."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"an array has dtype {array.dtype}, expected numbers")
    wider = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}.get(array.dtype.name)
    return array.astype(wider or array.dtype.newbyteorder("="), order="C", copy=True)


def disjoint(all_labels: Iterable[Tensor]) -> bool:
    """Return whether no class occurs in two of the label tensors."""
    seen: set[int] = set()
    for labels in all_labels:
        classes = set(class_numbers(labels).tolist())
        if classes & seen:
            return False
        seen |= classes
    return True
