"""Mixing of the images of a training batch, and of their labels alike: mixup and CutMix. Draw, then apply."""

from dataclasses import dataclass
from typing import Literal, TypeAlias, final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..utils.transfer import sent

MixKind: TypeAlias = Literal["none", "mixup", "cutmix"]


@final
@dataclass(frozen=True)
class MixView:
    """One draw: a partner for each image, and the share that each image keeps. Calling it mixes."""

    kind: MixKind
    partners: Tensor
    """Position of the image that is mixed into each one, (N,), on the CPU."""
    kept: float
    """Share of each image, in [0, 1]; its partner gives the rest."""
    centre: tuple[float, float]
    """cutmix: centre of the rectangle, vertical and horizontal, in [0, 1)."""

    def __call__(self, images: Tensor, labels: Tensor, classes: int) -> tuple[Tensor, Tensor]:
        """Mix a batch.

        Args:
            images: Images (N, C, H, W).
            labels: Classes, int64 (N,), or soft labels (N, K).
            classes: K.

        Returns:
            Images (N, C, H, W) and soft labels (N, K); those of classes are one-hot before they are mixed.
        """
        rows = labels if labels.is_floating_point() else F.one_hot(labels, classes).to(images.dtype)
        partners = sent(self.partners, images.device)
        mixed, kept = mix_pair(self.kind, images, images[partners], self.kept, self.centre)
        return mixed, kept * rows + (1 - kept) * rows[partners]


@final
@dataclass(frozen=True)
class Mix:
    """Mixing of batches, with one share for a batch: kept ~ Beta(beta, beta).

    mixup: kept x + (1 - kept) x' (Zhang et al. 2018). cutmix: a rectangle of x' with the share 1 - kept of the area,
    clipped at the border, replaces that of x (Yun et al. 2019). Labels are mixed by the same shares.
    """

    kind: MixKind
    probability: float
    """Share of the batches that are mixed."""
    beta: float

    def __bool__(self) -> bool:
        return self.kind != "none"

    def draw(self, generator: torch.Generator, count: int) -> MixView:
        """Draw the partners, the share and the rectangle of a batch of `count` images, all on the CPU."""
        partners = torch.randperm(count, generator=generator)
        applied, y, x = map(float, torch.rand(3, generator=generator, dtype=torch.float64))
        seed = int(torch.randint(2**63 - 1, (), generator=generator))
        kept = np.random.default_rng(seed).beta(self.beta, self.beta) if applied < self.probability else 1.0
        return MixView(self.kind, partners, float(kept), (y, x))


def mix_pair(
    kind: MixKind, images: Tensor, others: Tensor, kept: float, centre: tuple[float, float]
) -> tuple[Tensor, float]:
    """Mix images (..., C, H, W) with others; return them and the share of the first, which a border may raise."""
    if kind == "mixup":
        return kept * images + (1 - kept) * others, kept
    height, width = images.shape[-2:]
    side = (1 - kept) ** 0.5
    (top, bottom), (left, right) = _cut(height, side, centre[0]), _cut(width, side, centre[1])
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = others[..., top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)


def _cut(length: int, share: float, centre: float) -> tuple[int, int]:
    """Return begin and end of a part of a side with this share of its length, clipped at the border."""
    half, middle = int(length * share) // 2, int(length * centre)
    return max(middle - half, 0), min(middle + half, length)
