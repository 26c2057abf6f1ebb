"""The types every other module speaks: Spec, ImageSet, Examples, Scores.

Shape legend, used in trailing comments everywhere:
K classes, M synthetic images per class, B real images per class, N images, C H W channels and pixels, D embedding
width, S networks trained side by side, G groups that share one augmentation draw.
"""

import hashlib
import json
import statistics
import unicodedata
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, final

import torch
from torch import Tensor

from .errors import InputError
from .records import SpecFields
from .schema import check

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


class Examples(Protocol):
    """Labelled images that are read by index: what a network trains on and is tested on."""

    @property
    def spec(self) -> Spec: ...

    def __len__(self) -> int: ...

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (n, C, H, W) and labels (n,) at `index` (n,)."""
        ...


@final
@dataclass(frozen=True)
class LabelledImages:
    """Normalised images (N, C, H, W) and labels (N,), in memory."""

    images: Tensor
    labels: Tensor
    spec: Spec

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (n, C, H, W) and labels (n,) at `index` (n,)."""
        index = index.to(self.labels.device)
        return self.images[index], self.labels[index]


@final
class ImageSet:
    """Real labelled images, kept as uint8 and normalised when read.

    images: uint8 (N, C, H, W), in memory or mapped from a file; labels: int64 (N,) in [0, K). sha256: the fingerprint,
    where it is known. prefetch: told the positions (n,) of images that are about to be read, for those mapped.
    `data.image_set` builds one from arrays with every check; this constructor only stores.
    """

    def __init__(
        self,
        images: Tensor,
        labels: Tensor,
        spec: Spec,
        *,
        sha256: str | None = None,
        prefetch: Callable[[Tensor], None] | None = None,
    ) -> None:
        self.images = images
        self.labels = labels
        self.spec = spec
        self._sha256 = sha256
        self._prefetch = prefetch

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def targets(self) -> list[int]:
        """The label of each image, as torchvision's data sets have them."""
        return self.labels.tolist()

    @property
    def classes(self) -> list[str]:
        """The name of each class, as torchvision's data sets have them."""
        return list(self.spec.class_names)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The label of each class by its name, as torchvision's data sets have it."""
        return {name: label for label, name in enumerate(self.spec.class_names)}

    @property
    def resident(self) -> bool:
        """Whether the images are in memory, and not mapped from a file."""
        return self._prefetch is None

    def to(self, device: torch.device | str) -> "ImageSet":
        """The same set with its labels on `device`, where its batches are then.

        Its images go there too, unless they take more than half of what is free on a GPU.
        """
        images = self.images.to(device) if _fits(self.images, torch.device(device)) else self.images
        prefetch = self._prefetch if images is self.images else None
        return ImageSet(images, self.labels.to(device), self.spec, sha256=self._sha256, prefetch=prefetch)

    def renamed(self, name: str) -> "ImageSet":
        """The same images, under another name of the data."""
        spec = replace(self.spec, name=name)
        return ImageSet(self.images, self.labels, spec, sha256=self._sha256, prefetch=self._prefetch)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (n, C, H, W) and labels (n,) at `index` (n,)."""
        if self._prefetch:
            self._prefetch(index)
        images = self.images.index_select(0, index.to(self.images.device)).to(self.labels.device)
        return self.spec.normalise(images), self.labels[index.to(self.labels.device)]

    @cached_property
    def counts(self) -> Tensor:
        """Images of each class, (K,), on the CPU."""
        return torch.bincount(self.labels.cpu(), minlength=self.spec.classes)

    @cached_property
    def members(self) -> Tensor:
        """Row k lists the positions of class k's images; padded with 0 past `counts[k]`. (K, max count), CPU."""
        order = self.labels.cpu().argsort(stable=True)
        rows = order.split(self.counts.tolist())
        return torch.nn.utils.rnn.pad_sequence(list(rows), batch_first=True)

    def fingerprint(self) -> str:
        """sha256 over the Spec but its name and encoding, all pixels, all labels: equal where data are the same."""
        if self._sha256 is None:
            fields = {key: value for key, value in self.spec.to_json().items() if key not in ("name", "encoding")}
            digest = hashlib.sha256(json.dumps(fields).encode())
            for tensor in (self.images, self.labels):
                digest.update(tensor.cpu().contiguous().numpy().data)
            self._sha256 = digest.hexdigest()
        return self._sha256

    def draw(self, batch: int, generator: torch.Generator, *, note: bool = True) -> Tensor:
        """Positions of `batch` images of every class, (K, batch), on the CPU.

        Without replacement within a class. A class with fewer than `batch` images is taken whole, which comes first,
        and filled up by drawing from it again; with `note` a warning says so.
        """
        counts, members = self.counts[:, None], self.members
        keys = torch.rand(members.shape, generator=generator)
        keys = keys.masked_fill(torch.arange(members.shape[1]) >= counts, -1)  # padding is never among the largest
        picks = keys.topk(min(batch, members.shape[1]), dim=1).indices
        if int(counts.min()) < batch:
            if note:
                _tell_resampling(self, batch)
            again = torch.rand(len(counts), batch, generator=generator, dtype=torch.float64).mul(counts).long()
            picks = torch.nn.functional.pad(picks, (0, batch - picks.shape[1]))
            picks = torch.where(torch.arange(batch) < counts, picks, again)
        return members.gather(1, picks)

    def sample(self, batch: int, generator: torch.Generator) -> Tensor:
        """Normalised images of every class, (K, batch, C, H, W), drawn as `draw` says."""
        return self.at(self.draw(batch, generator))

    def at(self, index: Tensor) -> Tensor:
        """Normalised images at positions `index` (K, B) -> (K, B, C, H, W)."""
        images, _ = self.batch(index.flatten())
        return images.unflatten(0, index.shape)


def _fits(images: Tensor, device: torch.device) -> bool:
    """Whether a copy of images on a GPU leaves half of its free memory to the work."""
    return device.type != "cuda" or images.nbytes <= torch.cuda.mem_get_info(device)[0] / 2


def _tell_resampling(real: ImageSet, batch: int) -> None:
    smallest = int(real.counts.argmin())
    warnings.warn(
        f"a batch of {batch} images per class is larger than class {real.spec.class_names[smallest]!r} "
        f"({int(real.counts[smallest])} images): small classes are taken whole and filled up by drawing again",
        stacklevel=3,
    )


@final
@dataclass(frozen=True)
class Scores:
    """Test accuracies of networks trained on one set. Accuracies are fractions in [0, 1]."""

    accuracy: dict[str, list[float]]
    """Architecture -> accuracy of each network."""
    per_class: dict[str, list[list[float | None]]]
    """Architecture -> network -> accuracy on each class; None for a class without test images."""
    seconds: float
    protocol: dict[str, Any]
    """How the networks were trained: everything needed to repeat it."""
    trained_on: dict[str, Any]
    """What they were trained on: name, number of images, and the provenance of a synthetic set."""
    confusion: dict[str, list[list[int]]] = field(default_factory=dict)
    """Architecture -> class -> how many of its test images were taken for each class, over all networks. Empty in
    scores of before there was this field."""

    @property
    def tested_on(self) -> str:
        """test, or validation where networks were tested on training images that were held out."""
        return self.protocol.get("tested_on", "test")

    def mean(self, arch: str) -> float:
        return statistics.fmean(self.accuracy[arch])

    def std(self, arch: str) -> float:
        """Sample standard deviation over networks (n - 1); nan for a single network."""
        values = self.accuracy[arch]
        return statistics.stdev(values) if len(values) > 1 else float("nan")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
