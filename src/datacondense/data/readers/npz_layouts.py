"""Identify the images and labels of an .npz file by the names or shapes of its arrays."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from ...utils.errors import InputError
from ..splits import TESTS, TRAINS
from .npy import ArrayHeader

_WORDS = {
    "images": ("images", "image", "imgs", "img", "x", "data", "pixels", "features"),
    "labels": ("labels", "label", "y", "targets", "target"),
}
"""Names of arrays of images or labels; the first takes precedence."""
_PARTS = {"train": TRAINS, **{part: (part,) for part in TESTS}}
_NAMES = ("class_names", "label_names", "classes")
_UNNAMED = re.compile(r"arr_\d+")
"""Names that numpy.savez gives to unnamed arrays."""
_KNOWN = (
    "images, labels and, if there are any, test_images, test_labels, class_names; train_images, train_labels, "
    "val_images, val_labels, test_images, test_labels; x_train, y_train, x_test, y_test; x, y; data, targets"
)

_Role = tuple[str, str]
"""Part of the dataset, and images or labels."""


@final
@dataclass(frozen=True)
class ArrayNames:
    """Names of the arrays of a dataset."""

    train: tuple[str, str]
    """Names of images and labels."""
    test: tuple[str, str] | None
    class_names: str | None
    notes: tuple[str, ...]


def array_names(names: Sequence[str], array_header: Callable[[str], ArrayHeader]) -> ArrayNames:
    """Identify arrays by their names, or by their shapes when numpy.savez had no names.

    A name is a word for images or labels, in any case, with the part of the data before or after it: `train_images`,
    `y_test`, `X`. The part to test on is `test`, else the validation images.

    Args:
        names: Names of all arrays.
        array_header: Function that returns the header of an array.

    Raises:
        InputError: When images or labels are missing, or several arrays match.
    """
    unnamed = bool(names) and all(map(_UNNAMED.fullmatch, names))
    found = _by_shape(names, array_header) if unnamed else _by_name(names)
    train = _pair(found, "train", names)
    parts = [part for part in TESTS if (part, "images") in found or (part, "labels") in found]
    test = _pair(found, parts[0], names) if parts else None
    left = [name for (part, _), name in found.items() if part in parts[1:]]
    notes = (f"{' and '.join(left)} left out: {test[0]} is the test set",) if test and left else ()
    lower = {name.lower(): name for name in names}
    named = [lower[word] for word in _NAMES if word in lower]
    named = [name for name in named if name.lower() != "classes" or array_header(name).dtype.kind in "US"]
    return ArrayNames(train, test, named[0] if named else None, notes)


def _by_name(names: Sequence[str]) -> dict[_Role, str]:
    found: dict[_Role, str] = {}
    for name in names:
        role, first = _role(name)
        if role is None:
            continue
        if role in found and first == _role(found[role])[1]:
            raise InputError(
                f"arrays {found[role]!r} and {name!r} may both be the {role[0]} {role[1]}: leave one out, or name them "
                f"{_KNOWN}"
            )
        if role not in found or first:
            found[role] = name
    return found


def _role(name: str) -> tuple[_Role | None, bool]:
    """Return the role of an array by its name, and True when it is the preferred name of that role."""
    letters = re.sub("[^a-z]", "", name.lower())
    for part, words in [*_PARTS.items(), ("train", ("",))]:
        for word in sorted(words, key=len, reverse=True):
            for rest in (letters.removeprefix(word), letters.removesuffix(word)):
                for kind, known in _WORDS.items():
                    if rest in known and (not word or rest != letters):
                        return (part, kind), rest == known[0]
    return None, False


def _by_shape(names: Sequence[str], array_header: Callable[[str], ArrayHeader]) -> dict[_Role, str]:
    """Return the roles of two or four arrays by shape; training arrays come before test arrays."""
    pictures = [name for name in names if len(array_header(name).shape) >= 3]
    others = [name for name in names if name not in pictures]
    if len(pictures) != len(others) or len(pictures) > 2:
        return {}
    found = {(part, "images"): name for part, name in zip(("train", "test"), pictures, strict=False)}
    return found | {(part, "labels"): name for part, name in zip(("train", "test"), others, strict=False)}


def _pair(found: dict[_Role, str], part: str, names: Sequence[str]) -> tuple[str, str]:
    for kind in _WORDS:
        if (part, kind) not in found:
            beside = [name for (other, _), name in found.items() if other == part]
            missing = f"no array of {kind} beside {beside[0]!r}" if beside else f"no array of {part} images"
            raise InputError(f"there is {missing}, only {', '.join(names) or 'none at all'}; expected {_KNOWN}")
    return found[part, "images"], found[part, "labels"]
