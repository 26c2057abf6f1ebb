"""The options of reading images, which several commands share."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..data import load
from ..types import ImageSet
from .display import RunDisplay


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How images are read that have not been brought into shape."""

    data_dir: Path | None = None
    """Where the files of a named dataset are."""
    image_size: int | None = None
    """Resize the short side of each image of folder: or hub: to this many pixels, and crop the middle square."""
    skip_broken: bool = False
    """Leave out images that cannot be read, and list them."""
    image_column: str | None = None
    """Column of the images in a hub set; by default the only one of images."""
    label_column: str | None = None
    """Column of the labels in a hub set; by default the only one of classes."""

    def given(self) -> dict[str, Any]:
        """The arguments of `load` that were given."""
        return {name: value for name, value in vars(self).items() if value not in (None, False)}


def read(source: dict[str, Any]) -> tuple[ImageSet, ImageSet]:
    """`load` with these arguments, and a display of its progress."""
    with RunDisplay("reading images") as display:
        return load(
            **source, progress=lambda what, done, total: display.step(done, total, f"{what} {done}/{total}", "images/s")
        )
