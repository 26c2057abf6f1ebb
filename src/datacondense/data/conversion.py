"""Take images with labels in any form that people have them in: the one door behind every function of Python."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias, final

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset
from typing_extensions import Unpack

from ..utils.errors import InputError
from ..utils.keywords import check_keywords
from ..utils.paths import expanded
from .build import image_set, warn_of
from .image_set import ImageSet
from .options import ArrayKeywords, ReaderOptions, ReadProgress, no_progress
from .readers.npy import ArrayHeader
from .readers.npz_layouts import array_names
from .registry import DATASETS, SOURCE_FORMS
from .source import DataSource
from .sources.tables import Pairs, Rows, frame_pairs, is_frame, is_hub_table
from .sources.torch_dataset import read_whole
from .spec import Spec, check_fit_of
from .splits import TESTS, TRAINS, named_like
from .statistics import Statistics

AnyImages: TypeAlias = Any
"""Images with labels, as `as_image_set` takes them."""
Part: TypeAlias = Literal["train", "test"]
_TAKEN = (
    "an ImageSet, a source such as 'digits' or 'folder:photos', a pair (X, y) of images and labels, a dataset of torch "
    "or Hugging Face, or a table of image files and labels"
)
_OF_SOURCES = ("pixel_range", "min_per_class", "flip")


@final
@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The arguments of `as_image_set`."""

    part: Part
    spec: Spec | None
    name: str | None
    columns: ReaderOptions
    progress: ReadProgress
    training: ArrayKeywords


def as_image_set(
    data: AnyImages,
    *,
    part: Part = "train",
    spec: Spec | None = None,
    name: str | None = None,
    image_size: int | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    progress: ReadProgress = no_progress,
    **options: Unpack[ArrayKeywords],
) -> ImageSet:
    """Return images with labels as an ImageSet, whatever they come in. Every function that takes images calls it.

    Args:
        data: An ImageSet, which is returned as it is but for `flip`; a source as `load` takes it, such as "digits" or
            "folder:photos", or the path of a folder, a zip file or an .npz file; a pair (X, y) of arrays, tensors or
            lists, where X may also hold Pillow images or paths; a map-style dataset of torch; a `datasets.Dataset`; a
            `pandas.DataFrame` of image files and labels; or several parts: a `DatasetDict` or another mapping of train
            and test, or a pair of a training and a test set, as `load` returns it.
        part: The part to return of data that has several.
        spec: Spec of the training set that the images belong to; labels and pixels mean what they mean there. Test
            images of a source or an ImageSet take their classes by name, and its mean and standard deviation.
        name: Name of a new training set of arrays, pairs or tables; by default that of a Hugging Face dataset, else
            "images".
        image_size: Resize the short side to this many pixels and crop the middle square.
        image_column: Column of the images, or of their paths, of a table; by default the only one that can be.
        label_column: Column of the labels of a table; by default the only one that can be.
        progress: Called as progress(what, done, total) while the images of a source are read.
        options: class_names, mean, std, flip, pixel_range and min_per_class, as of `image_set`.

    Returns:
        uint8 images (N, C, H, W) and labels int64 (N,).

    Raises:
        InputError: The data cannot be used; the message names what can.
        TypeError: A keyword is not listed here.
    """
    check_keywords("as_image_set", ArrayKeywords, options)
    if spec is not None and options:
        raise InputError(f"{next(iter(options))} is a part of spec: leave it out")
    columns = ReaderOptions(image_size=image_size, image_column=image_column, label_column=label_column)
    return _converted(
        data, _Asked(part=part, spec=spec, name=name, columns=columns, progress=progress, training=options)
    )


def source_of(data: AnyImages) -> DataSource | None:
    """Return the source that data are named by, to be recorded with a set; None for images themselves."""
    if isinstance(data, DataSource):
        return data
    if not isinstance(data, str | os.PathLike):
        return None
    text = os.fspath(data)
    if isinstance(data, str) and (text in DATASETS or text.partition(":")[0] in SOURCE_FORMS):
        return DataSource(text)
    path = expanded(Path(text))
    if path.suffix == ".npz" and path.is_file():
        return DataSource(f"arrays:{text}")
    return DataSource(f"folder:{text}" if path.is_dir() or path.suffix == ".zip" else text)


def _converted(data: Any, asked: _Asked) -> ImageSet:
    if isinstance(data, ImageSet):
        return _taken(data, asked)
    if (source := source_of(data)) is not None:
        return _loaded(source, asked)
    if isinstance(data, DataLoader):
        return _converted(data.dataset, asked)
    if isinstance(data, Mapping):
        return _of_mapping(data, asked)
    if is_hub_table(data):
        name = asked.name or data.info.dataset_name
        return _of_items(Rows(data, asked.columns), replace(asked, name=name))
    if is_frame(data):
        return _of_items(frame_pairs(data, asked.columns), asked)
    if isinstance(data, TensorDataset) and len(data.tensors) == 2:
        images, labels = data.tensors
        return _of_pair(images, labels, asked)
    if isinstance(data, tuple | list) and len(data) == 2:
        if all(map(_is_part, data)):
            return _converted(data[asked.part == "test"], asked)
        images, labels = data
        return _of_pair(images, labels, asked)
    if isinstance(data, np.ndarray | Tensor):
        raise InputError("images without labels cannot be condensed: give a pair (X, y) of images and labels")
    in_order = isinstance(data, IterableDataset) or not (hasattr(data, "__len__") and hasattr(data, "__getitem__"))
    if not in_order:
        return _of_items(data, asked)
    if hasattr(data, "__iter__"):
        raise InputError(f"{_kind(data)} is read from start to end only: give a dataset with len() and [i]")
    raise InputError(f"images cannot be taken from {_kind(data)}: give {_TAKEN}")


