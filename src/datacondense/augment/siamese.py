"""Differentiable Siamese augmentation (Zhao & Bilen 2021): draw once per group, then apply to all its images.

Images pass in groups, (G, n, C, H, W), and all n images of a group get the same parameters. Condensing makes a group
of a class and applies one draw to its real and to its synthetic images; training a network makes a group of each
image. Everything is differentiable in the images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import unknown
from ..types import Spec

CROP_RATIO, CUTOUT_RATIO, SCALE_RATIO, ROTATE_DEGREES = 0.125, 0.5, 1.2, 15.0


def color(images: Tensor, u: Tensor) -> Tensor:
    """Brightness, then saturation, then contrast, each by its own u in [0, 1)."""
    brightness, saturation, contrast = u[:, :3].T[:, :, None, None, None, None]  # each (G, 1, 1, 1, 1)
    images = images + (brightness - 0.5)
    gray = images.mean(2, keepdim=True)
    images = (images - gray) * (2 * saturation) + gray
    centre = images.mean((2, 3, 4), keepdim=True)
    return (images - centre) * (contrast + 0.5) + centre


def crop(images: Tensor, u: Tensor) -> Tensor:
    """Shift by whole pixels, up to 1/8 of each side either way; what comes in is zero."""
    h, w = images.shape[-2:]
    rows = torch.arange(h, device=u.device) + _integer(u[:, 0], -_rounded(CROP_RATIO * h), _rounded(CROP_RATIO * h))
    columns = torch.arange(w, device=u.device) + _integer(u[:, 1], -_rounded(CROP_RATIO * w), _rounded(CROP_RATIO * w))
    return _pick(images, rows, columns)


def cutout(images: Tensor, u: Tensor) -> Tensor:
    """Zero a rectangle of half of each side around a uniform centre; at the border it is clipped."""
    h, w = images.shape[-2:]
    covered = _covered(h, u[:, 0])[:, :, None] & _covered(w, u[:, 1])[:, None, :]  # (G, H, W)
    return images.masked_fill(covered[:, None, None], 0.0)


def flip(images: Tensor, u: Tensor) -> Tensor:
    """Mirror left to right with probability 1/2."""
    return torch.where((u[:, 0] < 0.5)[:, None, None, None, None], images.flip(-1), images)


def scale(images: Tensor, u: Tensor) -> Tensor:
    """Stretch both axes, each by its own factor: the grid is scaled by a uniform number in [1/1.2, 1.2)."""
    factors = u[:, :2] * (SCALE_RATIO - 1 / SCALE_RATIO) + 1 / SCALE_RATIO
    zero = torch.zeros_like(factors[:, 0])
    theta = torch.stack([factors[:, 0], zero, zero, zero, factors[:, 1], zero], 1)
    return _warp(images, theta.view(-1, 2, 3))


def rotate(images: Tensor, u: Tensor) -> Tensor:
    """Rotate by a uniform angle in [-15, 15) degrees about the centre."""
    angle = (u[:, 0] - 0.5) * 2 * math.radians(ROTATE_DEGREES)
    zero = torch.zeros_like(angle)
    theta = torch.stack([angle.cos(), -angle.sin(), zero, angle.sin(), angle.cos(), zero], 1)
    return _warp(images, theta.view(-1, 2, 3))


STRATEGIES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "color": color,
    "crop": crop,
    "cutout": cutout,
    "flip": flip,
    "scale": scale,
    "rotate": rotate,
}


@final
@dataclass(frozen=True)
class View:
    """One draw: a strategy and its uniform numbers for each group. Calling it augments."""

    names: tuple[str, ...]
    choice: Tensor
    """Index into `names` for each group, (G,), on the CPU."""
    u: Tensor
    """Uniform numbers in [0, 1), (G, 3), on the CPU; what they mean is the strategy's."""

    def __getitem__(self, groups: Tensor) -> "View":
        """The same draw for some of the groups, at positions `groups` (CPU)."""
        return View(self.names, self.choice[groups], self.u[groups])

    def __call__(self, images: Tensor) -> Tensor:
        """Augment (G, n, C, H, W); the same shape comes back. Without strategies, the images themselves."""
        if not self.names:
            return images
        u = self.u.to(images)
        groups = [torch.nonzero(self.choice == index).flatten() for index in range(len(self.names))]
        if any(len(group) == len(self.choice) for group in groups):  # one strategy for all: nothing to part
            return STRATEGIES[self.names[int(self.choice[0])]](images, u)
        parts = [
            STRATEGIES[name](images[group], u[group])
            for name, group in zip(self.names, (group.to(images.device) for group in groups), strict=True)
            if len(group)
        ]
        back = torch.cat(groups).argsort().to(images.device)
        return torch.cat(parts)[back]


