"""Single synthetic images, read from PNG."""

import io
import warnings

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..data.spec import Spec
from ..utils.errors import InputError, reason

_MODES = {1: ("L", "1"), 3: ("RGB", "L", "1")}
"""Pillow's modes, without loss, of images of 1 and of 3 channels."""


def from_png(data: bytes, spec: Spec) -> Tensor:
    """The image in a PNG file, uint8 (C, H, W). Raises InputError when it is damaged or does not fit `spec`."""
    c, h, w = spec.shape
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # Pillow warns of decompression bombs
            with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
                size, mode = image.size, image.mode
                if size == (w, h) and mode in _MODES[c]:  # else nothing is decoded
                    image.load()
                    array = np.array(image.convert("L" if c == 1 else "RGB")).reshape(h, w, c)
                else:
                    array = None
    except Exception as error:  # Pillow's readers raise errors of any type on bytes they do not understand
        raise InputError(f"cannot be read as a PNG image ({reason(error)})") from None
    if array is None:
        raise InputError(f"an image of {size[0]}x{size[1]} pixels, mode {mode}, expected {w}x{h}, {_MODES[c][0]}")
    return torch.from_numpy(array).permute(2, 0, 1).contiguous()
