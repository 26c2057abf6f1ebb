"""Where the files of a named data set may lie, and in which layouts."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..utils.paths import expanded

VARIABLE = "DATACONDENSE_DATA"
"""The environment variable that names the folder of data sets."""


class Arrays(NamedTuple):
    """A data set as it was read: images and labels as `data.image_set` takes them."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...] | None = None
    """Where the files say them."""
    digests: Mapping[str, str] = MappingProxyType({})
    """Name of a published file -> MD5 of what it holds, unpacked; empty where nobody has published any."""


class Listing(NamedTuple):
    """A data set of image files that are still to be decoded."""

    class_names: tuple[str, ...]
    train: list[tuple[Path, int]]
    """Every file with its label."""
    test: list[tuple[Path, int]]


class Lack(NamedTuple):
    """A folder that was looked in, and what it lacks of a data set."""

    folder: Path
    missing: tuple[str, ...]
    some: bool
    """Whether it has the rest."""

    def __str__(self) -> str:
        if self.some:
            return f"{self.folder} (which lacks {', '.join(self.missing)})"
        return str(self.folder / self.missing[0] if len(self.missing) == 1 else self.folder)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One of the forms in which a data set is published or left on disk."""

    files: tuple[str, ...]
    """Relative to the folder that holds them; those that end in / are folders."""
    read: Callable[[Sequence[Path]], Arrays | Listing]
    """From the paths of `files`, in their order. Raises InputError for what is damaged."""
    folders: tuple[str, ...] = ()
    """Subfolders of a data folder in which they may lie, besides itself."""
    loose: bool = True
    """Whether no other set has files of these names, so that those found anywhere are of this set."""
    endings: tuple[str, ...] = ("",)
    """What may follow the name of each file, the preferred first."""

    def find(self, folder: Path) -> list[Path] | Lack:
        """The paths of `files` in `folder`, or which of them it lacks."""
        paths = [self._path(folder, file) for file in self.files]
        found = [path for path in paths if path]
        if len(found) == len(paths):
            return found
        missing = (file for file, path in zip(self.files, paths, strict=True) if not path)
        return Lack(folder, tuple(missing), bool(found))

    def _path(self, folder: Path, file: str) -> Path | None:
        is_there = Path.is_dir if file.endswith("/") else Path.is_file
        return next((path for end in self.endings if is_there(path := folder / f"{file}{end}")), None)


def candidates(
    layouts: Sequence[Layout], system: Sequence[Path], data_dir: Path | None
) -> Iterator[tuple[Layout, Path, Path | None]]:
    """Every layout with every folder that may hold it, in the order in which they are looked at, and its data folder.

    `data_dir`, and nothing else when it is given; the folder in $DATACONDENSE_DATA; ./data; `system`, which are no data
    folders. In each, the subfolders of a layout come before the folder itself, which counts only for files that no
    other set shares the names of, unless it is `data_dir`.
    """
    named = os.environ.get(VARIABLE)
    for root in [data_dir] if data_dir else [*([expanded(named)] if named else []), Path("data")]:
        for layout in layouts:
            yield from ((layout, root / folder, root) for folder in layout.folders)
            if layout.loose or data_dir:
                yield layout, root, root
    if not data_dir:
        yield from ((layout, place, None) for place in system for layout in layouts)
