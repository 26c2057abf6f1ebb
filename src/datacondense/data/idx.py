"""The IDX format of the MNIST family (http://yann.lecun.com/exdb/mnist), and the sets that come in it."""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..types import ImageSet
from . import places
from .build import image_set, naming

_UINT8 = 0x08
_FILES = {
    "train-images-idx3-ubyte": 3,
    "train-labels-idx1-ubyte": 1,
    "t10k-images-idx3-ubyte": 3,
    "t10k-labels-idx1-ubyte": 1,
}
"""Name -> number of dimensions."""


@dataclass(frozen=True, kw_only=True)
class IdxSet:
    """A published set in four IDX files. Calling it reads the train and the test set."""

    name: str
    folders: tuple[str, ...]
    """Subfolders of a data folder in which its files may lie."""
    system: Path
    """Where a package of the operating system puts them."""
    obtain: str
    """What someone who does not have the files can do."""
    class_names: tuple[str, ...]
    mean: float
    std: float
    flip: bool

    def __call__(self, data_dir: Path | None) -> tuple[ImageSet, ImageSet]:
        """Train and test set of 1 channel. Raises InputError when files are missing or damaged."""
        paths = places.find(
            self.name, list(_FILES), folders=self.folders, system=self.system, obtain=self.obtain, data_dir=data_dir
        )
        arrays = (read(path, dimensions) for path, dimensions in zip(paths, _FILES.values(), strict=True))
        images, labels, test_images, test_labels = arrays
        with naming(paths[0].parent):
            train = image_set(
                images,
                labels,
                name=self.name,
                class_names=self.class_names,
                mean=(self.mean,),
                std=(self.std,),
                flip=self.flip,
            )
            return train, image_set(test_images, test_labels, spec=train.spec)


FASHION_MNIST = IdxSet(
    name="fashion-mnist",
    folders=("FashionMNIST/raw", "fashion-mnist"),
    system=Path("/usr/share/datasets/fashion-mnist"),
    obtain="install it (apt-get install dataset-fashion-mnist) or name its folder with --data-dir",
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    mean=0.2861,
    std=0.3530,
    flip=True,
)


def read(path: Path, dimensions: int) -> np.ndarray:
    """The uint8 array of so many dimensions in an IDX file, which is unpacked if its name ends in .gz.

    Raises InputError for anything but one whole array.
    """
    data = path.read_bytes()
    if path.suffix == ".gz":
        try:
            data = gzip.decompress(data)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise InputError(f"{path} is damaged or not a gzip file ({error})") from None
    magic = bytes([0, 0, _UINT8, dimensions])
    if data[:4] != magic:
        raise InputError(
            f"{path} starts with the bytes {data[:4].hex(' ') or '(none)'}, "
            f"expected {magic.hex(' ')}: IDX, uint8, {dimensions} dimensions"
        )
    start = 4 + 4 * dimensions
    if len(data) < start:
        raise InputError(f"{path} is cut short: it ends within its header")
    shape = np.frombuffer(data, ">u4", dimensions, offset=4).tolist()
    if len(data) - start != math.prod(shape):
        raise InputError(
            f"{path} is damaged: {len(data) - start} bytes of data, expected {math.prod(shape)} for the shape {shape}"
        )
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
