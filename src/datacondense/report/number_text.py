"""Format numbers for a page."""

from collections.abc import Sequence

from ..utils.text import percent_mean_std


def accuracy(values: Sequence[float | None]) -> str:
    """Return mean and sample standard deviation in percent; empty if there is none."""
    return percent_mean_std(values, separator=" ± ")


def size(count: int) -> str:
    """Return a number of bytes in MB or kB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"
