"""Read datasets of the Hugging Face hub, and folders in the formats of its library."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from ...utils.errors import DataNotFound, InputError, naming
from ...utils.paths import expanded
from ..image_set import ImageSet
from ..named import HubName, Named
from ..options import ReaderOptions, ReadProgress
from ..splits import TESTS, TRAINS, named_like
from .collection import Collection
from .decoded_collection import read_collection
from .file_tree import read_file
from .hub_columns import Classes, find_columns, match_names, read_labels
from .hub_download import Absent, download, is_local, root, state
from .hub_tables import Tables

_LABELS = "labels 2"
"""Part of every stamp: change it when rows get other labels than before, to invalidate the cache."""


@final
@dataclass(frozen=True)
class _Split:
    """Images and labels of one split."""

    name: str
    images: Any
    """Arrow column of structs with `bytes` and `path`."""
    labels: np.ndarray


def load(place: str, options: ReaderOptions, progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of OWNER/NAME on the hub, or of a folder that `datasets.load_dataset` reads.

    place: followed by a colon and the name of a configuration when there are several. By default images come from the
    only column of images, labels from the only column of classes, or of integers or strings with a usual name. The
    first split of splits.TESTS with labels is the test set; without one, a fixed fifth of each class of `train` is set
    aside. No code of the dataset is run.
    Raise Absent, and InputError for missing columns and damaged data.
    """
    repo, config = _address(place)
    with naming(f"hub:{place}"):
        before = state(repo)
        tables = download(repo, config)
        train, test, class_names, notes = _choose(tables, options)
        name = root(repo).name if is_local(repo) else repo.rpartition("/")[2]
        stamp = [tables.splits[part.name]._fingerprint for part in (train, *([test] if test else []))]
    collection = _collection(place, name, class_names, train, test, [*stamp, config], before, notes)
    return read_collection(collection, options, progress)


def read_published(named: Named, where: HubName, progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of a published dataset, as the hub has it at `where`.

    Raises Absent if the hub cannot be reached or does not have it, InputError if it has another dataset.
    """
    columns = ReaderOptions(image_column=where.image_column, label_column=where.label_column)
    place = f"{where.repo}:{where.config}" if where.config else where.repo
    with naming(f"hub:{place}"):
        before = state(where.repo)
        tables = download(where.repo, where.config)
        for split in (where.train, where.test):
            if split not in tables.splits:
                raise InputError(f"there is no split {split!r}, only {', '.join(tables.splits)}")
        image, label = find_columns(tables.splits[where.train].features, columns)
        found = [read_labels(tables, split, label) for split in (where.train, where.test)]
        for one in found:
            if not one.labelled:
                raise InputError(f"split {one.split!r} has images without a label" if one.values else _empty(one.split))
        known = Classes(label, found[0])
        class_names = named.class_names or known.names
        places = np.array(match_names(class_names, known.names))
        train, test = (
            _Split(one.split, tables.splits[one.split].data.column(image), places[known.numbers_of(one)])
            for one in found
        )
        stamp = [tables.splits[split]._fingerprint for split in (where.train, where.test)]
    collection = _collection(place, named.name, class_names, train, test, stamp, before)
    return read_collection(replace(collection, known=named), ReaderOptions(), progress)


def absolute_place(place: str) -> str:
    """Return the place with an absolute path when it is a folder."""
    repo, config = _address(place)
    if not is_local(repo):
        return place
    return f"{expanded(repo).absolute()}{f':{config}' if config else ''}"


def _address(place: str) -> tuple[str, str | None]:
    """Return repository or folder, and configuration."""
    if is_local(place) or ":" not in place:
        repo, config = place, None
    else:
        repo, _, config = place.rpartition(":")
    if not is_local(repo) and (repo[:1] in ("", "~", ".") or not all(parts := repo.split("/")) or len(parts) != 2):
        raise DataNotFound(f"hub:{place} is neither an existing folder nor OWNER/NAME of a dataset on the hub")
    return repo, config or None


def _choose(tables: Tables, options: ReaderOptions) -> tuple[_Split, _Split | None, tuple[str, ...], tuple[str, ...]]:
    """Return training split, test split if any, class names and notes."""
    splits = tables.splits
    trains = named_like(splits, TRAINS)
    if not trains and len(splits) > 1:
        raise InputError(f"there is no split 'train', only {', '.join(splits)}")
    name = trains[0] if trains else next(iter(splits))
    image, label = find_columns(splits[name].features, options)
    train = read_labels(tables, name, label)
    if not train.values:
        raise InputError(_empty(name))
    known = Classes(label, train)
    notes, test = list(known.notes), None
    for other in named_like(splits, TESTS):
        if other == name or label not in splits[other].features:
            continue
        if test is not None:
            notes.append(f"split {other!r} is left out: {test.name!r} is the test set")
            continue
        found = read_labels(tables, other, label)
        if found.labelled:
            test = _Split(other, splits[other].data.column(image), known.numbers_of(found))
        else:
            notes.append(f"split {other!r} is left out: its images have no labels")
    return _Split(name, splits[name].data.column(image), known.numbers), test, known.names, tuple(notes)


def _empty(split: str) -> str:
    return f"split {split!r} has no image"


def _collection(
    place: str,
    name: str,
    class_names: tuple[str, ...],
    train: _Split,
    test: _Split | None,
    stamp: Sequence[str | None],
    before: str,
    notes: tuple[str, ...] = (),
) -> Collection:
    from datasets import config
    from huggingface_hub import constants

    splits = [train] if test is None else [train, test]
    rows = [(split, row) for split in splits for row in range(len(split.labels))]
    repo = _address(place)[0]
    roots = [Path(config.HF_DATASETS_CACHE).absolute(), Path(constants.HF_HUB_CACHE).absolute()]
    if is_local(repo):
        roots.append(root(repo))

    def identity(files: str) -> str:
        return "\n".join(map(str, [_LABELS, place, *stamp, files, *(split.name for split in splits)]))

    return Collection(
        name=name,
        class_names=class_names,
        place=f"hub:{place}",
        files=[f"{split.name} row {row}" for split, row in rows],
        labels=[int(label) for split in splits for label in split.labels],
        tests=None if test is None else [split is test for split, _ in rows],
        read=_reader(rows, roots),
        stamp=identity(before),
        restamp=lambda: identity(state(repo)),
        notes=notes,
    )


def _reader(rows: Sequence[tuple[_Split, int]], roots: Sequence[Path]) -> Callable[[int], bytes]:
    """Return a function that reads an image: from its row, or from a file below one of `roots` that the row names."""

    def content(position: int) -> bytes:
        split, row = rows[position]
        found = split.images[row].as_py()
        if found is None or (found["bytes"] is None and found["path"] is None):
            raise InputError("has no image")
        if found["bytes"] is not None:
            return found["bytes"]
        path = Path(os.path.normpath(found["path"]))
        if not any(path.is_relative_to(root) for root in roots):
            raise InputError(f"names the file {path}, which is outside of the dataset")
        return read_file(str(path))

    return content


__all__ = ["Absent", "absolute_place", "load", "read_published"]
