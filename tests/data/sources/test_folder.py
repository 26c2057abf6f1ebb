import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datacondense.data.image_set import ImageSet
from datacondense.data.source import load
from datacondense.data.sources.image_files import EXTENSIONS
from datacondense.utils.errors import InputError


def write(path: Path, colour: int | tuple[int, ...] = 0, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def read(path: Path) -> tuple[ImageSet, ImageSet]:
    return load(f"folder:{path}")


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_train_and_a_test_folder_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    root = tmp_path / "birds.v2"
    for value, name in enumerate(["train/wren/b.png", "train/owl/2.png", "train/owl/10.png", "test/wren/a.png"]):
        write(root / name, (value, 100, 200))
    train, test = read(root)
    assert train.spec.class_names == ("owl", "wren")
    assert train.spec.shape == (3, 4, 6)
    assert (train.spec.name, train.spec.flip) == ("birds.v2", True)
    assert train.labels.tolist() == [0, 0, 1]
    assert train.images[:, :, 0, 0].tolist() == [[2, 100, 200], [1, 100, 200], [0, 100, 200]]
    assert test.labels.tolist() == [1]
    assert test.images[:, 0, 0, 0].tolist() == [3]
    assert test.spec is train.spec


def test_pixels_are_those_of_the_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    path = write(tmp_path / "train/owl/a.png")
    Image.fromarray(pixels).save(path)
    write(tmp_path / "train/wren/a.png")
    write(tmp_path / "test/owl/a.png")
    assert np.array_equal(read(tmp_path)[0].images[0], pixels.transpose(2, 0, 1))


def test_class_folders_alone_are_split(tmp_path: Path) -> None:
    for name, count in (("owl", 10), ("wren", 5), ("rare", 1)):
        for i in range(count):
            write(tmp_path / name / f"{i:02}.png", 20 * i, "L")
    (train, test), (again, _) = read(tmp_path), read(tmp_path)
    assert train.spec.class_names == ("owl", "rare", "wren")
    assert (train.counts.tolist(), test.counts.tolist()) == ([8, 1, 4], [2, 0, 1])
    assert train.images.equal(again.images)
    owls = [part.images[part.labels == 0][:, 0, 0, 0].tolist() for part in (train, test)]
    assert sorted(owls[0] + owls[1]) == [20 * i for i in range(10)]


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_extension_is_read_in_any_case(tmp_path: Path, extension: str) -> None:
    colour, mode = (80, "L") if extension == ".pgm" else ((80, 80, 80), "RGB")
    for name in (f"train/owl/a{extension}", f"train/wren/a{extension}", f"test/owl/a{extension.upper()}"):
        write(tmp_path / name, colour, mode)
    train, test = read(tmp_path)
    assert (len(train), len(test)) == (2, 1)
    assert (train.images.int() - 80).abs().max() <= 2  # JPEG and WebP lose a little


def test_hidden_and_other_files_are_passed_over(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path / part / "owl/a.png")
        write(tmp_path / part / "wren/a.png")
        (tmp_path / part / "owl/.b.png").write_bytes(b"")
        (tmp_path / part / "owl/notes.txt").write_bytes(b"")
        (tmp_path / part / "owl/folder.png").mkdir()
        (tmp_path / part / ".cache").mkdir()
        (tmp_path / part / "notes.txt").write_bytes(b"")
    train, test = read(tmp_path)
    assert (len(train), len(test), train.spec.class_names) == (2, 2, ("owl", "wren"))


@pytest.mark.parametrize("mode", ["1", "L"])
def test_grey_folders_have_one_channel(tmp_path: Path, mode: str) -> None:
    write(tmp_path / "train/owl/a.png", 255, mode)
    write(tmp_path / "train/wren/a.png", 255, mode)
    write(tmp_path / "test/owl/a.png", 0, "L")
    train, test = read(tmp_path)
    assert train.spec.shape == (1, 4, 6)
    assert (train.images == 255).all()
    assert (test.images == 0).all()


@pytest.mark.filterwarnings("ignore:.*the mean of the test images")
@pytest.mark.parametrize(
    ("mode", "colour"),
    [("RGB", (9, 9, 9)), ("RGBA", (9, 9, 9, 50)), ("YCbCr", (9, 9, 9)), ("P", 9), ("CMYK", (0, 0, 0, 0))],
)
def test_one_image_in_colour_makes_all_three_channels(tmp_path: Path, mode: str, colour: tuple[int, ...]) -> None:
    write(tmp_path / "train/owl/a.png", 77, "L")
    write(tmp_path / "train/wren/a.png", 77, "L")
    write(tmp_path / "test/owl/a.tif", colour, mode)
    train, test = read(tmp_path)
    assert train.spec.shape == test.spec.shape == (3, 4, 6)
    assert (train.images == 77).all()


def test_a_palette_with_transparency_is_read_without_a_warning(tmp_path: Path) -> None:
    image = Image.new("P", (6, 4), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    for folder in ("train/owl", "train/wren", "test/owl"):
        path = write(tmp_path / folder / "a.png")
        image.save(path, transparency=bytes([255, 40]))
    assert read(tmp_path)[0].images[0, :, 0, 0].tolist() == [217, 218, 220]  # over white


@pytest.mark.parametrize(("mode", "name"), [("I", "a.tif"), ("F", "a.tif")])
def test_32_bits_are_refused(tmp_path: Path, mode: str, name: str) -> None:
    write(tmp_path / "owl" / name, 300, mode)
    write(tmp_path / "wren/a.png")
    assert refusal(tmp_path).startswith(f"{tmp_path}: owl/{name} has 32 bits per channel (mode {mode})")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.gif", "a.bmp", "a.webp", "a.tif", "a.ppm"])
@pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
def test_a_truncated_image_is_refused_by_name(tmp_path: Path, name: str, part: float) -> None:
    path = write(tmp_path / "owl" / name)
    write(tmp_path / "wren/a.png", size=(60, 40))
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    assert refusal(tmp_path).startswith(f"{tmp_path}: owl/{name} cannot be read as an image (")


def test_a_file_that_is_no_image_of_the_named_formats_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "owl/a.png")
    write(tmp_path / "wren/a.png")
    for data in (b"not an image", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 6 4\n%%EndComments\n"):
        path.write_bytes(data)
        assert refusal(tmp_path).startswith(f"{tmp_path}: owl/a.png cannot be read as an image (unknown format)")


@pytest.mark.parametrize("side", [10_000, 30_000])
def test_a_decompression_bomb_is_refused_by_name(tmp_path: Path, side: int) -> None:
    path = write(tmp_path / "owl/a.png")
    write(tmp_path / "wren/a.png")
    header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    data = path.read_bytes()
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path}: owl/a.png ")
    assert f"has {side}x{side} pixels, more than" in said or f"Image size ({side**2} pixels) exceeds limit" in said


def test_different_sizes_are_refused_with_two_examples(tmp_path: Path) -> None:
    write(tmp_path / "train/owl/a.png")
    write(tmp_path / "train/wren/a.png")
    write(tmp_path / "test/owl/b.png", size=(5, 4))
    assert refusal(tmp_path) == (
        f"{tmp_path}: train/owl/a.png has 6x4 pixels and test/owl/b.png has 5x4: "
        "--image-size 32 makes all images squares of one size"
    )


@pytest.mark.parametrize("folder", ["owl", "train/owl", "test/owl"])
def test_a_class_without_an_image_is_refused(tmp_path: Path, folder: str) -> None:
    for name in ("train/wren/a.png", "test/wren/a.png") if "/" in folder else ("wren/a.png",):
        write(tmp_path / name)
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "a.xcf").write_bytes(b"")
    assert refusal(tmp_path).startswith(f"{tmp_path}: {folder} has no image (.png .apng .jpg ")


