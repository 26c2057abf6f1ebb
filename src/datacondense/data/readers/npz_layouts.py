"""Which arrays of an .npz file are images and labels, and of which part of a data set."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import final

from ...utils.errors import InputError
from ..splits import TESTS, TRAINS
from .npy import Declared

_WORDS = {
    "images": ("images", "image", "imgs", "img", "x", "data", "pixels", "features"),
    "labels": ("labels", "label", "y", "targets", "target"),
}
"""What an array is called that holds images or labels; the first goes before all others."""
_PARTS = {"train": TRAINS, **{part: (part,) for part in TESTS}}
_NAMES = ("class_names", "label_names", "classes")
_UNNAMED = re.compile(r"arr_\d+")
"""Names that numpy.savez gives to arrays without one."""
_KNOWN = (
    "images, labels and, if there are any, test_images, test_labels, class_names; train_images, train_labels, "
    "val_images, val_labels, test_images, test_labels; x_train, y_train, x_test, y_test; x, y; data, targets"
)

_Role = tuple[str, str]
"""Part of the data, and images or labels."""


@final
@dataclass(frozen=True)
class Layout:
    """Names of the arrays of a data set."""

    train: tuple[str, str]
    """Of images and labels."""
    test: tuple[str, str] | None
    class_names: str | None
    notes: tuple[str, ...]


def layout(names: Sequence[str], declared: Callable[[str], Declared]) -> Layout:
    """Return which arrays are what, by their names, or by their shapes where numpy.savez was given no names.

    A name is a word for images or labels, in any case, with the part of the data before or after it: `train_images`,
    `y_test`, `X`. The part to test on is `test`, else the validation images.

    Args:
        names: Of all arrays.
        declared: What the header of an array says.

    Raises:
        InputError: Where images or labels are missing, or several arrays may be they.
    """
    unnamed = bool(names) and all(map(_UNNAMED.fullmatch, names))
    found = _by_shape(names, declared) if unnamed else _by_name(names)
    train = _pair(found, "train", names)
    parts = [part for part in TESTS if (part, "images") in found or (part, "labels") in found]
    test = _pair(found, parts[0], names) if parts else None
    left = [name for (part, _), name in found.items() if part in parts[1:]]
    notes = (f"{' and '.join(left)} left out: {test[0]} are the test set",) if test and left else ()
    named = [name for name in _NAMES if name in names and (name != "classes" or declared(name).dtype.kind in "US")]
    return Layout(train, test, named[0] if named else None, notes)


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
    """What an array is by its name, and whether it is the usual word for that."""
    letters = re.sub("[^a-z]", "", name.lower())
    for part, words in [*_PARTS.items(), ("train", ("",))]:
        for word in sorted(words, key=len, reverse=True):
            for rest in (letters.removeprefix(word), letters.removesuffix(word)):
                for kind, known in _WORDS.items():
                    if rest in known and (not word or rest != letters):
                        return (part, kind), rest == known[0]
    return None, False


def _by_shape(names: Sequence[str], declared: Callable[[str], Declared]) -> dict[_Role, str]:
    """Of two arrays, or of four, where the training images come before the test images, and their labels too."""
    pictures = [name for name in names if len(declared(name).shape) >= 3]
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
