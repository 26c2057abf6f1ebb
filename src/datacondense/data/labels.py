"""Convert class labels of any kind to names and numbers, alike for every split of a dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ..utils.errors import InputError
from .label_values import Values, alike, is_integer, listed, parse_labels, short, text
from .spec import check_names

Known = Mapping[str, int | None]
"""Class name -> integer label in the training data; None if the labels are names."""


@final
@dataclass(frozen=True)
class Labels:
    """The labels of a training set."""

    names: tuple[str, ...]
    """Names of the K classes, each of which has an image."""
    numbers: np.ndarray
    """Class number of each image: its position in `names`, int64 (N,)."""
    known: Known | None = None
    """Mapping by which `number_labels` numbers another split; None when its labels are positions in `names`."""
    notes: tuple[str, ...] = ()
    """Warnings for the user."""


def number_classes(
    values: Any,
    names: Sequence[Any] | Mapping[Any, Any] | None = None,
    *,
    count: int | None = None,
    what: str = "labels",
) -> Labels:
    """Return the classes of a training set and the number of each image's class.

    Args:
        values: One label for each of N images: integers, whole floats, booleans or strings, as an array, a tensor or a
            sequence of shape (N,) or (N, 1); or one-hot rows (N, K). Integers from 0 to K-1 are class numbers. Others,
            such as 1 to K or with gaps, and strings are sorted.
        names: Names of all classes. Integers are positions in them, or go from 1 to K; strings are among them. A
            mapping gives the name of each value. Without names a class is named by its value. Classes without an image
            are left out; a note lists them.
        count: N, when it is known.
        what: Name of the labels in messages.

    Returns:
        Names, numbers, the mapping for other splits, and notes.

    Raises:
        InputError: For labels that are missing (None, NaN, negative), soft, of several classes at once, of mixed kinds
            or of the wrong shape; for names that do not fit them; for fewer than two classes.
    """
    found = parse_labels(values, count, what)
    if names is None:
        labels = _named_by_value(found, what)
    elif isinstance(names, Mapping):
        labels = _mapped(found, names, what)
    else:
        labels = _named(found, tuple(text(name) for name in names), what)
    if len(labels.names) < 2:
        raise InputError("there is one class only, but a classifier needs two: give images of two or more")
    return labels


def number_labels(
    values: Any,
    names: Sequence[str],
    known: Known | None = None,
    *,
    count: int | None = None,
    what: str = "labels",
) -> np.ndarray:
    """Return the number of each image's class in another split, int64 (N,).

    Args:
        values: Labels as `number_classes` takes them. Strings are matched by name; integers mean what they mean in the
            training set.
        names: Names of the classes of the training set.
        known: `Labels.known` of the training set. Images of its classes that are not in `names` have number -1.
        count: N, when it is known.
        what: Name of the labels in messages.

    Raises:
        InputError: For labels that `number_classes` refuses, and for a class that the training set does not have.
    """
    found = parse_labels(values, count, what)
    numbers = {name: number for number, name in enumerate(names)}
    if found.columns is not None:
        _check_columns(found.columns, len(names), known, what)
    if found.is_text or (known is not None and None in known.values()):
        return _matched(found, dict.fromkeys(known or (), -1) | numbers, what)
    if known is None:
        check_range(found.array, len(names), what)
        return found.array.astype(np.int64)
    numbers_by_value = {value: numbers.get(name, -1) for name, value in known.items()}
    present, inverse = np.unique(found.array, return_inverse=True)
    for value in present.tolist():
        if value not in numbers_by_value:
            raise _unknown(value, [value for value in numbers_by_value if value is not None], what)
    return np.array([numbers_by_value[value] for value in present.tolist()], np.int64)[inverse]


def check_classes(labels: np.ndarray, classes: int, class_names: Sequence[str] | None = None) -> None:
    """Raise InputError unless labels (N,) are in [0, classes), and each of two or more classes has an image."""
    check_range(labels, classes)
    if classes < 2:
        raise InputError("there is one class only, but a classifier needs two: give images of two or more")
    present = np.unique(labels).tolist()
    if len(present) < classes:
        missing = next(k for k, label in enumerate([*present, classes]) if k < label)
        name = str(missing) if class_names is None else class_names[missing]
        raise InputError(
            f"class {name!r} (label {missing}) has no image, but a training set needs images of every class"
        )


def check_range(labels: np.ndarray, classes: int, what: str = "labels") -> None:
    """Raise InputError unless integer labels (N,) are in [0, classes)."""
    if labels.min() < 0:
        raise InputError(f"{what} go down to {labels.min()}: classes are numbered from 0")
    if labels.max() >= classes:
        raise InputError(f"{what} go up to {labels.max()}, but the {classes} classes are numbered 0 to {classes - 1}")


def _named_by_value(found: Values, what: str) -> Labels:
    if found.columns is not None:
        return _at_positions(found.array, tuple(map(str, range(found.columns))))
    if found.is_truth:
        return _at_positions(found.array, ("False", "True"))
    present, numbers = np.unique(found.array, return_inverse=True)
    names = tuple(map(str, present.tolist()))
    numbers = numbers.reshape(-1).astype(np.int64)
    if found.is_text:
        check_names(names, f"class name in {what}")
        return Labels(names, numbers, dict.fromkeys(names))
    values = present.tolist()
    if values == list(range(len(values))):
        return Labels(names, numbers)
    notes = ()
    if values != list(range(values[0], values[0] + len(values))):
        notes = (f"{what} have gaps: the {len(values)} classes are named by the labels {listed(names)}",)
    return Labels(names, numbers, dict(zip(names, values, strict=True)), notes)


def _named(found: Values, names: tuple[str, ...], what: str) -> Labels:
    """Return labels whose classes have these names."""
    if not names:
        raise InputError("class_names is empty: give the name of each class, or leave it out")
    check_names(names)
    if found.is_text:
        numbers = _matched(found, {name: number for number, name in enumerate(names)}, what)
        labels = _at_positions(numbers, names)
        return Labels(labels.names, labels.numbers, dict.fromkeys(labels.names), labels.notes)
    present = np.unique(found.array).tolist()
    if found.columns not in (None, len(names)):
        raise InputError(f"{what} are one-hot rows of {found.columns} columns for {len(names)} class names")
    is_position = present[-1] < len(names)
    is_name = found.columns is None and set(map(str, present)) <= set(names) and all(map(is_integer, names))
    if is_position and (not is_name or len(present) == len(names) or names == tuple(map(str, range(len(names))))):
        return _at_positions(found.array, names)
    if is_position:
        raise InputError(
            f"{what} {listed(map(str, present))} may be positions in the class names {listed(names)} or those names: "
            "give labels as strings, or leave out class_names"
        )
    if is_name:
        return _mapped(found, {int(name): name for name in names}, what)
    if present[0] == 1 and present[-1] == len(names):
        labels = _mapped(found, dict(enumerate(names, 1)), what)
        note = f"{what} go from 1 to {len(names)}: 1 is the first of the class names, {names[0]!r}"
        return Labels(labels.names, labels.numbers, labels.known, (note, *labels.notes))
    check_range(found.array, len(names), what)
    raise AssertionError("one of the cases above is that of a label outside the range")


def _mapped(found: Values, names: Mapping[Any, Any], what: str) -> Labels:
    """Return labels by a mapping from value to name, as {1: "a", 5: "b"} or {"1": "a", "5": "b"}."""
    if not names:
        raise InputError("class_names is empty: give the name of each class, or leave it out")
    if found.is_text:
        table: dict[Any, str] = {str(value): text(name) for value, name in names.items()}
    else:
        values = {value: _whole(value) for value in names}
        for value, whole in values.items():
            if not is_integer(str(whole)):
                raise InputError(f"class_names names {short(value)}, but {what} are integers")
        table = {
            int(whole): text(names[value]) for value, whole in sorted(values.items(), key=lambda item: int(item[1]))
        }
    check_names(tuple(table.values()))
    positions = {value: position for position, value in enumerate(table)}
    present, inverse = np.unique(found.array, return_inverse=True)
    for value in present.tolist():
        if value not in positions:
            raise InputError(f"{what} hold {short(value)}, for which class_names has no name")
    numbers = np.array([positions[value] for value in present.tolist()], np.int64)[inverse.reshape(-1)]
    labels = _at_positions(numbers, tuple(table.values()))
    if found.is_text:
        return Labels(labels.names, labels.numbers, dict.fromkeys(labels.names), labels.notes)
    values = {name: value for value, name in table.items() if name in labels.names}
    known = None if list(values.values()) == list(range(len(values))) else values
    return Labels(labels.names, labels.numbers, known, labels.notes)


def _whole(value: Any) -> Any:
    """Return a boolean or a whole float as the integer that a label of this value is; anything else unchanged."""
    return int(value) if isinstance(value, bool | np.bool_ | float | np.floating) and value == value // 1 else value


def _at_positions(numbers: np.ndarray, names: tuple[str, ...]) -> Labels:
    """Return labels that are positions in `names`, without the classes that have no image."""
    counts = np.bincount(numbers.astype(np.int64), minlength=len(names))
    if counts.all():
        return Labels(names, numbers.astype(np.int64))
    kept = np.flatnonzero(counts)
    renumbered = np.full(len(names), -1, np.int64)
    renumbered[kept] = np.arange(len(kept))
    note = f"left out classes without a training image: {listed(names[k] for k in np.flatnonzero(counts == 0))}"
    known = {names[k]: int(k) for k in kept}
    return Labels(tuple(known), renumbered[numbers.astype(np.int64)], known, (note,))


def _matched(found: Values, numbers: Mapping[str, int], what: str) -> np.ndarray:
    """Return the class number of each label that is a class name, int64 (N,)."""
    present, inverse = np.unique(found.array, return_inverse=True)
    names = [str(bool(value)) if found.is_truth else str(value) for value in present.tolist()]
    for name, value in zip(names, present.tolist(), strict=True):
        if name not in numbers:
            raise _unknown(value, list(numbers), what)
    return np.array([numbers[name] for name in names], np.int64)[inverse.reshape(-1)]


def _check_columns(columns: int, classes: int, known: Known | None, what: str) -> None:
    """Raise InputError unless one-hot rows have a column for every class of the training set, also those left out."""
    values = range(classes) if known is None else known.values()
    if known is None and columns != classes:
        raise InputError(f"{what} are one-hot rows of {columns} columns for {classes} classes")
    if not all(value is not None and value < columns for value in values):
        raise InputError(f"{what} are one-hot, but the classes of the training set are not numbered from 0")


def _unknown(value: Any, classes: Sequence[Any], what: str) -> InputError:
    known = f"expected one of {listed(map(str, classes))}{alike(value, classes)}"
    return InputError(f"{what} hold {short(value)}, which is not a class: {known}")
