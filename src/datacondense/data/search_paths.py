"""Search folders for the files of a published dataset."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from ..utils.paths import expanded

VARIABLE = "DATACONDENSE_DATA"
"""The environment variable that names the folder of datasets."""


class Arrays(NamedTuple):
    """A dataset in memory: images and labels as `image_set` takes them."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...] | None = None
    """Names in the files; None when they hold none."""
    digests: Mapping[str, str] = MappingProxyType({})
    """Name of a published file -> MD5 of its unpacked content; empty when no checksum is published."""


class ImageFiles(NamedTuple):
    """A dataset of image files that are not decoded yet."""

    class_names: tuple[str, ...]
    train: list[tuple[Path, int]]
    """Files and labels."""
    test: list[tuple[Path, int]]


class MissingFiles(NamedTuple):
    """A folder that was searched, and the files of a dataset that it lacks."""

    folder: Path
    missing: tuple[str, ...]
    some: bool
    """True when the folder has the other files."""

    def __str__(self) -> str:
        if self.some:
            return f"{self.folder} (which lacks {', '.join(self.missing)})"
        return str(self.folder / self.missing[0] if len(self.missing) == 1 else self.folder)


@dataclass(frozen=True, kw_only=True)
class FileLayout:
    """One of the forms in which a dataset is published or stored on disk."""

    files: tuple[str, ...]
    """Paths relative to the folder of the dataset; a final / marks a folder."""
    read: Callable[[Sequence[Path]], Arrays | ImageFiles]
    """Reads the paths of `files`, in their order. Raises InputError for damaged files."""
    folders: tuple[str, ...] = ()
    """Subfolders of a data folder to search, besides itself."""
    loose: bool = True
    """True when the names of the files identify the dataset, so that files in any folder belong to it."""
    endings: tuple[str, ...] = ("",)
    """Endings that may follow the name of each file, the preferred first."""

    def find(self, folder: Path) -> list[Path] | MissingFiles:
        """Return the paths of `files` in `folder`, or the files that it lacks."""
        paths = [self._path(folder, file) for file in self.files]
        found = [path for path in paths if path]
        if len(found) == len(paths):
            return found
        missing = (file for file, path in zip(self.files, paths, strict=True) if not path)
        return MissingFiles(folder, tuple(missing), bool(found))

    def _path(self, folder: Path, file: str) -> Path | None:
        is_there = Path.is_dir if file.endswith("/") else Path.is_file
        return next((path for end in self.endings if is_there(path := folder / f"{file}{end}")), None)


def candidates(
    layouts: Sequence[FileLayout], system: Sequence[Path], data_dir: Path | None
) -> Iterator[tuple[FileLayout, Path, Path | None]]:
    """Yield every layout with each folder that may hold it, in order of preference, and its data folder.

    The folders are `data_dir` alone unless it is None; otherwise $DATACONDENSE_DATA, ./data, and `system`, which are
    not data folders (None). The subfolders of a layout come before the folder itself, which is searched only for file
    names that identify the dataset, unless it is `data_dir`.
    """
    named = os.environ.get(VARIABLE)
    for root in [data_dir] if data_dir else [*([expanded(named)] if named else []), Path("data")]:
        for layout in layouts:
            yield from ((layout, root / folder, root) for folder in layout.folders)
            if layout.loose or data_dir:
                yield layout, root, root
    if not data_dir:
        yield from ((layout, place, None) for place in system for layout in layouts)