@final
@dataclass(frozen=True)
class Siamese:
    """A set of strategies, of which each draw picks one. Empty: no augmentation."""

    strategies: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.strategies)

    def __str__(self) -> str:
        return "_".join(self.strategies) or "none"

    def draw(self, generator: torch.Generator, groups: int, *, one_strategy: bool = False) -> View:
        """Parameters for `groups` groups: each with its own strategy, or `one_strategy` for all (parameters differ)."""
        choice = torch.randint(max(len(self.strategies), 1), (1 if one_strategy else groups,), generator=generator)
        return View(self.strategies, choice.expand(groups), torch.rand(groups, 3, generator=generator))


def parse(text: str, spec: Spec) -> Siamese:
    """The augmentation that `text` names: auto, none, or strategies joined by "_" such as color_crop_cutout.

    auto is DSA's published set: all six, without flip where a mirrored image changes its class.
    Raises InputError for a strategy that does not exist.
    """
    if text == "none":
        return Siamese(())
    if text == "auto":
        return Siamese(tuple(name for name in STRATEGIES if name != "flip" or spec.flip))
    names = text.split("_")
    for name in names:
        if name not in STRATEGIES:
            raise unknown("augmentation", name, STRATEGIES if len(names) > 1 else ["auto", "none", *STRATEGIES])
    return Siamese(tuple(dict.fromkeys(names)))


def _rounded(value: float) -> int:
    """Half rounds up, as published."""
    return int(value + 0.5)


def _integer(u: Tensor, low: int, high: int) -> Tensor:
    """Uniform u in [0, 1) -> uniform integers in [low, high], (G, 1)."""
    return (u[:, None] * (high - low + 1)).long() + low


def _covered(side: int, u: Tensor) -> Tensor:
    """Which pixels of a side a cutout covers, bool (G, side)."""
    size = _rounded(CUTOUT_RATIO * side)
    start = _integer(u, 0, side - size % 2) - size // 2  # an even square may be centred on either border
    pixels = torch.arange(side, device=u.device)
    return (pixels >= start) & (pixels < start + size)


def _pick(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Out[g, ..., i, j] = images[g, ..., rows[g, i], columns[g, j]], zero where that lies outside."""
    groups, n, c, h, w = images.shape
    inside = ((rows >= 0) & (rows < h))[:, :, None] & ((columns >= 0) & (columns < w))[:, None, :]
    index = rows.clamp(0, h - 1)[:, :, None] * w + columns.clamp(0, w - 1)[:, None, :]  # (G, H, W)
    index = index.view(groups, 1, 1, h * w).expand(groups, n, c, h * w)
    picked = images.flatten(3).gather(3, index).view_as(images)
    return picked.masked_fill(~inside[:, None, None], 0.0)


def _warp(images: Tensor, theta: Tensor) -> Tensor:
    """Sample on the affine grid of each group, bilinear, zeros outside. theta: (G, 2, 3)."""
    groups, n, c, h, w = images.shape
    stacked = images.reshape(groups, n * c, h, w)  # all images of a group share its grid: they ride as channels
    grid = F.affine_grid(theta, [groups, n * c, h, w], align_corners=False)
    return F.grid_sample(stacked, grid, align_corners=False).view_as(images)
