"""Decoded images on disk, under a key of their content: decoded once, mapped into memory where they are large.

An entry is a folder of the cache: `set.json`, and for each part (train, test) `images.npy` uint8 (N, C, H, W) and
`labels.npy` int64 (N,). It appears in one step, when it is whole.
"""

import errno
import hashlib
import json
import math
import mmap
import os
import shutil
import socket
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from ...utils import hardware
from ...utils.cache import VARIABLE, folder
from ...utils.errors import DamagedFile, InputError
from ...utils.files import read_json, write_json
from ...utils.schema import (
    Fields,
    Positive,
    Sha256,
    Text,
    check,
)
from ..image_set import ImageSet
from ..labels import check_classes
from ..spec import Encoding, Spec, SpecFields, check_names
from ..splits import large, renumbered, testing
from ..statistics import Statistics


class StoredPart(Fields, kw_only=True):
    """A part of an entry in the cache of decoded images."""

    images: Positive
    bytes: Positive
    sha256: Sha256


class StoredSet(Fields, kw_only=True):
    """set.json of an entry in the cache of decoded images."""

    spec: SpecFields
    notes: list[Text]
    train: StoredPart
    test: StoredPart


_FORMAT = 2
_PARTS = ("train", "test")
_PARTIAL = ".partial"
_BLOCK = 2**22  # bytes handled at a time when an entry is written


@final
@dataclass(frozen=True, kw_only=True)
class Source:
    """Images that are to be stored, in order, and what they are images of."""

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W) of every image."""
    images: Iterable[tuple[np.ndarray, int, bool | None]]
    """Image uint8 (C, H, W) or (1, H, W), which fills all channels; its label; whether it is for testing, None of
    every image where a fixed fifth of each class is to be set aside."""
    notes: Callable[[], list[str]] = list
    """Asked after the last image: what the user should be told each time the set is read."""
    mean: tuple[float, ...] | None = None
    """Published mean and standard deviation; measured on the training images unless given."""
    std: tuple[float, ...] | None = None
    flip: bool = True
    min_per_class: int = 1
    """Classes with fewer training images are left out; a note names them."""
    encoding: Encoding | None = None
    """How the pixels of the source became bytes."""


def key(content: Any) -> str:
    """The key of what JSON value `content` describes: everything that the decoded images depend on."""
    return hashlib.sha256(json.dumps([_FORMAT, content], sort_keys=True).encode()).hexdigest()


def fetch(key: str, make: Callable[[], Source], where: str = "") -> tuple[ImageSet, ImageSet]:
    """The train and the test set stored under `key`, made and stored first where there are none.

    where: where the images lie, in front of each note.
    A damaged entry is made anew. Raises what `make` and its images raise, InputError for images of which no set can be
    made, and OSError where the disk is full or not ours; no part of an entry is left then.
    """
    place = folder() / "sets" / key
    with explained():
        found = _open(place)
        if found is None:
            with _replacing(place) as partial:
                _write(partial, make())
            found = _open(place)
        if found is None:
            raise DamagedFile(
                f"{place} was damaged while it was written: check the disk, or name another by {VARIABLE}"
            )
    train, test, notes = found
    for note in notes:
        warnings.warn(f"{where}: {note}" if where else note, stacklevel=2)
    return train, test


@contextmanager
def explained() -> Iterator[None]:
    """An OSError inside that is about a file of the cache, or about none that it names, says what the cache is."""
    try:
        yield
    except OSError as error:
        place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder()
        if not place.is_relative_to(folder()):
            raise
        reason = f"{error.strerror or error} in the cache of decoded images ({VARIABLE} names another folder)"
        raise OSError(error.errno, reason, str(place)) from None


def _open(place: Path) -> tuple[ImageSet, ImageSet, list[str]] | None:
    """An entry; None where it is not there or not whole.

    Training images, which are read in random order, are brought into memory and checked if they take at most half of
    what is free; otherwise they are mapped. Test images, which are read in order and seldom, are always mapped.
    """
    try:
        entry = read_json(place / "set.json")
        check(entry, StoredSet)
        spec = Spec.from_json(entry["spec"])
        resident = entry["train"]["bytes"] <= hardware.available_memory() / 2
        train, test = (_part(place, part, entry[part], spec, part == "train" and resident) for part in _PARTS)
        return train, test, entry["notes"]
    except FileNotFoundError:
        return None
    except (InputError, ValueError, EOFError):  # damaged: it is only worth its time
        return None


def _part(place: Path, part: str, recorded: dict[str, Any], spec: Spec, resident: bool) -> ImageSet:
    """Raises ValueError when the files are not those that were written."""
    labels = np.load(place / f"{part}.labels.npy")
    path = place / f"{part}.images.npy"
    images, prefetch = (np.load(path), None) if resident else _mapped(path)
    shape = (recorded["images"], *spec.shape)
    if images.shape != shape or images.dtype != np.uint8 or labels.shape != shape[:1] or labels.dtype != np.int64:
        raise ValueError(f"{part} is not as recorded")
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    if resident and ImageSet(*tensors, spec).fingerprint() != recorded["sha256"]:
        raise ValueError(f"{part} does not match its checksum")
    return ImageSet(*tensors, spec, sha256=recorded["sha256"], prefetch=prefetch)


def _mapped(path: Path) -> tuple[np.ndarray, Callable[[Tensor], None]]:
    """The images of a file, which stay on disk until they are read, and what asks the disk for many of them at once.

    Without asking, each is waited for in turn, which takes some twenty times as long. Raises ValueError for what is no
    such file.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    images = np.frombuffer(memory, dtype, math.prod(shape), start).reshape(shape)
    size = math.prod(shape[1:])

    def prefetch(positions: Tensor) -> None:
        if hasattr(mmap, "MADV_WILLNEED"):  # not on every system
            for position in positions.tolist():
                begin = start + position * size
                page = begin - begin % mmap.PAGESIZE
                memory.madvise(mmap.MADV_WILLNEED, page, begin + size - page)

    return images, prefetch


@contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """A new folder that takes the place of `place` if the work in it succeeds, and goes if it does not.

    An entry that another process has finished since is left as it is.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    ours = f".{os.getpid()}.{socket.gethostname()}."
    for left in place.parent.glob(f".*.{socket.gethostname()}.*{_PARTIAL}"):
        if not _alive(int(left.name.split(".")[1])):  # of a process that was killed
            shutil.rmtree(left, ignore_errors=True)
    partial = Path(tempfile.mkdtemp(prefix=ours, suffix=_PARTIAL, dir=place.parent))
    damaged = partial.with_name(f"{ours}damaged.{place.name}{_PARTIAL}")
    try:
        yield partial
        try:
            partial.rename(place)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if _open(place) is None:  # else another process was faster with the same images
                place.rename(damaged)
                partial.rename(place)
    finally:
        for left in (partial, damaged):
            shutil.rmtree(left, ignore_errors=True)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(partial: Path, source: Source) -> None:
    """Write all files of an entry. Images go to disk as they come, so that few are in memory."""
    check_names([source.name], "name of the data")
    check_names(source.class_names)
    unsorted = partial / "unsorted"
    labels, tests = [], []
    with unsorted.open("wb") as file:
        for image, label, test in source.images:
            file.write(np.broadcast_to(image, source.shape).tobytes())
            labels.append(label)
            tests.append(test)
    if not labels:
        raise InputError("there is no image")
    targets = np.array(labels, dtype=np.int64)
    given = tests[0] is not None
    tested = np.array(tests) if given else testing(targets, len(source.class_names))
    check_classes(targets[~tested], len(source.class_names), source.class_names)
    kept, note = large(source.class_names, np.bincount(targets[~tested]).tolist(), source.min_per_class)
    targets = renumbered(kept, len(source.class_names))[targets]
    if not (tested & (targets >= 0)).any():
        raise InputError("there is no image to test on" + (" of a class that is left" if note else ""))
    statistics, of_tests = _sort(unsorted, partial, targets, tested, source.shape)
    unsorted.unlink()
    mean, std = statistics.result()
    names = tuple(source.class_names[k] for k in kept)
    spec = Spec(source.name, names, source.shape, source.mean or mean, source.std or std, source.flip, source.encoding)
    recorded = {part: _describe(partial, part, spec) for part in _PARTS}
    notes = [*source.notes(), *statistics.notes(), *([note] if note else [])]
    if given:
        notes += of_tests.far_from(mean, std)
    write_json(partial / "set.json", {"spec": spec.to_json(), "notes": notes, **recorded})


def _sort(
    unsorted: Path, partial: Path, labels: np.ndarray, tested: np.ndarray, shape: tuple[int, int, int]
) -> tuple[Statistics, Statistics]:
    """Write each part's images and labels, in the order in which they came; count the pixels of each.

    labels: (N,), -1 of images that are left out.
    """
    counted = Statistics(shape[0]), Statistics(shape[0])
    size = math.prod(shape)
    rows = max(_BLOCK // size, 1)
    with ExitStack() as stack:
        images = stack.enter_context(unsorted.open("rb"))
        files = []
        for part, chosen in zip(_PARTS, (~tested & (labels >= 0), tested & (labels >= 0)), strict=True):
            np.save(partial / f"{part}.labels.npy", labels[chosen])
            file = stack.enter_context((partial / f"{part}.images.npy").open("wb"))
            header = {"descr": "|u1", "fortran_order": False, "shape": (int(chosen.sum()), *shape)}
            np.lib.format.write_array_header_1_0(file, header)
            files.append(file)
        for first in range(0, len(labels), rows):
            block = np.frombuffer(images.read(rows * size), np.uint8).reshape(-1, *shape)
            kept, test = (which[first : first + rows] for which in (labels >= 0, tested))
            for file, statistics, which in zip(files, counted, (kept & ~test, kept & test), strict=True):
                file.write(block[which].tobytes())
                statistics.add(torch.from_numpy(block[which]))
        for file in files:
            file.flush()
            os.fsync(file.fileno())
    return counted


def _describe(partial: Path, part: str, spec: Spec) -> dict[str, Any]:
    """What `set.json` says of a part."""
    images = np.load(partial / f"{part}.images.npy", mmap_mode="c")
    labels = np.load(partial / f"{part}.labels.npy")
    written = ImageSet(torch.from_numpy(images), torch.from_numpy(labels), spec)
    return {"images": len(written), "bytes": images.nbytes, "sha256": written.fingerprint()}
