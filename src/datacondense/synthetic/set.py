"""The finished synthetic set, in memory and as a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from ..data.spec import Spec, SpecFields
from ..training.recipe import Recipe
from ..utils.errors import DamagedFile, InputError, naming
from ..utils.files import read_tensors, write_tensors
from ..utils.paths import named
from ..utils.schema import Fields, check
from .generated import LATENTS, Generated
from .labelled_dataset import LabelledDataset
from .provenance import CLASSES, Provenance, ProvenanceFields
from .set_path import FILE_NAME, find_set
from .shown_set import ShownSyntheticSet
from .stored import Encoded, Stored
from .targets import class_numbers, stored_classes
from .top_labels import label_tensors, required, taken_labels
from .views import VIEWS, Viewed


class Header(Fields, kw_only=True):
    """Header of every artefact."""

    spec: SpecFields
    provenance: ProvenanceFields
    decoder: dict[str, Any] | None = None
    recipe: dict[str, Any] | None = None


FORMAT = 2
"""Version that is written; versions 1 and 2 are read."""


@final
@dataclass(frozen=True, repr=False)
class SyntheticSet(ShownSyntheticSet):
    """A condensed dataset, as `condense` returns it and `evaluate` trains on it.

    Classes may have different numbers of images, or none.
    """

    images: Tensor
    """Normalised training images, float32 (N, C, H, W), class by class."""
    labels: Tensor
    """Classes, int64 (N,), or soft labels, float32 (N, K), a number for each class."""
    spec: Spec
    """Name, classes, shape and normalisation of the data."""
    provenance: Provenance
    """Method, settings, seed, data, versions, wall time and machine."""
    stored: Stored | None = None
    """Tensors that the file holds in place of float32 pixels, if any; `images` are those that they decode to."""
    recipe: Recipe | None = None
    """Recipe by which networks are to be trained on the set; None for the published one."""

    def __post_init__(self) -> None:
        if not isinstance(self.provenance, Provenance):
            raise InputError("provenance must be a Provenance: convert a dict with Provenance.from_json")

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised images (n, C, H, W) and labels (n,) or (n, K) at `index` (n,)."""
        index = index.to(self.labels.device)
        return self.images[index], self.labels[index]

    @property
    def soft(self) -> bool:
        """Return whether labels have a number for each class."""
        return self.labels.dim() == 2

    @property
    def classes(self) -> Tensor:
        """Return the class of each image, int64 (N,): of soft labels the one with the largest number."""
        return class_numbers(self.labels)

    @property
    def views(self) -> int:
        """Return the number of training images that are decoded from a stored image."""
        return self.stored.views if self.stored else 1

    @property
    def stored_classes(self) -> Tensor:
        """Return the class of each stored image, int64 (N / views,): as recorded with the labels, or by their mean."""
        labels = self.labels.unflatten(0, (-1, self.views))
        return stored_classes(labels, self.provenance.labels.get(CLASSES, ()), self.spec.classes)

    @property
    def stored_counts(self) -> Tensor:
        """Return the number of stored images of each class, (K,), on the CPU; rounded up if views are missing."""
        if len(self) % self.views:
            return -(-self.counts // self.views)
        return torch.bincount(self.stored_classes.cpu(), minlength=self.spec.classes)

    @property
    def counts(self) -> Tensor:
        """Return the number of training images of each class, (K,), on the CPU."""
        return torch.bincount(self.classes.cpu(), minlength=self.spec.classes)

    @property
    def per_class(self) -> str:
        """Return the number of images of each class in words: 10, or 3 to 10."""
        low, high = self.counts.aminmax()
        return f"{low}" if low == high else f"{low} to {high}"

    @property
    def seconds(self) -> float | None:
        """Return the wall time of condensing, with `auto`, the set it started from and labelling; None if unknown."""
        made = self.provenance
        before = (made.start.get("wall_seconds") or 0.0) + (made.auto.get("seconds") or 0.0)
        before += made.labels.get("seconds") or 0.0
        return None if made.wall_seconds is None else made.wall_seconds + before

    def as_dataset(self, *, normalised: bool = True) -> LabelledDataset:
        """Return the set as a map-style dataset of (image, label), for any DataLoader.

        A label is an int, or a tensor (K,) if labels are soft. As torchvision's datasets, it has `targets` (the
        classes), `classes` (their names) and `class_to_idx`.

        Args:
            normalised: True gives float32 (C, H, W) as networks train on it; False gives uint8 (C, H, W) as a picture
                shows it: [0, 1] scaled to 0..255, clipped and rounded.
        """
        images = self.images if normalised else self.spec.pixels(self.images)
        return LabelledDataset(images.cpu(), self.labels.cpu(), list(self.spec.class_names))

    def header(self) -> dict[str, Any]:
        """Return everything except the tensors as JSON values: format, spec, provenance, decoder, recipe."""
        made: dict[str, Any] = {"decoder": self.stored.header()} if self.stored else {}
        made |= {"recipe": self.recipe.to_json()} if self.recipe else {}
        return {"format": FORMAT, "spec": self.spec.to_json(), "provenance": self.provenance.to_json(), **made}

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that are stored: labels, and images or what the decoder takes."""
        made = self.stored.tensors() if self.stored else {"images": self.images}
        return {**label_tensors(self.labels.cpu(), self.provenance.labels), **made}

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
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def save(self, path: str | Path) -> None:
        """Write the set to a .safetensors file, which `load_set` reads; `export` writes other formats.

        Raises:
            InputError: the name of the file ends otherwise.
        """
        file = named(path)
        if file.suffix != Path(FILE_NAME).suffix:
            raise InputError(f"{path}: a set is saved as NAME.safetensors; dc.export(set, 'npz', PATH) writes others")
        file.parent.mkdir(parents=True, exist_ok=True)
        save(self, file)


def save(synthetic: SyntheticSet, path: Path) -> None:
    """Write a set as safetensors (`labels`, and `images` or what its decoder takes), in one step.

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
        InputError: the file is damaged, its images do not fit its header, or it is an export.
    """
    path = find_set(path)
    tensors, header = read_tensors(path)
    with naming(path):
        spec, provenance, recipe = read_header(header)
        decoder = _decoder_of(header)
        labels = taken_labels(tensors, spec.classes)
        if decoder is None:
            return checked(required(tensors, "images"), labels, spec, provenance, recipe=recipe)
        kind = {LATENTS: Generated, VIEWS: Viewed}.get(decoder["name"], Encoded)
        stored = kind.from_tensors(tensors, decoder, spec)
        if isinstance(stored, Generated):
            check_labels(len(stored.z), labels, spec)
        elif labels.dim() == 2 and labels.shape[1] != spec.classes:
            raise InputError(f"labels of shape {tuple(labels.shape)} do not have {spec.classes} numbers for each image")
        made = checked(stored.images(class_numbers(labels)), labels, spec, provenance, recipe=recipe)
        return replace(made, stored=stored)


def holds_set(path: str | Path) -> bool:
    """Return whether a path is that of a set, or of a run directory that holds one."""
    return (named(path) / FILE_NAME).is_file() or named(path).suffix == Path(FILE_NAME).suffix


def read_header(header: Any) -> tuple[Spec, Provenance, Recipe | None]:
    """Return spec, provenance and recipe of the JSON that `SyntheticSet.header` gives, after every check.

    Raises InputError for another format and DamagedFile for missing or invalid fields.
    """
    if not isinstance(header, dict):
        raise InputError("the header is not a JSON object")
    if header.get("format") not in (1, FORMAT):
        raise InputError(f"format {header.get('format')!r}, but this version reads 1 and {FORMAT}: update datacondense")
    check(header, Header)
    recipe = None if header.get("recipe") is None else Recipe.from_json(header["recipe"])
    return Spec.from_json(header["spec"]), Provenance.from_json(header["provenance"]), recipe


def _decoder_of(header: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the decoder's part of a header; None for float32 pixels. Format 1 had a field `generator` instead."""
    if header["format"] == 1 and "generator" in header:
        generator = header["generator"]
        if not isinstance(generator, dict):
            raise InputError("an incomplete header, whose generator is not a JSON object")
        config = {"generator": generator.get("name"), "arguments": generator.get("config")}
        return {"name": LATENTS, "config": config, "store": generator.get("latents")}
    decoder = header.get("decoder")
    if decoder is not None and not isinstance(decoder.get("name"), str):
        raise DamagedFile("its decoder is damaged (it has no name)")
    return decoder


def checked(
    images: Tensor, labels: Tensor, spec: Spec, provenance: Provenance, *, recipe: Recipe | None = None
) -> SyntheticSet:
    """Return a set whose tensors fit `spec`.

    They are finite float32 images (N, C, H, W), N >= 1, and labels, int64 (N,) in [0, K) or finite float32 (N, K).
    Raises InputError for all else.
    """
    if images.dtype != torch.float32:
        raise InputError(f"images have dtype {str(images.dtype)[6:]}, expected normalised float32")
    if images.shape[1:] != spec.shape:
        raise InputError(
            f"images have shape {tuple(images.shape)} (N, C, H, W), which does not fit {spec.name}: expected "
            f"{spec.shape} for each"
        )
    check_labels(len(images), labels, spec)
    if not bool(torch.isfinite(images).all()):
        raise InputError(f"images hold {int((~torch.isfinite(images)).sum())} pixels that are NaN or infinite")
    return SyntheticSet(images, labels, spec, provenance, recipe=recipe)


def check_labels(count: int, labels: Tensor, spec: Spec) -> None:
    """Raise InputError for labels that are not those of `count` images, at least 1.

    Args:
        count: Number of images, N.
        labels: Classes, int64 (N,) in [0, K), or finite numbers, float32 (N, K).
        spec: Names the K classes.

    Raises:
        InputError: The labels have another type or shape, or values out of range.
    """
    soft = labels.dim() == 2 and labels.dtype == torch.float32
    if not soft and labels.dtype != torch.int64:
        raise InputError(f"labels have dtype {str(labels.dtype)[6:]}, expected int64, or float32 (N, K)")
    if labels.shape != ((count, spec.classes) if soft else (count,)):
        each = f"{spec.classes} numbers" if soft else "one"
        raise InputError(f"{count} images do not fit labels of shape {tuple(labels.shape)}: {each} for each image")
    if not count:
        raise InputError("there is no image in it")
    if soft:
        if not bool(torch.isfinite(labels).all()):
            raise InputError("labels hold numbers that are NaN or infinite")
        return
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= spec.classes:
        raise InputError(
            f"labels go from {low} to {high}, but the {spec.classes} classes are numbered 0 to {spec.classes - 1}"
        )
