"""The choice of `--labels soft`: mixed views of each image, and what a teacher of the real images says of each."""

import math
from collections.abc import Mapping
from typing import Any

from ..data.spec import Spec
from .labelling import LabelOptions

TEACHER_STEPS = 2500
"""Steps of the teacher, of 128 real images each."""
TEACHER_RATE = 0.05
_DRAW = 17  # bytes of a view: strategy and numbers, partner and shares
_PROBABILITY = 3  # bytes of a stored probability, with its class
MOST_VIEWS = 100
"""Largest number of views of an image."""
_FEWEST = 20


def soft_labels(spec: Spec, steps: int = TEACHER_STEPS) -> LabelOptions:
    """Return the options of `label` for mixed views with soft labels.

    An image in 8 bits and its views take about the bytes of the image in float32, as far as 20 to 100 views do.

    Args:
        spec: The images.
        steps: Steps of the teacher.
    """
    return {
        "views": views_for(spec),
        "mix": "cutmix",
        "top_k": _kept(spec),
        "moment": 1.0,
        "temperature": 1.0,
        "training_steps": steps,
        "training_lr": TEACHER_RATE,
    }


def option_of(labels: Mapping[str, Any]) -> str | None:
    """Return the value of --labels that gives labels as they are recorded, own without any; None for no value."""
    if not labels:
        return "own"
    if labels.get("teacher") != "real":
        return None
    if labels.get("trials"):
        return None if labels.keys() & {"views", "mix", "top_k", "lr"} else "teacher"
    taken = {"mix": "cutmix", "moment": 1.0, "temperature": 1.0, "steps": TEACHER_STEPS, "lr": TEACHER_RATE}
    return "soft" if {name: labels.get(name) for name in taken} == taken else None


def views_for(spec: Spec) -> int:
    """Return the views of each image: as many as fit in three bytes for each number of its pixels, 20 to 100."""
    return min(max(3 * math.prod(spec.shape) // view_bytes(spec), _FEWEST), MOST_VIEWS)


def view_bytes(spec: Spec) -> int:
    """Return the bytes of a view: its draws, and its largest probabilities with their classes."""
    classes = _PROBABILITY if spec.classes <= 256 else _PROBABILITY + 1
    return _DRAW + classes * _kept(spec)


def _kept(spec: Spec) -> int:
    return min(3, spec.classes - 1)
