"""Measure the mean, standard deviation and range of pixels."""

import math
from collections.abc import Sequence
from typing import final

import torch
from torch import Tensor

AT_ONCE = 2**22
"""Pixels processed at a time."""
NARROW = 64
"""Range of byte values, of 255, below which images are almost of one colour."""
_FAR = 5
"""Largest distance of the mean of test images from that of training images, in standard deviations of the latter."""
_DARK = 1 / 4
"""Smallest ratio of the brightest test pixel to the mean of the training images."""


@final
class Statistics:
    """Mean and (population) standard deviation of each channel of uint8 images, in units of [0, 1].

    Exact, from counts of the 256 values. The standard deviation is at least 1/255, so that a constant channel can be
    divided by it.
    """

    def __init__(self, channels: int) -> None:
        self._counts = torch.zeros(channels, 256, dtype=torch.int64)

    @classmethod
    def measure(cls, images: Tensor) -> "Statistics":
        """Return the statistics of images (N, C, H, W)."""
        statistics = cls(images.shape[1])
        for some in images.split(max(AT_ONCE // images[0].numel(), 1)):
            statistics.add(some)
        return statistics

    def add(self, images: Tensor) -> None:
        """Count images (N, C, H, W)."""
        for counts, channel in zip(self._counts, images.unbind(1), strict=True):
            counts += torch.bincount(channel.flatten(), minlength=256)

    def result(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation, each (C,), of all images counted."""
        mean, std = [], []
        for counts in self._counts.tolist():
            number = sum(counts)
            total = sum(value * count for value, count in enumerate(counts))
            squares = sum(value * value * count for value, count in enumerate(counts))
            mean.append(total / number / 255)
            std.append(max(math.sqrt(number * squares - total * total) / number, 1) / 255)
        return tuple(mean), tuple(std)

    def notes(self) -> list[str]:
        """Return a note when pixels use a small part of the range, as images of 4 or 12 bits do."""
        used = self._used()
        span = used[-1] - used[0]
        if not 1 <= span <= NARROW or 2 * len(used) <= span:
            return []
        return [
            f"only {len(used)} of 256 levels are in use ({used[0]} to {used[-1]}): --pixel-range own spreads the "
            "values of the images over all levels"
        ]

    def far_from(self, mean: Sequence[float], std: Sequence[float]) -> list[str]:
        """Return a note when these test images have another range than the training images.

        mean, std: of the training images, each (C,), in units of [0, 1].
        """
        used, own = self._used(), self.result()[0]
        if used[0] == used[-1] and max(std) <= 1 / 255:  # all images are of one colour, and there is no range
            return []
        away = max(abs(ours - theirs) / dev for ours, theirs, dev in zip(own, mean, std, strict=True))
        if away <= _FAR and (used[0] == used[-1] or used[-1] / 255 >= _DARK * min(mean)):
            return []
        means = [", ".join(f"{255 * value:.3g}" for value in values) for values in (own, mean)]
        return [
            f"the mean of the test images is {means[0]} and that of the training images {means[1]} (of 255): check "
            "that both have the same range of pixels"
        ]

    def _used(self) -> list[int]:
        """Return the byte values that occur, in order."""
        return self._counts.sum(dim=0).nonzero().flatten().tolist()
