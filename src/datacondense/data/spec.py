"""Spec: all that is known of a data set beside its images."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, final

import torch
from msgspec import Meta
from torch import Tensor

from ..utils.errors import InputError
from ..utils.schema import (
    Fields,
    Name,
    Seed,
    Side,
    Single,
    check,
)


class EncodingFields(Fields, kw_only=True):
    """`Encoding`, in the `Spec` of data whose labels or pixels were made numbers by rule."""

    labels: dict[Name, Seed | None] | None = None
    pixels: tuple[Single, Single] | None = None

    def __post_init__(self) -> None:
        if self.pixels is not None and self.pixels[0] >= self.pixels[1]:
            raise ValueError("pixels has not the lower value first")


class SpecFields(Fields, kw_only=True):
    """`Spec`, in every artefact."""

    name: Name
    class_names: Annotated[list[Name], Meta(min_length=1)]
    shape: tuple[Literal[1, 3], Side, Side]
    mean: list[Single]
    std: list[Annotated[float, Meta(gt=0, lt=1e38)]]
    flip: bool
    encoding: EncodingFields | None = None

    def __post_init__(self) -> None:
        for name in ("mean", "std"):
            if len(getattr(self, name)) != self.shape[0]:
                raise ValueError(f"{name} has {len(getattr(self, name))} numbers for {self.shape[0]} channels")


_NAME_LENGTH = 1000
"""Characters of a class name that are taken from a file: it is drawn beside its images."""


_UNDRAWN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode's categories of control characters, halves of characters, and ends of lines."""


@final
@dataclass(frozen=True)
class Encoding:
    """How the labels and pixels of a source became numbers and bytes, so that more images of it become the same."""

    labels: Mapping[str, int | None] | None = None
    """Every class of the source by name, those that were left out as too small included, with its integer in the
    labels; None where the labels are names. Without it, labels are positions in `Spec.class_names`."""
    pixels: tuple[float, float] | None = None
    """The values of the source that became 0 and 255, where its own range was scaled."""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)


@final
@dataclass(frozen=True)
class Spec:
    """All that a network, an augmentation or a figure may know of a dataset; stored inside every artefact."""

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W) of one image."""
    mean: tuple[float, ...]
    """Per channel, of pixels scaled to [0, 1]."""
    std: tuple[float, ...]
    flip: bool = True
    """Whether an image keeps its class when mirrored left to right: true of clothes, false of digits."""
    encoding: Encoding | None = field(default=None, compare=False, repr=False)
    """What other images of the same source need to become images of this Spec; None where labels are positions in
    `class_names` and pixels are as they come."""

    @property
    def classes(self) -> int:
        return len(self.class_names)

    def normalise(self, images: Tensor) -> Tensor:
        """uint8 (..., C, H, W) -> float32 with mean 0 and standard deviation 1 per channel."""
        mean, std = self._statistics(images.device)
        values = images.to(torch.float32, copy=True)
        return values.div_(255).sub_(mean).div_(std)  # in place: a batch of real images may be large

    def denormalise(self, images: Tensor) -> Tensor:
        """Normalised (..., C, H, W) -> float32 in [0, 1], clipped: what a picture of it shows."""
        mean, std = self._statistics(images.device)
        return (images * std + mean).clamp(0, 1)

    def pixels(self, images: Tensor) -> Tensor:
        """Normalised (..., C, H, W) -> uint8, clipped and rounded: the inverse of `normalise` on real images."""
        return (self.denormalise(images) * 255).round().to(torch.uint8)

    def _statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        mean, std = torch.tensor([self.mean, self.std], device=device)[:, :, None, None]  # each (C, 1, 1)
        return mean, std

    def difference(self, other: "Spec") -> str:
        """What keeps images of `other` from standing for those of this Spec, in words; empty where nothing does.

        The name of the data and mirroring do not count.
        """
        for what in ("shape", "class_names", "mean", "std"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours != theirs:
                return f"{what} is {_short(theirs)}, expected {_short(ours)}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values; without `encoding` where there is none."""
        fields = asdict(self)
        if self.encoding is None:
            del fields["encoding"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Spec":
        """The inverse of `to_json`. Raises DamagedFile for a field that is missing or cannot be."""
        one = check(fields, SpecFields)
        encoding = None if one.encoding is None else Encoding(one.encoding.labels, one.encoding.pixels)
        return cls(one.name, tuple(one.class_names), one.shape, tuple(one.mean), tuple(one.std), one.flip, encoding)


def _is_name(value: object) -> bool:
    """Text that can be drawn in one line."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _NAME_LENGTH
        and all(unicodedata.category(letter) not in _UNDRAWN for letter in value)
    )


def check_names(names: Sequence[str], what: str = "class name") -> None:
    """Raises InputError for a name that no artefact can hold: empty, too long, or not one line; and for one twice."""
    for name in names:
        if not _is_name(name):
            raise InputError(f"{what} {_short(name)} is not one line of 1 to {_NAME_LENGTH} letters: give another name")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError(f"{what} {_short(twice)} is there twice: give another name")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
