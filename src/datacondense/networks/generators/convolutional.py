"""A small class-conditional generator for images of any size from 8x8, gray or in colour."""

from itertools import pairwise
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...data.spec import Spec
from .base import Generator

_LEAST = 4  # least side of the first map, in pixels


def sides(size: int) -> list[int]:
    """Return the sides of a generator's maps, each twice the one before, up to `size`: 28 -> 7, 14, 28."""
    found = [size]
    while found[0] % 2 == 0 and found[0] // 2 >= _LEAST:
        found.insert(0, found[0] // 2)
    return found


def pyramid(spec: Spec, width: int) -> tuple[tuple[int, int], list[int]]:
    """Return height and width of the smallest map, and the channels of all maps, from the smallest on."""
    _, *size = spec.shape
    doublings = min(len(sides(side)) for side in size) - 1
    height, side = (side >> doublings for side in size)
    return (height, side), [max(width >> step, width // 4, 8) for step in range(doublings + 1)]


@final
class ConvGenerator(Generator):
    """A small map from z and the class, then blocks of upsampling, convolution and a norm scaled by the class and z.

    Each block doubles the sides and halves the channels, from `width` down to a quarter of it. A sigmoid gives pixels.
    """

    def __init__(self, spec: Spec, *, latent: int, width: int) -> None:
        super().__init__(spec)
        self.latent, self.width = latent, width
        self.first, widths = pyramid(spec, width)
        self.classes = nn.Embedding(spec.classes, latent)
        self.linear = nn.Linear(2 * latent, widths[0] * self.first[0] * self.first[1])
        self.blocks = nn.ModuleList(_Block(before, after, 2 * latent) for before, after in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], spec.shape[0], 3, padding=1)

    def pixels(self, z: Tensor, labels: Tensor) -> Tensor:
        condition = torch.cat([z, self.classes(labels)], dim=1)
        x = self.linear(condition).unflatten(1, (-1, *self.first))
        for block in self.blocks:
            x = block(x, condition)
        return torch.sigmoid(self.last(F.relu(x)))

    def config(self) -> dict[str, Any]:
        return {"latent": self.latent, "width": self.width}


class _Block(nn.Module):
    """Norm, ReLU, upsampling and convolution; the norm's scale and shift come from the condition."""

    def __init__(self, before: int, after: int, condition: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8 if before % 8 == 0 else 1, before, affine=False)
        self.scale = nn.Linear(condition, 2 * before)
        self.conv = nn.Conv2d(before, after, 3, padding=1)
        self.shortcut = nn.Conv2d(before, after, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        gain, shift = self.scale(condition)[:, :, None, None].chunk(2, dim=1)
        h = F.relu(self.norm(x) * (1 + gain) + shift)
        return self.conv(F.interpolate(h, scale_factor=2)) + F.interpolate(self.shortcut(x), scale_factor=2)
