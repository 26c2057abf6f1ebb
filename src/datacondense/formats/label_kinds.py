"""Kinds of labels in files of other programs, and the kind that was recognised in a file."""

from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import torch
from torch import Tensor

from ..utils.errors import InputError, unknown

LabelKind = Literal["auto", "hard", "probabilities", "logits", "values"]
"""hard: the class with the largest number. probabilities: as they are, as TESLA stores them. logits: their softmax, as
DATM trains on them. values: as they are, such as regression targets."""
LABEL_KINDS: tuple[LabelKind, ...] = get_args(LabelKind)
HELP = "name their kind with --labels hard, probabilities, logits or values (as they are)"

_TOLERANCE = 1e-2
"""Of the sum of probabilities, which may be rounded to 16 bits."""


@final
@dataclass(frozen=True)
class DetectedLabels:
    """Kind as which labels (N, K) were read, and the reason for it."""

    kind: LabelKind
    because: str

    def __str__(self) -> str:
        return f"labels are read as {self.kind} ({self.because})"

    @staticmethod
    def from_json(fields: dict[str, Any]) -> "DetectedLabels":
        """Return the inverse of `to_json`."""
        return DetectedLabels(fields["taken_for"], fields["because"])

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"taken_for": self.kind, "because": self.because}


def check_label_kind(kind: str) -> None:
    """Raise InputError for an unknown kind."""
    if kind not in LABEL_KINDS:
        raise unknown("labels", kind, LABEL_KINDS)


def read_labels(labels: Tensor, kind: LabelKind, classes: int) -> tuple[Tensor, DetectedLabels | None]:
    """Return labels as a set holds them, and the kind as which they were read if they have a number for each class.

    Args:
        labels: Whole numbers of any type, (N,) or (N, 1), or a number for each class, (N, K).
        kind: "auto" reads one-hot labels as hard, those that are not negative and sum to 1 as probabilities, and others
            as logits.
        classes: The number of classes, K.

    Returns:
        int64 (N,), or float32 (N, K).

    Raises:
        InputError: They are neither, or contradict `kind`.
    """
    if labels.dtype == torch.bool or labels.is_complex():
        raise InputError(f"labels have dtype {labels.dtype}, expected integers")
    if labels.dim() == 2 and not labels.numel():
        raise InputError(f"labels of shape {tuple(labels.shape)} hold nothing")
    if labels.dim() != 2 or labels.shape[1] == 1:
        if kind not in ("auto", "hard"):
            raise InputError(f"--labels {kind}: the file has one class for each image: leave it out")
        return _whole_numbers(labels), None
    if labels.shape[1] != classes:
        raise InputError(f"labels of shape {tuple(labels.shape)} do not have a number for each of {classes} classes")
    if not bool(torch.isfinite(labels).all()):
        raise InputError("labels hold numbers that are NaN or infinite")
    found = _detect(labels) if kind == "auto" else DetectedLabels(kind, "as --labels says")
    if found.kind == "hard":
        return labels.argmax(1), found
    soft = labels.float().contiguous()
    if found.kind == "probabilities" and not _are_probabilities(labels):
        raise InputError(f"--labels probabilities: {_seen(labels)}: {HELP}")
    return soft.softmax(1) if found.kind == "logits" else soft, found


def _detect(labels: Tensor) -> DetectedLabels:
    """Return the kind of labels (N, K) by their values."""
    if bool(((labels == 0) | (labels == 1)).all() & (labels.sum(1) == 1).all()):
        return DetectedLabels("hard", "they are one-hot")
    if _are_probabilities(labels):
        return DetectedLabels("probabilities", "none is negative, and they sum to 1")
    return DetectedLabels("logits", _seen(labels))


def _are_probabilities(labels: Tensor) -> bool:
    return bool((labels >= 0).all()) and bool(((labels.double().sum(1) - 1).abs() < _TOLERANCE).all())


def _seen(labels: Tensor) -> str:
    """Return the range of labels and of their sums in words."""
    (low, high), (least, most) = labels.double().aminmax(), labels.double().sum(1).aminmax()
    return f"they go from {float(low):.3g} to {float(high):.3g} and sum to {float(least):.3g} to {float(most):.3g}"


def _whole_numbers(labels: Tensor) -> Tensor:
    """Return classes as int64 (N,). Raises InputError for numbers that are not whole."""
    labels = labels.flatten() if labels.dim() == 2 else labels
    if labels.dtype.is_floating_point and not bool((labels == labels.round()).all()):  # NaN is not either
        raise InputError(f"labels have dtype {labels.dtype} and are not whole numbers")
    return labels.long().contiguous()
