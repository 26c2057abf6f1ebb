"""Tables and pairs of lists in memory as map-style datasets of (image, label)."""

import io
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path, PurePath
from typing import Any, final

import numpy as np
from PIL import Image
from torch import Tensor

from ...utils.errors import InputError
from ...utils.paths import expanded
from ..options import ReaderOptions
from .file_tree import read_file
from .hub_columns import LABEL_COLUMNS, find_columns
from .image_files import EXTENSIONS

_IMAGES = ("image", "img", "path", "file", "filename", "filepath", "file_name", "file_path", "image_path", "img_path")
"""Usual names of a column of images or of their paths."""


@final
class Pairs:
    """Images, or paths of image files, with their labels."""

    def __init__(self, images: Sequence[Any] | np.ndarray | Tensor, labels: Any) -> None:
        if len(images) != len(labels):
            raise InputError(f"there are {len(images)} images and {len(labels)} labels: give one label for each image")
        self.images = images
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return _opened(self.images[index]), self.labels[index]


def _opened(image: Any) -> Any:
    """Return the picture at a path, or of the bytes in a cell as `datasets` writes them; anything else unchanged."""
    if isinstance(image, Mapping) and image.get("bytes") is not None:
        return Image.open(io.BytesIO(image["bytes"]))
    path = image.get("path") if isinstance(image, Mapping) else image
    if isinstance(path, str | PathLike):
        return Image.open(io.BytesIO(read_file(str(expanded(Path(path))))))
    return image


@final
class Rows:
    """Rows of a `datasets.Dataset`, of which one column has the images and one the labels."""

    def __init__(self, table: Any, options: ReaderOptions) -> None:
        import datasets

        self._image, self._label = find_columns(table.features, options)
        table = table.select_columns([self._image, self._label])
        if getattr(table.features[self._image], "decode", True) is False:  # a file's bytes in place of a picture
            table = table.cast_column(self._image, datasets.Image())
        self.classes: list[str] | None = getattr(table.features[self._label], "names", None)
        self._table = table

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        row = self._table[index]
        return row[self._image], row[self._label]


def is_hub_table(data: Any) -> bool:
    """Return True for a `datasets.Dataset`, without importing the library for anything else."""
    library = sys.modules.get("datasets")
    return library is not None and isinstance(data, library.Dataset)


def is_frame(data: Any) -> bool:
    """Return True for a `pandas.DataFrame`, without importing the library for anything else."""
    library = sys.modules.get("pandas")
    return library is not None and isinstance(data, library.DataFrame)


def frame_pairs(frame: Any, options: ReaderOptions) -> Pairs:
    """Return the images, or the image files, and the labels of a `pandas.DataFrame`.

    By default images are in the only column with a usual name, or with names of image files; labels are in the only
    column with a usual name, or in the only one that is left. Raise InputError where that is none or several.
    """
    names = [str(name) for name in frame.columns]
    columns = {name: frame.iloc[:, place].tolist() for place, name in enumerate(names)}
    if not len(frame):
        raise InputError("the table has no row")
    usual = [name for name in names if name.lower() in _IMAGES and name != options.label_column]
    files = [name for name in names if _is_image_file(columns[name][0])]
    image = _only("images", "image_column", options.image_column, files if len(files) == 1 else usual or files, names)
    rest = [name for name in names if name != image]
    labels = [name for name in rest if name.lower() in LABEL_COLUMNS]
    label = _only("labels", "label_column", options.label_column, labels or rest, names)
    return Pairs(columns[image], columns[label])


def _is_image_file(value: Any) -> bool:
    return isinstance(value, str | PathLike) and PurePath(value).suffix.lower() in EXTENSIONS


def _only(what: str, keyword: str, named: str | None, found: Sequence[str], names: Sequence[str]) -> str:
    if named is not None:
        if named not in names:
            raise InputError(f"there is no column {named!r}: {keyword} is one of {', '.join(names)}")
        return named
    if len(found) != 1:
        which = f"columns {', '.join(found)} may all be the {what}" if found else f"no column is recognised as {what}"
        raise InputError(f"{which}: name one with as_image_set(table, {keyword}=...); columns are {', '.join(names)}")
    return found[0]
