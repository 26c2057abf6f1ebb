"""Numbers in the words of a page."""

from collections.abc import Sequence

from ..utils.text import percent_mean_std


def accuracy(values: Sequence[float | None]) -> str:
    """Mean and sample standard deviation in percent; empty where there is none."""
    return percent_mean_std(values, separator=" ± ")


def size(count: int) -> str:
    """A number of bytes, in words."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
