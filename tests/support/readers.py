"""What several tests of readers share."""

import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datacondense import InputError

TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


def refusal(function: Callable[..., object], *args: object, **kwargs: object) -> str:
    """The one line by which `function` refuses what it is given."""
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def encode(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def write_set(folder: Path, value: int, suffix: str = "") -> Path:
    """The four files, of 20 train and 5 test images that all have `value`."""
    folder.mkdir(parents=True, exist_ok=True)
    pack = gzip.compress if suffix else bytes
    for name, array in (
        (TRAIN_IMAGES, np.full((20, 28, 28), value)),
        (TRAIN_LABELS, np.arange(20) % 10),
        (TEST_IMAGES, np.full((5, 28, 28), value)),
        (TEST_LABELS, np.arange(5)),
    ):
        (folder / f"{name}{suffix}").write_bytes(pack(encode(array)))
    return folder
