"""Differentiable Siamese augmentation, DSA (Zhao & Bilen 2021): draw once per group, then apply to all its images.

Images come in groups, (G, n, C, H, W), and all n images of a group get the same parameters. In condensing a group is a
class, and one draw applies to its real and to its synthetic images; in training a network each image is a group. All
strategies are differentiable in the images.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor

from .sampling import by_choice, integer, pick, warp

CROP_RATIO, CUTOUT_RATIO, SCALE_RATIO, ROTATE_DEGREES = 0.125, 0.5, 1.2, 15.0


def color(images: Tensor, u: Tensor) -> Tensor:
    """Change brightness, then saturation, then contrast, each by its own u in [0, 1)."""
    brightness, saturation, contrast = u[:, :3].T[:, :, None, None, None, None]  # each (G, 1, 1, 1, 1)
    images = images + (brightness - 0.5)
    gray = images.mean(2, keepdim=True)
    images = (images - gray) * (2 * saturation) + gray
    centre = images.mean((2, 3, 4), keepdim=True)
    return (images - centre) * (contrast + 0.5) + centre


def crop(images: Tensor, u: Tensor) -> Tensor:
    """Shift by whole pixels, up to 1/8 of each side in either direction; uncovered pixels are zero."""
    h, w = images.shape[-2:]
    rows = torch.arange(h, device=u.device) + integer(u[:, 0], -_rounded(CROP_RATIO * h), _rounded(CROP_RATIO * h))
    columns = torch.arange(w, device=u.device) + integer(u[:, 1], -_rounded(CROP_RATIO * w), _rounded(CROP_RATIO * w))
    return pick(images, rows, columns, 0.0)


def cutout(images: Tensor, u: Tensor) -> Tensor:
    """Zero a rectangle of half of each side around a uniform centre, clipped at the border."""
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
    return warp(images, theta.view(-1, 2, 3))


def rotate(images: Tensor, u: Tensor) -> Tensor:
    """Rotate by a uniform angle in [-15, 15) degrees about the centre."""
    angle = (u[:, 0] - 0.5) * 2 * math.radians(ROTATE_DEGREES)
    zero, longer = torch.zeros_like(angle), images.shape[-2] / images.shape[-1]  # the grid is [-1, 1] on either axis
    theta = torch.stack([angle.cos(), -angle.sin() * longer, zero, angle.sin() / longer, angle.cos(), zero], 1)
    return warp(images, theta.view(-1, 2, 3))


Strategy = Callable[[Tensor, Tensor], Tensor]
"""Images (G, n, C, H, W) and uniform numbers (G, 3) -> images."""

STRATEGIES: dict[str, Strategy] = {
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
    """Uniform numbers in [0, 1), (G, 3), on the CPU, from which each strategy computes its parameters."""

    def __getitem__(self, groups: slice) -> "View":
        """Return the same draw for some of the groups."""
        return View(self.names, self.choice[groups], self.u[groups])

    def __call__(self, images: Tensor) -> Tensor:
        """Augment images; differentiable in them. Without strategies, return the images themselves.

        Args:
            images: Normalised images (G, n, C, H, W).

        Returns:
            Augmented images of the same shape.
        """
        if not self.names:
            return images
        return by_choice(images, self.choice, [partial(self._apply, STRATEGIES[name]) for name in self.names])

    def _apply(self, strategy: Strategy, images: Tensor, groups: Tensor) -> Tensor:
        return strategy(images, self.u[groups].to(images, non_blocking=True))


@final
@dataclass(frozen=True)
class Siamese:
    """DSA's augmentation: each draw picks one of a set of strategies. An empty set changes nothing."""

    strategies: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.strategies)

    def __str__(self) -> str:
        return "_".join(self.strategies) or "none"

    def draw(self, generator: torch.Generator, groups: int, *, one_strategy: bool = False) -> View:
        """Draw a strategy and its parameters for each group.

        Args:
            generator: Draws both, on the CPU.
            groups: The number of groups, G.
            one_strategy: Draw one strategy for all groups; parameters still differ.

        Returns:
            A view, which augments images (G, n, C, H, W) when called; `view[a:b]` is that of some groups.
        """
        choice = torch.randint(max(len(self.strategies), 1), (1 if one_strategy else groups,), generator=generator)
        return View(self.strategies, choice.expand(groups), torch.rand(groups, 3, generator=generator))

    def per_image(self, generator: torch.Generator, count: int) -> Callable[[Tensor], Tensor]:
        """Draw one strategy for a training batch, and parameters for each of its `count` images."""
        view = self.draw(generator, count, one_strategy=True)
        return lambda images: view(images[:, None])[:, 0]


def _rounded(value: float) -> int:
    """Round to the nearest integer, half up, as published."""
    return int(value + 0.5)


def _covered(side: int, u: Tensor) -> Tensor:
    """Return a mask of the pixels of a side that a cutout covers, bool (G, side)."""
    size = _rounded(CUTOUT_RATIO * side)
    start = integer(u, 0, side - size % 2) - size // 2  # an even square may be centred on either border
    pixels = torch.arange(side, device=u.device)
    return (pixels >= start) & (pixels < start + size)
