"""The finished synthetic set, in memory and as a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..data.spec import Spec, SpecFields
from ..utils.errors import DataNotFound, InputError, naming
from ..utils.files import read_tensors, write_tensors
from ..utils.paths import named
from ..utils.schema import (
    Fields,
    check,
)
from .generated import Generated
from .provenance import Provenance


class Header(Fields, kw_only=True):
    """What every artefact says of its tensors."""

    spec: SpecFields
    provenance: Provenance


FORMAT = 1
FILE_NAME = "synthetic.safetensors"


@final
class LabelledDataset(Dataset[tuple[Tensor, int]]):
    """Images and labels by position, with the attributes of torchvision's data sets."""

    def __init__(self, images: Tensor, targets: list[int], classes: list[str]) -> None:
        self.images = images
        self.targets = targets
        self.classes = classes
        self.class_to_idx = {name: label for label, name in enumerate(classes)}

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.targets[index]


@final
@dataclass(frozen=True)
class SyntheticSet:
    """A condensed dataset: what `condense` returns, a run directory holds and `evaluate` trains on.

    images: normalised float32 (N, C, H, W), class by class; labels: int64 (N,). Classes may have different numbers of
    images, or none. `provenance` says how the set was made: method, settings, seed, ipc, data, versions, wall time in
    seconds, machine.
    """

    images: Tensor
    labels: Tensor
    spec: Spec
    provenance: Mapping[str, Any]
    generated: Generated | None = None
    """What the images are made of, and stored as, if not as pixels."""

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (n, C, H, W) and labels (n,) at `index` (n,)."""
        index = index.to(self.labels.device)
        return self.images[index], self.labels[index]

    @property
    def counts(self) -> Tensor:
        """Images of each class, (K,), on the CPU."""
        return torch.bincount(self.labels.cpu(), minlength=self.spec.classes)

    @property
    def per_class(self) -> str:
        """Images of each class in words: 10, or 3 to 10."""
        low, high = self.counts.aminmax()
        return f"{low}" if low == high else f"{low} to {high}"

    @property
    def seconds(self) -> float | None:
        """Wall time of condensing, with that of the set it started from; None where it is not known."""
        own, start = self.provenance.get("wall_seconds"), self.provenance.get("start") or {}
        return None if own is None else own + (start.get("wall_seconds") or 0.0)

    def as_dataset(self, *, normalised: bool = True) -> LabelledDataset:
        """The set as a map-style dataset of (image, label), for any DataLoader.

        An image is float32 (C, H, W) as networks train on it; not `normalised`, it is uint8 (C, H, W), what a picture
        of it shows: [0, 1] scaled to 0..255, clipped and rounded. As torchvision's data sets, it has `targets` (the
        labels), `classes` (the names) and `class_to_idx`.
        """
        images = self.images if normalised else self.spec.pixels(self.images)
        return LabelledDataset(images.cpu(), self.labels.tolist(), list(self.spec.class_names))

    def header(self) -> dict[str, Any]:
        """All but the tensors as JSON values: format, spec, provenance."""
        made = {"generator": self.generated.header()} if self.generated else {}
        return {"format": FORMAT, "spec": self.spec.to_json(), "provenance": dict(self.provenance), **made}

    def tensors(self) -> dict[str, Tensor]:
        """What is stored: labels, and images or what they are made of."""
        made = self.generated.tensors() if self.generated else {"images": self.images}
        return {"labels": self.labels, **made}

    def fingerprint(self) -> str:
        """sha256 over all pixels and labels: what says that two sets are the same, bit for bit."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256()
        for tensor in (self.images, self.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "SyntheticSet":
        return SyntheticSet(self.images.to(device), self.labels.to(device), self.spec, self.provenance, self.generated)


def save(synthetic: SyntheticSet, path: Path) -> None:
    """Write a set as safetensors (`labels`, and `images` or a generator and `latents`), in one step.

    With a checksummed JSON header.
    """
    write_tensors(path, synthetic.tensors(), synthetic.header())


def load_set(path: str | Path) -> SyntheticSet:
    """Read a set from its file, or from the run directory that holds it.

    Raises InputError when there is none, when it is damaged, and when its images do not fit its header.
    """
    path = named(path)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise DataNotFound(f"no synthetic set at {path}: give a run directory that `datacondense condense` has written")
    tensors, header = read_tensors(path)
    with naming(path):
        spec, provenance = read_header(header)
        for name in ("latents" if "generator" in header else "images", "labels"):
            if name not in tensors:
                raise InputError(f"there is no tensor {name!r}: it holds no synthetic set")
        labels = tensors["labels"]
        if "generator" not in header:
            return checked(tensors["images"], labels, spec, provenance)
        if not isinstance(header["generator"], dict):
            raise InputError("an incomplete header, whose generator is not a JSON object")
        generated = Generated.from_tensors(tensors, header["generator"], spec)
        _check_labels(len(generated.z), labels, spec)
        return replace(checked(generated.images(labels), labels, spec, provenance), generated=generated)


def read_header(header: Any) -> tuple[Spec, dict[str, Any]]:
    """Spec and provenance of the JSON that `SyntheticSet.header` gives, after every check.

    Raises InputError for another format and DamagedFile for fields that are missing or cannot be.
    """
    if not isinstance(header, dict):
        raise InputError("the header is not a JSON object")
    if header.get("format") != FORMAT:
        raise InputError(f"format {header.get('format')!r} where this version reads {FORMAT}: update datacondense")
    check(header, Header)
    return Spec.from_json(header["spec"]), header["provenance"]


def checked(images: Tensor, labels: Tensor, spec: Spec, provenance: Mapping[str, Any]) -> SyntheticSet:
    """A set whose tensors fit `spec`: finite float32 images (N, C, H, W), int64 labels (N,) in [0, K), N at least 1.

    Raises InputError for all else.
    """
    if images.dtype != torch.float32:
        raise InputError(f"images have dtype {_plain(images.dtype)}, expected normalised float32")
    if images.shape[1:] != spec.shape:
        raise InputError(
            f"images have shape {tuple(images.shape)} (N, C, H, W), which does not fit {spec.name}: expected "
            f"{spec.shape} for each"
        )
    _check_labels(len(images), labels, spec)
    if not bool(torch.isfinite(images).all()):
        raise InputError(f"images hold {int((~torch.isfinite(images)).sum())} pixels that are NaN or infinite")
    return SyntheticSet(images, labels, spec, provenance)


def _check_labels(count: int, labels: Tensor, spec: Spec) -> None:
    """Raises InputError for labels that are not those of `count` images, at least 1."""
    if labels.dtype != torch.int64:
        raise InputError(f"labels have dtype {_plain(labels.dtype)}, expected int64")
    if labels.shape != (count,):
        raise InputError(f"{count} images do not fit labels of shape {tuple(labels.shape)}: one for each image")
    if not count:
        raise InputError("there is no image in it")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= spec.classes:
        raise InputError(
            f"labels go from {low} to {high}, but the {spec.classes} classes are numbered 0 to {spec.classes - 1}"
        )


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
