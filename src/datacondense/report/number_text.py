"""Format numbers for a page."""

from collections.abc import Sequence

from ..utils.text import percent_mean_std

TIMES = "\N{MULTIPLICATION SIGN}"


def accuracy(values: Sequence[float | None]) -> str:
    """Return mean and sample standard deviation in percent; empty if there is none."""
    return percent_mean_std(values)


def size(count: int) -> str:
    """Return a number of bytes in MB or kB."""
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.1f} kB"


def ratio(value: float) -> str:
    """Return a ratio with three digits, or all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def share(value: float | None) -> str:
    """Return a ratio in percent with three digits; empty for None."""
    return "" if value is None else f"{ratio(100 * value)} %"
