from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset, IterableDataset, Subset, TensorDataset

from datacondense import InputError, from_torch


class Listed(Dataset):
    """A dataset of a list; an exception in it is raised."""

    def __init__(self, items: list[Any], **attributes: Any) -> None:
        self.items = items
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        if isinstance(self.items[index], Exception):
            raise self.items[index]
        return self.items[index]


class Endless(IterableDataset):
    def __iter__(self):
        yield 1


PIXELS = np.random.default_rng(0).integers(0, 256, (10, 3, 4, 5), dtype=np.uint8)
EXPECTED = torch.from_numpy(PIXELS)


def refusal(dataset: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        from_torch(dataset, name="mine", **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


KINDS = {
    "Pillow": lambda pixels: Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))),
    "tensor": torch.from_numpy,
    "floats": lambda pixels: torch.from_numpy(pixels).float() / 255,
    "array": lambda pixels: pixels,
    "channels last": lambda pixels: pixels.transpose(1, 2, 0),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("workers", [0, 2])
def test_every_kind_of_image_is_read(kind: str, workers: int) -> None:
    dataset = Listed([(KINDS[kind](pixels), i % 2) for i, pixels in enumerate(PIXELS)])
    train, test = from_torch(dataset, name="mine", test=dataset, class_names=["a", "b"], workers=workers)
    assert torch.equal(train.images, EXPECTED)
    assert torch.equal(test.images, EXPECTED)
    assert train.labels.tolist() == [i % 2 for i in range(10)]
    assert (train.spec.name, train.spec.class_names, train.spec.flip) == ("mine", ("a", "b"), True)
    assert test.spec == train.spec


@pytest.mark.parametrize("label", [int, np.int64, torch.tensor, lambda i: torch.tensor([i]), np.uint8])
def test_labels_of_every_kind(label: Any) -> None:
    train, test = from_torch(Listed([(pixels, label(i % 2)) for i, pixels in enumerate(PIXELS)]), name="mine")
    assert (train.counts.tolist(), test.counts.tolist()) == ([4, 4], [1, 1])
    assert train.spec.class_names == ("0", "1")


def test_names_of_classes_come_from_the_dataset() -> None:
    dataset = Listed([(pixels, i % 2) for i, pixels in enumerate(PIXELS)], classes=["owl", "wren"])
    for one in (dataset, Subset(dataset, range(8))):
        assert from_torch(one, name="mine")[0].spec.class_names == ("owl", "wren")
    with pytest.warns(UserWarning, match="left out classes without a training image: tit"):
        names = from_torch(dataset, name="mine", class_names=["owl", "wren", "tit"])[0].spec.class_names
    assert names == ("owl", "wren")


def test_a_dataset_of_tensors() -> None:
    train, test = from_torch(TensorDataset(EXPECTED[:, 0], torch.arange(10) % 5), name="mine", flip=False)
    assert (train.spec.shape, len(train), len(test), train.spec.flip) == ((1, 4, 5), 5, 5, False)


def test_pictures_go_through_the_same_rules_as_files() -> None:
    images = [Image.new("RGBA", (4, 4), (9, 9, 9, 0)), Image.new("L", (4, 4), 7), Image.new("I;16", (4, 4), 257)]
    exif = Image.Exif()
    exif[0x112] = 6
    turned = Image.fromarray(np.array([[0, 99]] * 4, np.uint8).repeat(2, 1))
    turned.info["exif"] = exif.tobytes()
    dataset = Listed([(image, i % 2) for i, image in enumerate([*images, turned])])
    train, _ = from_torch(dataset, name="mine", test=dataset)
    assert train.images[:3, :, 0, 0].tolist() == [[255] * 3, [7] * 3, [1] * 3]
    assert train.images[3, 0, :, 0].tolist() == [0, 0, 99, 99]


