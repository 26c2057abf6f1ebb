"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009): the batches for Python, unpacked or in their archive."""

import gzip
import io
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ...utils.errors import DamagedFile, InputError, reason
from ...utils.paths import open_file
from ..search_paths import Arrays, FileLayout
from . import checksums
from .pickles import read_pickle

_AT_ONCE = 1 << 20
_LARGEST = 256 << 20
"""Largest unpacked archive in bytes; the published ones have 187 million."""


@dataclass(frozen=True, kw_only=True)
class Batches:
    """Names of the files, label keys and classes of one of the two datasets."""

    folder: str
    archive: str
    train: tuple[str, ...]
    test: str
    labels: str
    """The key of the labels in a batch."""
    class_names: tuple[str, ...]
    """Names in the order of the labels."""

    def layouts(self) -> tuple[FileLayout, FileLayout]:
        """Return the layouts of the unpacked folder and of the archive, which is read without unpacking to disk."""
        return (
            FileLayout(files=(*self.train, self.test), folders=(self.folder,), loose=False, read=self._read_files),
            FileLayout(files=(self.archive,), read=self._read_archive),
        )

    def _read_files(self, paths: Sequence[Path]) -> Arrays:
        return self._read((path.name, path, open_file(path)) for path in paths)

    def _read_archive(self, paths: Sequence[Path]) -> Arrays:
        names = {f"{self.folder}/{name}": name for name in (*self.train, self.test)}
        path = paths[0]
        members = _members(path, set(names))
        return self._read((names[member], f"{path}: {member}", io.BytesIO(data)) for member, data in members)

    def _read(self, files: Iterable[tuple[str, object, BinaryIO]]) -> Arrays:
        """Return the arrays of all batches. files: name, name in messages, and content of each batch."""
        batches, digests = {}, {}
        for name, what, file in files:
            with file:
                batches[name] = _batch(file, what, self.labels, len(self.class_names))
                file.seek(0)
                digests[name] = checksums.digest(*iter(lambda file=file: file.read(_AT_ONCE), b""))
        images, labels = zip(*(batches[name] for name in self.train), strict=True)
        test_images, test_labels = batches.pop(self.test)
        return Arrays(
            np.concatenate(images),
            np.concatenate(labels),
            test_images,
            test_labels,
            digests=dict(sorted(digests.items())),
        )


CIFAR10 = Batches(
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    train=("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"),
    test="test_batch",
    labels="labels",
    class_names=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_FINE = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""
CIFAR100 = Batches(
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    train=("train",),
    test="test",
    labels="fine_labels",
    class_names=tuple(_FINE.split()),
)


def _batch(file: BinaryIO, what: object, key: str, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, 3, 32, 32) and labels (N,) of one batch."""
    batch = read_pickle(file, what)
    if not isinstance(batch, dict) or not {"data", key} <= batch.keys():
        raise InputError(f"{what} is not a CIFAR batch: expected a dict with 'data' and {key!r}")
    data, labels = batch["data"], batch[key]
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != 3 * 32 * 32:
        form = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise InputError(f"{what} has images of the form {form}, expected uint8 (N, 3072)")
    if not isinstance(labels, list) or not all(type(label) is int and 0 <= label < classes for label in labels):
        raise InputError(f"{what} has {key} that are not a list of whole numbers from 0 to {classes - 1}")
    if len(labels) != len(data):
        raise InputError(f"{what} has {len(labels)} {key} for {len(data)} images")
    return data.reshape(-1, 3, 32, 32), np.array(labels, np.int64)


def _members(path: Path, names: set[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the regular files `names` of a packed archive; write nothing to disk.

    Raise InputError for an archive that is damaged, lacks a file, or is too large when unpacked.
    """
    lacking = set(names)
    try:
        with open_file(path) as packed, gzip.open(packed) as unpacked:
            stream = _Bounded(unpacked, path)
            with tarfile.open(fileobj=stream, mode="r|") as archive:
                for member in archive:
                    content = archive.extractfile(member) if member.isreg() and member.name in lacking else None
                    if content:
                        lacking.remove(member.name)
                        yield member.name, content.read()
            while stream.read(1 << 20):  # the checksum comes at the end
                pass
    except InputError:
        raise
    except Exception as error:  # tarfile raises errors of any type on bytes it does not understand
        raise DamagedFile(f"{path} is damaged or not a .tar.gz file ({reason(error)})") from None
    if lacking:
        raise InputError(f"{path} lacks {', '.join(sorted(lacking))}")


class _Bounded(io.RawIOBase):
    """A stream that raises InputError after _LARGEST bytes."""

    def __init__(self, file: gzip.GzipFile, path: Path) -> None:
        self._file = file
        self._path = path
        self._left = _LARGEST

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise InputError(f"{self._path} unpacks to more than {_LARGEST >> 20} MiB, as no published archive does")
        return data
