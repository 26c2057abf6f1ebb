"""The range of values that the pixels of image files have."""

from collections.abc import Callable, Sequence

from ...utils.errors import InputError
from ..options import Progress
from ..pixels import check_extent
from ..spec import Encoding
from . import parallel
from .decode import Extent, extremes


def measured(
    read: Callable[[int], bytes],
    positions: Sequence[int],
    tests: Sequence[int],
    image_size: int | None,
    progress: Progress,
    each: int,
) -> tuple[Extent, Encoding, list[str]]:
    """Return the lowest and the highest value in image files: as `decode` takes them, and as the files have them.

    The last item is a note where test images go beyond these values, as they are then clipped.

    Args:
        read: Content of the file at a position, from several threads at once.
        positions: Of all training images; where a fifth of them is to be set aside for testing, it counts as well.
        tests: Of the test images.
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
