"""Survey, decode and cache a collection of image files as a train and a test set."""

import hashlib
import os
from collections.abc import Iterator
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
from ..options import ReaderOptions, ReadProgress
from . import parallel, store
from .collection import Collection
from .decode import VERSION, Extent, Size, decode, extremes, inspect, quiet, transparent
from .measuring import measure


class CacheKey(Fields, kw_only=True):
    """Cache key of a listing of files. It becomes part of a path."""

    key: Sha256


_IN_NOTE = 20
_BYTES_PER_PIXEL = 24
"""Memory per pixel while a transparent image, which takes the most, is decoded."""


@final
@dataclass(frozen=True)
class _Survey:
    """Properties of files before they are decoded."""

    key: str
    shape: tuple[int, int, int]
    largest: int
    """Pixels of the largest image, before or after resizing."""
    broken: dict[int, str]
    """Position -> reason why the file cannot be read."""
    layered: int
    """Images with an alpha channel or a transparent colour."""


def read_collection(
    collection: Collection, options: ReaderOptions, progress: ReadProgress
) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set, from the cache if it holds the same files.

    The key is a digest of the files' content. The key of a stamp is stored as well, so that unchanged files need not be
    read. Raise InputError for files that cannot be read or differ in size, unless `options` allow them.
    """
    identity = [VERSION, _settings(collection, options), collection.stamp]
    index = folder() / "listings" / f"{store.key(identity)}.json"
    known = _known(index)
    with quiet(), naming(collection.place):
        survey = None if known else _survey(collection, options, progress)
        key = survey.key if survey else str(known)

        def make() -> store.DecodedSource:
            found = survey or _survey(collection, options, progress)
            if found.key != key:
                index.unlink()
                raise _changed()
            return _source(collection, found, options, progress)

        sets = store.load_or_make(key, make, collection.place)
    if survey and collection.restamp() == collection.stamp:
        with suppress(OSError):  # read-only cache: the files are then read again each time
            index.parent.mkdir(parents=True, exist_ok=True)
            ours = index.with_name(f"{index.name}.{os.getpid()}")  # unique, as another process may read the same files
            write_json(ours, {"key": key})
            ours.replace(index)
    return sets


def _known(index: Path) -> str | None:
    try:
        with store.explained():
            return read_as(index, CacheKey).key
    except (FileNotFoundError, DamagedFile):  # it only saves time
        return None


def _settings(collection: Collection, options: ReaderOptions) -> dict[str, Any]:
    """Return everything besides the files that determines the entry."""
    places = ("data_dir", "flip", "hold_out", "source", "validation")  # the decoded images do not depend on these
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


def _survey(collection: Collection, options: ReaderOptions, progress: ReadProgress) -> _Survey:
    """Read every file once, for its digest and its header."""

    def look(position: int) -> tuple[str, bool, Size, bool] | tuple[str, str]:
        try:
            data = collection.read(position)
            return hashlib.sha256(data).hexdigest(), *inspect(data), transparent(data)
        except (InputError, OSError) as error:
            return "", collection.reason(position, error)

    digest, broken = hashlib.sha256(), {}
    sizes: dict[Size, int] = {}  # the first file of each size
    grey, layered = not collection.rgb, 0
    positions = range(len(collection.files))
    for position, found in zip(positions, parallel.ordered(look, positions, "reading", progress), strict=True):
        test = None if collection.tests is None else collection.tests[position]
        line = f"{collection.files[position]}\0{collection.labels[position]} {test} {found[:2]}\n"
        digest.update(line.encode(errors="surrogateescape"))
        if len(found) == 2:
            broken[position] = found[1]
        else:
            grey, layered = grey and found[1], layered + found[3]
            sizes.setdefault(found[2], position)
    if not sizes:
        raise collection.unreadable(broken) if broken else InputError("there is no image")
    key = store.key([VERSION, _settings(collection, options), digest.hexdigest()])
    shape = _shape(collection, sizes, grey, options.image_size)
    largest = max(width * height for width, height in [*sizes, shape[1:]])
    return _Survey(key, shape, largest, broken, layered)


def _shape(collection: Collection, sizes: dict[Size, int], grey: bool, image_size: int | None) -> tuple[int, int, int]:
    (size, first), *others = sizes.items()
    if image_size is not None:
        size = image_size, image_size
    elif others:
        other, second = others[0]
        raise InputError(
            f"{collection.shown(first)} has {size[0]}x{size[1]} pixels and {collection.shown(second)} has "
            f"{other[0]}x{other[1]}: --image-size 32 makes all images squares of one size"
        )
    shape = (1 if grey else 3, size[1], size[0])
    if collection.known and collection.known.shape != shape:
        raise InputError(
            f"images of {collection.name} have shape {shape} (C, H, W), expected {collection.known.shape}: "
            "these are images of another dataset"
        )
    return shape


def _source(
    collection: Collection, survey: _Survey, options: ReaderOptions, progress: ReadProgress
) -> store.DecodedSource:
    broken, levels = dict(survey.broken), set[int]()
    extent, encoding, clipped = None, None, []
    if options.pixel_range == "own":
        tests = collection.tests or [False] * len(collection.files)
        extent, encoding, clipped = measure(
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
            found.append(count + collection.listed(broken, _IN_NOTE))
        return [*found, *collapsed()]

    def collapsed() -> list[str]:
        first = next(position for position in range(len(collection.files)) if position not in broken)
        if len(levels) > 1 or not extremes(collection.read(first))[1]:
            return []
        return [
            f"all pixels are {levels.pop()} of 255, so that no class differs from another: --pixel-range own spreads "
            "the values of the files, which have 16 bits, over all levels"
        ]

    return store.DecodedSource(
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
        decisions=(_background(survey, len(collection.files)),) if survey.layered else (),
    )


def _background(survey: _Survey, files: int) -> str:
    which = "all" if survey.layered == files else f"{survey.layered} of {files}"
    return f"transparent pixels: white, in {which} images with transparency"


def _images(
    collection: Collection,
    survey: _Survey,
    broken: dict[int, str],
    levels: set[int],
    extent: Extent | None,
    options: ReaderOptions,
    progress: ReadProgress,
) -> Iterator[tuple[np.ndarray, int, bool | None]]:
    """Decode all files. Collect unreadable ones in `broken` first, so that an error counts them all.

    levels: receives the lowest and the highest value of each training image.
    """

    def picture(position: int) -> np.ndarray | str:
        try:
            image = decode(collection.read(position), options.image_size, extent)
        except (InputError, OSError) as error:
            return collection.reason(position, error)
        if image.shape[1:] != survey.shape[1:] or len(image) > survey.shape[0]:
            return "does not match its header"
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
        raise collection.unreadable(broken)
    for position in sorted(broken):
        if not trained[collection.labels[position]]:
            name = collection.class_names[collection.labels[position]]
            raise InputError(
                f"class {name!r} has no readable image, as {collection.shown(position)} "
                f"{broken[position]}: add another image"
            )
    if collection.restamp() != collection.stamp:
        raise _changed()


def _changed() -> InputError:
    return InputError("the files changed while they were read: try again")
