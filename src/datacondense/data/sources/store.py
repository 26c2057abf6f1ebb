"""Store decoded images on disk by a key of their content: decoded once, mapped into memory when they are large.

An entry is a folder of the cache: `set.json`, and for each part (train, test) `images.npy` uint8 (N, C, H, W) and
`labels.npy` int64 (N,). It appears in one step, once it is complete.
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
from msgspec import field
from torch import Tensor

from ...utils import hardware
from ...utils.cache import VARIABLE, folder
from ...utils.errors import DamagedFile, InputError
from ...utils.files import read_json, write_json
from ...utils.schema import Fields, Positive, Sha256, Text, check
from ..image_set import ImageSet
from ..labels import check_classes
from ..spec import Encoding, Spec, SpecFields, check_names
from ..splits import SET_ASIDE, draw_test, large_classes, new_numbers
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
    decisions: list[Text] = field(default_factory=list)
    train: StoredPart
    test: StoredPart


_FORMAT = 2
_PARTS = ("train", "test")
_PARTIAL = ".partial"
_BLOCK = 2**22  # bytes handled at a time when an entry is written


@final
@dataclass(frozen=True, kw_only=True)
class DecodedSource:
    """Images to store, in order, and their properties."""

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W) of every image."""
    images: Iterable[tuple[np.ndarray, int, bool | None]]
    """Image uint8 (C, H, W), or (1, H, W), which fills all channels; label; True for test images, None of every image
    to set aside a fixed fifth of each class."""
    notes: Callable[[], list[str]] = list
    """Called after the last image; returns the notes to show each time the set is read."""
    mean: tuple[float, ...] | None = None
    """Published mean and standard deviation; measured on the training images when None."""
    std: tuple[float, ...] | None = None
    flip: bool = True
    min_per_class: int = 1
    """Classes with fewer training images are left out; a note names them."""
    encoding: Encoding | None = None
    """Mapping by which the pixels of the source became bytes."""
    decisions: tuple[str, ...] = ()
    """What was decided, such as a colour behind transparent images, one line each."""


def key(content: Any) -> str:
    """Return the cache key of a JSON value that describes everything the decoded images depend on."""
    return hashlib.sha256(json.dumps([_FORMAT, content], sort_keys=True).encode()).hexdigest()


def load_or_make(key: str, make: Callable[[], DecodedSource], where: str = "") -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set stored under `key`; make and store them first when they are missing or damaged.

    where: location of the images, at the start of each note. Raise the errors of `make` and its images, InputError for
    unusable images, and OSError when the disk is full or read-only; no part of an entry is left then.
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
                f"{place} was damaged while it was written: check the disk, or set {VARIABLE} to another folder"
            )
    train, test, notes = found
    for note in notes:
        warnings.warn(f"{where}: {note}" if where else note, stacklevel=2)
    return train, test


@contextmanager
def explained() -> Iterator[None]:
    """Add the location of the cache to an OSError about a file of the cache or about no named file."""
    try:
        yield
    except OSError as error:
        place = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else folder()
        if not place.is_relative_to(folder()):
            raise
        reason = f"{error.strerror or error} in the cache of decoded images ({VARIABLE} names another folder)"
        raise OSError(error.errno, reason, str(place)) from None


def _open(place: Path) -> tuple[ImageSet, ImageSet, list[str]] | None:
    """Return an entry; None when it is missing or damaged.

    Training images, which are read in random order, are loaded and checked if they take at most half of the free
    memory; otherwise they are mapped. Test images, which are read in order and seldom, are always mapped.
    """
    try:
        entry = read_json(place / "set.json")
        check(entry, StoredSet)
        spec = Spec.from_json(entry["spec"])
        resident = entry["train"]["bytes"] <= hardware.available_memory() / 2
        decisions = tuple(entry.get("decisions", ()))  # entries of earlier versions have none
        train, test = (
            _part(place, part, entry[part], spec, part == "train" and resident, decisions) for part in _PARTS
        )
        return train, test, entry["notes"]
    except FileNotFoundError:
        return None
    except (InputError, ValueError, EOFError):  # damaged: it is made again
        return None


