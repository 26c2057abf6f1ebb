"""Spec: the properties of a dataset, without its images."""

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
from ..utils.transfer import sent


class EncodingFields(Fields, kw_only=True):
    """`Encoding`, as files hold it."""

    labels: dict[Name, Seed | None] | None = None
    pixels: tuple[Single, Single] | None = None

    def __post_init__(self) -> None:
        if self.pixels is not None and self.pixels[0] >= self.pixels[1]:
            raise ValueError("pixels must start with the lower value")


class SpecFields(Fields, kw_only=True):
    """`Spec`, as files hold it."""

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
"""Longest name, in characters."""

_UNDRAWN = ("Cc", "Cs", "Zl", "Zp")
"""Unicode categories of control characters, surrogates and line breaks."""


@final
@dataclass(frozen=True)
class Encoding:
    """The mapping from labels and pixels of a source to class numbers and bytes, for further images of that source."""

    labels: Mapping[str, int | None] | None = None
    """Class name -> integer label in the source, including classes left out as too small; None if labels are names.
    Without it, labels are positions in `Spec.class_names`."""
    pixels: tuple[float, float] | None = None
    """Source values that became 0 and 255; None unless the range was scaled."""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values."""
        return asdict(self)


@final
@dataclass(frozen=True)
class Spec:
    """Properties of a dataset that networks, augmentations and figures need; stored with every result."""

    name: str
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    """(C, H, W) of one image."""
    mean: tuple[float, ...]
    """Per channel, of pixels scaled to [0, 1]."""
    std: tuple[float, ...]
    flip: bool = True
    """True when an image keeps its class if mirrored left to right: clothes do, digits do not."""
    encoding: Encoding | None = field(default=None, compare=False, repr=False)
    """Mapping that converts further images of the source; None if labels are positions in `class_names` and pixels
    are unchanged."""

    @property
    def classes(self) -> int:
        """The number of classes, K."""
        return len(self.class_names)

    def normalise(self, images: Tensor) -> Tensor:
        """Return images with mean 0 and standard deviation 1 per channel.

        Args:
            images: uint8 (..., C, H, W).

        Returns:
            float32 (..., C, H, W): (images / 255 - mean) / std.
        """
        mean, std = self._statistics(images.device)
        values = images.to(torch.float32, copy=True)
        return values.div_(255).sub_(mean).div_(std)  # in place: a batch of real images may be large

    def denormalise(self, images: Tensor) -> Tensor:
        """Return normalised images as values in [0, 1] for display.

        Args:
            images: Normalised float32 (..., C, H, W).

        Returns:
            float32 (..., C, H, W): images * std + mean, clipped to [0, 1].
        """
        mean, std = self._statistics(images.device)
        return (images * std + mean).clamp(0, 1)

    def pixels(self, images: Tensor) -> Tensor:
        """Return normalised images as bytes: the inverse of `normalise` on real images.

        Args:
            images: Normalised float32 (..., C, H, W).

        Returns:
            uint8 (..., C, H, W), clipped and rounded.
        """
        return (self.denormalise(images) * 255).round().to(torch.uint8)

    def _statistics(self, device: torch.device) -> tuple[Tensor, Tensor]:
        statistics = sent(torch.tensor([self.mean, self.std]), device)[:, :, None, None]
        mean, std = statistics  # each (C, 1, 1)
        return mean, std

    def difference(self, other: "Spec") -> str:
        """Return the first property in which `other` differs, as a message; empty when images are interchangeable.

        The names of the datasets and `flip` are ignored.
        """
        for what in ("shape", "class_names", "mean", "std"):
            ours, theirs = getattr(self, what), getattr(other, what)
            if ours != theirs:
                return f"{what} is {_short(theirs)}, expected {_short(ours)}"
        return ""

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON values; without `encoding` when it is None."""
        fields = asdict(self)
        if self.encoding is None:
            del fields["encoding"]
        return fields

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> "Spec":
        """Return the Spec of fields that `to_json` made. Raise DamagedFile for a missing or invalid field."""
        one = check(fields, SpecFields)
        encoding = None if one.encoding is None else Encoding(one.encoding.labels, one.encoding.pixels)
        return cls(one.name, tuple(one.class_names), one.shape, tuple(one.mean), tuple(one.std), one.flip, encoding)


def check_fit_of(spec: Spec, other: Spec, part: str) -> None:
    """Raise InputError unless the images of `other`, those of a `part` such as test, are as those of `spec`."""
    if difference := spec.difference(other):
        raise InputError(
            f"the {part} images of {other.name!r} do not fit the set made from {spec.name!r}: {difference}"
        )


def _is_name(value: object) -> bool:
    """Return True for text that fits one printed line."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= _NAME_LENGTH
        and all(unicodedata.category(letter) not in _UNDRAWN for letter in value)
    )


def check_names(names: Sequence[str], what: str = "class name") -> None:
    """Raise InputError for a name that is empty, too long, or not one line, and for duplicates."""
    for name in names:
        if not _is_name(name):
            raise InputError(f"{what} {_short(name)} is not one line of 1 to {_NAME_LENGTH} letters: give another name")
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise InputError(f"{what} {_short(twice)} occurs twice: give another name")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
