"""The range of values that the pixels of image files have."""

from collections.abc import Callable, Sequence

from ..errors import InputError
from ..types import Encoding
from . import parallel
from .decode import Extent, extremes
from .options import Progress
from .pixels import check_extent


def measured(
    read: Callable[[int], bytes], positions: Sequence[int], image_size: int | None, progress: Progress, each: int
) -> tuple[Extent, Encoding]:
    """Return the lowest and the highest value in image files: as `decode` takes them, and as the files have them.

    Args:
        read: Content of the file at a position, from several threads at once.
        positions: Of all training images; where a fifth of them is to be set aside for testing, it counts as well.
        image_size: As of `decode`.
        progress: Told how many files are done.
        each: Bytes that one takes while it is decoded.

    Raises:
        InputError: Where all values are the same.
    """

    def look(position: int) -> tuple[Extent, bool] | None:
        try:
            return extremes(read(position), image_size)
        except (InputError, OSError):  # decoding it will say so
            return None

    found = [one for one in parallel.ordered(look, positions, "measuring", progress, each=each) if one]
    low = min((extent[0] for extent, _ in found), default=0.0)
    high = max((extent[1] for extent, _ in found), default=65535.0)
    unit = 1 if any(deep for _, deep in found) else 257
    check_extent(low / unit, high / unit)
    return (low, high), Encoding(pixels=(low / unit, high / unit))