def _part(
    place: Path, part: str, recorded: dict[str, Any], spec: Spec, resident: bool, decisions: tuple[str, ...]
) -> ImageSet:
    """Return a part. Raise ValueError when its files are not those that were written."""
    labels = np.load(place / f"{part}.labels.npy")
    path = place / f"{part}.images.npy"
    images, prefetch = (np.load(path), None) if resident else _mapped(path)
    shape = (recorded["images"], *spec.shape)
    if images.shape != shape or images.dtype != np.uint8 or labels.shape != shape[:1] or labels.dtype != np.int64:
        raise ValueError(f"{part} is not as recorded")
    tensors = torch.from_numpy(images), torch.from_numpy(labels)
    if resident and ImageSet(*tensors, spec).fingerprint() != recorded["sha256"]:
        raise ValueError(f"{part} does not match its checksum")
    return ImageSet(*tensors, spec, sha256=recorded["sha256"], prefetch=prefetch, decisions=decisions)


def _mapped(path: Path) -> tuple[np.ndarray, Callable[[Tensor], None]]:
    """Return the mapped images of a file, and a function that prefetches many of them at once.

    Prefetching is some twenty times as fast as reading one after the other. Raise ValueError for another file.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    images = np.frombuffer(memory, dtype, math.prod(shape), start).reshape(shape)
    size = math.prod(shape[1:])

    def prefetch(positions: Tensor) -> None:
        if hasattr(mmap, "MADV_WILLNEED"):  # missing on some systems
            for position in positions.tolist():
                begin = start + position * size
                page = begin - begin % mmap.PAGESIZE
                memory.madvise(mmap.MADV_WILLNEED, page, begin + size - page)

    return images, prefetch


@contextmanager
def _replacing(place: Path) -> Iterator[Path]:
    """Yield a new folder that replaces `place` when the block succeeds, and is deleted otherwise.

    An entry that another process has finished in the meantime stays.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    ours = f".{os.getpid()}.{socket.gethostname()}."
    for left in place.parent.glob(f".*.{socket.gethostname()}.*{_PARTIAL}"):
        if not _alive(int(left.name.split(".")[1])):  # left by a killed process
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
            if _open(place) is None:  # otherwise another process stored the same images
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


def _write(partial: Path, source: DecodedSource) -> None:
    """Write all files of an entry. Images are written one by one, so that few are in memory."""
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
    has_tests = tests[0] is not None
    tested = np.array(tests) if has_tests else draw_test(targets, len(source.class_names))
    check_classes(targets[~tested], len(source.class_names), source.class_names)
    kept, note = large_classes(source.class_names, np.bincount(targets[~tested]).tolist(), source.min_per_class)
    targets = new_numbers(kept, len(source.class_names))[targets]
    if not (tested & (targets >= 0)).any():
        raise InputError("there is no test image" + (" of the remaining classes" if note else ""))
    statistics, test_statistics = _sort(unsorted, partial, targets, tested, source.shape)
    unsorted.unlink()
    mean, std = statistics.result()
    names = tuple(source.class_names[k] for k in kept)
    spec = Spec(source.name, names, source.shape, source.mean or mean, source.std or std, source.flip, source.encoding)
    recorded = {part: _describe(partial, part, spec) for part in _PARTS}
    notes = [*source.notes(), *statistics.notes(), *([note] if note else [])]
    if has_tests:
        notes += test_statistics.far_from(mean, std)
    decisions = [*source.decisions, *([] if has_tests else [SET_ASIDE])]
    write_json(partial / "set.json", {"spec": spec.to_json(), "notes": notes, "decisions": decisions, **recorded})


def _sort(
    unsorted: Path, partial: Path, labels: np.ndarray, tested: np.ndarray, shape: tuple[int, int, int]
) -> tuple[Statistics, Statistics]:
    """Write the images and labels of each part, in their order; return the statistics of each.

    labels: (N,), -1 for images to leave out.
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
    """Return the entry of a part in `set.json`."""
    images = np.load(partial / f"{part}.images.npy", mmap_mode="c")
    labels = np.load(partial / f"{part}.labels.npy")
    written = ImageSet(torch.from_numpy(images), torch.from_numpy(labels), spec)
    return {"images": len(written), "bytes": images.nbytes, "sha256": written.fingerprint()}
