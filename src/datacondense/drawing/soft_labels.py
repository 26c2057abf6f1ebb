"""The largest soft labels of images, as text."""

from torch import Tensor

LARGEST = 3
"""Labels of an image that are shown."""
_LONGEST = 1000  # numbers from here on are written with an exponent


def largest_labels(labels: Tensor, index: Tensor) -> list[list[tuple[int, str]]]:
    """Return the three largest labels of the images at `index` (n,), the largest first.

    Args:
        labels: Soft labels (N, K), or classes (N,), which have none.
        index: Positions (n,).

    Returns:
        For each image a list of (class, number); empty lists if labels are hard.
    """
    if labels.dim() == 1:
        return [[] for _ in index]
    values, classes = labels[index].sort(dim=1, descending=True, stable=True)
    rows = zip(classes[:, :LARGEST].tolist(), values[:, :LARGEST].tolist(), strict=True)
    return [[(k, _number(value)) for k, value in zip(*row, strict=True)] for row in rows]


def _number(value: float) -> str:
    return f"{round(value, 2) + 0.0:.2f}" if abs(value) < _LONGEST else f"{value:.0e}"
