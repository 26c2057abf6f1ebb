"""Options of reading images, each listed once: for Python, for the command line and for the record of a set."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

from ..utils.errors import InputError
from ..utils.ranges import HeldOut, Images, Side

PixelRange: TypeAlias = Literal["full", "own"]
"""Full takes pixels as they are; own scales the lowest and the highest value of all training images to 0 and 255."""

ReadProgress: TypeAlias = Callable[[str, int, int], None]
"""Receives the name of the work, the amount that is done, and the total."""


def flag_of(name: str) -> str:
    """Return the flag that sets an option of reading, other than at its default."""
    return "--no-flip" if name == "flip" else f"--{name.replace('_', '-')}"


def no_progress(_what: str, _done: int, _total: int) -> None:
    """Ignore progress."""


class TrainingKeywords(TypedDict, total=False):
    """Keyword arguments of `image_set` and `from_torch` for a training set."""

    flip: bool
    pixel_range: PixelRange
    min_per_class: int


class ArrayKeywords(TrainingKeywords, total=False):
    """Keyword arguments of `image_set` for a training set."""

    class_names: Sequence[str] | Mapping[Any, str] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None


@dataclass(frozen=True, kw_only=True)
class OtherReadOptions:
    """Options of reading images that still need to be decoded, other than their size."""

    data_dir: Path | None = None
    """Folder of the files of a named dataset."""
    flip: bool = True
    """Do not mirror own images, in condensing and in training on the set: their class changes when they are mirrored,
    as that of letters and digits does."""
    skip_broken: bool = False
    """Leave out images that cannot be read, and list them."""
    image_column: str | None = None
    """Column of the images in a hub set; by default the only one of images."""
    label_column: str | None = None
    """Column of the labels in a hub set; by default the only one of classes."""
    pixel_range: PixelRange = "full"
    """Values that become 0 and 255: the ends of the range of the format (full), or the lowest and the highest value of
    all training images (own), as for images of 4, 10 or 12 bits."""
    hold_out: HeldOut = 0.0
    """Hold out this share of each class's training images, always the same ones. Choose settings by their accuracy,
    with `evaluate --on validation`, and not by that of the test images."""


@dataclass(frozen=True, kw_only=True)
class ReadOptions(OtherReadOptions):
    """Options of reading images that still need to be decoded or resized."""

    image_size: Side | None = None
    """Resize the short side of each image of folder: or hub: to this many pixels, and crop the middle square."""

    def non_default(self) -> dict[str, Any]:
        """Return the options that differ from their default, by name."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}

    def refuse(self, source: str, *names: str) -> None:
        """Raise InputError when one of the options `names`, which do not apply to `source`, is not at its default."""
        for name in self.non_default():
            if name in names:
                raise InputError(f"{flag_of(name)} does not apply to {source}: leave it out")


@dataclass(frozen=True, kw_only=True)
class ReaderOptions(ReadOptions):
    """The options that a reader of one kind of source receives."""

    min_per_class: Images = 1
    """Leave out classes with fewer training images; a warning names them."""