def _is_part(data: Any) -> bool:
    """Return True for an object that has images and labels, so that two of them are a training and a test set."""
    return isinstance(data, ImageSet | Dataset | DataLoader) or _is_pair(data) or is_hub_table(data) or is_frame(data)


def _is_pair(data: Any) -> bool:
    """Return True for a pair of images, (N, H, W) or more or a list of them, and labels, (N,) or (N, K)."""
    if not isinstance(data, tuple | list) or len(data) != 2:
        return False
    images, labels = map(_dimensions, data)
    return images not in (0, 2) and labels in (1, 2)


def _dimensions(data: Any) -> int:
    """Return the number of dimensions of an array, or of lists of arrays; 0 for what has none."""
    if isinstance(found := getattr(data, "ndim", None), int):
        return found
    if isinstance(data, list | tuple):
        return 1 + (_dimensions(data[0]) if data else 0)
    return 1 if hasattr(data, "__len__") and not isinstance(data, str | bytes | Mapping) else 0


def _taken(data: ImageSet, asked: _Asked) -> ImageSet:
    _refuse("an ImageSet", [*(name for name in asked.training if name != "flip"), *asked.columns.non_default()], asked)
    found = data if asked.training.get("flip", True) else data.unmirrored()
    return _fitted(found, asked)


def _loaded(source: DataSource, asked: _Asked) -> ImageSet:
    _refuse(source.source, [name for name in asked.training if name not in _OF_SOURCES], asked)
    chosen = {name: value for name, value in asked.training.items() if name in _OF_SOURCES}
    given = {**asked.columns.non_default(), **chosen}
    train, test = replace(source, **given).load(asked.progress)
    return _fitted(train if asked.part == "train" else test, asked)


def _refuse(what: str, names: Sequence[str], asked: _Asked) -> None:
    """Raise InputError for the first of some arguments, or a name of the set, which do not apply to `what`."""
    refused = [*names, *([] if asked.name is None else ["name"])]
    if refused:
        raise InputError(f"{refused[0]} does not apply to {what}: leave it out, or give the images themselves")


def _fitted(found: ImageSet, asked: _Asked) -> ImageSet:
    """Return images with the labels and the statistics of the training set that they belong to, if one is given."""
    spec, own = asked.spec, found.spec
    if spec is None or not spec.difference(own):
        return found
    known = spec.shape == own.shape and set(own.class_names) <= set(spec.class_names)
    if asked.part == "train" or not known or _scaled(spec) != _scaled(own):
        check_fit_of(spec, own, "training" if asked.part == "train" else "test")
    warn_of(Statistics.measure(found.images).far_from(spec.mean, spec.std))
    return found.under(replace(spec, name=own.name))


def _scaled(spec: Spec) -> tuple[float, float] | None:
    """Return the values of the source that became 0 and 255; None unless its range was scaled."""
    return spec.encoding.pixels if spec.encoding else None


def _of_mapping(data: Mapping[Any, Any], asked: _Asked) -> ImageSet:
    """Return the wanted part of a mapping of parts, or of arrays whose names tell parts, images and labels."""
    names = {str(name): value for name, value in data.items()}
    found = named_like(names, TRAINS if asked.part == "train" else TESTS)
    if found:
        return _converted(names[found[0]], asked)
    if not names or named_like(names, (*TRAINS, *TESTS)):
        what = f"there is no {asked.part} part, only {', '.join(names) or 'an empty mapping'}"
        raise InputError(f"{what}: give the images of one part")

    def header(name: str) -> ArrayHeader:
        array = np.asarray(names[name])
        return ArrayHeader(array.shape, array.dtype, array.nbytes)

    of_arrays = array_names(list(names), header)
    images, labels = of_arrays.test if asked.part == "test" and of_arrays.test else of_arrays.train
    return _of_pair(names[images], names[labels], asked)


def _of_pair(images: Any, labels: Any, asked: _Asked) -> ImageSet:
    """Return a set of arrays, or of lists of pictures or paths."""
    if hasattr(labels, "to_numpy"):  # of pandas
        labels = labels.to_numpy()
    if hasattr(images, "tolist") and not isinstance(images, np.ndarray | Tensor):
        images = images.tolist()
    if isinstance(images, np.ndarray) and images.dtype.kind in "OU":  # pictures, or paths
        images = images.tolist()
    if not isinstance(images, Sequence | np.ndarray | Tensor) or not hasattr(labels, "__len__"):
        kinds = f"{_kind(images)} and {_kind(labels)}"
        raise InputError(f"a pair of {kinds} is not images and labels: give arrays, tensors or lists (X, y)")
    if isinstance(images, np.ndarray | Tensor) and asked.columns.image_size is None:
        if asked.spec is not None:
            return image_set(images, labels, spec=asked.spec)
        return image_set(images, labels, name=asked.name or "images", **asked.training)
    return _of_items(Pairs(images, labels), asked)


def _of_items(dataset: Any, asked: _Asked) -> ImageSet:
    return read_whole(
        dataset,
        name=asked.name or "images",
        spec=asked.spec,
        image_size=asked.columns.image_size,
        **asked.training,
    )


def _kind(data: Any) -> str:
    return type(data).__name__
