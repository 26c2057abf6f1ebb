"""DC's augmentation: networks train under it on sets of gradient matching (Zhao, Mopuri & Bilen, ICLR 2021).

Each image gets one strategy of a set, drawn uniformly. Images are normalised, so a pixel of 0 is the dataset's mean;
"the batch mean" is the mean of each channel over all images and pixels of the batch before augmentation. It is used in
evaluation, never in condensing.

Deviations from the published code: crop shifts by -4..4 pixels, not -4..3; rotate is bilinear with the batch mean
outside, not cubic with the mean over all channels; scale resizes the width in proportion to itself, not to the height.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import final

import torch
from torch import Tensor

from ..data.spec import Spec
from ..utils.transfer import sent
from .sampling import by_choice, integer, pick, warp

CROP_PIXELS, SCALE_RATIO, ROTATE_DEGREES, NOISE = 4, 0.2, 45, 0.001


def crop(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    """Shift by whole pixels, uniform in -4..4 on each axis; uncovered pixels get the batch mean."""
    h, w = images.shape[-2:]
    rows = torch.arange(h) + integer(numbers[:, 0], -CROP_PIXELS, CROP_PIXELS)
    columns = torch.arange(w) + integer(numbers[:, 1], -CROP_PIXELS, CROP_PIXELS)
    return _pick(images, rows, columns, mean)


def scale(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    """Resize to int(f h) x int(f' w), f and f' uniform in [0.8, 1.2), nearest neighbour, centred; zeros outside."""
    sides = torch.tensor(images.shape[-2:])
    resized = ((1 - SCALE_RATIO + 2 * SCALE_RATIO * numbers) * sides).long()  # (n, 2)
    canvas = resized.amax(1, keepdim=True).clamp(min=int(sides.max()))  # (n, 1): the square in which both are centred
    offset = (canvas - sides) // 2 - (canvas - resized) // 2
    rows, columns = (
        (torch.arange(side) + offset[:, axis, None]) * side // resized[:, axis, None]
        for axis, side in enumerate(images.shape[-2:])
    )
    return _pick(images, rows, columns, torch.zeros_like(mean))


def rotate(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    """Rotate about the centre by whole degrees in [-45, 45), counter-clockwise; bilinear, the batch mean outside."""
    h, w = images.shape[-2:]
    angle = torch.deg2rad(integer(numbers[:, 0], -ROTATE_DEGREES, ROTATE_DEGREES - 1)[:, 0].to(numbers))
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    theta = torch.stack([cos, -sin * h / w, zero, sin * w / h, cos, zero], 1)  # the grid is [-1, 1] on either axis
    return warp((images - mean)[:, None], theta.view(-1, 2, 3).to(images, non_blocking=True))[:, 0] + mean


def noise(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    """Add normal noise of standard deviation 0.001."""
    return images + NOISE * numbers.to(images, non_blocking=True)


Strategy = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Images (n, C, H, W), random numbers on the CPU, batch mean (C, 1, 1) -> images.

Random numbers are uniform in [0, 1), (n, 2); for noise standard normal, (n, C, H, W)."""

STRATEGIES: dict[str, Strategy] = {"crop": crop, "scale": scale, "rotate": rotate, "noise": noise}


@final
@dataclass(frozen=True)
class DCView:
    """One draw: a strategy and its random numbers for each image. Calling it augments."""

    names: tuple[str, ...]
    choice: Tensor
    """Index into `names` for each image, (N,), on the CPU."""
    u: Tensor
    """Uniform numbers in [0, 1), (N, 2), float64, on the CPU."""
    seed: int
    """Seed of the noise, which is drawn when the shape of the images is known."""

    def __call__(self, images: Tensor) -> Tensor:
        """Augment images (N, C, H, W). Without strategies, return the images themselves."""
        if not self.names:
            return images
        mean = images.mean((0, 2, 3))[:, None, None]
        return by_choice(images, self.choice, [partial(self._apply, name, mean) for name in self.names])

    def _apply(self, name: str, mean: Tensor, images: Tensor, members: Tensor) -> Tensor:
        numbers = self.normal(images.shape) if name == "noise" else self.u[members]
        return STRATEGIES[name](images, numbers, mean)

    def normal(self, shape: torch.Size) -> Tensor:
        """Draw standard normal numbers of `shape` (n, C, H, W) for the images that get noise, in their order."""
        return torch.randn(shape, generator=torch.Generator().manual_seed(self.seed))


@final
@dataclass(frozen=True)
class DCAugmentation:
    """DC's augmentation: each image gets one of a set of strategies. An empty set changes nothing."""

    strategies: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.strategies)

    def __str__(self) -> str:
        return f"dc:{'_'.join(self.strategies)}" if self.strategies else "none"

    def per_image(self, generator: torch.Generator, count: int) -> DCView:
        """Draw a strategy and its parameters for each of `count` images."""
        choice = torch.randint(max(len(self.strategies), 1), (count,), generator=generator)
        u = torch.rand(count, 2, generator=generator, dtype=torch.float64)
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
        return DCView(self.strategies, choice, u, seed)


def published(spec: Spec, arch: str) -> tuple[str, ...]:
    """Return the published strategies for training a network `arch` on sets of this dataset."""
    if arch == "ConvNetBN":
        return ("crop", "noise")
    return ("crop", "scale", "rotate") if spec.name == "mnist" else ()


def _pick(images: Tensor, rows: Tensor, columns: Tensor, fill: Tensor) -> Tensor:
    """Apply `pick` to images (n, C, H, W), each its own group; rows and columns come from the CPU."""
    rows, columns = (sent(one, images.device) for one in (rows, columns))
    return pick(images[:, None], rows, columns, fill)[:, 0]
