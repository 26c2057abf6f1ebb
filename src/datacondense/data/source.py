"""Load real image sets by name, or from a file or folder of the user."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict, final

from typing_extensions import Unpack

from ..utils.errors import InputError, unknown
from ..utils.keywords import check_keywords
from ..utils.paths import expanded
from ..utils.ranges import check_fields, plain
from .image_set import ImageSet
from .named import NAMED, Found
from .options import PixelRange, ReaderOptions, ReadProgress, no_progress
from .readers import npz
from .registry import DATASETS, SOURCE_FORMS
from .sources import folder, hub
from .spec import Spec
from .splits import drop_small_classes, split_held_out

SOURCES: dict[str, Callable[[str, ReaderOptions, ReadProgress], tuple[ImageSet, ImageSet]]] = {
    "arrays": npz.load,
    "folder": folder.load,
    "hub": hub.load,
}
"""Prefix -> reader of the train and test set at the place after its colon."""

_FILE_OPTIONS = ("image_size", "skip_broken", "image_column", "label_column", "pixel_range", "flip")
"""Options that do not apply to datasets known by name, whose images all have one form."""


class DataOptions(TypedDict, total=False):
    """The keyword arguments of `load`: the fields of `DataSource`."""

    data_dir: str | Path | None
    image_size: int | None
    skip_broken: bool
    image_column: str | None
    label_column: str | None
    pixel_range: PixelRange
    flip: bool
    hold_out: float
    min_per_class: int
    validation: bool


@final
@dataclass(frozen=True)
class DataSource(ReaderOptions):
    """A source of a train and a test set, with the options of reading it."""

    source: str
    """As `load` takes it."""
    validation: bool = field(default=False, kw_only=True)
    """Return the images that `hold_out` leaves out in place of the test set."""

    def __post_init__(self) -> None:
        for name, value in vars(self).copy().items():
            object.__setattr__(self, name, plain(value))  # numbers of NumPy are none of JSON

    @property
    def prefix(self) -> str:
        """The name of a dataset, or the kind of source: arrays, folder or hub."""
        return self.source.partition(":")[0]

    def load(self, progress: ReadProgress = no_progress) -> tuple[ImageSet, ImageSet]:
        """Return the train and the test set. Args and Raises: as of `datacondense.load`."""
        check_fields(self)
        train, test = self._read(progress)
        if not self.flip:
            train, test = train.unmirrored(), test.unmirrored()
        if not self.hold_out:
            if self.validation:
                raise InputError("no training images are held out for validation: hold some out with --hold-out 0.1")
            return train, test
        train, held = split_held_out(train, self.hold_out)
        # fewer images than before may remain of a class
        return drop_small_classes(train, held if self.validation else test, self.min_per_class)

    def _read(self, progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
        """Return all training images, and the test images."""
        check_options(self)
        if self.source in DATASETS:
            data_dir = None if self.data_dir is None else expanded(self.data_dir)
            return drop_small_classes(*DATASETS[self.source](data_dir, progress), self.min_per_class)
        prefix, colon, place = self.source.partition(":")
        if not colon or prefix not in SOURCES:
            known = [*DATASETS, *(f"{name}:{form}" for name, form in SOURCE_FORMS.items())]
            raise unknown("data", self.source, known, plugins=True)
        if not place:
            raise InputError(f"data {self.source!r} names no place: write {prefix}:{SOURCE_FORMS[prefix]}")
        return SOURCES[prefix](place, self, progress)

    def to_json(self) -> dict[str, Any]:
        """Return the fields for the record of a set: without defaults, with absolute paths.

        A hub set OWNER/NAME stays unchanged. For a named dataset, data_dir becomes the folder where its files are now.
        """
        prefix, colon, place = self.source.partition(":")
        if colon:
            place = hub.absolute_place(place) if prefix == "hub" else str(expanded(place).absolute())
        record: dict[str, Any] = {"source": f"{prefix}{colon}{place}"}
        data_dir = self.data_dir
        if data_dir is None and self.source in NAMED:
            found = NAMED[self.source].find(None)
            data_dir = found.root if isinstance(found, Found) else None
        if data_dir is not None:
            record["data_dir"] = str(expanded(data_dir).absolute())
        others, left_out = self.non_default(), ("data_dir", "validation")
        names = (name for name in DataOptions.__annotations__ if name in others and name not in left_out)
        return record | {name: others[name] for name in names}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "DataSource":
        """Return the source of a record that `to_json` made. Raises InputError for a data_dir that is no path."""
        return _source(**record)


def load(
    source: str, *, progress: ReadProgress = no_progress, **options: Unpack[DataOptions]
) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of `source`: uint8 images (N, C, H, W) on the CPU, which share one Spec.

    Args:
        source: A name in `datacondense list data`; `arrays:FILE.npz`; `folder:PATH` of a folder or zip file;
            `hub:OWNER/NAME`, `hub:OWNER/NAME:CONFIG` or `hub:PATH`.
        progress: Called as progress(what, done, total) while images are read, where that may take long.
        data_dir: The only folder to search for the files of a named dataset. Does not apply to other sources.
        image_size: Resize the short side to this many pixels and crop the middle square. For folder: and hub:.
        skip_broken: Leave out images that cannot be read; a warning lists them. For folder: and hub:.
        image_column: Column of the images; by default the only one of images. For hub:.
        label_column: Column of the labels; by default the only one of classes. For hub:.
        pixel_range: "full" takes pixels as they are; "own" scales the lowest value of all training images to 0 and the
            highest to 255, and the test images in the same way.
        flip: False never mirrors the images, for those whose class changes then. For all but named datasets.
        hold_out: Share in [0, 1) of the images of each class to leave out of the training set, always the same ones,
            so that settings can be chosen by them.
        min_per_class: Leave out classes with fewer training images; a warning names them.
        validation: Return the images that `hold_out` leaves out in place of the test set.

    Returns:
        The train set and the test set.

    Raises:
        InputError: For an unknown name, an option that does not apply, and data that cannot be used.
        DataNotFound: When the files are missing. It is an InputError.
        TypeError: For a keyword that is not listed here.
    """
    check_keywords("load", DataOptions, options)
    return _source(source, **options).load(progress)


def _source(source: str, data_dir: str | Path | None = None, **options: Any) -> DataSource:
    return DataSource(str(source), data_dir=None if data_dir is None else expanded(data_dir), **options)


def check_options(source: DataSource) -> None:
    """Raise InputError for an option that does not apply to a dataset known by name, or for a data_dir to others."""
    name = source.source
    of_plugin = name in DATASETS and DATASETS.origin(name)
    if not (name in NAMED or of_plugin) and (name in DATASETS or ":" in name):
        source.refuse(name, "data_dir")
    if name in DATASETS:
        source.refuse(name, *_FILE_OPTIONS)


def known_spec(source: str) -> Spec | None:
    """Return the Spec of a named dataset, as far as it is known without its files; None otherwise."""
    return NAMED[source].spec() if source in NAMED else None
