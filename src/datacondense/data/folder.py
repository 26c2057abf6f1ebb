"""A data set of image files, one folder per class, in a folder or a zip file."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..types import ImageSet
from . import tree
from .collection import Collection, fetch
from .options import Options, Progress
from .places import expanded
from .tree import EXTENSIONS, Tree

_TESTS = ("test", "val", "valid", "validation")
"""Folders of test images beside `train`, the best first."""
_LAYOUT = "expected PATH/CLASS/*.png, or both PATH/train/CLASS/*.png and PATH/test/CLASS/*.png"

File = tuple[str, int, bool | None]
"""Path relative to the root, label, and whether for testing."""


def load(place: str, options: Options, progress: Progress) -> tuple[ImageSet, ImageSet]:
    """Train and test set of PATH/train/CLASS/* and PATH/test/CLASS/*, or of PATH/CLASS/*, divided by `division.split`.

    PATH is a folder, or a zip file of one, which is read in place. A folder `val`, `valid` or `validation` beside
    `train` is for testing where there is no `test`. Classes are in the order of their names; images, at any depth
    below a class, in that of their paths. Hidden files and those without one of EXTENSIONS are passed over, links
    are followed. Images are decoded as `decode.decode` says; one channel if every one is grey, otherwise three for all.
    Raises InputError for images that are unreadable or of different sizes, unless `options` say what to do, and for
    classes without an image or in the test folder only.
    """
    path = expanded(place)
    options.refuse(f"folder:{place}", "image_column", "label_column")
    if not path.is_dir() and not path.is_file():
        raise InputError(f"{path} is not a folder or zip file: {_LAYOUT}")
    with tree.opened(path) as found:
        class_names, files, notes = _layout(found)
        collection = Collection(
            name=path.resolve().name if path.is_dir() else path.stem,
            class_names=class_names,
            place=found.place,
            files=[name for name, _, _ in files],
            labels=[label for _, label, _ in files],
            tests=None if files[0][2] is None else [bool(test) for _, _, test in files],
            read=lambda position: found.read(files[position][0]),
            stamp=found.stamp,
            restamp=found.restamp,
            notes=notes,
        )
        return fetch(collection, options, progress)


def read_files(
    name: str,
    class_names: Sequence[str],
    files: Sequence[tuple[Path, int, bool | None]],
    options: Options,
    progress: Progress,
    *,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    flip: bool = True,
    rgb: bool = False,
    shape: tuple[int, int, int] | None = None,
) -> tuple[ImageSet, ImageSet]:
    """Train and test set of image files that are listed somewhere: path, label, and whether for testing.

    That is None of all files where a fixed fifth of each class is to be set aside. rgb: three channels even if all
    images are grey. shape: (C, H, W) that they must have. Decoded and cached as those of `load`, and raises as it.
    """
    paths = [str(path.absolute()) for path, _, _ in files]
    root = os.path.commonpath([path.rpartition("/")[0] for path in paths]) if paths else ""

    def stamp() -> str:
        listing = "\n".join(f"{path}\0{tree.stamp(path)}" for path in paths)
        return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()

    collection = Collection(
        name=name,
        class_names=tuple(class_names),
        place=root,
        files=[os.path.relpath(path, root) for path in paths],
        labels=[label for _, label, _ in files],
        tests=None if not files or files[0][2] is None else [bool(test) for _, _, test in files],
        read=lambda position: tree.read(paths[position]),
        stamp=stamp(),
        restamp=stamp,
        mean=mean,
        std=std,
        flip=flip,
        rgb=rgb,
        shape=shape,
    )
    return fetch(collection, options, progress)


def _layout(found: Tree) -> tuple[tuple[str, ...], list[File], tuple[str, ...]]:
    """Class names, files, and what the user should know."""
    tests = [name for name in _TESTS if name in found.folders]
    if "train" not in found.folders or not tests:
        if {folder for folder in found.folders if "/" not in folder} == {"train"}:
            raise InputError(
                f"{found.place}/train has no test folder beside it: name {found.place}/train itself, of which a "
                f"fifth is set aside, or {_LAYOUT}"
            )
        classes = _classes(found, "")
        names = tuple(classes)
        return names, [(name, label, None) for label, k in enumerate(names) for name in classes[k]], ()
    train, test = _classes(found, "train/"), _classes(found, f"{tests[0]}/")
    names = tuple(train)
    for extra in test:
        if extra not in train:
            raise InputError(f"{found.place}: {tests[0]}/{extra} is a class that train does not have")
    numbers = {name: label for label, name in enumerate(names)}
    files: list[File] = [
        (file, numbers[k], part is test) for part in (train, test) for k, inside in part.items() for file in inside
    ]
    notes = [f"{found.place}: {other} is left out: {tests[0]} is the test set" for other in tests[1:]]
    return names, files, tuple(notes)


def _classes(found: Tree, base: str) -> dict[str, list[str]]:
    """Class name -> its image files, below folder `base`, which is "" or ends in "/"."""
    below = (folder.removeprefix(base) for folder in found.folders if folder.startswith(base))
    classes: dict[str, list[str]] = {name: [] for name in sorted(below) if "/" not in name}
    if not classes:
        raise InputError(f"{Path(found.place, base)} has no class folders: {_LAYOUT}")
    for file in found.files:
        name, slash, _ = file.removeprefix(base).partition("/")
        if slash and file.startswith(base):
            classes[name].append(file)
    for name, files in classes.items():
        if not files:
            raise InputError(f"{found.place}: {base}{name} has no image ({' '.join(EXTENSIONS)}): {_LAYOUT}")
        if not _writable(name):
            raise InputError(f"{Path(found.place, base)} has a class folder {name!a} that is not UTF-8: rename it")
    return classes


def _writable(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)
