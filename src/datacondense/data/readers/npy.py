"""Read the headers of arrays in an .npz archive before anything is unpacked."""

import math
import zipfile
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from ...utils.errors import DamagedFile, InputError

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class ArrayHeader(NamedTuple):
    """Shape, type and size of an array in an archive."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int
    """Bytes, including the header."""


def array_header(archive: zipfile.ZipFile, name: str) -> ArrayHeader:
    """Return the header of array `name`, checked against the directory of the archive.

    Raise InputError when they disagree, and for Python objects; pass on errors of zipfile and NumPy on damaged bytes.
    """
    with archive.open(f"{name}.npy") as member:
        version = npy.read_magic(member)
        if version not in _HEADERS:
            raise DamagedFile(f"array {name!r} is damaged or has the unknown NumPy format {version}")
        shape, _, dtype = _HEADERS[version](member)
        expected = member.tell() + math.prod(shape) * dtype.itemsize
    size = archive.getinfo(f"{name}.npy").file_size
    if dtype.hasobject:
        raise InputError(f"array {name!r} holds Python objects, which are not read: save plain numbers or strings")
    if min(shape, default=1) < 0:
        raise DamagedFile(f"array {name!r} is damaged: its header declares the shape {shape}")
    if expected != size:
        raise DamagedFile(f"array {name!r} is damaged: its header declares {expected} bytes, but it has {size}")
    return ArrayHeader(shape, dtype, size)
