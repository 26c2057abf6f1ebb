"""Decode one image file of any common format to uint8, with one channel for grey and three for colour."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TypeAlias

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, TiffImagePlugin

from ...utils.errors import InputError, reason

VERSION = 3
"""Part of every cache key: increase it when `decode` returns other pixels or reports more."""

MOST_BYTES = 2**29
"""Largest image file: about twice the size of the largest uncompressed image that Pillow deems safe."""

Size: TypeAlias = tuple[int, int]
"""Width and height."""

_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF")
"""Formats with a signature, whose readers start no other program; not EPS, nor TGA, which accepts any bytes."""
_JPEG = b"\xff\xd8"
_GREY = ("1", "L", "LA", "La")
_ORIENTATION_OF_PNG = (b"eXIf", b"Raw profile type exif", b"XML:com.adobe.xmp")


Extent: TypeAlias = tuple[float, float]
"""Values that become 0 and 255, on the scale of 16 bits; values of 8 bits are multiplied by 257."""


def decode(data: bytes, image_size: int | None = None, extent: Extent | None = None) -> np.ndarray:
    """Return the image in a file, converted by `pixels`; the first frame of an animation.

    image_size: resize and crop to a square of this side; large JPEGs are then decoded at a fraction of their size, at
    least twice that of the result. extent: the values that become 0 and 255, by default the ends of the format's range.
    Raise InputError for a damaged image, more pixels than Pillow deems safe, or 32 bits per channel; MemoryError when
    memory is short.
    """
    with _opened(data) as image:
        size = _load(image, image_size)
        return pixels(image, image_size, size, extent)


def extremes(data: bytes, image_size: int | None = None) -> tuple[Extent, bool]:
    """Return `extremes_of` the image in a file. Raise as `decode`."""
    with _opened(data) as image:
        _load(image, image_size)
        return extremes_of(image)


def extremes_of(image: Image.Image) -> tuple[Extent, bool]:
    """Return the lowest and the highest value of all pixels that are not transparent, and True for 16 bits."""
    _check(image)
    if deep := _deep(image):
        values = _deep_values(image)
        visible = values[values != image.info.get("transparency", -1)]
    else:
        layered = _layered(image)
        bands = np.asarray(layered).reshape(layered.height, layered.width, -1).astype(np.int64)
        visible = 257 * (bands[bands[..., -1] > 0][:, :-1] if layered.mode.endswith("A") else bands)
    low, high = (visible.min(), visible.max()) if visible.size else (65535, 0)
    return (float(low), float(high)), deep


def _load(image: Image.Image, image_size: int | None) -> Size:
    """Decode an image, a large JPEG at a fraction of its size; return the size in the file."""
    size = image.size
    if image_size is not None and image.format == "JPEG":
        image.draft(None, (2 * image_size, 2 * image_size))
    image.load()
    _check(image)  # again, as the size of an icon is known only now
    return size if image.format == "JPEG" else image.size


def inspect(data: bytes) -> tuple[bool, Size]:
    """Return from the header alone whether the decoded image is grey, and its size. Raise InputError as `decode`."""
    with _opened(data) as image:
        width, height = image.size
        if isinstance(image, TiffImagePlugin.TiffImageFile):  # some versions of Pillow have rotated its size already
            width, height = image.tag_v2[ExifTags.Base.ImageWidth], image.tag_v2[ExifTags.Base.ImageLength]
        if image.format == "PNG" and not any(mark in data for mark in _ORIENTATION_OF_PNG):
            orientation = 1  # finding one would decode the whole file, as it may follow the pixels
        else:
            orientation = _orientation(image)
        return _grey(image), (height, width) if orientation >= 5 else (width, height)


def transparent(data: bytes) -> bool:
    """Return from the header alone whether an image has an alpha channel or a transparent colour. Raise as `decode`."""
    if data.startswith(_JPEG):
        return False
    with _opened(data) as image:
        return image.has_transparency_data


def pixels(
    image: Image.Image, image_size: int | None = None, size: Size | None = None, extent: Extent | None = None
) -> np.ndarray:
    """Return an image as uint8 (1, H, W) if its mode is grey, (3, H, W) otherwise.

    It is rotated by its EXIF data; transparent areas are composited onto white; 16 bits are scaled to 8. With
    `image_size` S the short side is resized to S, bilinear and antialiased, and the middle square is kept, as
    torchvision's Resize(S) and CenterCrop(S) do. size: the size in the file, if the image was decoded smaller.
    extent: as of `decode`. Raise InputError for 32 bits per channel; Pillow may raise any error for a damaged image.
    """
    _check(image)
    width, height = image.size if size is None else size
    orientation = _orientation(image)
    flat = _flatten(image if orientation == 1 else ImageOps.exif_transpose(image), extent)
    if image_size is not None:
        flat = _square(flat, image_size, (height, width) if orientation >= 5 else (width, height))
    array = np.array(flat)
    return array[None] if flat.mode == "L" else np.ascontiguousarray(array.transpose(2, 0, 1))


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings of Pillow: their causes are harmless or refused here. Not for worker threads."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@contextmanager
def _opened(data: bytes) -> Iterator[Image.Image]:
    """Yield an image after checking its header. Convert all errors inside to InputError."""
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            _check(image)
            yield image
    except (InputError, MemoryError):
        raise
    except Image.UnidentifiedImageError:
        raise InputError("cannot be read as an image (unknown format)") from None
    except Exception as error:  # Pillow's readers raise errors of any type on bytes they do not understand
        raise InputError(f"cannot be read as an image ({reason(error)})") from None


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that this build of Pillow reads."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _check(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise InputError("has no pixel")
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise InputError(f"has {width}x{height} pixels, more than {Image.MAX_IMAGE_PIXELS}: make it smaller")
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise InputError(f"has 32 bits per channel (mode {image.mode}) of unknown range: convert it to 8 or 16 bits")


def _deep(image: Image.Image) -> bool:
    """Return True for grey of 16 bits, which older versions of Pillow open as mode I."""
    return image.mode.startswith("I")


def _grey(image: Image.Image) -> bool:
    return image.mode in _GREY or _deep(image)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8; from 5 on, width and height are swapped. Without readable EXIF data 1."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except MemoryError:
        raise
    except Exception:  # Pillow raises errors of any type on such data, which say nothing of the pixels
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1


def _flatten(image: Image.Image, extent: Extent | None) -> Image.Image:
    """Return an image of mode L or RGB, composited onto white."""
    if _deep(image):
        return _shallow(image, extent)
    layered = _layered(image)
    mode = "L" if layered.mode.startswith("L") else "RGB"
    opaque = layered if layered.mode == mode else layered.convert(mode)
    if extent is not None:
        opaque = opaque.point(_scaled(257 * np.arange(256), extent).tolist() * len(mode))
    if layered.mode == mode:
        return opaque
    return Image.composite(opaque, Image.new(mode, opaque.size, "white"), layered.getchannel("A"))


def _layered(image: Image.Image) -> Image.Image:
    """Return an image of 8 bits, mode L or RGB, with an alpha channel if it has transparency."""
    if image.mode == "LAB":
        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.applyTransform(image, ImageCms.buildTransform(lab, rgb, "LAB", "RGB")) or image
    grey, transparent = _grey(image), image.has_transparency_data
    return image.convert(("LA" if grey else "RGBA") if transparent else ("L" if grey else "RGB"))


def _scaled(values: np.ndarray, extent: Extent) -> np.ndarray:
    """Return uint8: the lower value of `extent` becomes 0, the higher 255; values beyond are clipped."""
    low, high = extent
    return np.rint((values.clip(low, high) - low) * (255 / (high - low))).astype(np.uint8)


def _deep_values(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.int64).clip(0, 65535)


def _shallow(image: Image.Image, extent: Extent | None) -> Image.Image:
    """Return 16 bits as 8: v / 257, rounded, or scaled by `extent`; white for the transparent value."""
    deep = _deep_values(image)
    shallow = ((deep + 128) // 257).astype(np.uint8) if extent is None else _scaled(deep, extent)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        shallow[deep == transparent] = 255
    return Image.fromarray(shallow)


def _square(image: Image.Image, side: int, size: Size) -> Image.Image:
    """Resize and crop in one step, to bound the memory of very long images."""
    short = min(size)
    wide, high = (int(side * length / short) for length in size)
    left, top = round((wide - side) / 2), round((high - side) / 2)
    across, down = image.width / wide, image.height / high
    box = left * across, top * down, min((left + side) * across, image.width), min((top + side) * down, image.height)
    return image.resize((side, side), Image.Resampling.BILINEAR, box=box)
