"""The class names that torch datasets carry, whatever they are wrapped in."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ...utils.errors import InputError
from ..label_values import short, text

Names = Mapping[int, str]
"""The class name of each label."""

_DEEPEST = 32
"""Datasets that wrap each other."""


@final
@dataclass(frozen=True)
class Declared:
    """The class names that each item of a dataset has been given by the dataset that it comes from."""

    lists: tuple[Names, ...]
    """All that differ."""
    owners: np.ndarray
    """Position in `lists` of each item's, (N,), -1 of items without."""
    transformed: bool = False
    """Whether a target_transform may have changed labels, of which the names are no longer."""

    @property
    def names(self) -> Sequence[str] | Names | None:
        """As `labels.classes_of` takes them, where all items have the same."""
        if len(self.lists) != 1:
            return None
        (only,) = self.lists
        return list(only.values()) if list(only) == list(range(len(only))) else only

    def named(self, labels: Sequence[Any], what: str) -> list[str]:
        """Return the class name of each label. Raises InputError for one without."""
        if (self.owners < 0).any():
            raise InputError(f"{what} is made of datasets with class names and without: give all of them classes")
        named = []
        for position, (owner, label) in enumerate(zip(self.owners.tolist(), labels, strict=True)):
            names = self.lists[owner]
            if isinstance(label, str) and label in names.values():
                named.append(label)
            elif isinstance(label, (int, float)) and label in names:
                named.append(names[int(label)])
            else:
                raise InputError(f"item {position} of {what} has label {short(label)}, for which it has no class name")
        return named


def declared(dataset: Any, count: int) -> Declared:
    """Return the class names of a dataset's items: its own, or those of the datasets that it is made of.

    Known are `classes` and `class_to_idx`, as torchvision's datasets have them, `info["label"]`, as those of MedMNIST;
    Subset, ConcatDataset, and whatever holds another dataset of the same length as its `dataset`.
    """
    found = _declared(dataset, count, 0)
    return found if found is not None else Declared((), np.full(count, -1))


def _declared(dataset: Any, count: int, depth: int) -> Declared | None:
    if depth > _DEEPEST:
        return None
    own, transformed = _own(dataset), getattr(dataset, "target_transform", None) is not None
    if own:
        return Declared((own,), np.zeros(count, np.int64), transformed)
    parts = getattr(dataset, "datasets", None)
    if not isinstance(parts, (list, tuple)) or not all(hasattr(part, "__len__") for part in parts):
        parts = ()
    if parts and sum(map(len, parts)) == count:
        return _joined([_declared(part, len(part), depth + 1) for part in parts], list(map(len, parts)))
    inner = getattr(dataset, "dataset", None)
    if inner is None or not hasattr(inner, "__len__"):
        return None
    found = _declared(inner, len(inner), depth + 1)
    if found is None:
        return None
    transformed = transformed or found.transformed
    indices = getattr(dataset, "indices", None)
    if isinstance(indices, Sized) and len(indices) == count:
        owners = found.owners[np.asarray(indices, np.int64)]
    elif len(inner) == count:
        owners = found.owners
    elif len(found.lists) == 1:
        owners = np.zeros(count, np.int64)
    else:
        return None
    return _only_used(Declared(found.lists, owners, transformed))


def _joined(parts: Sequence[Declared | None], lengths: Sequence[int]) -> Declared | None:
    lists: list[Names] = []
    owners = []
    for part, length in zip(parts, lengths, strict=True):
        if part is None:
            owners.append(np.full(length, -1))
            continue
        numbers = []
        for names in part.lists:
            if names not in lists:
                lists.append(names)
            numbers.append(lists.index(names))
        owners.append(np.array([*numbers, -1])[part.owners])  # -1 stays -1
    if not lists:
        return None
    return Declared(tuple(lists), np.concatenate(owners), any(part and part.transformed for part in parts))


def _only_used(found: Declared) -> Declared:
    """Without the lists of datasets of which no item is left."""
    used = sorted(set(found.owners.tolist()) - {-1})
    if len(used) == len(found.lists) or not used:
        return found
    anew = {owner: position for position, owner in enumerate(used)} | {-1: -1}
    owners = np.array([anew[owner] for owner in found.owners.tolist()], np.int64)
    return Declared(tuple(found.lists[owner] for owner in used), owners, found.transformed)


def _own(dataset: Any) -> Names | None:
    """Those that a dataset itself has."""
    classes, numbers = getattr(dataset, "classes", None), getattr(dataset, "class_to_idx", None)
    names = [text(name) for name in classes] if isinstance(classes, (list, tuple, np.ndarray)) else []
    if not isinstance(numbers, Mapping) or not all(isinstance(one, (int, np.integer)) for one in numbers.values()):
        numbers = {}
    if numbers and (not names or set(map(text, numbers)) == set(names)):
        by_number = {int(number): text(name) for name, number in numbers.items()}
        if len(by_number) == len(numbers):
            return dict(sorted(by_number.items()))
    if names:
        return dict(enumerate(names))
    info = getattr(dataset, "info", None)
    labels = info.get("label") if isinstance(info, Mapping) else None
    if isinstance(labels, Mapping) and labels and all(str(number).isdecimal() for number in labels):
        return dict(sorted((int(number), text(name)) for number, name in labels.items()))
    return None
