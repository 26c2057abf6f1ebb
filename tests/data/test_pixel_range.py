from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from folders import left
from PIL import Image
from torch.utils.data import TensorDataset

from datacondense import from_torch, image_set, load
from datacondense.data.sources import store
from datacondense.data.spec import Spec
from datacondense.utils.errors import InputError

LABELS = np.arange(40) % 2
BYTES = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
BYTES[0, 0, :2] = 0, 255
NOTE = r"only {} of 256 levels are in use \({}\): --pixel-range own spreads the values of the images over all levels"


@pytest.mark.parametrize("dtype", [np.int64, np.int32, np.int16, np.uint16, np.uint32, ">i4"])
def test_integers_are_bytes(dtype: Any) -> None:
    for layout in (BYTES, BYTES[..., None], BYTES[:, None]):
        assert np.array_equal(image_set(layout.astype(dtype), LABELS, name="toy").images[:, 0], BYTES)
    assert np.array_equal(image_set(torch.from_numpy(BYTES).int(), LABELS, name="toy").images[:, 0], BYTES)


def test_truth_values_are_black_and_white() -> None:
    for images in (BYTES > 99, torch.from_numpy(BYTES > 99)):
        assert np.array_equal(image_set(images, LABELS, name="toy").images[:, 0], 255 * (BYTES > 99).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_that_are_whole_numbers_are_bytes(dtype: Any) -> None:
    with pytest.warns(UserWarning, match="floats that are whole numbers from 0 to 255: they are read as bytes"):
        assert np.array_equal(image_set(BYTES.astype(dtype), LABELS, name="toy").images[:, 0], BYTES)


@pytest.mark.parametrize(("highest", "levels"), [(1, 2), (9, 10), (15, 16), (16, 17), (31, 32), (63, 64)])
def test_a_collapsed_range_is_told_and_scaled(highest: int, levels: int) -> None:
    few = BYTES % (highest + 1)
    for images in (few, few.astype(np.int64), few / 255):
        with pytest.warns(UserWarning, match=NOTE.format(levels, f"0 to {highest}")):
            assert np.array_equal(image_set(images, LABELS, name="toy").images[:, 0], few)
        real = image_set(images, LABELS, name="toy", pixel_range="own")
        assert np.array_equal(real.images[:, 0], np.rint(few * (255 / highest)))


@pytest.mark.parametrize("images", [BYTES, 127 + BYTES // 2, BYTES // 2, BYTES * 0 + 9, BYTES // 255 * 255])
@pytest.mark.filterwarnings("error:.*only")
def test_a_range_in_use_is_not_told(images: np.ndarray) -> None:
    image_set(images, LABELS, name="toy")


@pytest.mark.parametrize("images", [BYTES * 10.0 - 1024, BYTES.astype(np.int16) * 7 - 300, BYTES / 1e6, BYTES])
def test_any_range_can_be_scaled_and_the_test_set_with_it(images: np.ndarray) -> None:
    train = image_set(images, LABELS, name="toy", pixel_range="own")
    assert np.array_equal(train.images[:, 0], BYTES)
    for spec in (train.spec, Spec.from_json(train.spec.to_json())):
        assert np.array_equal(image_set(images[5:9], LABELS[5:9], spec=spec).images[:, 0], BYTES[5:9])


def test_test_pixels_beyond_the_range_are_clipped_and_counted() -> None:
    train = image_set(BYTES // 16, LABELS, name="toy", pixel_range="own")
    images = np.full((2, 8, 8), 7)
    images[0, 0, :3] = -1, 16, 300
    with pytest.warns(UserWarning, match=r"3 of 128 pixels are outside the range of the training images \(0 to 15\)"):
        test = image_set(images, [0, 1], spec=train.spec)
    assert test.images[0, 0, 0, :4].tolist() == [0, 255, 255, 119]


def test_test_images_of_another_range_are_told() -> None:
    train = image_set(BYTES > 99, LABELS, name="toy")
    with pytest.warns(UserWarning, match="check that both have the same range of pixels"):
        image_set((BYTES > 99).astype(np.uint8), LABELS, spec=train.spec)
    train = image_set((BYTES > 99).astype(np.uint8), LABELS, name="toy")
    with pytest.warns(UserWarning, match="the mean of the test images is 15"):
        image_set(BYTES > 99, LABELS, spec=train.spec)


def test_one_value_is_no_range() -> None:
    with pytest.raises(InputError, match="--pixel-range own: all pixels are 3, so there is no range to scale"):
        image_set(np.full((4, 8, 8), 3), [0, 1, 0, 1], name="toy", pixel_range="own")
    with pytest.raises(InputError, match="pixel_range and min_per_class of a test set come from the spec"):
        image_set(BYTES, LABELS, spec=image_set(BYTES, LABELS, name="toy").spec, pixel_range="own")  # pyright: ignore


def folder(root: Path, values: np.ndarray, test: np.ndarray | None = None, suffix: str = "png") -> str:
    """A folder of two classes of 16-bit pictures (N, H, W)."""
    for part, images in (("train", values), ("test", test)):
        for i, image in enumerate(() if images is None else images):
            path = root / part / "ab"[i % 2] / f"{i:02}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image.astype(np.uint16)).save(path)
    return f"folder:{root if test is not None else root / 'train'}"


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_files_of_12_bits_are_told_and_scaled(tmp_path: Path, suffix: str) -> None:
    deep = BYTES.astype(np.uint16) * 16
    source = folder(tmp_path, deep, deep[20:30] // 2, suffix)
    for _ in range(2):  # the second time out of the cache
        with pytest.warns(UserWarning, match=NOTE.format(17, "0 to 16")):
            assert load(source)[0].images.max() == 16
    order = [*range(0, 40, 2), *range(1, 40, 2)]
    both = [load(source, pixel_range="own") for _ in range(2)]
    for train, test in both:
        assert np.array_equal(train.images[:, 0], BYTES[order])
        assert np.array_equal(test.images[:, 0], np.rint((deep[20:30] // 2 / 16)[[0, 2, 4, 6, 8, 1, 3, 5, 7, 9]]))
    spec = both[0][0].spec
    assert spec.encoding is not None
    assert spec.encoding.pixels == (0, 4080)
    assert np.array_equal(image_set(deep[:2], ["a", "b"], spec=spec).images[:, 0], BYTES[:2])


@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "P", "1"])
def test_files_of_8_bits_are_scaled_too(tmp_path: Path, mode: str) -> None:
    for i in range(8):
        path = tmp_path / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        few = BYTES[i] // 16
        picture = Image.fromarray(few)
        if mode == "LA":
            picture.putalpha(Image.fromarray(np.where(few == 0, 0, 255).astype(np.uint8)))
        elif mode == "P":
            picture = Image.frombytes("P", (8, 8), few.tobytes())
            picture.putpalette([value // 3 for value in range(16) for _ in range(3)] + [0] * 720)
        elif mode != "L":
            picture = Image.fromarray(255 * few) if mode == "1" else picture
            picture = picture.convert(mode)
        picture.save(path)
    images = torch.cat([part.images for part in load(f"folder:{tmp_path}", pixel_range="own")])
    assert (images.min(), images.max()) == (0, 255)
    assert len(images.unique()) == {"L": 16, "RGB": 16, "LA": 15, "P": 6, "1": 2}[mode]


def test_the_range_is_part_of_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = folder(tmp_path, BYTES.astype(np.uint16) * 4)
    keys = []
    fetch = store.load_or_make
    monkeypatch.setattr(store, "load_or_make", lambda key, *rest: keys.append(key) or fetch(key, *rest))
    load(source)
    load(source, pixel_range="own")
    assert len(set(keys)) == 2
    assert left()


def test_one_value_in_all_files_is_no_range(tmp_path: Path) -> None:
    source = folder(tmp_path, np.full((10, 4, 4), 5))
    with pytest.raises(InputError, match="--pixel-range own: all pixels are 5, so there is no range to scale"):
        load(source, pixel_range="own")
    assert left() == []
    with pytest.raises(InputError, match="--pixel-range does not apply to digits"):
        load("digits", pixel_range="own")


@pytest.mark.parametrize("workers", [0, 2])
def test_items_of_any_range_are_scaled_together(workers: int) -> None:
    deep = torch.from_numpy(BYTES.astype(np.int32) * 16)
    dataset = TensorDataset(deep[:, None], torch.from_numpy(LABELS))
    with pytest.raises(InputError, match="expected 0 to 255"):
        from_torch(dataset, name="toy")
    train, test = from_torch(dataset, name="toy", test=dataset, pixel_range="own", workers=workers)
    for part in (train, test):
        assert np.array_equal(part.images[:, 0], BYTES)
        assert part.spec is train.spec
    assert np.array_equal(image_set(deep[:3], LABELS[:3], spec=train.spec).images[:, 0], BYTES[:3])


def test_pictures_of_a_dataset_are_scaled_together() -> None:
    pictures = [(Image.fromarray(image.astype(np.uint16) * 16), i % 2) for i, image in enumerate(BYTES)]
    train, _ = from_torch(pictures, name="toy", test=pictures, pixel_range="own")
    assert np.array_equal(train.images[:, 0], BYTES)
    with pytest.raises(InputError, match="some images are Pillow images and others arrays"):
        from_torch([*pictures, (BYTES[0], 1)], name="toy", pixel_range="own")


def test_floats_of_a_dataset_have_one_range() -> None:
    whole = [(np.full((4, 4), float(i)), i % 2) for i in range(10)]
    with pytest.warns(UserWarning, match="they are read as bytes"):
        train, _ = from_torch(whole, name="toy", test=whole)
    assert train.images[:, 0, 0, 0].tolist() == list(range(10))
    with pytest.raises(InputError, match=r"item 10 of dataset has floats in \[0, 1\] and item 2 floats that are whole"):
        from_torch([*whole, (np.full((4, 4), 0.5), 0)], name="toy")


def pictures(folder: Path, highest: int, dtype: Any = np.uint8) -> None:
    """Six images of each of two classes, whose values go from 0 to `highest`."""
    for k, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            values = (BYTES[6 * k + i].astype(np.float64) * highest / 255).astype(dtype)
            Image.fromarray(values).save(folder / name / f"{i}.png")


@pytest.mark.parametrize("highest", [3, 100, 128])
def test_deep_files_that_come_out_black_are_told(highest: int, tmp_path: Path) -> None:
    pictures(tmp_path, highest, np.uint16)
    with pytest.warns(UserWarning, match="all pixels are 0 of 255, .*--pixel-range own spreads"):
        load(f"folder:{tmp_path}")
    assert len(load(f"folder:{tmp_path}", pixel_range="own")[0].images.unique()) > min(highest, 60)


@pytest.mark.parametrize("highest", [1, 15, 20])
def test_test_files_of_another_range_are_told(highest: int, tmp_path: Path) -> None:
    pictures(tmp_path / "train", 255)
    pictures(tmp_path / "test", highest)
    with pytest.warns(UserWarning, match="the mean of the test images is .*have the same range of pixels"):
        load(f"folder:{tmp_path}")


def test_test_files_beyond_the_range_of_training_are_counted(tmp_path: Path) -> None:
    pictures(tmp_path / "train", 15)
    pictures(tmp_path / "test", 255)
    with pytest.warns(UserWarning, match="12 of 12 test images have pixels outside the range of the training images"):
        load(f"folder:{tmp_path}", pixel_range="own")
