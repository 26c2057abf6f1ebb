"""Bring images and labels of other programs into this package's shapes and types."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.spec import Spec
from ..utils.errors import InputError


def standard_shapes(images: Any, labels: Any, spec: Spec) -> tuple[Tensor, Tensor]:
    """Return images as (N, C, H, W), and labels as int64 (N,).

    Images may have their channels last, or no channel axis. Labels may be whole numbers of any type, of shape
    (N,) or (N, 1), or one-hot (N, K). Raises InputError for others.
    """
    images, labels = (torch.from_numpy(_native(x)) if isinstance(x, np.ndarray) else x for x in (images, labels))
    if images.is_complex():
        raise InputError(f"images have dtype {images.dtype}, expected numbers of pixels")
    c, h, w = spec.shape
    if images.dim() == 3 and c == 1 and images.shape[1:] == (h, w):
        images = images[:, None]
    elif images.dim() == 4 and images.shape[1:] == (h, w, c) != spec.shape:
        images = images.permute(0, 3, 1, 2)
    return images.contiguous(), _hard_labels(labels)


def _native(array: np.ndarray) -> np.ndarray:
    """Copy an array to a type and byte order that PyTorch takes. Raises InputError for anything but numbers."""
    if array.dtype.kind not in "biuf":
        raise InputError(f"an array has dtype {array.dtype}, expected numbers")
    wider = {"uint16": np.int32, "uint32": np.int64, "uint64": np.int64}.get(array.dtype.name)
    return array.astype(wider or array.dtype.newbyteorder("="), order="C", copy=True)


def _hard_labels(labels: Tensor) -> Tensor:
    """Return labels as int64 (N,). Raises InputError for soft labels, and for numbers that are not whole."""
    if labels.dtype == torch.bool or labels.is_complex():
        raise InputError(f"labels have dtype {labels.dtype}, expected integers")
    if labels.dim() == 2 and labels.shape[1] > 1:
        if bool(((labels == 0) | (labels == 1)).all() & (labels.sum(1) == 1).all()):
            return labels.argmax(1)
        raise InputError(
            f"labels of shape {tuple(labels.shape)} are soft, a number for each class, and only hard ones are read: "
            "give the number of one class for each image"
        )
    labels = labels.flatten() if labels.dim() == 2 else labels
    if labels.dtype.is_floating_point and not bool((labels == labels.round()).all()):  # NaN is not either
        raise InputError(f"labels have dtype {labels.dtype} and are not whole numbers")
    return labels.long().contiguous()


def disjoint(all_labels: Iterable[Tensor]) -> bool:
    """Return whether no class occurs in two of the label tensors."""
    seen: set[int] = set()
    for labels in all_labels:
        classes = set(labels.tolist())
        if classes & seen:
            return False
        seen |= classes
    return True
