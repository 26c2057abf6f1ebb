"""Class names as names of folders."""

from collections.abc import Sequence

from ..utils.text import cut, plain


def folder_names(class_names: Sequence[str]) -> list[str]:
    """A folder name for each class, safe on every file system, such as "03_Dress" or "00_T-shirt_top".

    The label in front makes it unique, keeps it from being ".." or a device of Windows, and gives the sorted names,
    which is how ImageFolder numbers classes, the order of the labels.
    """
    digits = max(2, len(str(len(class_names) - 1)))
    return [f"{label:0{digits}}_{cut(plain(name))}".rstrip("_. ") for label, name in enumerate(class_names)]
