"""Read image files, one folder per class, in a folder or a zip file."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from ...utils.errors import DataNotFound, InputError, naming
from ...utils.paths import expanded, resolved
from ..image_set import ImageSet
from ..label_values import alike
from ..named import Named
from ..options import ReaderOptions, ReadProgress
from ..search_paths import ImageFiles
from ..spec import check_names
from ..splits import TESTS, TRAINS, named_like
from . import file_tree
from .collection import Collection
from .decoded_collection import read_collection
from .file_tree import Tree
from .image_files import EXTENSIONS, HEIF, UNREADABLE

_IN_NOTE = 5  # kinds of files, and folders
_LAYOUT = "expected PATH/CLASS/*.png, or both PATH/train/CLASS/*.png and PATH/test/CLASS/*.png"

File = tuple[str, int, bool | None]
"""Path relative to the root, label, and True for test images; None when a fifth is set aside."""


def load(place: str, options: ReaderOptions, progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of PATH/train/CLASS/* and PATH/test/CLASS/*, or of PATH/CLASS/*.

    PATH is a folder or a zip file, which is read in place; a single enclosing folder is skipped. The parts may have any
    name in splits.TRAINS and TESTS, in any case; a test folder without class folders is ignored. Without test images a
    fixed fifth of each class is set aside. Classes are sorted by name; images, at any depth below a class, by path.
    Hidden files, files without one of EXTENSIONS and files elsewhere are ignored, and a note counts them; links are
    followed. An empty class folder is left out, and a note names it. `decode.decode` reads the images: one channel if
    every image is grey, otherwise three for all.
    Raise DataNotFound when PATH is missing; InputError for unreadable images and different sizes, unless `options`
    allow them, for fewer than two classes, and for classes without a readable training image.
    """
    path = expanded(place)
    options.refuse(f"folder:{place}", "image_column", "label_column")
    if not path.is_dir() and not path.is_file():
        kind = InputError if path.exists() else DataNotFound
        raise kind(f"{path} is not a folder or zip file: {_LAYOUT}")
    with file_tree.opened(path) as found:
        class_names, files, notes = _layout(found)
        collection = Collection(
            name=resolved(path).name if path.is_dir() else path.stem,
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
        return read_collection(collection, options, progress)


def read_published(named: Named, files: ImageFiles, progress: ReadProgress) -> tuple[ImageSet, ImageSet]:
    """Return the train and the test set of a published dataset whose image files are listed.

    The images are decoded and cached as those of `load`. Raises as `load`, and InputError for images of another shape.
    """
    labelled = [*files.train, *files.test]
    paths = [str(path.absolute()) for path, _ in labelled]
    root = os.path.commonpath([path.rpartition("/")[0] for path in paths]) if paths else ""

    def stamp() -> str:
        listing = "\n".join(f"{path}\0{file_tree.stamp(path)}" for path in paths)
        return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()

    collection = Collection(
        name=named.name,
        class_names=tuple(files.class_names),
        place=root,
        files=[os.path.relpath(path, root) for path in paths],
        labels=[label for _, label in labelled],
        tests=[position >= len(files.train) for position in range(len(labelled))],
        read=lambda position: file_tree.read_file(paths[position]),
        stamp=stamp(),
        restamp=stamp,
        known=named,
    )
    return read_collection(collection, ReaderOptions(), progress)


def _layout(found: Tree) -> tuple[tuple[str, ...], list[File], tuple[str, ...]]:
    """Return class names, files, and notes for the user."""
    tops = [folder for folder in found.folders if "/" not in folder]
    trains, tests = named_like(tops, TRAINS), named_like(tops, TESTS)
    divided = len(trains) == 1 and len(tests) > 0
    if not divided and len(trains) + len(tests) == len(tops) > 0:
        if len(tops) == len(trains) == 1:
            raise InputError(
                f"{found.place}/{tops[0]} has no test folder beside it: name {found.place}/{tops[0]} itself, of which "
                f"a fifth is set aside, or {_LAYOUT}"
            )
        raise InputError(f"{found.place} has the folders {', '.join(sorted(tops))} and no train or no test: {_LAYOUT}")
    train, empty = _classes(found, f"{trains[0]}/" if divided else "")
    names = tuple(train)
    test, base = {}, ""
    for name in tests if divided else ():
        if not test and any(folder.startswith(f"{name}/") for folder in found.folders):
            test, without = _classes(found, f"{name}/")
            base = name if test else ""
            empty += without if test else []
    for extra in test:
        if extra not in train:
            lack = "of which train has no image" if f"{trains[0]}/{extra}" in empty else "that train does not have"
            raise InputError(f"{found.place}: {base}/{extra} is a class {lack}{alike(extra, train)}")
    if len(names) < 2:
        only = f"one class only, {names[0]!r}" if names else "no image in its class folders"
        raise InputError(f"{found.place} has {only}: {_LAYOUT}")
    numbers = {name: label for label, name in enumerate(names)}
    files: list[File] = [(file, numbers[k], False if test else None) for k, inside in train.items() for file in inside]
    files += [(file, numbers[k], True) for k, inside in test.items() for file in inside]
    bases = [*trains, *([base] if base else [])] if divided else []
    return names, files, tuple(_notes(found, bases, tests if divided else [], empty))


def _notes(found: Tree, bases: Sequence[str], tests: Sequence[str], empty: Sequence[str]) -> Iterator[str]:
    """Yield notes on files of the tree that are in no class.

    bases: folders that contain the classes, empty for the root. tests: folders that may hold test images. empty: class
    folders without an image.
    """
    if empty:
        more = " and others" if len(empty) > _IN_NOTE else ""
        yield f"left out empty class folders: {', '.join(empty[:_IN_NOTE])}{more}"
    for name in (name for name in tests if name not in bases):
        has_classes = any(folder.startswith(f"{name}/") for folder in found.folders)
        reason = f"{bases[1]} is the test set" if bases[1:] else "its class folders have no image"
        yield f"{name} is left out: {reason if has_classes else 'its images are in no class folders'}"
    read = tuple(f"{base}/" for base in bases) or ("",)
    depth = 2 if bases else 1
    ignored = []
    unknown = [file for file in found.others if file.count("/") >= depth and file.startswith(read)]
    if unknown:
        kinds = sorted({PurePosixPath(file).suffix.lower() or "no suffix" for file in unknown})[:_IN_NOTE]
        ignored.append(f"{len(unknown)} files of unknown type ({', '.join(kinds)})")
    stray = [file for file in found.files if file.count("/") < depth and ("/" not in file or file.startswith(read))]
    if outside := len(stray) + found.outside:
        ignored.append(f"{outside} images outside of the class folders")
    unused = sorted(f for f in found.folders if bases and "/" not in f and f not in (*bases, *tests))
    if unused:
        ignored.append(f"the folders {', '.join(unused[:_IN_NOTE])}{' and others' if len(unused) > _IN_NOTE else ''}")
    if ignored:
        yield f"ignored {', '.join(ignored)}"


def _classes(found: Tree, base: str) -> tuple[dict[str, list[str]], list[str]]:
    """Return class name -> image files, below folder `base` ("" or ending in "/"), and the empty class folders.

    A folder that two paths of a class lead to is read once.
    """
    below = (folder.removeprefix(base) for folder in found.folders if folder.startswith(base))
    classes: dict[str, list[str]] = {name: [] for name in sorted(below) if "/" not in name}
    if not classes:
        raise InputError(f"{Path(found.place, base)} has no class folders: {_LAYOUT}")
    paths: dict[tuple[str, object], str] = {}
    for file in found.files:
        name, slash, _ = file.removeprefix(base).partition("/")
        if slash and file.startswith(base):
            folder = file.rpartition("/")[0]
            if paths.setdefault((name, found.identities.get(folder, folder)), folder) == folder:
                classes[name].append(file)
    empty = [name for name, files in classes.items() if not files]
    for name in empty:
        inside = f"{base}{name}/"
        if others := [file for file in found.others if file.startswith(inside)]:
            raise _unreadable(f"{found.place}: {base}{name}", others)
        del classes[name]
    with naming(Path(found.place, base)):
        check_names(list(classes), "class folder")
    return classes, [f"{base}{name}" for name in empty]


def _unreadable(where: str, files: Sequence[str]) -> InputError:
    """Return the error for a class folder without a readable image."""
    suffixes = sorted({PurePosixPath(file).suffix.lower() or "no suffix" for file in files})
    kinds = f"{len(files)} {'file' if len(files) == 1 else 'files'} ({', '.join(suffixes[:_IN_NOTE])})"
    if not any(suffix in UNREADABLE for suffix in suffixes):
        return InputError(f"{where} has no image ({' '.join(EXTENSIONS)}), but {kinds}: {_LAYOUT}")
    how = "convert them to JPEG or PNG"
    if any(suffix in HEIF for suffix in suffixes):
        how += ", with the Python package pillow-heif or the program heif-convert"
    return InputError(f"{where} has only {kinds}, which are not supported: {how}")
