"""A data set in one .npz file of NumPy arrays."""

import math

import numpy as np
from numpy.lib.npyio import NpzFile

from .. import machine
from ..errors import DamagedFile, DataNotFound, InputError, naming, reason
from ..files import expanded
from ..types import ImageSet
from .build import image_set
from .division import drop_small, split
from .npy import declared
from .options import Options, Progress

_EXPECTED = "expected images, labels and, if there are any, test_images, test_labels, class_names"


def load(place: str, options: Options, _progress: Progress) -> tuple[ImageSet, ImageSet]:
    """Train and test set of an .npz file with the arrays `images` and `labels`, as `data.image_set` takes them.

    Optional: `test_images` and `test_labels`, without which a fixed fifth of every class is set aside
    (`division.split`), and `class_names`, an array of K strings. Nothing pickled is read.
    Raises InputError for a file that is missing or damaged and for arrays that cannot be used.
    """
    path = expanded(place)  # a shell leaves the ~ of arrays:~/mine.npz as it is
    options.refuse(f"arrays:{place}")
    if not path.is_file():
        kind = InputError if path.exists() else DataNotFound
        raise kind(f"{path} is not a file: expected an .npz of NumPy arrays")
    with path.open("rb") as file:  # np.load would leave its own file open on a damaged archive
        try:
            archive = np.load(file, allow_pickle=False)
        except Exception:  # NumPy and zipfile raise errors of many types on wrong bytes
            archive = None
        if not isinstance(archive, NpzFile):
            raise DamagedFile(f"{path} is damaged or not an .npz file: write one with numpy.savez")
        with archive, naming(path):
            return drop_small(*_read(archive, path.stem), options.min_per_class)


def _read(archive: NpzFile, name: str) -> tuple[ImageSet, ImageSet]:
    for file in archive.files:
        if ".." in file or "/" in file or "\\" in file:
            raise InputError(f"it holds a member {file!r}, which is a path: write one with numpy.savez")
    names = _strings(archive) if "class_names" in archive else None
    train = image_set(_array(archive, "images"), _array(archive, "labels"), name=name, class_names=names, copy=False)
    if "test_images" not in archive and "test_labels" not in archive:
        return split(train)
    images, labels = _array(archive, "test_images"), _array(archive, "test_labels")
    with naming("test_images, test_labels"):
        return train, image_set(images, labels, spec=train.spec, copy=False)


def _strings(archive: NpzFile) -> list[str]:
    names = _array(archive, "class_names")
    if names.dtype.kind != "U" or names.ndim != 1:
        raise InputError(f"array 'class_names' has dtype {names.dtype} and shape {names.shape}, expected K strings")
    return names.tolist()


def _array(archive: NpzFile, key: str) -> np.ndarray:
    if key not in archive:
        raise InputError(f"there is no array {key!r}, only {', '.join(archive.files) or 'none at all'}; {_EXPECTED}")
    try:
        array = archive[key] if _fits(archive, key) else None
    except InputError:
        raise
    except Exception as error:  # of many types, as above
        raise DamagedFile(
            f"array {key!r} is damaged or holds Python objects, which are not read ({reason(error)})"
        ) from None
    if not isinstance(array, np.ndarray):  # NumPy hands out the raw bytes of what has another format
        raise DamagedFile(f"array {key!r} is damaged or not a NumPy array")
    return array


def _fits(archive: NpzFile, key: str) -> bool:
    """Whether an array has as many bytes as its header and the zip directory say, before room is made for them.

    Raises InputError when that is more than the memory has, and what NumPy raises on wrong bytes.
    """
    zipped = archive.zip
    if zipped is None:
        return False
    shape, dtype, needed = declared(zipped, key)
    if dtype.kind == "f" or (len(shape) == 4 and shape[1] not in (1, 3)):
        needed += math.prod(shape)  # for the bytes that they are turned or brought into
    free, gib = machine.available_memory(), 2**30
    if needed > free:
        raise InputError(f"array {key!r} needs {needed / gib:.1f} GiB of memory, but only {free / gib:.1f} are free")
    return True
