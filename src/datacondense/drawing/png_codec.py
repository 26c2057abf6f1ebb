"""Encode single images as PNG files, and decode them."""

import io
import warnings
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..utils.errors import InputError, reason


class Shaped(Protocol):
    """Whatever has the shape of an image: the Spec of a data set."""

    @property
    def shape(self) -> tuple[int, int, int]: ...


_MODES = {1: ("L", "1"), 3: ("RGB", "L", "1")}
"""Number of channels -> Pillow's modes that convert to it without loss."""


def to_image(pixels: Tensor) -> Image.Image:
    """Return uint8 (C, H, W), C 1 or 3, as a grey or an RGB image."""
    array = pixels.permute(1, 2, 0).cpu().numpy()  # (H, W, C)
    return Image.fromarray(array.squeeze(2) if array.shape[2] == 1 else array)


def to_png(picture: Tensor | Image.Image) -> bytes:
    """Encode a picture, or uint8 (C, H, W) with C 1 or 3, as a PNG file."""
    buffer = io.BytesIO()
    (to_image(picture) if isinstance(picture, Tensor) else picture).save(buffer, "PNG")
    return buffer.getvalue()


def from_png(data: bytes, spec: Shaped) -> Tensor:
    """Decode a PNG file to uint8 (C, H, W). Raises InputError when it is damaged or does not fit `spec`."""
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
