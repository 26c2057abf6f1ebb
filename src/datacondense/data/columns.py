"""Which columns of a table hold images and labels, and which classes those are of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .options import Options

_LABELS = ("label", "labels", "class", "classes", "class_name", "category", "target", "fine_label")
"""Names of columns that hold a class without saying so by their type."""


def find(features: Mapping[str, Any], options: Options) -> tuple[str, str]:
    """Names of the columns of images and labels, by their types and what `options` name. Raises InputError."""
    import datasets

    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    labels = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    plain = [name for name, feature in features.items() if _is_plain(feature)]
    usual = [name for name in plain if name.lower() in _LABELS]
    image = _column("images", "--image-column", options.image_column, images, images, features)
    label = _column("labels", "--label-column", options.label_column, [*labels, *plain], labels or usual, features)
    return image, label


def _is_plain(feature: Any) -> bool:
    """Whether a column is of integers, strings or truth values."""
    kind = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Value" and kind.startswith(("int", "uint", "string", "large_string", "bool"))


def _column(
    what: str, flag: str, named: str | None, allowed: Sequence[str], found: Sequence[str], features: Mapping[str, Any]
) -> str:
    if named is not None:
        if named not in allowed:
            other = f"is no column of {what}" if named in features else "does not exist"
            raise InputError(f"{flag} {named} {other}; columns are {_described(features)}")
        return named
    if len(found) != 1:
        several = f"columns {', '.join(found)} may all be the {what}" if found else f"no column is known to be {what}"
        raise InputError(f"{several}: name one by {flag}; columns are {_described(features)}")
    return found[0]


def _described(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({getattr(f, 'dtype', None) or type(f).__name__})" for name, f in features.items())


def classes(splits: Sequence[Any], column: str) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Class names and each split's labels, (N,), -1 where there is none.

    Those of a plain column are numbered by its sorted values in the first split. Raises InputError for values that are
    missing there, or are in another split alone.
    """
    import datasets

    feature = splits[0].features[column]
    values = [split.data.column(column).to_pylist() for split in splits]
    if isinstance(feature, datasets.ClassLabel):
        return tuple(feature.names), [np.array([-1 if v is None else v for v in some], np.int64) for some in values]
    if any(value is None for value in values[0]):
        raise InputError(f"column {column!r} has rows without a value: every training image needs a label")
    if -1 in values[0]:
        raise InputError(f"column {column!r} has rows of class -1, which stands for none: leave them out of training")
    known = {value: label for label, value in enumerate(sorted(set(values[0])))}
    for split, some in zip(splits, values, strict=True):
        for value in some:
            if value is not None and value not in known and value != -1:
                raise InputError(f"column {column!r} holds {value!r} in split {split.split}, but not in training")
    return tuple(str(value) for value in known), [
        np.array([known.get(value, -1) for value in some], np.int64) for some in values
    ]
