import io
import struct
import time
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from datacondense import InputError
from datacondense.data.sources.decode import decode, inspect, pixels

RANDOM = np.random.default_rng(0)
FORMATS = ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "ICO", "JPEG2000", "AVIF"]


def encoded(image: Image.Image, file_format: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


def photo(width: int, height: int) -> Image.Image:
    """Smooth, so that lossy formats keep it."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], 2).round().astype(np.uint8))


def refusal(data: bytes) -> str:
    messages = []
    for read in (decode, inspect):
        with pytest.raises(InputError) as caught:
            read(data)
        messages.append(str(caught.value))
    assert "\n" not in messages[0]
    return messages[0]


def corners(array: np.ndarray) -> list[int]:
    return [int(array[0, y, x]) for y in (0, -1) for x in (0, -1)]


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_every_format_is_read(file_format: str, mode: str) -> None:
    image = photo(32, 32).convert(mode)
    array = decode(encoded(image, file_format))
    assert array.dtype == np.uint8
    assert array.flags.c_contiguous
    rgb = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert np.abs(array.astype(int) - rgb[: len(array)]).max() <= (40 if file_format in ("GIF", "JPEG", "WEBP") else 8)
    grey, size = inspect(encoded(image, file_format))
    assert (1 if grey else 3, size) == (len(array), (32, 32))


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("1", 1, [255]),
        ("L", 7, [7]),
        ("LA", (100, 51), [224]),
        ("LA", (100, 0), [255]),
        ("RGBA", (200, 100, 0, 51), [244, 224, 204]),
        ("RGBA", (200, 100, 0, 0), [255, 255, 255]),
        ("RGBA", (200, 100, 0, 255), [200, 100, 0]),
        ("I;16", 300, [1]),
        ("I;16", 65535, [255]),
        ("I;16", 257 * 100 + 128, [100]),
        ("I;16", 257 * 100 + 129, [101]),
    ],
)
def test_modes_of_png(mode: str, colour: int | tuple[int, ...], expected: Sequence[int]) -> None:
    data = encoded(Image.new(mode, (3, 2), colour))
    array = decode(data)
    assert array.shape == (len(expected), 2, 3)
    assert array[:, 0, 0].tolist() == expected
    assert inspect(data) == (len(expected) == 1, (3, 2))


@pytest.mark.parametrize(
    ("mode", "colour", "transparency", "expected"),
    [
        ("L", 9, 9, [255]),
        ("L", 9, 8, [9]),
        ("RGB", (1, 2, 3), (1, 2, 3), [255, 255, 255]),
        ("RGB", (1, 2, 3), (1, 2, 4), [1, 2, 3]),
        ("I;16", 500, 500, [255]),
        ("I;16", 500, 501, [2]),
    ],
)
def test_a_transparent_colour_is_white(mode: str, colour, transparency, expected: list[int]) -> None:
    data = encoded(Image.new(mode, (3, 2), colour))
    fields = [transparency] if isinstance(transparency, int) else transparency
    chunk = b"tRNS" + struct.pack(f">{len(fields)}H", *fields)
    chunk = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    at = data.index(b"IDAT") - 4
    assert decode(data[:at] + chunk + data[at:])[:, 0, 0].tolist() == expected


@pytest.mark.parametrize("transparency", [None, 1, bytes([0, 51])])
def test_palettes(transparency: int | bytes | None) -> None:
    image = Image.new("P", (3, 2), 1)
    image.putpalette([0, 0, 0, 200, 100, 0])
    data = encoded(image, "PNG", **({} if transparency is None else {"transparency": transparency}))
    expected = {None: [200, 100, 0], 1: [255, 255, 255]}.get(transparency, [244, 224, 204])  # type: ignore[arg-type]
    assert decode(data)[:, 0, 0].tolist() == expected
    assert inspect(data) == (False, (3, 2))


def test_colours_of_print_and_film() -> None:
    grey = Image.new("L", (4, 4), 120)
    for mode in ("CMYK", "YCbCr"):
        array = decode(encoded(grey.convert("RGB").convert(mode), "TIFF"))
        assert array.shape == (3, 4, 4)
        assert abs(array.astype(int) - 120).max() <= 2
    lab = decode(encoded(Image.merge("LAB", [Image.new("L", (4, 4), v) for v in (255, 128, 128)]), "TIFF"))
    assert lab.min() >= 253


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bits_are_refused(mode: str) -> None:
    assert f"32 bits per channel (mode {mode})" in refusal(encoded(Image.new(mode, (3, 2), 5), "TIFF"))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("image_size", [None, 4])
def test_photos_are_turned_as_exif_says(file_format: str, orientation: int, image_size: int | None) -> None:
    """Corners of the upright picture are 0, 80, 160, 240; it is stored as each orientation has it."""
    upright = np.repeat(np.repeat(np.array([[0, 80], [160, 240]], np.uint8), 8, 0), 16, 1)  # 16 high, 32 wide
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: np.rot90(upright, 2).T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    options = {"lossless": True} if file_format == "WEBP" else {"quality": 95} if file_format == "JPEG" else {}
    data = encoded(image.convert("RGB") if file_format == "WEBP" else image, file_format, exif=exif, **options)
    array = decode(data, image_size)
    assert array.shape[1:] == ((16, 32) if image_size is None else (4, 4))
    assert np.abs(np.array(corners(array)) - [0, 80, 160, 240]).max() <= 4
    assert inspect(data)[1] == (32, 16)


def test_orientation_after_the_pixels_of_a_png_counts() -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    data = encoded(photo(6, 4), exif=exif)
    start = data.index(b"eXIf") - 4
    chunk = data[start : start + 12 + struct.unpack(">I", data[start : start + 4])[0]]
    end = data.index(b"IEND") - 4
    moved = data[:start] + data[start + len(chunk) : end] + chunk + data[end:]
    assert inspect(moved)[1] == (4, 6)
    assert decode(moved).shape == (3, 6, 4)


@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG"])
def test_exif_data_that_cannot_be_read_count_as_none(file_format: str) -> None:
    plain = encoded(photo(6, 4), file_format)
    broken = encoded(photo(6, 4), file_format, exif=b"Exif\0\0no header of TIFF")
    assert broken != plain
    assert inspect(broken) == (False, (6, 4))
    assert np.array_equal(decode(broken), decode(plain))
    assert decode(broken, 2).shape == (3, 2, 2)


@pytest.mark.parametrize("file_format", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_picture_is_read(file_format: str) -> None:
    pictures = [Image.new("RGB", (8, 8), colour) for colour in ("red", "lime", "blue")]
    data = encoded(pictures[0], file_format, save_all=True, append_images=pictures[1:])
    assert np.abs(decode(data)[:, 0, 0].astype(int) - [255, 0, 0]).max() <= 8


@pytest.mark.parametrize("size", [(40, 30), (30, 41), (7, 9), (32, 32), (101, 33)])
def test_resizing_crops_the_middle_square_of_the_resized_image(size: tuple[int, int]) -> None:
    """As torchvision's Resize(32) and CenterCrop(32), written out."""
    image = Image.fromarray(RANDOM.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    short = min(size)
    wide, high = (int(32 * length / short) for length in size)
    left, top = round((wide - 32) / 2), round((high - 32) / 2)
    whole = image.resize((wide, high), Image.Resampling.BILINEAR).crop((left, top, left + 32, top + 32))
    expected = np.asarray(whole).transpose(2, 0, 1).astype(int)
    assert np.abs(decode(encoded(image), 32) - expected).max() <= 1


def test_large_photos_decode_fast_and_look_the_same() -> None:
    image = photo(4000, 3000)
    data = encoded(image, "JPEG", quality=90)
    begun = time.perf_counter()
    fast = decode(data, 64)
    quick = time.perf_counter() - begun
    begun = time.perf_counter()
    slow = pixels(Image.open(io.BytesIO(data)), 64)
    assert quick < (time.perf_counter() - begun) / 2
    assert np.abs(fast.astype(int) - slow).mean() < 1


def test_a_long_strip_is_cut_without_resizing_all_of_it() -> None:
    assert decode(encoded(Image.new("RGB", (1, 60_000), "red")), 512).shape == (3, 512, 512)


@pytest.mark.parametrize(
    "data",
    [b"", b"no image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n", b"\x89PNG\r\n\x1a\n"],
)
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data).startswith("cannot be read as an image (")


def test_a_decompression_bomb_is_refused() -> None:
    data = encoded(Image.new("1", (20_000, 20_000)))
    assert len(data) < 100_000
    assert "exceeds limit" in refusal(data)
