"""Class names as names of folders."""

import unicodedata
from collections.abc import Sequence

_BYTES = 100
"""Of a folder's name; file systems take 255."""


def folder_names(class_names: Sequence[str]) -> list[str]:
    """A folder name for each class, safe on every file system, such as "03_Dress" or "00_T-shirt_top".

    The label in front makes it unique, keeps it from being ".." or a device of Windows, and gives the sorted names,
    which is how ImageFolder numbers classes, the order of the labels.
    """
    digits = max(2, len(str(len(class_names) - 1)))
    return [f"{label:0{digits}}_{_safe(name)}".rstrip("_. ") for label, name in enumerate(class_names)]


def _safe(name: str) -> str:
    """Letters, marks and digits of any script, and what little else no file system minds; the rest as "_"."""
    text = "".join(c if _is_plain(c) else "_" for c in unicodedata.normalize("NFC", name))
    return text.encode()[:_BYTES].decode(errors="ignore").lstrip(" .")


def _is_plain(character: str) -> bool:
    return character.isalnum() or character in " -_.()+," or unicodedata.category(character).startswith("M")
