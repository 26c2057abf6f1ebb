"""Many image files, wherever they lie, as a train and a test set: looked through, decoded and cached."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from ...utils.cache import folder
from ...utils.errors import DamagedFile, InputError, naming
from ...utils.files import read_as, write_json
from ...utils.schema import (
    Fields,
    Sha256,
)
from ..image_set import ImageSet
from ..named import Named
from ..options import Progress, ReaderOptions
from . import parallel, store
from .decode import VERSION, Extent, Size, decode, extremes, inspect, quiet
from .measuring import measured


class Listing(Fields, kw_only=True):
    """The key in the cache that a listing of files has. It becomes a part of a path."""

    key: Sha256


_IN_ERROR = 5  # broken files that an error names
_IN_NOTE = 20
_BYTES_PER_PIXEL = 24
"""While an image is decoded, of a transparent one, which takes the most."""
_OF_THE_FILE = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EACCES, errno.EPERM)
"""Errors that say that a file cannot be read at all, and not that something else went wrong just now."""


@final
@dataclass(frozen=True, kw_only=True)
class Collection:
    """Image files, their labels, and how to read them."""

    name: str
    class_names: tuple[str, ...]
    place: str
    """Where they lie, in front of all that a user is told of them."""
    files: Sequence[str]
    """Name of each file, which does not depend on where the collection lies."""
    labels: Sequence[int]
    tests: Sequence[bool] | None
    """Whether each is for testing; None where a fixed fifth of each class is to be set aside."""
    read: Callable[[int], bytes]
    """Content of the file at a position, from several threads at once. Raises OSError and InputError."""
    stamp: str
    """What is another if any file may have changed: found without reading them."""
    restamp: Callable[[], str]
    """The same, of now."""
    notes: tuple[str, ...] = ()
    known: Named | None = None
    """The published dataset that these files are: its statistics hold, and all images must have its shape."""

    @property
    def rgb(self) -> bool:
        """Store three channels even if every image is grey."""
        return self.known is not None and self.known.shape[0] == 3


@final
@dataclass(frozen=True)
class _Survey:
    """What is known of files before they are decoded."""

    key: str
    shape: tuple[int, int, int]
    largest: int
    """Pixels of the largest image, as it is or as it will be."""
    broken: dict[int, str]
    """Position -> why the file cannot be read."""


def fetch(collection: Collection, options: ReaderOptions, progress: Progress) -> tuple[ImageSet, ImageSet]:
    """The train and the test set, out of the cache where the same files are in it.

    The key is of the files' content. Which one belongs to a stamp is kept as well, so that unchanged files need not
    be read. Raises InputError for files that cannot be read or differ in size, unless `options` say what to do.
    """
    identity = [VERSION, _settings(collection, options), collection.stamp]
    index = folder() / "listings" / f"{store.key(identity)}.json"
    known = _known(index)
    with quiet(), naming(collection.place):
        survey = None if known else _survey(collection, options, progress)
        key = survey.key if survey else str(known)

        def make() -> store.Source:
            found = survey or _survey(collection, options, progress)
            if found.key != key:
                index.unlink()
                raise _changed()
            return _source(collection, found, options, progress)

        sets = store.fetch(key, make, collection.place)
    if survey and collection.restamp() == collection.stamp:
        with suppress(OSError):  # a cache that has the set may be read-only: the files are then read again each time
            index.parent.mkdir(parents=True, exist_ok=True)
            ours = index.with_name(f"{index.name}.{os.getpid()}")  # another process may read the same files just now
            write_json(ours, {"key": key})
            ours.replace(index)
    return sets


def _known(index: Path) -> str | None:
    try:
        with store.explained():
            return read_as(index, Listing).key
    except (FileNotFoundError, DamagedFile):  # it only saves time
        return None


def _settings(collection: Collection, options: ReaderOptions) -> dict[str, Any]:
    """All that the entry depends on besides the files."""
    places = ("data_dir", "hold_out", "source", "validation")  # the decoded images do not depend on these
    changed = {name: value for name, value in options.non_default().items() if name not in places}
    known = collection.known
    return {
        "name": collection.name,
        "class_names": collection.class_names,
        "notes": collection.notes,
        "mean": known and known.mean,
        "std": known and known.std,
        "flip": known is None or known.flip,
        "rgb": collection.rgb,
        "shape": known and known.shape,
        "options": changed,
    }


def _survey(collection: Collection, options: ReaderOptions, progress: Progress) -> _Survey:
    """Read every file once: its digest and its header."""

    def look(position: int) -> tuple[str, bool, Size] | tuple[str, str]:
        try:
            data = collection.read(position)
            return hashlib.sha256(data).hexdigest(), *inspect(data)
        except (InputError, OSError) as error:
            return "", _reason(collection, position, error)

    digest, broken = hashlib.sha256(), {}
    sizes: dict[Size, int] = {}  # the first file of each size
    grey = not collection.rgb
    positions = range(len(collection.files))
    for position, found in zip(positions, parallel.ordered(look, positions, "reading", progress), strict=True):
        test = None if collection.tests is None else collection.tests[position]
        line = f"{collection.files[position]}\0{collection.labels[position]} {test} {found[:2]}\n"
        digest.update(line.encode(errors="surrogateescape"))
        if len(found) == 2:
            broken[position] = found[1]
        else:
            grey = grey and found[1]
            sizes.setdefault(found[2], position)
    if not sizes:
        raise _unreadable(collection, broken) if broken else InputError("there is no image")
    key = store.key([VERSION, _settings(collection, options), digest.hexdigest()])
    shape = _shape(collection, sizes, grey, options.image_size)
    largest = max(width * height for width, height in [*sizes, shape[1:]])
    return _Survey(key, shape, largest, broken)


def _shape(collection: Collection, sizes: dict[Size, int], grey: bool, image_size: int | None) -> tuple[int, int, int]:
    (size, first), *others = sizes.items()
    if image_size is not None:
        size = image_size, image_size
    elif others:
        other, second = others[0]
        raise InputError(
            f"{_shown(collection, first)} has {size[0]}x{size[1]} pixels and {_shown(collection, second)} has "
            f"{other[0]}x{other[1]}: --image-size 32 makes all images squares of one size"
        )
    shape = (1 if grey else 3, size[1], size[0])
    if collection.known and collection.known.shape != shape:
        raise InputError(
            f"images of {collection.name} have shape {shape} (C, H, W), expected {collection.known.shape}: "
            "these are other images"
        )
    return shape


def _source(collection: Collection, survey: _Survey, options: ReaderOptions, progress: Progress) -> store.Source:
    broken, levels = dict(survey.broken), set[int]()
    extent, encoding, clipped = None, None, []
    if options.pixel_range == "own":
        tests = collection.tests or [False] * len(collection.files)
        extent, encoding, clipped = measured(
            collection.read,
            [p for p, is_test in enumerate(tests) if not is_test and p not in broken],
            [p for p, is_test in enumerate(tests) if is_test and p not in broken],
            options.image_size,
            progress,
            _BYTES_PER_PIXEL * survey.largest,
        )

    def notes() -> list[str]:
        found = [*collection.notes, *clipped]
        if broken:
            count = f"left out {len(broken)} of {len(collection.files)} images, which cannot be read: "
            found.append(count + _listed(collection, broken, _IN_NOTE))
        return [*found, *collapsed()]

    def collapsed() -> list[str]:
        first = next(position for position in range(len(collection.files)) if position not in broken)
        if len(levels) > 1 or not extremes(collection.read(first))[1]:
            return []
        return [
            f"all pixels are {levels.pop()} of 255, so that no class differs from another: --pixel-range own spreads "
            "the values of the files, which have 16 bits, over all levels"
        ]

    return store.Source(
        name=collection.name,
        class_names=collection.class_names,
        shape=survey.shape,
        images=_images(collection, survey, broken, levels, extent, options, progress),
        notes=notes,
        mean=collection.known and collection.known.mean,
        std=collection.known and collection.known.std,
        flip=collection.known is None or collection.known.flip,
        min_per_class=options.min_per_class,
        encoding=encoding,
    )


def _images(
    collection: Collection,
    survey: _Survey,
    broken: dict[int, str],
    levels: set[int],
    extent: Extent | None,
    options: ReaderOptions,
    progress: Progress,
) -> Iterator[tuple[np.ndarray, int, bool | None]]:
    """Decode all files, adding to `broken`, so that an error counts them all.

    levels: receives the lowest and the highest value of each training image.
    """

    def picture(position: int) -> np.ndarray | str:
        try:
            image = decode(collection.read(position), options.image_size, extent)
        except (InputError, OSError) as error:
            return _reason(collection, position, error)
        if image.shape[1:] != survey.shape[1:] or len(image) > survey.shape[0]:
            return "has other pixels than its header says"
        return image

    positions = [position for position in range(len(collection.files)) if position not in broken]
    trained = np.zeros(len(collection.class_names), dtype=bool)
    pictures = parallel.ordered(picture, positions, "decoding", progress, each=_BYTES_PER_PIXEL * survey.largest)
    for position, image in zip(positions, pictures, strict=True):
        if isinstance(image, str):
            broken[position] = image
        elif options.skip_broken or not broken:
            test = None if collection.tests is None else collection.tests[position]
            label = collection.labels[position]
            trained[label] |= not test
            if not test:
                levels |= {int(image.min()), int(image.max())}
            yield image, label, test
    if broken and not options.skip_broken:
        raise _unreadable(collection, broken)
    for position in sorted(broken):
        if not trained[collection.labels[position]]:
            name = collection.class_names[collection.labels[position]]
            raise InputError(
                f"class {name!r} has no image that can be read, as {_shown(collection, position)} "
                f"{broken[position]}: give it another"
            )
    if collection.restamp() != collection.stamp:
        raise _changed()


def _unreadable(collection: Collection, broken: dict[int, str]) -> InputError:
    """Of one file, the error is about that; of more, about their number."""
    listed = _listed(collection, broken, _IN_ERROR)
    count = f"{len(broken)} of {len(collection.files)} images cannot be read: " if len(broken) > 1 else ""
    return InputError(f"{count}{listed}; mend or remove what is broken, or leave it out by --skip-broken")


def _listed(collection: Collection, broken: dict[int, str], most: int) -> str:
    some = [f"{_shown(collection, position)} {broken[position]}" for position in sorted(broken)[:most]]
    return "; ".join([*some, *([f"and {len(broken) - most} more"] if len(broken) > most else [])])


def _changed() -> InputError:
    return InputError("the files changed while they were read: run the same again")


def _shown(collection: Collection, position: int) -> str:
    """A file's name on one line, in letters that can be printed."""
    return " ".join(collection.files[position].encode(errors="replace").decode().split())


def _reason(collection: Collection, position: int, error: InputError | OSError) -> str:
    """Why a file is broken. Raises OSError, with its name, where it is not the file that is to blame."""
    if isinstance(error, OSError):
        if error.errno not in _OF_THE_FILE:
            place = f"{collection.place}/{_shown(collection, position)}"
            raise OSError(error.errno, error.strerror or str(error), place) from None
        return f"cannot be read ({error.strerror or error})"
    return str(error)
