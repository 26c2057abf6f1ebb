"""Street View House Numbers (Netzer et al. 2011), format 2: digits of 32 by 32 pixels in two files of MATLAB."""

import math
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...utils.errors import DamagedFile, InputError, reason
from ...utils.paths import open_file
from ..search_paths import Arrays, FileLayout
from . import checksums

_LARGEST = 2 << 30
"""Largest variable in bytes; X of the largest published file has 1.6e9."""
_COMPRESSED, _MATRIX = 15, 14
_BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
"""Type number in the file -> bytes per element: integers of 8 to 32 bits, floats, integers of 64 bits."""
_REAL_CLASSES = range(6, 16)
"""double, single and the integers; no characters, structures or sparse arrays."""
_COMPLEX_OR_LOGICAL = 0xA00
_HEAD = 512
"""Bytes that contain the header of a variable: flags, at most 32 dimensions, and a name of one letter."""


def _read_set(paths: Sequence[Path]) -> Arrays:
    train, test = map(read, paths)
    digests = {name: checksums.digest_file(path) for name, path in zip(LAYOUT.files, paths, strict=True)}
    return Arrays(*train, *test, digests=digests)


LAYOUT = FileLayout(files=("train_32x32.mat", "test_32x32.mat"), folders=("svhn", "SVHN"), read=_read_set)


def read(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, 3, H, W) and labels (N,) of one file; digit 0 is renumbered from 10 to 0.

    Raise InputError for anything but a file of MATLAB 5 to 7.2 whose first variables are X and y.
    """
    from scipy.io import loadmat  # imported here, as it is slow

    with open_file(path) as file:
        try:
            _check(file, path)
            file.seek(0)
            found = loadmat(file, variable_names=["X", "y"])
        except InputError:
            raise
        except Exception as error:  # scipy raises errors of any type on bytes it does not understand
            raise DamagedFile(f"{path} is damaged or not a .mat file of MATLAB 5 to 7.2 ({reason(error)})") from None
    images, labels = found["X"], found["y"]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[2] != 3:
        raise InputError(f"{path}: X is {images.dtype} {images.shape}, expected uint8 (H, W, 3, N)")
    if labels.dtype.kind not in "iu" or labels.shape not in ((images.shape[3], 1), (1, images.shape[3])):
        raise InputError(f"{path}: y is {labels.dtype} {labels.shape}, expected integers ({images.shape[3]}, 1)")
    labels = labels.ravel()
    if labels.size and not (labels.min() >= 1 and labels.max() <= 10):
        raise InputError(f"{path}: labels go from {labels.min()} to {labels.max()}, expected 1 to 10, which is digit 0")
    return images.transpose(3, 2, 0, 1), labels.astype(np.int64) % 10


def _check(file: BinaryIO, path: Path) -> None:
    """Check the tags of X and y and unpack them to the end: scipy trusts tags and verifies no checksum.

    Raise InputError, ValueError or errors of parsers for data on which scipy could crash or need more than 2 GiB.
    """
    header = file.read(128)
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(header[124:])
    if not order:
        raise InputError(f"{path} is not a .mat file of MATLAB 5 to 7.2: its header is different")
    end = file.seek(0, 2)
    file.seek(len(header))
    names: set[str] = set()
    while names != {"X", "y"}:
        kind, size = struct.unpack(f"{order}II", file.read(8))
        after = file.tell() + size
        if after > end:
            raise EOFError("it ends early")
        length = size
        if kind == _COMPRESSED:
            content, length = _unpacked(file, size)
            kind, size = struct.unpack(f"{order}II", content[:8])
            head, length = content[8:], length - 8
        else:
            head = file.read(min(size, _HEAD))
        if kind != _MATRIX or size != length or size > _LARGEST:
            raise ValueError(f"it declares {size} bytes of a variable that has {length}")
        name = _variable(head, order, size)
        if name not in ("X", "y") or name in names:
            raise InputError(f"{path} has the variable {name!r}, expected X and y, once each")
        names.add(name)
        file.seek(after)


def _unpacked(file: BinaryIO, size: int) -> tuple[bytes, int]:
    """Unpack the next `size` bytes of `file`; return the start of the content and its length."""
    unpacker = zlib.decompressobj()
    head, length = b"", 0
    while size > 0 and not unpacker.eof:
        packed = file.read(min(size, 1 << 18))
        size -= len(packed)
        while packed and not unpacker.eof:  # in bounded steps: a bomb expands a thousandfold
            data = unpacker.decompress(packed, 1 << 22)
            packed = unpacker.unconsumed_tail
            head += data[: 8 + _HEAD - len(head)]
            length += len(data)
            if length > _LARGEST:
                raise ValueError("a variable unpacks to more than 2 GiB")
    if size or unpacker.unused_data or not unpacker.eof:
        raise ValueError("a packed variable does not end where it should")
    return head, length


def _variable(head: bytes, order: str, size: int) -> str:
    """Return the name of a variable of `size` bytes that starts with `head`; it must be an array of real numbers."""
    flags_kind, flags_size, flags, _, dims_kind, dims_size = struct.unpack_from(f"{order}6I", head)
    if (flags_kind, flags_size, dims_kind) != (6, 8, 5) or dims_size % 4 or not 8 <= dims_size <= 128:
        raise ValueError("the header of a variable is invalid")
    if flags & 0xFF not in _REAL_CLASSES or flags & _COMPLEX_OR_LOGICAL:
        raise ValueError("a variable is not an array of real numbers")
    dims = struct.unpack_from(f"{order}{dims_size // 4}I", head, 24)
    kind, length, start, after = _tag(head, order, 24 + _padded(dims_size))
    name = head[start : start + length].decode("ascii")
    if kind != 1 or length > 63:
        raise ValueError("the name of a variable is invalid")
    kind, length, start, after = _tag(head, order, after)
    if kind not in _BYTES or not 0 < math.prod(dims) * _BYTES[kind] == length:
        raise ValueError(f"variable {name} has {length} bytes of type {kind} for the shape {dims}")
    if not start + length <= size <= max(after, start + length):
        raise ValueError(f"variable {name} has {length} bytes in {size}")
    return name


def _tag(head: bytes, order: str, at: int) -> tuple[int, int, int, int]:
    """Return type and length of the element at `at`, and the starts of its data and of the next element."""
    kind, length = struct.unpack_from(f"{order}2I", head, at)
    if kind >> 16:  # up to four bytes lie in the tag itself, with the length in its upper half
        if kind >> 16 > 4:
            raise ValueError("a small element is invalid")
        return kind & 0xFFFF, kind >> 16, at + 4, at + 8
    return kind, length, at + 8, at + 8 + _padded(length)


def _padded(length: int) -> int:
    return -length % 8 + length
