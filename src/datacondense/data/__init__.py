"""Real image sets by name, or from a file or folder of one's own."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ..errors import InputError, unknown
from ..types import ImageSet
from . import arrays, digits, folder
from .build import image_set
from .named import NAMED, Found
from .places import Arrays


def _load_named(name: str, data_dir: Path | None) -> tuple[ImageSet, ImageSet]:
    found = NAMED[name].find(data_dir)
    if not isinstance(found, Found):
        raise found.error()
    contents = found.contents()
    assert isinstance(contents, Arrays)
    return found.build(contents)


DATASETS: dict[str, Callable[[Path | None], tuple[ImageSet, ImageSet]]] = {
    "digits": digits.load,
    **{name: partial(_load_named, name) for name in ("mnist", "fashion-mnist", "svhn", "cifar10", "cifar100")},
}
"""Name -> reader of the train and test set; it is given the data folder, None for the usual places."""

SOURCES: dict[str, tuple[str, Callable[[Path], tuple[ImageSet, ImageSet]]]] = {
    "arrays": ("FILE.npz", arrays.load),
    "folder": ("PATH", folder.load),
}
"""Prefix -> what is written after its colon, and the reader of the train and test set found there."""


def load(source: str, *, data_dir: str | Path | None = None) -> tuple[ImageSet, ImageSet]:
    """The train and the test set of `source`, on the CPU, sharing one Spec.

    source: a name in DATASETS, `arrays:FILE.npz` or `folder:PATH`; see `arrays.load` and `folder.load` for what is
    read there. data_dir: the only folder in which the files of a named set are then looked for; what needs no
    such files ("digits", and the sources with a path of their own) does not read it.
    Raises InputError for an unknown name, for files that are missing, and for data that cannot be used.
    """
    if source in DATASETS:
        return DATASETS[source](None if data_dir is None else Path(data_dir).expanduser())
    prefix, colon, path = source.partition(":")
    if not colon or prefix not in SOURCES:
        raise unknown("data", source, [*DATASETS, *(f"{name}:{what}" for name, (what, _) in SOURCES.items())])
    what, read = SOURCES[prefix]
    if not path:
        raise InputError(f"data {source!r} names no place: write {prefix}:{what}")
    return read(Path(path).expanduser())  # a shell leaves the ~ of folder:~/images as it is


def absolute(source: str, data_dir: Path | None) -> dict[str, str | None]:
    """The arguments of `load` for JSON, with paths that do not depend on the working directory."""
    prefix, colon, path = source.partition(":")
    place = f"{prefix}:{Path(path).expanduser().absolute()}" if colon else source
    return {"source": place, "data_dir": None if data_dir is None else str(data_dir.absolute())}


__all__ = ["DATASETS", "SOURCES", "absolute", "image_set", "load"]
