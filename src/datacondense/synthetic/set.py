"""The finished synthetic set, in memory and as a file."""

import hashlib
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
from .provenance import Provenance, ProvenanceFields


class Header(Fields, kw_only=True):
    """Header of every artefact."""

    spec: SpecFields
    provenance: ProvenanceFields


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
    """A condensed dataset, as `condense` returns it and `evaluate` trains on it.

    Classes may have different numbers of images, or none.
    """

    images: Tensor
    """Normalised images, float32 (N, C, H, W), class by class."""
    labels: Tensor
    """Classes, int64 (N,)."""
    spec: Spec
    """Name, classes, shape and normalisation of the data."""
    provenance: Provenance
    """Method, settings, seed, data, versions, wall time and machine."""
    generated: Generated | None = None
    """Generator and latents that are stored in place of pixels, if any."""

    def __post_init__(self) -> None:
        if not isinstance(self.provenance, Provenance):
            raise InputError("provenance must be a Provenance: convert a dict with Provenance.from_json")

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised images (n, C, H, W) and labels (n,) at `index` (n,)."""
        index = index.to(self.labels.device)
        return self.images[index], self.labels[index]

    @property
    def counts(self) -> Tensor:
        """Return the number of images of each class, (K,), on the CPU."""
        return torch.bincount(self.labels.cpu(), minlength=self.spec.classes)

    @property
    def per_class(self) -> str:
        """Return the number of images of each class in words: 10, or 3 to 10."""
        low, high = self.counts.aminmax()
        return f"{low}" if low == high else f"{low} to {high}"

    @property
    def seconds(self) -> float | None:
        """Return the wall time of condensing, including that of the set it started from; None if it is unknown."""
        own, start = self.provenance.wall_seconds, self.provenance.start
        return None if own is None else own + (start.get("wall_seconds") or 0.0)

    def as_dataset(self, *, normalised: bool = True) -> LabelledDataset:
        """Return the set as a map-style dataset of (image, label), for any DataLoader.

        As torchvision's datasets, it has `targets` (the labels), `classes` (the names) and `class_to_idx`.

        Args:
            normalised: True gives float32 (C, H, W) as networks train on it; False gives uint8 (C, H, W) as a picture
                shows it: [0, 1] scaled to 0..255, clipped and rounded.
        """
        images = self.images if normalised else self.spec.pixels(self.images)
        return LabelledDataset(images.cpu(), self.labels.tolist(), list(self.spec.class_names))

    def header(self) -> dict[str, Any]:
        """Return everything except the tensors as JSON values: format, spec, provenance."""
        made = {"generator": self.generated.header()} if self.generated else {}
        return {"format": FORMAT, "spec": self.spec.to_json(), "provenance": self.provenance.to_json(), **made}

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are stored: labels, and images or a generator and latents."""
        made = self.generated.tensors() if self.generated else {"images": self.images}
        return {"labels": self.labels, **made}

    def fingerprint(self) -> str:
        """Return the sha256 over all pixels and labels: equal for sets that are equal bit for bit."""
        return self._sha256

    @cached_property
    def _sha256(self) -> str:
        digest = hashlib.sha256()
        for tensor in (self.images, self.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "SyntheticSet":
        """Return the set with images and labels on `device`."""
        return SyntheticSet(self.images.to(device), self.labels.to(device), self.spec, self.provenance, self.generated)


def save(synthetic: SyntheticSet, path: Path) -> None:
    """Write a set as safetensors (`labels`, and `images` or a generator and `latents`), in one step.

    With a checksummed JSON header.
    """
    write_tensors(path, synthetic.tensors(), synthetic.header())


def load_set(path: str | Path) -> SyntheticSet:
    """Read a set from its file, or from the run directory that holds it.

    Args:
        path: a run directory, or a .safetensors file.

    Returns:
        The set, on the CPU.

    Raises:
        DataNotFound: there is no set.
        InputError: the file is damaged, or its images do not fit its header.
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


def read_header(header: Any) -> tuple[Spec, Provenance]:
    """Return spec and provenance of the JSON that `SyntheticSet.header` gives, after every check.

    Raises InputError for another format and DamagedFile for missing or invalid fields.
    """
    if not isinstance(header, dict):
        raise InputError("the header is not a JSON object")
    if header.get("format") != FORMAT:
        raise InputError(f"format {header.get('format')!r}, but this version reads {FORMAT}: update datacondense")
    check(header, Header)
    return Spec.from_json(header["spec"]), Provenance.from_json(header["provenance"])


def checked(images: Tensor, labels: Tensor, spec: Spec, provenance: Provenance) -> SyntheticSet:
    """Return a set whose tensors fit `spec`: finite float32 images (N, C, H, W), int64 labels (N,) in [0, K), N >= 1.

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
    """Raise InputError for labels that are not those of `count` images, at least 1."""
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
