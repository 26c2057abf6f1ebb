"""Read a dataset from one .npz file of NumPy arrays."""

import math

import numpy as np
from numpy.lib.npyio import NpzFile

from ...utils import hardware
from ...utils.errors import DamagedFile, DataNotFound, InputError, naming, reason
from ...utils.paths import expanded
from ..build import image_set, warn_of
from ..image_set import ImageSet
from ..options import ReaderOptions, ReadProgress
from ..splits import drop_small_classes, split
from .npy import ArrayHeader, array_header
from .npz_layouts import array_names


def load(place: str, options: ReaderOptions, _progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of an .npz file with images and labels, as `image_set` takes them.

    `npz_layouts.array_names` identifies the arrays. Without test arrays, a fixed fifth of every class is set aside
    (`splits.split`); `class_names` is an array of K strings. Pickled objects are never read.
    Raise InputError for a missing or damaged file and for arrays that cannot be used.
    """
    path = expanded(place)  # a shell does not expand the ~ of arrays:~/mine.npz
    options.refuse(f"arrays:{place}", "image_size", "skip_broken", "image_column", "label_column")
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
            return drop_small_classes(*_read(archive, path.stem, options), options.min_per_class)


def _read(archive: NpzFile, name: str, options: ReaderOptions) -> tuple[ImageSet, ImageSet]:
    for file in archive.files:
        if ".." in file or "/" in file or "\\" in file:
            raise InputError(f"it holds a member {file!r}, which is a path: write one with numpy.savez")
    known = array_names(archive.files, lambda key: _header(archive, key))
    warn_of(known.notes)
    train = image_set(
        *(_array(archive, key) for key in known.train),
        name=name,
        class_names=_strings(archive, known.class_names) if known.class_names else None,
        copy=False,
        pixel_range=options.pixel_range,
    )
    if known.test is None:
        return split(train)
    with naming(", ".join(known.test)):
        return train, image_set(*(_array(archive, key) for key in known.test), spec=train.spec, copy=False)


def _strings(archive: NpzFile, key: str) -> list[str]:
    names = _array(archive, key)
    if names.dtype.kind not in "US" or names.ndim != 1:
        raise InputError(f"array {key!r} has dtype {names.dtype} and shape {names.shape}, expected K strings")
    return (np.char.decode(names, "utf-8", "replace") if names.dtype.kind == "S" else names).tolist()


def _array(archive: NpzFile, key: str) -> np.ndarray:
    header = _header(archive, key)
    try:
        _check_memory(key, header)
        array = archive[key]
    except (InputError, MemoryError):
        raise
    except Exception as error:  # of many types, as above
        raise _damaged(key, error) from None
    if not isinstance(array, np.ndarray):  # NumPy returns raw bytes for members of another format
        raise DamagedFile(f"array {key!r} is damaged or not a NumPy array")
    return array


def _header(archive: NpzFile, key: str) -> ArrayHeader:
    """Return shape and type of an array before unpacking it. Raise InputError for a damaged one."""
    if archive.zip is None:
        raise DamagedFile("the archive is closed")
    try:
        return array_header(archive.zip, key)
    except InputError:
        raise
    except Exception as error:  # of many types, as above
        raise _damaged(key, error) from None


def _damaged(key: str, error: Exception) -> DamagedFile:
    return DamagedFile(f"array {key!r} is damaged or holds Python objects, which are not read ({reason(error)})")


def _check_memory(key: str, header: ArrayHeader) -> None:
    """Raise InputError when memory is short for an array and for its copy as bytes in (N, C, H, W)."""
    shape, dtype, needed = header
    if len(shape) >= 3 and (dtype != np.uint8 or (len(shape) == 4 and shape[1] not in (1, 3))):
        needed += math.prod(shape)
    free, gib = hardware.available_memory(), 2**30
    if needed > free:
        raise InputError(f"array {key!r} needs {needed / gib:.1f} GiB of memory, but only {free / gib:.1f} are free")
