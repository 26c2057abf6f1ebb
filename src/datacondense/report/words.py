"""Numbers in the words of a page."""

import statistics
from collections.abc import Sequence


def accuracy(values: Sequence[float | None]) -> str:
    """Mean and sample standard deviation in percent; empty where there is none."""
    numbers = [100 * value for value in values if value is not None]
    if not numbers:
        return ""
    deviation = f" ± {statistics.stdev(numbers):.1f}" if len(numbers) > 1 else ""
    return f"{statistics.fmean(numbers):.1f}{deviation}"


def size(count: int) -> str:
    """A number of bytes, in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
