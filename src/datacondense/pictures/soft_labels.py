"""The largest soft labels of the images of a set, as text."""

from torch import Tensor

from ..drawing import soft_labels
from ..synthetic.set import SyntheticSet


def largest_labels(synthetic: SyntheticSet, index: Tensor) -> list[list[tuple[int, str]]]:
    """Return the three largest labels of the images at `index` (n,), the largest first.

    Returns:
        For each image a list of (class, number); empty lists if labels are hard.
    """
    return soft_labels.largest_labels(synthetic.labels, index)
