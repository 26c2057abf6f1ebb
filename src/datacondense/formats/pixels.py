"""What the pixels of a file of others stand for: found out where that can be, asked for where it cannot."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..utils.errors import DataNotFound, InputError, unknown
from .whitening import unwhitened

Pixels = Literal["auto", "normalised", "unit", "bytes", "zca"]
"""normalised: (x - mean) / std of x in [0, 1], as the authors of DC, DSA and DM store them. unit: x itself, as IDC
does. bytes: 255 x. zca: whitened, as MTT does by default."""
PIXELS: tuple[Pixels, ...] = get_args(Pixels)
Real: TypeAlias = ImageSet | Callable[[], ImageSet] | None
"""The training images, or what reads them."""

_LEAST_STD, _MOST_STD = 0.75, 6.0
"""Of normalised images; those in [0, 1] have at most 0.5, whitened real ones 0.7."""
_MOST_MEAN = 0.75
_OF_NOISE = 0.85, 1.3
"""Standard deviations of images that began as noise of 1 and learned little."""
_TOP = 4
_SAMPLE = 256
_LIKE_REAL = 0.5
"""Energy along the main directions of real images, over that of real ones: 0.85 and more for images that began as real
ones, below 0.1 for whitened ones and for noise."""
_SHARE = 0.1
"""Least share that this has in all the energy; in noise and in whitened images it is that of any other direction."""
_FINE = 0.6
"""Least energy of the finest detail in normalised noise, of which whitening leaves less."""
_UNSURE = (
    "like the noise of deviation 1 from which an optimisation begins",
    "its name is that of a file of DC, DSA or DM",
)
"""Reasons that leave a doubt: whitened images can look the same."""
_THOUGH = "as --pixels says, though mean and deviation are not those of such images"
_HELP = "say what they are by --pixels normalised, unit (0 to 1), bytes (0 to 255) or zca (whitened, MTT's default)"


@final
@dataclass(frozen=True)
class Taken:
    """What pixels were taken for."""

    kind: Pixels
    mean: float
    std: float
    because: str

    @property
    def unsure(self) -> bool:
        """Whether they might be something else."""
        return self.because in _UNSURE

    def worth_a_warning(self, asked: Pixels) -> bool:
        """Whether whoever asked for `asked` may be wrong about them, or does not expect it."""
        return self.because == _THOUGH or (asked == "auto" and (self.unsure or self.kind != "normalised"))

    def __str__(self) -> str:
        numbers = f"mean {self.mean:.3g}, standard deviation {self.std:.3g}"
        return f"pixels are taken for {self.kind}: {numbers} ({self.because})"

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "Taken":
        return Taken(fields["taken_for"], fields["mean"], fields["std"], fields["because"])

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"taken_for": self.kind, "mean": self.mean, "std": self.std, "because": self.because}


@final
@dataclass(frozen=True)
class Reading:
    """How the pixels of a file are to be read."""

    pixels: Pixels = "auto"
    real: Real = None

    def __post_init__(self) -> None:
        if self.pixels not in PIXELS:
            raise unknown("pixels", self.pixels, PIXELS)

    def refuse(self, what: object) -> None:
        """Raise InputError where --pixels was given for a file that says itself what its pixels are."""
        if self.pixels != "auto":
            raise InputError(f"--pixels {self.pixels}: {what} says itself what its pixels are: leave it out")

    def images(self) -> ImageSet | None:
        """The training images; None where there are none."""
        return self.real() if callable(self.real) else self.real


def normalised(images: Tensor, spec: Spec, reading: Reading, *, authors: bool | None) -> tuple[Tensor, Taken]:
    """Images (N, C, H, W) as normalised float32, and what they were taken for.

    Args:
        images: Of any type of number.
        spec: The data that they were made from.
        reading: What they are, and the training images.
        authors: Whether the file is known for one of the authors of DC, DSA and DM, who never whiten (True), or of
            those who do (False); None where neither is known.

    Raises:
        InputError: They may be several things, or nothing that is known; or the training images are needed.
    """
    if not images.numel() or (images.dtype.is_floating_point and not bool(torch.isfinite(images).all())):
        return images.float(), Taken("normalised", math.nan, math.nan, "")  # refused by whoever checks the set
    kind, because = reading.pixels, "as --pixels says"
    x = images.double()
    low, high, mean, std = float(x.min()), float(x.max()), float(x.mean()), float(x.std(correction=0))
    if kind == "auto":
        kind, because = _found(images, spec, reading, authors)
    taken = Taken(kind, mean, std, because)
    if kind == "normalised":
        return images.float(), taken if reading.pixels == "auto" or _by_moments(x) else Taken(kind, mean, std, _THOUGH)
    if kind == "zca":
        real = reading.images()
        if real is None:
            raise InputError("whitened pixels are brought back by the training images: name them (real=, or --data)")
        back, fitted = unwhitened(x, real)
        likely = low < -0.05 and _plausible(back)  # as whitening subtracts the mean image
        undone = f"{because}; undone for a whitening of {fitted}"
        return back, Taken(kind, mean, std, undone if likely else _THOUGH)
    if (kind == "unit" and (high > 4 or low < -3)) or (kind == "bytes" and (high > 1024 or low < -768)):
        raise InputError(f"--pixels {kind}: they go from {low:.4g} to {high:.4g}, which is something else: {_HELP}")
    back = _from(kind, x, spec)
    return back.float(), taken if _plausible(back) else Taken(kind, mean, std, _THOUGH)


def _from(kind: Pixels, x: Tensor, spec: Spec) -> Tensor:
    mean, std = torch.tensor([spec.mean, spec.std], dtype=torch.float64)[:, :, None, None]
    return x if kind == "normalised" else (x / (255 if kind == "bytes" else 1) - mean) / std


def _found(images: Tensor, spec: Spec, reading: Reading, authors: bool | None) -> tuple[Pixels, str]:
    """What images are by their values, and how that is known. Raises InputError where it is not."""
    x = images.double()
    low, high = float(x.min()), float(x.max())
    seen = f"pixels from {low:.3g} to {high:.3g} with mean {float(x.mean()):.3g} and deviation {float(x.std()):.3g}"
    whole = not images.dtype.is_floating_point
    if whole and (low < 0 or high > 255 or (high <= 30 and images.dtype != torch.bool)):
        raise InputError(f"{seen}, whole numbers: {_HELP}")
    scaled: Pixels = "bytes" if high > 30 else "unit"
    unit = x / 255 if scaled == "bytes" else x
    plausible = _plausible(_from(scaled, x, spec))
    if float(unit.min()) >= -0.05 and float(unit.max()) <= 1.05:
        if plausible:
            return scaled, f"from {low:.3g} to {high:.3g}"
        raise InputError(f"{seen} fit nothing that {spec.name} would give: {_HELP}")
    if low >= -1.02 and high <= 1.02 and _plausible(_from("unit", (x + 1) / 2, spec)):
        raise InputError(f"{seen} may be scaled to [-1, 1], which is not read: scale them to [0, 1], or {_HELP}")
    compared = _Compared.of(reading)
    outside = float(((unit < -0.05) | (unit > 1.05)).double().mean())
    if outside < 0.2 and float(unit.min()) > -1.5 and float(unit.max()) < 2.5 and float(unit.std()) < _LEAST_STD:
        if plausible and (compared is None or compared.like_real(_from(scaled, x, spec))):
            return scaled, f"{100 * outside:.2g} % of them beyond black and white"
    elif _by_moments(x):
        because = _normalised(x, compared, authors)
        if because:
            return "normalised", because
    raise InputError(f"{seen} may be normalised or whitened (ZCA), or something else: {_HELP}")


def _plausible(x: Tensor) -> bool:
    """Whether mean and deviation of normalised images could be those of a set."""
    return abs(float(x.mean())) < 1.5 and 0.25 < float(x.std(correction=0)) < 4


def _by_moments(x: Tensor) -> bool:
    std = float(x.std(correction=0))
    return _LEAST_STD <= std <= _MOST_STD and abs(float(x.mean())) <= _MOST_MEAN and float(x.min()) < -0.05


def _normalised(x: Tensor, compared: "_Compared | None", authors: bool | None) -> str:
    """How it is known that images of plausible moments are normalised and not whitened; empty where it is not."""
    coarse, fine = _coarse_and_fine(x)
    if compared is not None:
        if compared.opposed(x):
            return ""
        if compared.like_real(x):
            return "brightness and contrast vary as in the training images"
    elif authors is not False and coarse >= 4 * max(1.0, fine) and min(x.shape[-2:]) >= 16:
        return "neighbouring pixels are alike, as in real images"
    if fine < _FINE or authors is False:
        return ""
    if _OF_NOISE[0] <= float(x.std(correction=0)) <= _OF_NOISE[1]:
        return "noise of deviation 1, in a file named as DC, DSA and DM name theirs" if authors else _UNSURE[0]
    return _UNSURE[1] if authors else ""


def _coarse_and_fine(x: Tensor) -> tuple[float, float]:
    """Mean energy of the coarsest and of the finest components of a cosine transform; both are 1 for noise of 1."""
    height, width = x.shape[-2:]
    energy = (_cosines(height) @ x @ _cosines(width).T).square().mean((0, 1))
    rows, columns = max(2, height // 8), max(2, width // 8)
    return float(energy[:rows, :columns].mean()), float(energy[height // 2 :, width // 2 :].mean())


def _cosines(size: int) -> Tensor:
    """The orthonormal cosine transform (DCT-II), (size, size)."""
    frequency, place = torch.arange(size).double()[:, None], torch.arange(size).double()
    matrix = torch.cos(math.pi * (2 * place + 1) * frequency / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix


@final
@dataclass(frozen=True)
class _Compared:
    """What is needed of the training images, normalised, to compare others with them."""

    top: Tensor
    """Their main directions, (D, k), orthonormal; without subtracting the mean image."""
    energy: float
    """Of them along these, per image."""
    mean: Tensor
    """The mean image, (D)."""

    @staticmethod
    def of(reading: Reading) -> "_Compared | None":
        try:
            real = reading.images()
        except DataNotFound:
            return None
        if real is None:
            return None
        index = torch.linspace(0, len(real) - 1, min(len(real), _SAMPLE)).long()
        sample = real.batch(index.to(real.labels.device))[0].cpu().double().flatten(1)
        energies, combined = torch.linalg.eigh(sample @ sample.T)
        energies, combined = energies[-_TOP:].clamp_min(1e-9), combined[:, -_TOP:]
        top = sample.T @ combined / energies.sqrt()
        return _Compared(top, float(energies.sum()) / len(sample), sample.mean(0))

    def like_real(self, x: Tensor) -> bool:
        """Whether images (N, C, H, W) vary along the main directions of real ones about as much, and mostly there."""
        flat = x.flatten(1)
        energy = float((flat @ self.top).square().sum(1).mean())
        return energy >= _LIKE_REAL * self.energy and energy >= _SHARE * float(flat.square().sum(1).mean())

    def opposed(self, x: Tensor) -> bool:
        """Whether the mean image is against that of real ones, as where it was subtracted from noise."""
        flat = x.flatten(1)
        length = float(self.mean.norm())
        along = flat @ self.mean / max(length, 1e-9)
        error = float(along.std(correction=0)) / math.sqrt(len(flat)) + 1e-9
        return length > 1 and float(along.mean()) < -max(4 * error, 0.03 * length)