def test_colour_in_the_test_set_alone_makes_three_channels() -> None:
    grey = Listed([(np.full((4, 4), i, np.uint8), i % 2) for i in range(4)])
    colour = Listed([(np.full((3, 4, 4), i, np.uint8), i % 2) for i in range(4)])
    for one, other in ((grey, colour), (colour, grey)):
        train, test = from_torch(one, name="mine", test=other)
        assert train.images.shape == test.images.shape == (4, 3, 4, 4)
        assert torch.equal(train.images, test.images)
        assert len(train.spec.mean) == 3


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_different_sizes_become_squares(kind: str) -> None:
    items = [(KINDS[kind](np.full((3, 8 + i, 20 - i), 10 * i, np.uint8)), i % 2) for i in range(10)]
    train, _ = from_torch(Listed(items), name="mine", test=Listed(items), image_size=6)
    assert train.spec.shape == (3, 6, 6)
    assert train.images[:, 0, 3, 3].tolist() == [10 * i for i in range(10)]
    assert refusal(Listed(items)) == (
        "mine: item 0 of dataset has 20x8 pixels and item 1 has 19x9: "
        "image_size=32 makes all images squares of one size"
    )


IMAGE = np.zeros((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (ValueError("no such\nfile"), "item 1 of dataset cannot be read (ValueError: no such file)"),
        ({"image": IMAGE, "label": 1}, "item 1 of dataset is a dict, expected a pair (image, label)"),
        ((IMAGE, 0, 0), "item 1 of dataset is a tuple, expected a pair"),
        (("a.png", 0), "item 1 of dataset has an image of type str, expected a Pillow image, a tensor or an array"),
        ((IMAGE, "owl"), "labels mix strings and numbers, such as 'owl' at position 1"),
        ((IMAGE, 1.5), "labels hold 1.5 at position 1, which is not a whole number"),
        ((IMAGE, None), "item 1 of dataset has label None, expected an integer"),
        ((IMAGE, {}), "item 1 of dataset has label {}, expected an integer or a string"),
        ((IMAGE, torch.tensor([0, 1])), "labels are of different shapes"),
        ((IMAGE, 2**70), "expected an integer"),
        ((IMAGE, -1), "labels go down to -1"),
        ((IMAGE - 0.5, 0), "take Normalize out of the transform"),
        ((torch.full((4, 4), 200.5), 0), "images are floats from 200.5 to 200.5, expected [0, 1]"),
        ((torch.full((4, 4), torch.nan), 0), "NaN or infinite"),
        ((torch.full((4, 4), 256, dtype=torch.int32), 0), "images have dtype int32 and go from 256 to 256"),
        ((torch.zeros(2, 4, 4), 0), "images have shape (1, 2, 4, 4)"),
        ((torch.zeros(0, 4), 0), "they hold no pixel"),
        ((Image.new("F", (4, 4)), 0), "item 1 of dataset has 32 bits per channel (mode F)"),
        ((Image.new("L", (4, 5)), 0), "item 0 of dataset has 4x4 pixels and item 1 has 4x5"),
    ],
)
def test_an_item_of_another_kind_is_refused(item: Any, message: str) -> None:
    assert message in refusal(Listed([(IMAGE, 0), item]))


@pytest.mark.parametrize("dataset", [Endless(), [], {}, 5, None])
def test_what_is_no_dataset_of_positions_is_refused(dataset: Any) -> None:
    assert ("give a map-style dataset" in (said := refusal(dataset))) or "has no item" in said


def test_errors_of_the_test_set_name_it() -> None:
    train = Listed([(pixels, i % 2) for i, pixels in enumerate(PIXELS)])
    assert refusal(train, test=Listed([(PIXELS[0], 2)])).startswith("mine: test: labels go up to 2")
    assert refusal(train, test=Listed([(IMAGE, 0)])).startswith("mine: test: images have shape (3, 4, 4)")
    assert refusal(train, test=Listed([])) == "mine: test has no item"


@pytest.mark.filterwarnings("default")  # the default way to start processes warns in some versions of Python
def test_an_error_in_a_worker_is_told_as_well() -> None:
    dataset = Listed([(IMAGE, 0), OSError("gone")])
    assert refusal(dataset, workers=1) == "mine: item 1 of dataset cannot be read (OSError: gone)"


@pytest.mark.parametrize("names", [np.array(["a", "b"]), (name for name in "ab"), ["a", "b"]])
def test_class_names_of_any_kind(names: Any) -> None:
    items = Listed([(np.full((4, 4), i, np.uint8), i % 2) for i in range(10)])
    assert from_torch(items, name="mine", class_names=names)[0].spec.class_names == ("a", "b")


def test_no_class_names_at_all_are_refused() -> None:
    items = Listed([(np.full((4, 4), i, np.uint8), i % 2) for i in range(10)])
    with pytest.raises(InputError, match="class_names is empty"):
        from_torch(items, name="mine", class_names=[])
