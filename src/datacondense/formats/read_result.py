"""The result of reading a file or directory of synthetic sets."""

from pathlib import Path
from typing import NamedTuple

from ..synthetic.set import SyntheticSet
from .label_kinds import DetectedLabels
from .pixel_scale import DetectedScale


class ReadResult(NamedTuple):
    """Sets, and what is recorded of the files that they were read from."""

    sets: list[SyntheticSet]
    files: list[Path]
    """All files that were read, for one digest."""
    pixels: DetectedScale | None = None
    """Scale of the pixels of a file that does not record it."""
    labels: DetectedLabels | None = None
    """Kind of the labels of a file that does not record it, if they have a number for each class."""
    factor: int = 1
    """Tiles along each side of the images of a file of another program, which were cut."""
    foreign: bool = False
    """Another program wrote the file, so that its images may hold tiles."""
