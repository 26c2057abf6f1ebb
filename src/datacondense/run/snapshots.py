"""Snapshots: the images of a run at some of its iterations, saved for pictures."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import final

import torch
from torch import Tensor

from ..utils.errors import DamagedFile
from ..utils.files import read_tensors, write_tensors
from ..utils.schema import check
from .records import SnapshotHeader

FOLDER = "snapshots"
_NAME = re.compile(r"(\d{6,})\.safetensors")


@final
@dataclass(frozen=True)
class Snapshot:
    """The images after `iteration` iterations as a picture shows them, uint8 (N, C, H, W), and labels.

    Labels are int64 (N,), or soft, float32 (N, K).
    """

    iteration: int
    images: Tensor
    labels: Tensor


def moments(iterations: int, number: int) -> frozenset[int]:
    """Return 0 and `number` iterations spread evenly up to the last; none for a number of 0.

    Return every iteration where there are no more than `number`.
    """
    if number == 0:
        return frozenset()
    parts = min(number, iterations)
    return frozenset({0, *(iterations * part // parts for part in range(1, parts + 1))})


def save(run: Path, snapshot: Snapshot) -> None:
    """Write a snapshot into a run directory as snapshots/NNNNNN.safetensors, in one step."""
    folder = run / FOLDER
    folder.mkdir(exist_ok=True)
    tensors = {"images": snapshot.images, "labels": snapshot.labels}
    write_tensors(folder / f"{snapshot.iteration:06}.safetensors", tensors, {"iteration": snapshot.iteration})


def paths(run: Path) -> list[Path]:
    """Return the snapshots in a run directory, by iteration. Other files are ignored."""
    folder = run / FOLDER
    found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)] if folder.is_dir() else []
    return sorted(found, key=lambda path: int(path.stem))


def load(path: Path) -> Snapshot:
    """Read a snapshot. Raises DamagedFile if the file is damaged or holds other tensors."""
    tensors, header = read_tensors(path)
    place = f"{path} is not a snapshot of a run: move it out of the folder"
    iteration = check(header, SnapshotHeader, place).iteration
    if iteration != int(path.stem):
        raise DamagedFile(f"{place}: it belongs to iteration {iteration}")
    if tensors.keys() != {"images", "labels"}:
        raise DamagedFile(f"{place}: its tensors are not images and labels")
    images, labels = tensors["images"], tensors["labels"]
    kind = torch.float32 if labels.dim() == 2 else torch.int64
    if (images.dtype, labels.dtype) != (torch.uint8, kind) or images.dim() != 4 or labels.shape[:1] != images.shape[:1]:
        raise DamagedFile(f"{place}: its tensors are not uint8 (N, C, H, W) and int64 (N,) or float32 (N, K)")
    return Snapshot(iteration, images, labels)


def delete(run: Path, *, after: int = -1) -> None:
    """Delete the snapshots of iterations past `after`, by default all; and their folder if nothing else is in it."""
    for path in paths(run):
        if int(path.stem) > after:
            path.unlink()
    folder = run / FOLDER
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
