"""Data sets of plug-ins: functions of the data folder that return a train and a test set."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ..utils.errors import InputError
from ..utils.plugins import require_arguments
from .image_set import ImageSet
from .options import ReadProgress


def checked(name: str, read: Any) -> Callable[[Path | None, ReadProgress], tuple[ImageSet, ImageSet]]:
    """Return the reader of a plug-in as a reader of the registry. Raises InputError unless it takes the data folder."""
    require_arguments("data set", name, read, "data_dir")
    return partial(_read, name, read)


def _read(name: str, read: Callable[[Path | None], Any], data_dir: Path | None, _progress: ReadProgress) -> Any:
    """Return the two sets that a plug-in's reader gives. Raises InputError for anything else."""
    sets = read(data_dir)
    if not (isinstance(sets, tuple | list) and len(sets) == 2 and all(isinstance(one, ImageSet) for one in sets)):
        raise InputError(f"data set {name} gives no train and test set: return two, such as those of image_set")
    train, test = sets
    if difference := train.spec.difference(test.spec):
        raise InputError(f"data set {name}: the test set does not fit the train set: {difference}")
    return train, test
