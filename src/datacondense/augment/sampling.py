# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
"""Parts of several augmentations: picking pixels, sampling on a grid, a strategy for each image."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..utils.transfer import sent


def integer(u: Tensor, low: int, high: int) -> Tensor:
    """Map uniform u in [0, 1), (G,), to uniform integers in [low, high], (G, 1)."""
    return (u[:, None] * (high - low + 1)).long() + low


def pick(images: Tensor, rows: Tensor, columns: Tensor, fill: Tensor | float) -> Tensor:
    """Return out[g, ..., i, j] = images[g, ..., rows[g, i], columns[g, j]], `fill` where that lies outside.

    images: (G, n, C, H, W); rows: (G, H); columns: (G, W); fill: a number or (C, 1, 1).
    """
    groups, n, c, h, w = images.shape
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    index = rows.clamp(0, h - 1)[:, :, None] * w + columns.clamp(0, w - 1)[:, None, :]  # (G, H, W)
    index = index.view(groups, 1, 1, h * w).expand(groups, n, c, h * w)
    picked = images.flatten(3).gather(3, index).view_as(images)
    return torch.where(inside[:, None, None], picked, fill)


def warp(images: Tensor, theta: Tensor) -> Tensor:
    """Sample (G, n, C, H, W) on the affine grid of each group, bilinear, zeros outside. theta: (G, 2, 3)."""
    groups, n, c, h, w = images.shape
    stacked = images.reshape(groups, n * c, h, w)  # all images of a group share its grid: they pass as channels
    grid = F.affine_grid(theta, [groups, n * c, h, w], align_corners=False)
    return F.grid_sample(stacked, grid, align_corners=False).view_as(images)


def by_choice(images: Tensor, choice: Tensor, apply: Sequence[Callable[[Tensor, Tensor], Tensor]]) -> Tensor:
    """Apply to each image the function in `apply` at its index in `choice` (G,); images (G, ...) keep their places.

    A function gets its images and their positions in the batch; positions and `choice` are on the CPU.
    """
    numbers: list[int] = choice.tolist()
    used = sorted(set(numbers))
    if len(used) == 1:  # one function for all images
        return apply[used[0]](images, torch.arange(len(choice)))
    augmented = torch.empty_like(images)
    for index in used:
        positions = torch.nonzero(choice == index).flatten()
        here = sent(positions, images.device)
        augmented.index_copy_(0, here, apply[index](images.index_select(0, here), positions))
    return augmented
