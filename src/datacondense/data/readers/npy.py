"""The arrays in an .npz archive, as their headers tell of them before anything is unpacked."""

import math
import zipfile
from typing import NamedTuple

import numpy as np
from numpy.lib import format as npy

from ...utils.errors import DamagedFile, InputError

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class Declared(NamedTuple):
    """What is told of an array."""

    shape: tuple[int, ...]
    dtype: np.dtype
    size: int
    """Bytes, its header included."""


def declared(archive: zipfile.ZipFile, name: str) -> Declared:
    """What the header of array `name` and the directory of the archive tell alike.

    Raises InputError where they do not, and for Python objects; what zipfile and NumPy raise on wrong bytes, too.
    """
    with archive.open(f"{name}.npy") as member:
        version = npy.read_magic(member)
        if version not in _HEADERS:
            raise DamagedFile(f"array {name!r} is damaged or has the unknown NumPy format {version}")
        shape, _, dtype = _HEADERS[version](member)
        told = member.tell() + math.prod(shape) * dtype.itemsize
    size = archive.getinfo(f"{name}.npy").file_size
    if dtype.hasobject:
        raise InputError(f"array {name!r} holds Python objects, which are not read: save plain numbers or strings")
    if min(shape, default=1) < 0:
        raise DamagedFile(f"array {name!r} is damaged: its header tells of shape {shape}")
    if told != size:
        raise DamagedFile(f"array {name!r} is damaged: its header tells of {told} bytes, its file of {size}")
    return Declared(shape, dtype, size)
