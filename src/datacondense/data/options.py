"""How images are read that lie in files of any kind: folders and hub sets."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, final

from ..utils.errors import InputError
from ..utils.ranges import Images, Side, check_fields

PIXEL_RANGES = ("full", "own")
"""Values of `pixel_range`."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and of how much."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody looks at."""


@final
@dataclass(frozen=True, kw_only=True)
class Options:
    """How to read images of one's own. A source that has no use for an option refuses it."""

    image_size: Side | None = None
    """Resize the short side to this many pixels and crop the middle square."""
    skip_broken: bool = False
    """Leave out images that cannot be read, and list them."""
    image_column: str | None = None
    """Column of the images in a hub set; by default the only one of images."""
    label_column: str | None = None
    """Column of the labels in a hub set; by default the only one of classes."""
    min_per_class: Images = 1
    """Leave out classes with fewer training images; no source refuses this one."""
    pixel_range: str = "full"
    """What becomes 0 and 255: the ends of the range of the format (full), or the lowest and the highest value of all
    training images (own)."""

    def __post_init__(self) -> None:
        check_fields(self)
        check_pixel_range(self.pixel_range)

    def refuse(self, source: str, *unused: str) -> None:
        """Raises InputError when an option in `unused`, or any if none is named, was given to a source without use."""
        for name in self.given():
            if name in unused or (not unused and name != "min_per_class"):
                raise InputError(f"--{name.replace('_', '-')} is of no use to {source}: leave it out")

    def given(self) -> dict[str, Any]:
        """The options that are not as by default."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) != field.default}


def check_pixel_range(pixel_range: str) -> None:
    """Raises InputError for another value than those of PIXEL_RANGES."""
    if pixel_range not in PIXEL_RANGES:
        raise InputError(f"--pixel-range {pixel_range}: must be {' or '.join(PIXEL_RANGES)}")
