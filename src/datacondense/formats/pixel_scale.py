"""Scales in which other programs store pixels, and the scale that was recognised in a file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, final, get_args

import torch
from torch import Tensor

from ..data.image_set import ImageSet
from ..data.spec import Spec
from ..utils.errors import InputError, unknown

PixelScale = Literal["auto", "normalised", "unit", "bytes", "zca"]
"""normalised: (x - mean) / std of x in [0, 1], as the authors of DC, DSA and DM store them. unit: x itself, as IDC
does. bytes: 255 x. zca: whitened, as MTT does by default."""
PIXEL_SCALES: tuple[PixelScale, ...] = get_args(PixelScale)
TrainingImages: TypeAlias = ImageSet | Callable[[], ImageSet] | None
"""The training images, or a function that reads them."""

UNCERTAIN = (
    "like the noise of deviation 1 from which an optimisation begins",
    "its name is that of a file of DC, DSA or DM",
)
"""Reasons that leave a doubt: whitened images can look the same."""
DOUBTFUL = "as --pixels says, though mean and deviation are not those of such images"
"""The reason where the values contradict the scale that the user named."""


@final
@dataclass(frozen=True)
class DetectedScale:
    """Scale in which pixels were read, and the reason for it."""

    scale: PixelScale
    mean: float
    std: float
    because: str

    @property
    def uncertain(self) -> bool:
        """Return whether the pixels might have another scale."""
        return self.because in UNCERTAIN

    def deserves_warning(self, requested: PixelScale) -> bool:
        """Return whether the user may have requested a wrong scale, or does not expect this one."""
        return self.because == DOUBTFUL or (requested == "auto" and (self.uncertain or self.scale != "normalised"))

    def __str__(self) -> str:
        numbers = f"mean {self.mean:.3g}, standard deviation {self.std:.3g}"
        return f"pixels are read as {self.scale}: {numbers} ({self.because})"

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> "DetectedScale":
        """Return the inverse of `to_json`."""
        return DetectedScale(fields["taken_for"], fields["mean"], fields["std"], fields["because"])

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return {"taken_for": self.scale, "mean": self.mean, "std": self.std, "because": self.because}


@final
@dataclass(frozen=True)
class PixelOptions:
    """Options for the pixels of a file that does not describe them."""

    scale: PixelScale = "auto"
    real: TrainingImages = None

    def __post_init__(self) -> None:
        if self.scale not in PIXEL_SCALES:
            raise unknown("pixels", self.scale, PIXEL_SCALES)

    def reject_scale(self, described: object) -> None:
        """Raise InputError if --pixels was set for a file, `described`, that records the scale of its pixels."""
        if self.scale != "auto":
            raise InputError(f"--pixels {self.scale}: {described} records the scale of its pixels: leave it out")

    def training_images(self) -> ImageSet | None:
        """Return the training images; None if there are none."""
        return self.real() if callable(self.real) else self.real


def to_normalised(x: Tensor, scale: PixelScale, spec: Spec) -> Tensor:
    """Return pixels (N, C, H, W), float64, of any scale but zca as normalised ones."""
    mean, std = torch.tensor([spec.mean, spec.std], dtype=torch.float64)[:, :, None, None]
    return x if scale == "normalised" else (x / (255 if scale == "bytes" else 1) - mean) / std
