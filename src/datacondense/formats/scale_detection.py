"""Detect the scale of pixels by their values, if these are unambiguous."""

import math
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from ..data.spec import Spec
from ..synthetic.decoders import dct
from ..utils.errors import DataNotFound, InputError
from .pixel_scale import UNCERTAIN, PixelOptions, PixelScale, to_normalised

_MIN_STD, _MAX_STD = 0.75, 6.0
"""Of normalised images; those in [0, 1] have at most 0.5, whitened real ones 0.7."""
_MAX_MEAN = 0.75
_NOISE_STD = 0.85, 1.3
"""Standard deviations of images that started as noise of 1 and changed little."""
_DIRECTIONS = 4
_SAMPLE = 256
_REAL_ENERGY = 0.5
"""Energy along the main directions of real images, over that of real ones: 0.85 and more for images that started as
real ones, below 0.1 for whitened ones and for noise."""
_MIN_SHARE = 0.1
"""Least share of this energy in all; in noise and in whitened images it is that of any other direction."""
_MIN_FINE_ENERGY = 0.6
"""Energy of the finest detail in normalised noise; whitening leaves less of it."""
HELP = "name their scale with --pixels normalised, unit (0 to 1), bytes (0 to 255) or zca (whitened, MTT's default)"


def detect_scale(
    images: Tensor, spec: Spec, options: PixelOptions, never_whitened: bool | None
) -> tuple[PixelScale, str]:
    """Return the scale of images by their values, and the reason for it. Raises InputError if they are ambiguous."""
    x = images.double()
    low, high = float(x.min()), float(x.max())
    seen = f"pixels from {low:.3g} to {high:.3g} with mean {float(x.mean()):.3g} and deviation {float(x.std()):.3g}"
    whole = not images.dtype.is_floating_point
    if whole and (low < 0 or high > 255 or (high <= 30 and images.dtype != torch.bool)):
        raise InputError(f"{seen}, whole numbers: {HELP}")
    scale: PixelScale = "bytes" if high > 30 else "unit"
    unit = x / 255 if scale == "bytes" else x
    plausible = is_plausible(to_normalised(x, scale, spec))
    if float(unit.min()) >= -0.05 and float(unit.max()) <= 1.05:
        if plausible:
            return scale, f"from {low:.3g} to {high:.3g}"
        raise InputError(f"{seen} match no scale of the images of {spec.name}: {HELP}")
    if low >= -1.02 and high <= 1.02 and is_plausible(to_normalised((x + 1) / 2, "unit", spec)):
        raise InputError(f"{seen} may be scaled to [-1, 1], which is not supported: scale them to [0, 1], or {HELP}")
    reference = _RealReference.measure(options)
    outside = float(((unit < -0.05) | (unit > 1.05)).double().mean())
    if outside < 0.2 and float(unit.min()) > -1.5 and float(unit.max()) < 2.5 and float(unit.std()) < _MIN_STD:
        if plausible and (reference is None or reference.resembles(to_normalised(x, scale, spec))):
            return scale, f"{100 * outside:.2g} % of them beyond black and white"
    elif has_normalised_moments(x):
        because = _normalised_because(x, reference, never_whitened)
        if because:
            return "normalised", because
    raise InputError(f"{seen} may be normalised or whitened (ZCA), or something else: {HELP}")


def is_plausible(x: Tensor) -> bool:
    """Return whether mean and deviation of normalised images are plausible for a set."""
    return abs(float(x.mean())) < 1.5 and 0.25 < float(x.std(correction=0)) < 4


def has_normalised_moments(x: Tensor) -> bool:
    """Return whether mean and deviation of images are those of normalised ones."""
    std = float(x.std(correction=0))
    return _MIN_STD <= std <= _MAX_STD and abs(float(x.mean())) <= _MAX_MEAN and float(x.min()) < -0.05


def _normalised_because(x: Tensor, reference: "_RealReference | None", never_whitened: bool | None) -> str:
    """Return the reason why images of plausible moments are normalised and not whitened; empty without one."""
    coarse, fine = _coarse_and_fine(x)
    if reference is not None:
        if reference.is_opposite(x):
            return ""
        if reference.resembles(x):
            return "brightness and contrast vary as in the training images"
    elif never_whitened is not False and coarse >= 4 * max(1.0, fine) and min(x.shape[-2:]) >= 16:
        return "neighbouring pixels are alike, as in real images"
    if fine < _MIN_FINE_ENERGY or never_whitened is False:
        return ""
    if _NOISE_STD[0] <= float(x.std(correction=0)) <= _NOISE_STD[1]:
        return "noise of deviation 1, in a file named as DC, DSA and DM name theirs" if never_whitened else UNCERTAIN[0]
    return UNCERTAIN[1] if never_whitened else ""


def _coarse_and_fine(x: Tensor) -> tuple[float, float]:
    """Return the mean energy of the coarsest and of the finest cosine components; both are 1 for noise of 1."""
    height, width = x.shape[-2:]
    energy = dct(x).square().mean((0, 1))
    rows, columns = max(2, height // 8), max(2, width // 8)
    return float(energy[:rows, :columns].mean()), float(energy[height // 2 :, width // 2 :].mean())


@final
@dataclass(frozen=True)
class _RealReference:
    """Statistics of the normalised training images to compare others with."""

    directions: Tensor
    """Main directions, (D, k), orthonormal; without subtracting the mean image."""
    energy: float
    """Energy along these directions, per image."""
    mean: Tensor
    """Mean image, (D)."""

    @staticmethod
    def measure(options: PixelOptions) -> "_RealReference | None":
        """Return the statistics of the training images; None if there are none."""
        try:
            real = options.training_images()
        except DataNotFound:
            return None
        if real is None:
            return None
        index = torch.linspace(0, len(real) - 1, min(len(real), _SAMPLE)).long()
        sample = real.batch(index.to(real.labels.device))[0].cpu().double().flatten(1)
        energies, combined = torch.linalg.eigh(sample @ sample.T)
        energies, combined = energies[-_DIRECTIONS:].clamp_min(1e-9), combined[:, -_DIRECTIONS:]
        directions = sample.T @ combined / energies.sqrt()
        return _RealReference(directions, float(energies.sum()) / len(sample), sample.mean(0))

    def resembles(self, x: Tensor) -> bool:
        """Return whether images (N, C, H, W) vary along the main directions as much as real ones, and mostly there."""
        flat = x.flatten(1)
        energy = float((flat @ self.directions).square().sum(1).mean())
        return energy >= _REAL_ENERGY * self.energy and energy >= _MIN_SHARE * float(flat.square().sum(1).mean())

    def is_opposite(self, x: Tensor) -> bool:
        """Return whether the mean image opposes that of real ones, as after a subtraction from noise."""
        flat = x.flatten(1)
        length = float(self.mean.norm())
        along = flat @ self.mean / max(length, 1e-9)
        error = float(along.std(correction=0)) / math.sqrt(len(flat)) + 1e-9
        return length > 1 and float(along.mean()) < -max(4 * error, 0.03 * length)
