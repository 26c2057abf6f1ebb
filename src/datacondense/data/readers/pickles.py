"""Read pickled data without running code: the batches of CIFAR, and files of torch.save.

A pickle is a program for a stack machine, which can call whatever it names. Here every operation is checked before one
is executed, and a name refers to an inert replacement of this package or is refused: `Unpickler.find_class` and torch's
`weights_only` never import a name from a file.
"""

import io
import pickle
import tempfile
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from ...utils.errors import DamagedFile, InputError
from ...utils.paths import open_file
from . import pickle_scan
from .stand_ins import IN_A_PICKLE, MULTIARRAY, Array, for_torch

_STORAGES = ("Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double", "Bool")
_TORCH = frozenset(
    {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "_codecs.encode",
        "numpy.dtype",
        "numpy.ndarray",
        *(f"{module}.{name}" for module in MULTIARRAY for name in ("scalar", "_reconstruct")),
        *(f"torch.{kind}Storage" for kind in _STORAGES),
    }
)
_DEEPEST = 20


def read_pickle(file: BinaryIO, what: object) -> object:
    """Return the object in a pickle of plain values and NumPy arrays, such as a CIFAR batch written by Python 2.

    Strings of Python 2 are read as Latin-1. Arrays of booleans, integers and floats are returned as values of the
    outermost dict. file: seekable, read from its position. what: name of the file in messages. Raise InputError for
    anything else, above all for a name that does not belong to an array.
    """
    start = file.tell()
    try:
        pickle_scan.check(file, what, None)
        file.seek(start)
        found = _Unpickler(file, what).load()
    except InputError:
        raise
    except Exception as error:  # a damaged pickle causes errors of any type
        raise pickle_scan.damaged(what, "a pickle", error) from None
    if isinstance(found, dict):
        return {key: value.array if isinstance(value, Array) else value for key, value in found.items()}
    return found


def read_torch(path: Path, *, mmap: bool = False) -> Any:
    """Return the dicts, lists and tuples of numbers, strings, arrays and dense tensors in a file of torch.save.

    mmap: leave the tensors on disk until they are used; without effect on the format of torch before version 1.6.
    Checksums are verified when the format has them. Raise InputError for a file that is damaged, compressed, or holds
    anything else, and for tensors that claim more bytes than the file has.
    """
    size = path.stat().st_size if path.is_file() else 0
    if not size:
        raise InputError(f"{path} is not a file of torch.save: it is missing or empty")
    try:
        with open_file(path) as file:
            zipped = file.read(4) == b"PK\3\4"
            file.seek(0)
            if zipped:
                _check_archive(file, path, size)
            else:
                for _ in range(5):  # a magic number, version, system, the object, and the keys of its storages
                    pickle_scan.check(file, path, _TORCH)
        with warnings.catch_warnings(), torch.serialization.safe_globals(for_torch()):
            warnings.simplefilter("ignore")  # deprecations inside torch
            # Mapped, as torch then limits a storage to the file; otherwise torch 2.6 trusts the number of elements.
            with _utf8(path) as name:
                found = torch.load(name, map_location="cpu", weights_only=True, mmap=zipped)
    except InputError:
        raise
    except Exception as error:  # torch raises errors of any type on bytes it does not understand
        raise pickle_scan.damaged(path, "a file of torch.save", error) from None
    return _Plain(path, size, copy=zipped and not mmap).copy(found, 0)


@contextmanager
def _utf8(path: Path) -> Iterator[str]:
    """Yield a path that torch can open: that of a link when the file name is not UTF-8."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "link"
            link.symlink_to(path.absolute())
            yield str(link)
    else:
        yield str(path)


class _Unpickler(pickle.Unpickler):
    """Unpickle with inert replacements for the names of a pickled array; refuse all other names."""

    def __init__(self, file: BinaryIO, what: object) -> None:
        super().__init__(file, encoding="latin1")
        self._what = what

    def find_class(self, module_name: str, global_name: str, /) -> object:
        name = f"{module_name}.{global_name}"
        if name not in IN_A_PICKLE:
            raise pickle_scan.refused(self._what, name)
        return IN_A_PICKLE[name]


def _check_archive(file: BinaryIO, path: Path, size: int) -> None:
    """Raise InputError for a zip file that torch.save did not write, before torch opens it."""
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise InputError(
                f"{path} has compressed records, which torch.save does not write: load it and save it again"
            )
        if len({entry.filename for entry in entries}) < len(entries) or sum(e.file_size for e in entries) > size:
            raise DamagedFile(f"{path} is damaged: its records are more than the file holds")
        pickles = [entry for entry in entries if entry.filename.split("/")[-1] == "data.pkl"]
        if len(pickles) != 1:
            raise InputError(f"{path} is not a file of torch.save: it is a zip file without data.pkl")
        pickle_scan.check(io.BytesIO(archive.read(pickles[0])), path, _TORCH)
        broken = archive.testzip()
    if broken:
        raise DamagedFile(f"{path} is damaged: the checksum of its record {broken[:80]!r} is wrong")


class _Plain:
    """Copy the result of torch.load, and refuse types that `read_torch` does not promise."""

    def __init__(self, path: Path, size: int, *, copy: bool) -> None:
        self._path = path
        self._left = size
        self._copy = copy
        self._done: dict[int, object] = {}

    def copy(self, value: Any, depth: int) -> Any:
        """Return the copy of `value`; the same object is copied once."""
        if value is None or isinstance(value, bool | int | float | str | bytes | np.generic):
            return value
        if depth > _DEEPEST:
            raise InputError(f"{self._path} is nested more than {_DEEPEST} deep")
        if id(value) not in self._done:
            self._done[id(value)] = self._new(value, depth + 1)
        return self._done[id(value)]

    def _new(self, value: Any, depth: int) -> object:
        if isinstance(value, Tensor):
            return self._tensor(value)
        if type(value) is Array:
            self._left -= value.array.nbytes
            return value.array
        if type(value) in (dict, OrderedDict):  # a file may have set attributes such as `items`
            return {self.copy(key, depth): self.copy(item, depth) for key, item in dict.items(value)}
        if type(value) is list:
            return [self.copy(item, depth) for item in value]
        if type(value) is tuple:
            return tuple(self.copy(item, depth) for item in value)
        raise InputError(
            f"{self._path} holds a {type(value).__name__}: expected tensors, arrays, numbers, strings, dicts, lists"
        )

    def _tensor(self, tensor: Tensor) -> Tensor:
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.is_neg():
            raise InputError(f"{self._path} holds a tensor that is not dense or not on the CPU")
        self._left -= tensor.numel() * tensor.element_size()
        if self._left < 0:
            raise DamagedFile(f"{self._path} is damaged: its tensors claim more than the file holds")
        return tensor.detach().clone() if self._copy else tensor.detach()
