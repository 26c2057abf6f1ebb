"""Read TinyImageNet (200 classes of ImageNet, 64 by 64 pixels) from the published folder or a file of tensors."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...utils.errors import DamagedFile, InputError
from ...utils.paths import open_file
from ..search_paths import Arrays, FileLayout, ImageFiles
from .pickles import read_torch

_KEYS = ("classes", "images_train", "labels_train", "images_val", "labels_val")
_ANNOTATIONS = "val_annotations.txt"
_LONGEST = 64 << 20
"""Largest file of annotations in bytes; the published one has 0.4 million."""


def list_folder(root: Path) -> ImageFiles:
    """Return the image files of a tiny-imagenet-200 folder: train/WNID/images/*.JPEG, and those in val_annotations.txt.

    The classes are the folders in train, sorted. The validation images are the test set, as the labels of the test
    images are not public. Raise InputError for a class without images and for annotations that are damaged or do not
    match the files.
    """
    folder = root / "train"
    names = tuple(sorted(child.name for child in folder.iterdir() if child.is_dir() and not child.name.startswith(".")))
    if not names:
        raise InputError(f"{folder} has no class folders: expected train/WNID/images/*.JPEG")
    train = []
    for label, name in enumerate(names):
        files = _images(folder / name / "images")
        if not files:
            raise InputError(f"{folder / name / 'images'} has no image: expected *.JPEG files")
        train += [(file, label) for file in files]
    return ImageFiles(names, train, _annotated(root / "val", names))


def _images(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = (file for file in folder.iterdir() if file.suffix.lower() in (".jpeg", ".jpg") and file.name[0] != ".")
    return sorted(files, key=lambda file: file.name)


def _annotated(folder: Path, names: Sequence[str]) -> list[tuple[Path, int]]:
    """Return every image in folder/images with its label from the annotations."""
    annotations = folder / _ANNOTATIONS
    if annotations.stat().st_size > _LONGEST:
        raise InputError(f"{annotations} has more than {_LONGEST >> 20} MiB: it is not the published file")
    try:
        with open_file(annotations) as file:
            lines = file.read().decode("ascii").splitlines()
    except UnicodeDecodeError as error:
        raise DamagedFile(f"{annotations} is damaged: byte {error.start} is not ASCII") from None
    images = {file.name: file for file in _images(folder / "images")}
    numbers = {name: label for label, name in enumerate(names)}
    labels: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        file, _, rest = line.partition("\t")
        name = rest.split("\t")[0]
        if file not in images or name not in numbers or file in labels:
            reason = (
                f"there is no image {file[:80]!r}"
                if file not in images
                else f"there is no class {name[:80]!r}"
                if name not in numbers
                else f"{file} comes twice"
            )
            raise DamagedFile(f"{annotations} is damaged, line {number}: {reason}")
        labels[file] = numbers[name]
    for file in images:
        if file not in labels:
            raise InputError(f"{annotations} has no line for {file}: it is cut short, or images were added")
    if not images:
        raise InputError(f"{folder / 'images'} has no image: expected *.JPEG files")
    return [(images[file], label) for file, label in labels.items()]


def read_file(path: Path) -> Arrays:
    """Return the arrays of tinyimagenet.pt, as the published code of DC and DM writes it.

    Labels are renumbered so that the class names are sorted, as in the folder. The images stay on disk until they
    are used. Raise InputError for a file that is damaged or holds anything else.
    """
    found = read_torch(path, mmap=True)
    if not isinstance(found, dict) or not found.keys() >= set(_KEYS):
        raise InputError(f"{path} is not the file of TinyImageNet: expected a dict with {', '.join(_KEYS)}")
    names = found["classes"]
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{path}: 'classes' is not a list of names")
    if len(set(names)) < len(names):
        raise InputError(f"{path}: 'classes' holds a name twice")
    order = sorted(names)
    number = np.array([order.index(name) for name in names], np.int64)
    images, labels, test_images, test_labels = (_tensor(found, key, path) for key in _KEYS[1:])
    for key, these in (("labels_train", labels), ("labels_val", test_labels)):
        if these.dtype.kind not in "iu" or (these.size and not (these.min() >= 0 and these.max() < len(names))):
            raise InputError(f"{path}: '{key}' are not whole numbers from 0 to {len(names) - 1}")
    return Arrays(images, number[labels], test_images, number[test_labels], tuple(order))


def _tensor(found: dict[str, object], key: str, path: Path) -> np.ndarray:
    tensor = found[key]
    if not isinstance(tensor, Tensor) or (key.startswith("images") and tensor.dtype != torch.uint8):
        form = str(tensor.dtype) if isinstance(tensor, Tensor) else type(tensor).__name__
        raise InputError(f"{path}: '{key}' is {form}, expected a tensor, uint8 for images")
    if tensor.dtype == torch.bfloat16:  # NumPy lacks it, and labels never have it
        raise InputError(f"{path}: '{key}' is {tensor.dtype}, expected whole numbers")
    return tensor.numpy()


LAYOUTS = (
    FileLayout(
        files=("train/", f"val/{_ANNOTATIONS}", "val/images/"),
        folders=("tiny-imagenet-200",),
        loose=False,
        read=lambda paths: list_folder(paths[0].parent),
    ),
    FileLayout(files=("tinyimagenet.pt",), read=lambda paths: read_file(paths[0])),
)
