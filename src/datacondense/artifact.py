"""The finished synthetic set, in memory and as a file."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from .errors import InputError
from .files import read_tensors, write_tensors
from .types import Spec

FORMAT = 1
FILE_NAME = "synthetic.safetensors"


@final
@dataclass(frozen=True)
class SyntheticSet:
    """A condensed dataset: what `condense` returns, a run directory holds and `evaluate` trains on.

    images: normalised float32 (N, C, H, W), class by class; labels: int64 (N,). `provenance` says how the set was
    made: method, settings, seed, ipc, data, versions, wall time in seconds, machine.
    """

    images: Tensor
    labels: Tensor
    spec: Spec
    provenance: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised images (n, C, H, W) and labels (n,) at `index` (n,)."""
        index = index.to(self.labels.device)
        return self.images[index], self.labels[index]

    def fingerprint(self) -> str:
        """sha256 over all pixels and labels: what says that two sets are the same, bit for bit."""
        digest = hashlib.sha256()
        for tensor in (self.images, self.labels):
            digest.update(tensor.cpu().contiguous().numpy().data)
        return digest.hexdigest()

    def to(self, device: torch.device | str) -> "SyntheticSet":
        return SyntheticSet(self.images.to(device), self.labels.to(device), self.spec, self.provenance)


def save(synthetic: SyntheticSet, path: Path) -> None:
    """Write a set as safetensors (`images`, `labels`) with a checksummed JSON header, in one step."""
    header = {"format": FORMAT, "spec": synthetic.spec.to_json(), "provenance": dict(synthetic.provenance)}
    write_tensors(path, {"images": synthetic.images, "labels": synthetic.labels}, header)


def load_set(path: str | Path) -> SyntheticSet:
    """Read a set from its file, or from the run directory that holds it.

    Raises InputError when there is none, when it is damaged, and when its images do not fit its header.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    if not path.is_file():
        raise InputError(f"no synthetic set at {path}: give a run directory that `datacondense condense` has written")
    tensors, header = read_tensors(path)
    if header.get("format") != FORMAT:
        raise InputError(
            f"{path} has format {header.get('format')!r}, this version reads {FORMAT}: update datacondense"
        )
    try:
        spec, provenance = Spec.from_json(header["spec"]), header["provenance"]
        images, labels = tensors["images"], tensors["labels"]
    except (KeyError, TypeError) as error:
        raise InputError(f"{path} has an incomplete header or lacks a tensor: {error}") from None
    if images.shape[1:] != spec.shape or images.shape[:1] != labels.shape:
        raise InputError(f"{path} does not fit its header: images {tuple(images.shape)}, labels {tuple(labels.shape)}")
    return SyntheticSet(images, labels, spec, provenance)
