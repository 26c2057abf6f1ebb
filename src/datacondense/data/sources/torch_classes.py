"""Find the class names of torch datasets and their wrappers."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from ...utils.errors import InputError
from ..label_values import short, text

Names = Mapping[int, str]
"""Label -> class name."""

_DEEPEST = 32
"""Most levels of datasets that wrap each other."""


@final
@dataclass(frozen=True)
class ItemClasses:
    """The class names of each item of a dataset, by the inner dataset that it comes from."""

    lists: tuple[Names, ...]
    """All different lists of names."""
    owners: np.ndarray
    """Position in `lists` of each item's names, (N,); -1 without names."""
    transformed: bool = False
    """True when a target_transform may have changed labels, so that the names no longer apply."""

    @property
    def names(self) -> Sequence[str] | Names | None:
        """Names as `labels.number_classes` takes them; None unless all items have the same."""
        if len(self.lists) != 1:
            return None
        (only,) = self.lists
        return list(only.values()) if list(only) == list(range(len(only))) else only

    def named(self, labels: Sequence[Any], what: str) -> list[str]:
        """Return the class name of each label. Raise InputError for a label without a name."""
        if (self.owners < 0).any():
            raise InputError(f"{what} combines datasets with and without class names: give all of them classes")
        named = []
        for position, (owner, label) in enumerate(zip(self.owners.tolist(), labels, strict=True)):
            names = self.lists[owner]
            if isinstance(label, str) and label in names.values():
                named.append(label)
            elif isinstance(label, (int, float)) and label in names:
                named.append(names[int(label)])
            else:
                raise InputError(f"item {position} of {what} has label {short(label)}, which has no class name")
        return named


def item_classes(dataset: Any, count: int) -> ItemClasses:
    """Return the class names of a dataset's items: its own, or those of its inner datasets.

    Supported are `classes` and `class_to_idx`, as in torchvision, and `info["label"]`, as in MedMNIST; Subset,
    ConcatDataset, and wrappers with an attribute `dataset` of the same length.
    """
    found = _item_classes(dataset, count, 0)
    return found if found is not None else ItemClasses((), np.full(count, -1))


def _item_classes(dataset: Any, count: int, depth: int) -> ItemClasses | None:
    if depth > _DEEPEST:
        return None
    own, transformed = _own(dataset), getattr(dataset, "target_transform", None) is not None
    if own:
        return ItemClasses((own,), np.zeros(count, np.int64), transformed)
    parts = getattr(dataset, "datasets", None)
    if not isinstance(parts, (list, tuple)) or not all(hasattr(part, "__len__") for part in parts):
        parts = ()
    if parts and sum(map(len, parts)) == count:
        return _joined([_item_classes(part, len(part), depth + 1) for part in parts], list(map(len, parts)))
    inner = getattr(dataset, "dataset", None)
    if inner is None or not hasattr(inner, "__len__"):
        return None
    found = _item_classes(inner, len(inner), depth + 1)
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
    return _only_used(ItemClasses(found.lists, owners, transformed))


def _joined(parts: Sequence[ItemClasses | None], lengths: Sequence[int]) -> ItemClasses | None:
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
    return ItemClasses(tuple(lists), np.concatenate(owners), any(part and part.transformed for part in parts))


def _only_used(found: ItemClasses) -> ItemClasses:
    """Return `found` without the lists of names that no item uses."""
    used = sorted(set(found.owners.tolist()) - {-1})
    if len(used) == len(found.lists) or not used:
        return found
    new_position = {owner: position for position, owner in enumerate(used)} | {-1: -1}
    owners = np.array([new_position[owner] for owner in found.owners.tolist()], np.int64)
    return ItemClasses(tuple(found.lists[owner] for owner in used), owners, found.transformed)


def _own(dataset: Any) -> Names | None:
    """Return the class names of a dataset itself; None when it has none."""
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
