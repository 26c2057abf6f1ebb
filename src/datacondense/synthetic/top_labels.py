"""Soft labels as the k largest probabilities of each image with their classes; the others share the rest evenly."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..utils.errors import DamagedFile, InputError
from ..utils.limits import affordable
from .stored import packed_labels, rounded_labels, unpacked_labels

TOP_K = "top_k"
"""Entry of `provenance.labels` of a set whose labels are stored so."""
_LABELS, _VALUES, _CLASSES = "labels", "labels.values", "labels.classes"


def truncated(labels: Tensor, k: int) -> Tensor:
    """Return labels of which all but the k largest of each image are equal, as `label_tensors` stores them exactly.

    Args:
        labels: Probabilities (N, K).
        k: The number of probabilities that are kept, below K, in float16.

    Returns:
        float32 (N, K); each row sums to 1 up to rounding of the kept ones.
    """
    values, classes = labels.topk(k, dim=1)
    return _spread(values.half(), classes, labels.shape[1])


def as_stored(labels: Tensor, k: int | None) -> Tensor:
    """Return soft labels (N, K) as a file keeps them: the `k` largest of each, or all if `k` is None, in float16."""
    return rounded_labels(labels, "f16") if k is None else truncated(labels, k)


def label_tensors(labels: Tensor, record: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return the tensors by which a file stores labels exactly.

    Args:
        labels: Classes (N,), or soft labels (N, K), on the CPU.
        record: `provenance.labels`, whose `top_k` is the number of probabilities to keep.

    Returns:
        `labels` as `packed_labels` gives them; or `labels.values`, float16 (N, k), and `labels.classes`, (N, k).
    """
    k = record.get(TOP_K)
    if isinstance(k, int) and labels.dim() == 2 and 0 < k < labels.shape[1]:
        values, classes = labels.topk(k, dim=1)
        values = values.half()
        if torch.equal(_spread(values, classes, labels.shape[1]), labels):
            return {_VALUES: values, _CLASSES: packed_labels(classes.flatten()).view_as(classes)}
    return {_LABELS: packed_labels(labels)}


def taken_labels(tensors: dict[str, Tensor], classes: int) -> Tensor:
    """Remove the labels from the tensors of a file; return them, int64 (N,) or float32 (N, K).

    Raises InputError if there are none, or if they are not as `label_tensors` gives them.
    """
    if _LABELS in tensors:
        return unpacked_labels(tensors.pop(_LABELS))
    if _VALUES not in tensors or _CLASSES not in tensors:
        required(tensors, _LABELS)
    values, numbers = tensors.pop(_VALUES), tensors.pop(_CLASSES)
    if values.dtype != torch.float16 or values.dim() != 2 or numbers.shape != values.shape:
        shapes = f"{tuple(values.shape)} of {values.dtype} and {tuple(numbers.shape)}"
        raise DamagedFile(f"its labels have shapes {shapes}, expected (N, k) of torch.float16 and of classes")
    numbers, k = unpacked_labels(numbers.flatten()).view_as(numbers), values.shape[1]
    in_range = not numbers.numel() or (int(numbers.min()) >= 0 and int(numbers.max()) < classes)
    ordered = numbers.sort(1).values
    if not 0 < k < classes or not in_range or bool((ordered[:, 1:] == ordered[:, :-1]).any()):
        raise DamagedFile(f"its labels do not name {k} of {classes} classes each")
    affordable(4 * len(values) * classes, "its labels", held=values.nbytes + numbers.nbytes)
    return _spread(values, numbers, classes)


def required(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    """Return a tensor of a file. Raises InputError if it is missing."""
    if name not in tensors:
        raise InputError(f"there is no tensor {name!r}: it holds no synthetic set")
    return tensors[name]


def _spread(values: Tensor, numbers: Tensor, classes: int) -> Tensor:
    """Return labels (N, K) from kept probabilities (N, k), float16; sums of doubles are exact, in any order."""
    kept = values.double()
    rest = (1 - kept.sum(1, keepdim=True)).clamp_min(0) / (classes - values.shape[1])
    rest = rest.minimum(kept.amin(1, keepdim=True))  # rounding may have made the smallest one smaller
    return rest.float().repeat(1, classes).scatter(1, numbers, values.float())
