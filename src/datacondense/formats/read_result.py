"""The result of reading a file or directory of synthetic sets."""

from pathlib import Path
from typing import NamedTuple

from ..synthetic.set import SyntheticSet
from .pixel_scale import DetectedScale


class ReadResult(NamedTuple):
    """Sets, and what is recorded of the files that they were read from."""

    sets: list[SyntheticSet]
    files: list[Path]
    """All files that were read, for one digest."""
    pixels: DetectedScale | None = None
    """Scale of the pixels of a file that does not record it."""
