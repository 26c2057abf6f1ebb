"""The IDX format of the MNIST family (http://yann.lecun.com/exdb/mnist)."""

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...utils.errors import DamagedFile, InputError
from ...utils.paths import open_file
from ..search_paths import Arrays, FileLayout
from . import checksums

_UINT8 = 0x08
_LARGEST = 2 << 30
"""Largest array in bytes; the largest published one has 376 million."""
FILES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}
"""Name -> number of dimensions."""


def layout(*folders: str) -> FileLayout:
    """Return the layout of four files, gzipped or not, in one of `folders`. The whole family shares their names."""
    return FileLayout(files=tuple(FILES), endings=(".gz", ""), folders=folders, loose=False, read=_read_set)


def _read_set(paths: Sequence[Path]) -> Arrays:
    arrays = [read(path, dimensions) for path, dimensions in zip(paths, FILES.values(), strict=True)]
    images, labels, test_images, test_labels = arrays
    digests = {name: checksums.digest(_header(array), array.data) for name, array in zip(FILES, arrays, strict=True)}
    return Arrays(images, labels, test_images, test_labels, digests=digests)


def _header(array: np.ndarray) -> bytes:
    """Return the header of the file of an array."""
    return bytes([0, 0, _UINT8, array.ndim]) + np.array(array.shape, ">u4").tobytes()


def digest_array_file(path: Path, dimensions: int) -> str:
    """Return the MD5 of an IDX file, unpacked. Raise as `read`."""
    array = read(path, dimensions)
    return checksums.digest(_header(array), array.data)


def read(path: Path, dimensions: int) -> np.ndarray:
    """Return the uint8 array with this number of dimensions in an IDX file, which is unpacked if it ends in .gz.

    Unpack no more than the header declares. Raise InputError for anything but one whole array.
    """
    if path.suffix != ".gz":
        with open_file(path) as file:
            return _read(file, path, dimensions)
    try:
        with open_file(path) as packed, gzip.open(packed) as file:
            return _read(file, path, dimensions)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedFile(f"{path} is damaged or not a gzip file ({error})") from None


def _read(file: BinaryIO | gzip.GzipFile, path: Path, dimensions: int) -> np.ndarray:
    magic = bytes([0, 0, _UINT8, dimensions])
    start = file.read(4)
    if start != magic:
        raise InputError(
            f"{path} starts with the bytes {start.hex(' ') or '(none)'}, "
            f"expected {magic.hex(' ')}: IDX, uint8, {dimensions} dimensions"
        )
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise InputError(f"{path} is cut short: it ends within its header")
    shape = np.frombuffer(header, ">u4").tolist()
    size = math.prod(shape)
    if not 0 < size <= _LARGEST:
        raise DamagedFile(f"{path} is damaged: it declares the shape {shape}, which is empty or more than 2 GiB")
    try:
        data = file.read(size + 1)
    except MemoryError:
        raise InputError(f"{path} declares the shape {shape}, which does not fit into memory") from None
    if len(data) != size:
        found = len(data) if len(data) < size else f"more than {size}"
        raise DamagedFile(f"{path} is damaged: {found} bytes of data, expected {size} for the shape {shape}")
    return np.frombuffer(data, np.uint8).reshape(shape)
