from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datacondense.data.source import load
from datacondense.utils.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype=np.uint8)
LABELS = np.arange(30) % 3
TEST = IMAGES[::-1][:6], LABELS[::-1][:6]


def write(path: Path, **arrays: Any) -> str:
    np.savez(path / "birds.npz", **arrays)
    return f"arrays:{path / 'birds.npz'}"


@pytest.mark.parametrize(
    "names",
    [
        "images labels test_images test_labels",
        "train_images train_labels test_images test_labels",
        "x_train y_train x_test y_test",
        "X_train y_train X_test y_test",
        "train_x train_y test_x test_y",
        "train_X train_Y test_X test_Y",
        "xTrain yTrain xTest yTest",
        "train_data train_labels test_data test_labels",
        "train_data train_targets test_data test_targets",
        "data targets test_data test_targets",
        "x y x_val y_val",
        "train_images train_labels val_images val_labels",
        "training_images training_labels testing_images testing_labels",
        "Images Labels validation_images validation_labels",
        "arr_0 arr_1 arr_2 arr_3",
    ],
)
def test_every_layout_with_a_test_set(tmp_path: Path, names: str) -> None:
    source = write(tmp_path, **dict(zip(names.split(), (IMAGES, LABELS[:, None], *TEST), strict=True)))
    train, test = load(source)
    assert np.array_equal(train.images[:, 0], IMAGES)
    assert train.labels.tolist() == LABELS.tolist()
    assert np.array_equal(test.images[:, 0], TEST[0])
    assert test.labels.tolist() == TEST[1].tolist()


@pytest.mark.parametrize("names", ["x y", "X Y", "X y", "data targets", "data labels", "image label", "arr_0 arr_1"])
def test_every_layout_without_a_test_set(tmp_path: Path, names: str) -> None:
    train, test = load(write(tmp_path, **dict(zip(names.split(), (IMAGES, LABELS), strict=True))))
    assert (train.counts.tolist(), test.counts.tolist()) == ([8] * 3, [2] * 3)


def test_arrays_without_names_in_another_order(tmp_path: Path) -> None:
    np.savez(tmp_path / "birds.npz", IMAGES, TEST[0], LABELS, TEST[1])
    train, test = load(f"arrays:{tmp_path / 'birds.npz'}")
    assert (train.labels.tolist(), test.labels.tolist()) == (LABELS.tolist(), TEST[1].tolist())


def test_validation_images_of_medmnist_are_left_out_and_named(tmp_path: Path) -> None:
    labels = LABELS[:, None].astype(np.uint8)
    source = write(
        tmp_path,
        train_images=IMAGES,
        val_images=IMAGES[:3],
        test_images=TEST[0],
        train_labels=labels,
        val_labels=labels[:3],
        test_labels=labels[::-1][:6],
    )
    with pytest.warns(UserWarning, match="val_images and val_labels left out: test_images is the test set"):
        train, test = load(source)
    assert (len(train), len(test), test.labels.tolist()) == (30, 6, TEST[1].tolist())


@pytest.mark.parametrize(
    ("labels", "test", "names"),
    [
        (LABELS + 1, TEST[1] + 1, ("1", "2", "3")),
        (np.array(["b", "c", "a"])[LABELS], np.array(["b", "c", "a"])[TEST[1]], ("a", "b", "c")),
        (np.array([b"b", b"c", b"a"])[LABELS], np.array(["b", "c", "a"])[TEST[1]], ("a", "b", "c")),
        (np.eye(3)[LABELS], np.eye(3)[TEST[1]], ("0", "1", "2")),
        (10.0 * LABELS, 10 * TEST[1], ("0", "10", "20")),
    ],
)
@pytest.mark.filterwarnings("ignore:labels have gaps")
def test_both_parts_are_numbered_alike(tmp_path: Path, labels: Any, test: Any, names: tuple[str, ...]) -> None:
    both = load(write(tmp_path, x_train=IMAGES, y_train=labels, x_test=TEST[0], y_test=test))
    assert both[0].spec.class_names == names
    for part, numbers in zip(both, (LABELS, TEST[1]), strict=True):
        order = [1, 2, 0] if names[0] == "a" else [0, 1, 2]
        assert part.labels.tolist() == [order[number] for number in numbers]


@pytest.mark.parametrize("name", ["class_names", "CLASS_NAMES", "Class_Names", "Label_Names", "Classes"])
def test_the_names_of_classes_are_found_in_any_case(tmp_path: Path, name: str) -> None:
    train, _ = load(write(tmp_path, x=IMAGES, y=LABELS, **{name: ["a", "b", "c"]}))
    assert train.spec.class_names == ("a", "b", "c")


def test_names_of_an_empty_class(tmp_path: Path) -> None:
    names = ["N/A", "a", "b", "c"]
    source = write(tmp_path, x=IMAGES, y=LABELS + 1, x_test=TEST[0], y_test=TEST[1] + 1, class_names=names)
    with pytest.warns(UserWarning, match="left out classes without a training image: N/A"):
        train, test = load(source)
    assert train.spec.class_names == ("a", "b", "c")
    assert (train.labels.tolist(), test.labels.tolist()) == (LABELS.tolist(), TEST[1].tolist())


def refusal(source: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": IMAGES, "data": IMAGES, "y": LABELS}, "arrays 'x' and 'data' may both be the train images: leave one"),
        ({"birds": IMAGES, "kinds": LABELS}, "there is no array of train images, only birds, kinds; expected images"),
        ({"x": IMAGES}, "there is no array of labels beside 'x', only x; expected images, labels and"),
        ({"x_test": IMAGES, "y_test": LABELS}, "there is no array of train images, only x_test, y_test"),
        ({"x": IMAGES, "y": LABELS, "x_test": IMAGES}, "there is no array of labels beside 'x_test'"),
        ({"arr_0": IMAGES, "arr_1": LABELS, "arr_2": LABELS}, "there is no array of train images, only arr_0"),
        ({"x": IMAGES, "y": LABELS, "x_test": TEST[0], "y_test": TEST[1] + 1}, "x_test, y_test: labels go up to 3"),
        ({"x": IMAGES, "y": LABELS + 1, "x_test": TEST[0], "y_test": TEST[1]}, "x_test, y_test: labels hold 0, which"),
    ],
)
def test_other_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    assert message in refusal(write(tmp_path, **arrays))


def test_the_usual_names_go_before_others(tmp_path: Path) -> None:
    train, _ = load(write(tmp_path, features=IMAGES[:2], images=IMAGES, labels=LABELS, y=LABELS + 7))
    assert train.spec.class_names == ("0", "1", "2")


def test_the_range_of_the_values_can_be_scaled(tmp_path: Path) -> None:
    deep = IMAGES.astype(np.uint16) * 16  # 12 bits
    source = write(tmp_path, x=deep, y=LABELS, x_test=TEST[0].astype(np.uint16) * 16, y_test=TEST[1])
    assert "dtype uint16 and go from 0 to 4080, expected 0 to 255: scale them, or let --pixel-range own" in refusal(
        source
    )
    assert refusal(source, pixel_range="max") == "--pixel-range max: use one of full, own"
    train, test = load(source, pixel_range="own")
    assert np.array_equal(train.images[:, 0], IMAGES)
    assert np.array_equal(test.images[:, 0], TEST[0])