def test_a_class_in_the_test_folder_only_is_refused(tmp_path: Path) -> None:
    for name in ("train/owl/a.png", "test/owl/a.png", "test/wren/a.png"):
        write(tmp_path / name)
    assert refusal(tmp_path) == f"{tmp_path}: test/wren is a class that train does not have"


def test_a_class_in_the_train_folder_only_is_fine(tmp_path: Path) -> None:
    for name in ("train/owl/a.png", "train/wren/a.png", "test/wren/a.png"):
        write(tmp_path / name)
    assert read(tmp_path)[1].counts.tolist() == [0, 1]


def test_a_train_folder_without_a_test_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "train/owl/a.png")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path / 'train'} has no test folder beside it: name {tmp_path / 'train'} itself")
    assert said.endswith("expected PATH/CLASS/*.png, or both PATH/train/CLASS/*.png and PATH/test/CLASS/*.png")


def test_what_is_no_folder_of_classes_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").startswith(
        f"{tmp_path / 'none'} is not a folder or zip file: expected PATH/CLASS/*.png"
    )
    file = write(tmp_path / "a.png")
    assert refusal(file).startswith(f"{file} is damaged or not a zip file (")
    assert refusal(tmp_path).startswith(f"{tmp_path} has no class folders: ")


def test_a_single_image_per_class_leaves_nothing_to_test_on(tmp_path: Path) -> None:
    write(tmp_path / "owl/a.png")
    write(tmp_path / "wren/a.png")
    assert refusal(tmp_path).startswith(f"{tmp_path}: every class has a single image")
