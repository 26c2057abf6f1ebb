"""A data set in a folder of image files, one subfolder per class."""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import InputError
from ..types import ImageSet
from .build import image_set, naming, split
from .options import Options, Progress

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_LAYOUT = "expected PATH/CLASS/*.png, or both PATH/train/CLASS/*.png and PATH/test/CLASS/*.png"


def load(place: str, options: Options, _progress: Progress) -> tuple[ImageSet, ImageSet]:
    """Train and test set of PATH/train/CLASS/* and PATH/test/CLASS/*, or of PATH/CLASS/*, split as `build.split` says.

    Files with one of EXTENSIONS, in any case, are read in the order of their names, and so are classes; of an
    animation the first picture is read. Hidden and other files are passed over. One channel if every image is grey
    (Pillow's modes 1 and L), otherwise three for all.
    Raises InputError for images that are unreadable, larger than Pillow deems safe, of more than 8 bits or of
    different sizes, and for classes without an image or in the test folder only.
    """
    path = Path(place).expanduser()
    options.refuse(f"folder:{place}")
    if not path.is_dir():
        raise InputError(f"{path} is not a folder: {_LAYOUT}")
    name = path.resolve().name
    if not ((path / "train").is_dir() and (path / "test").is_dir()):
        classes = _classes(path)
        images = _read([file for files in classes.values() for file in files])
        whole = image_set(images, _labels(classes, list(classes)), name=name, class_names=list(classes))
        with naming(path):
            return split(whole)
    classes, test_classes = _classes(path / "train"), _classes(path / "test")
    names = list(classes)
    for extra in test_classes:
        if extra not in classes:
            raise InputError(f"{path / 'test' / extra} is a class that {path / 'train'} does not have")
    files = [file for group in (classes, test_classes) for files in group.values() for file in files]
    labels = _labels(classes, names)
    images = _read(files)
    train = image_set(images[: len(labels)], labels, name=name, class_names=names)
    return train, image_set(images[len(labels) :], _labels(test_classes, names), spec=train.spec)


def _classes(folder: Path) -> dict[str, list[Path]]:
    """Class name -> its image files."""
    found = {child.name: _images(child) for child in _visible(folder) if child.is_dir()}
    if not found:
        raise InputError(f"{folder} has no class folders: {_LAYOUT}")
    for name, files in found.items():
        if not files:
            raise InputError(f"{folder / name} has no image ({' '.join(EXTENSIONS)}): {_LAYOUT}")
    return found


def _images(folder: Path) -> list[Path]:
    return [file for file in _visible(folder) if file.suffix.lower() in EXTENSIONS and file.is_file()]


def _visible(folder: Path) -> list[Path]:
    return sorted((child for child in folder.iterdir() if not child.name.startswith(".")), key=lambda child: child.name)


def _labels(classes: dict[str, list[Path]], names: Sequence[str]) -> np.ndarray:
    return np.repeat([names.index(name) for name in classes], [len(files) for files in classes.values()])


def _read(files: Sequence[Path]) -> np.ndarray:
    """uint8 (N, C, H, W)."""
    pictures = []
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for file in files:
            picture = _picture(file)
            pictures.append(picture)
            if picture.shape[1:] != pictures[0].shape[1:]:
                raise InputError(
                    f"{files[0]} has {_size(pictures[0])} pixels and {file} has {_size(picture)}: "
                    "make all images one size"
                )
    channels = max(len(picture) for picture in pictures)
    images = np.empty((len(files), channels, *pictures[0].shape[1:]), dtype=np.uint8)
    for image, picture in zip(images, pictures, strict=True):
        image[:] = picture  # a grey picture (1, H, W) fills all three channels
    return images


def _picture(path: Path) -> np.ndarray:
    """uint8 (1, H, W) of a grey image, (3, H, W) of any other."""
    with path.open("rb") as file:
        try:
            image = Image.open(file, formats=_FORMATS)
            image.load()
        except Exception as error:  # Pillow's readers raise errors of any type on bytes they do not understand
            raise InputError(f"{path} cannot be read as an image ({' '.join(str(error).split())})") from None
        with image:
            if image.mode == "F" or image.mode.startswith("I"):
                raise InputError(f"{path} has more than 8 bits per channel (mode {image.mode}): convert it to 8 bits")
            if image.mode in ("1", "L"):
                return np.asarray(image.convert("L"))[None]
            # By way of RGBA, as Pillow warns of palettes with transparency that go straight to RGB.
            return np.asarray(image.convert("RGBA").convert("RGB")).transpose(2, 0, 1)


def _size(picture: np.ndarray) -> str:
    return f"{picture.shape[2]}x{picture.shape[1]}"
