"""Real image sets by name, or from a file or folder of one's own."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import InputError, unknown
from ..types import ImageSet, Spec
from . import arrays, digits, folder
from .build import drop_small, image_set
from .named import NAMED, Found
from .options import Options, Progress, silent
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
    **{name: partial(_load_named, name) for name in NAMED},
}
"""Name -> reader of the train and test set; it is given the data folder, None for the usual places."""

SOURCES: dict[str, tuple[str, Callable[[str, Options, Progress], tuple[ImageSet, ImageSet]]]] = {
    "arrays": ("FILE.npz", arrays.load),
    "folder": ("PATH", folder.load),
}
"""Prefix -> what is written after its colon, and the reader of the train and test set found there."""


def load(
    source: str,
    *,
    data_dir: str | Path | None = None,
    image_size: int | None = None,
    skip_broken: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    min_per_class: int = 1,
    progress: Progress = silent,
) -> tuple[ImageSet, ImageSet]:
    """The train and the test set of `source`, on the CPU, sharing one Spec.

    source: a name in DATASETS, `arrays:FILE.npz` or `folder:PATH`; see `arrays.load` and `folder.load` for what is
    read there. data_dir: the only folder in which the files of a named set are then looked for; what needs no
    such files ("digits", and the sources with a path of their own) does not read it.
    image_size, skip_broken, image_column, label_column: as in `Options`.
    min_per_class: classes with fewer training images are left out; a warning names them.
    progress: told how reading goes on, where it may take long.
    Raises InputError for an unknown name, for files that are missing, and for data that cannot be used.
    """
    options = Options(
        image_size=image_size, skip_broken=skip_broken, image_column=image_column, label_column=label_column
    )
    train, test = _read(source, data_dir, options, progress)
    return drop_small(train, test, min_per_class)


def _read(source: str, data_dir: str | Path | None, options: Options, progress: Progress) -> tuple[ImageSet, ImageSet]:
    if source in DATASETS:
        options.refuse(source)
        return DATASETS[source](None if data_dir is None else Path(data_dir).expanduser())
    prefix, colon, place = source.partition(":")
    if not colon or prefix not in SOURCES:
        raise unknown("data", source, [*DATASETS, *(f"{name}:{what}" for name, (what, _) in SOURCES.items())])
    what, read = SOURCES[prefix]
    if not place:
        raise InputError(f"data {source!r} names no place: write {prefix}:{what}")
    return read(place, options, progress)


def known_spec(source: str) -> Spec | None:
    """The Spec of a named set, as far as it is known without its files; None otherwise."""
    return NAMED[source].spec() if source in NAMED else None


def absolute(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `load` for JSON, with paths that do not depend on the working directory."""
    prefix, colon, path = arguments["source"].partition(":")
    place = f"{prefix}:{Path(path).expanduser().absolute()}" if colon else arguments["source"]
    data_dir = arguments.get("data_dir")
    folder = None if data_dir is None else str(Path(data_dir).expanduser().absolute())
    return {**arguments, "source": place, "data_dir": folder}


__all__ = ["DATASETS", "SOURCES", "absolute", "image_set", "known_spec", "load"]
