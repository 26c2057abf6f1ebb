"""Find the columns of images and labels of a table, and match classes across its files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

import numpy as np

from ...utils.errors import InputError
from ..label_values import alike
from ..labels import number_classes, number_labels
from ..options import ReaderOptions
from .hub_tables import Tables

_NONE = (None, -1)
"""Values that mean a missing label."""
_SHOWN = 5  # class names in an error
LABEL_COLUMNS = ("label", "labels", "class", "classes", "class_name", "category", "target", "fine_label")
"""Usual names of label columns whose type is not that of classes."""


def find_columns(features: Mapping[str, Any], options: ReaderOptions) -> tuple[str, str]:
    """Return the names of the columns of images and labels, from `options` or by type. Raise InputError."""
    import datasets

    images = [name for name, feature in features.items() if isinstance(feature, datasets.Image)]
    labels = [name for name, feature in features.items() if isinstance(feature, datasets.ClassLabel)]
    plain = [name for name, feature in features.items() if _is_plain(feature) or _is_usual(name, feature)]
    usual = [name for name in plain if name.lower() in LABEL_COLUMNS]
    image = _column("images", "--image-column", options.image_column, images, images, features)
    label = _column("labels", "--label-column", options.label_column, [*labels, *plain], labels or usual, features)
    return image, label


def _is_plain(feature: Any) -> bool:
    """Return True for a column of integers, strings or booleans."""
    kind = str(getattr(feature, "dtype", ""))
    return type(feature).__name__ == "Value" and kind.startswith(("int", "uint", "string", "large_string", "bool"))


def _is_usual(name: str, feature: Any) -> bool:
    """Return True for a column of floats or lists with a usual name of labels."""
    kind = getattr(feature, "dtype", None) or type(feature).__name__
    return name.lower() in LABEL_COLUMNS and str(kind).startswith(("float", "List", "LargeList", "Sequence", "list"))


def _column(
    what: str, flag: str, named: str | None, allowed: Sequence[str], found: Sequence[str], features: Mapping[str, Any]
) -> str:
    if named is not None:
        if named not in allowed:
            other = f"is not a column of {what}" if named in features else "does not exist"
            raise InputError(f"{flag} {named} {other}; columns are {_described(features)}")
        return named
    if len(found) != 1:
        several = f"columns {', '.join(found)} may all be the {what}" if found else f"no column is recognised as {what}"
        raise InputError(f"{several}: name one with {flag}; columns are {_described(features)}")
    return found[0]


def _described(features: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} ({getattr(f, 'dtype', None) or type(f).__name__})" for name, f in features.items())


@final
@dataclass(frozen=True)
class Column:
    """The labels of one split, as in its files."""

    split: str
    values: tuple[Any, ...]
    """Class names, or labels without a name; None or -1 for rows without a label."""
    names: tuple[str, ...]
    """Class names that the files declare, with or without images."""
    kinds: Mapping[str, str]
    """Kind of labels, such as "names" or "numbers" -> a file with such labels."""

    @property
    def labelled(self) -> bool:
        """True when there are rows and all have a label."""
        return bool(self.values) and not any(value in _NONE for value in self.values)


def read_labels(tables: Tables, split: str, column: str) -> Column:
    """Return the labels of a split, with each number replaced by its name in the same file.

    Raise InputError for a number outside of its file's classes, and for names that contradict a README.
    """
    declared = getattr(tables.declared.get(column), "names", None)
    values: list[Any] = []
    names: dict[str, None] = {}
    kinds: dict[str, str] = {}
    for piece in tables.pieces[split]:
        own = getattr(piece.features.get(column), "names", None)
        if own is not None and declared is not None and list(own) != list(declared):
            raise InputError(
                f"column {column!r} has the classes {_short(declared)} by its README, but {_short(own)} by "
                f"{piece.name}: correct one of them"
            )
        some = piece.column(column)
        kind = _kind(some)
        if kind == "numbers" and (own := declared if own is None else own) is not None:
            some, kind = [_name(value, own, split) for value in some], "names"
        if kind:
            kinds.setdefault(kind, piece.name)
        values += some
        names |= dict.fromkeys(own or ())
    return Column(split, tuple(values), tuple(names), kinds)


def _kind(values: Sequence[Any]) -> str:
    """Return the kind of labels of a file; empty when it has none."""
    found = next((value for value in values if value not in _NONE), None)
    kinds = {str: "names", bool: "booleans", list: "rows of numbers"}
    return "" if found is None else kinds.get(type(found), "numbers")


def _name(value: int | None, names: Sequence[str], split: str) -> str | int | None:
    if value is None or value == -1:
        return value
    if not 0 <= value < len(names):
        raise _outside(split, value, len(names))
    return names[value]


def _outside(split: str, value: object, count: int) -> InputError:
    return InputError(f"split {split!r} has label {value}, but its {count} classes are 0 to {count - 1}")


def _short(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:_SHOWN])) + (", ..." if len(names) > _SHOWN else "")


@final
class Classes:
    """The classes of a training split, by which other splits are numbered.

    They are in the order of the declared names, or else of the labels. Raise InputError for images without a label, for
    labels that `labels.number_classes` refuses, and when some files name classes and others number them.
    """

    def __init__(self, column: str, train: Column) -> None:
        _one_kind(column, train.kinds)
        if train.names and not train.labelled:
            raise _outside(train.split, -1, len(train.names))
        if None in train.values:
            raise InputError(f"column {column!r} has rows without a value: every training image needs a label")
        if -1 in train.values:
            raise InputError(
                f"column {column!r} has rows of class -1, which means no label: leave them out of training"
            )
        declared = tuple(dict.fromkeys(train.names) | dict.fromkeys(sorted(set(train.values)))) if train.names else None
        self._column, self._train = column, train
        self._found = number_classes(
            list(train.values), declared, count=len(train.values), what=f"labels in column {column!r}"
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes with training images."""
        return self._found.names

    @property
    def numbers(self) -> np.ndarray:
        """The number of each training image's class, (N,)."""
        return self._found.numbers

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings for the user."""
        return self._found.notes

    def numbers_of(self, other: Column) -> np.ndarray:
        """Return the class number of each row of another split without missing labels, (N,).

        Raise InputError for a class that training lacks, and for numbers where training has names.
        """
        _one_kind(self._column, {**other.kinds, **self._train.kinds})
        if not self._train.kinds.keys() & {"rows of numbers"}:
            for value in dict.fromkeys(other.values):
                if value not in self._present:
                    raise InputError(
                        f"column {self._column!r} holds {value!r} in split {other.split}, but not in training"
                        f"{alike(value, self._present)}"
                    )
        what = f"labels of split {other.split!r} in column {self._column!r}"
        values = list(other.values)
        return number_labels(values, self.names, self._found.known, count=len(values), what=what)

    @cached_property
    def _present(self) -> frozenset[Any]:
        return frozenset(self._train.values)


def _one_kind(column: str, kinds: Mapping[str, str]) -> None:
    if len(kinds) > 1:
        (first, here), (second, there), *_ = kinds.items()
        raise InputError(
            f"column {column!r} holds {first} in {here} and {second} in {there}, which cannot be "
            "matched: use one kind in all files"
        )


def match_names(known: Sequence[str], found: Sequence[str]) -> list[int]:
    """Return the number in `known` of each class name in `found`, (K,).

    Case, spaces and punctuation are ignored. Numbers as names, and a single name that differs, match by position. Raise
    InputError for other classes.
    """
    if len(found) != len(known):
        raise InputError(f"there are {len(found)} classes, expected {len(known)}: this is another dataset")
    places = {_plain(name): number for number, name in enumerate(known)}
    numbers = [places.get(_plain(name)) for name in found]
    nameless = [str(number) for number in range(len(known))] == list(found)
    matched = {number for number in numbers if number is not None}
    for place, number in enumerate(numbers):
        if number is None and (place in matched or not (matched or nameless)):
            raise InputError(f"there is a class {found[place]!r}, expected {_short(known)}: this is another dataset")
    if len(matched) < sum(number is not None for number in numbers):
        raise InputError(f"the classes {_short(found)} are not {_short(known)}: this is another dataset")
    return [place if number is None else number for place, number in enumerate(numbers)]


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
