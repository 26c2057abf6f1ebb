"""Measure the range of pixel values of image files."""

from collections.abc import Callable, Sequence

from ...utils.errors import InputError
from ..options import ReadProgress
from ..pixels import check_extent
from ..spec import Encoding
from . import parallel
from .decode import Extent, extremes


def measure(
    read: Callable[[int], bytes],
    positions: Sequence[int],
    tests: Sequence[int],
    image_size: int | None,
    progress: ReadProgress,
    each: int,
) -> tuple[Extent, Encoding, list[str]]:
    """Return the lowest and the highest value in image files: for `decode`, and in units of the files.

    The last item is a note when test images exceed this range, as they are then clipped.

    Args:
        read: Function that returns the content of the file at a position; called by several threads.
        positions: Positions of all training images, including those set aside for testing later.
        tests: Positions of the test images.
        image_size: As of `decode`.
        progress: Called with the number of files done.
        each: Bytes that one image takes while it is decoded.

    Raises:
        InputError: When all values are equal.
    """

    def look(position: int) -> tuple[Extent, bool] | None:
        try:
            return extremes(read(position), image_size)
        except (InputError, OSError):  # reported when it is decoded
            return None

    found, beside = (
        [one for one in parallel.ordered(look, some, "measuring", progress, each=each) if one]
        for some in (positions, tests)
    )
    low = min((extent[0] for extent, _ in found), default=0.0)
    high = max((extent[1] for extent, _ in found), default=65535.0)
    unit = 1 if any(deep for _, deep in found) else 257
    check_extent(low / unit, high / unit)
    beyond = sum(lowest < low or highest > high for (lowest, highest), _ in beside)
    notes = [
        f"{beyond} of {len(beside)} test images have pixels outside the range of the training images "
        f"({low / unit:g} to {high / unit:g}), which are clipped"
    ]
    return (low, high), Encoding(pixels=(low / unit, high / unit)), notes if beyond else []
