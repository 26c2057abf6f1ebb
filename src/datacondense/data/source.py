"""Real image sets by name, or from a file or folder of one's own."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from ..utils.errors import InputError, unknown
from ..utils.paths import expanded
from . import finding
from .build import image_set
from .image_set import ImageSet
from .named import NAMED, Found
from .options import Options, Progress, silent
from .readers import digits, npz
from .sources import folder, hub
from .sources.torch_dataset import from_torch
from .spec import Spec
from .splits import drop_small, held_out

DATASETS: dict[str, Callable[[Path | None, Progress], tuple[ImageSet, ImageSet]]] = {
    "digits": digits.load,
    **{name: partial(finding.load, name) for name in NAMED},
}
"""Name -> reader of the train and test set; it is given the data folder, None for the usual places."""

SOURCES: dict[str, tuple[str, Callable[[str, Options, Progress], tuple[ImageSet, ImageSet]]]] = {
    "arrays": ("FILE.npz", npz.load),
    "folder": ("PATH", folder.load),
    "hub": ("OWNER/NAME", hub.load),
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
    hold_out: float = 0.0,
    validation: bool = False,
    pixel_range: str = "full",
    progress: Progress = silent,
) -> tuple[ImageSet, ImageSet]:
    """The train and the test set of `source`, on the CPU, sharing one Spec.

    source: a name in DATASETS; `arrays:FILE.npz`; `folder:PATH` of a folder or zip file; `hub:OWNER/NAME`,
    `hub:OWNER/NAME:CONFIG` or `hub:PATH`: see `load` of `arrays`, `folder` and `hub` for what is read there.
    data_dir: the only folder in which the files of a named set are then looked for; of no use to other sources.
    image_size, skip_broken, image_column, label_column, pixel_range: as in `Options`.
    min_per_class: classes with fewer training images are left out; a warning names them.
    hold_out: leave this share of the images of each class out of the training set, always the same ones, so that
    settings can be chosen by them. validation: give those in place of the test set.
    progress: told how reading goes on, where it may take long.
    Raises InputError for an unknown name, for files that are missing, and for data that cannot be used.
    """
    source = str(source)
    options = Options(
        image_size=image_size,
        skip_broken=skip_broken,
        image_column=image_column,
        label_column=label_column,
        min_per_class=min_per_class,
        pixel_range=pixel_range,
    )
    train, test = _read(source, data_dir, options, progress)
    if not hold_out:
        if validation:
            raise InputError("no training images are held out for validation: hold some out, by --hold-out 0.1")
        return train, test
    train, held = held_out(train, hold_out)
    return train, held if validation else test


def _read(source: str, data_dir: str | Path | None, options: Options, progress: Progress) -> tuple[ImageSet, ImageSet]:
    """All training images of a source, and its test images."""
    if data_dir is not None and source not in NAMED and (source in DATASETS or ":" in source):
        raise InputError(f"--data-dir is of no use to {source}: leave it out")
    if source in DATASETS:
        options.refuse(source)
        train, test = DATASETS[source](None if data_dir is None else expanded(data_dir), progress)
        return drop_small(train, test, options.min_per_class)
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


def absolute(source: str, data_dir: str | Path | None = None, **options: Any) -> dict[str, Any]:
    """The arguments of `load` for JSON, without those at their default, with paths from the root of the disk.

    options: other arguments of `load`, but for `progress`. What is no path, as OWNER/NAME, stays as it is. For a named
    set, data_dir is that in which its files are now, where they are in one.
    """
    prefix, colon, place = source.partition(":")
    if colon:
        place = hub.absolute(place) if prefix == "hub" else str(expanded(place).absolute())
    given: dict[str, Any] = {"source": f"{prefix}{colon}{place}"}
    if data_dir is None and source in NAMED:
        found = NAMED[source].find(None)
        data_dir = found.root if isinstance(found, Found) else None
    if data_dir is not None:
        given["data_dir"] = str(expanded(data_dir).absolute())
    defaults = {name: parameter.default for name, parameter in signature(load).parameters.items()}
    return {**given, **{name: value for name, value in options.items() if value != defaults[name]}}


__all__ = ["DATASETS", "SOURCES", "absolute", "from_torch", "image_set", "known_spec", "load"]
