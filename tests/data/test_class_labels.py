from typing import Any

import numpy as np
import pandas
import pytest
import torch

from datacondense import image_set
from datacondense.data.image_set import ImageSet
from datacondense.data.labels import number_classes, number_labels
from datacondense.data.spec import Spec
from datacondense.utils.errors import InputError

NUMBERS = [1, 0, 2, 1, 2, 0]


def refusal(values: Any, names: Any = None, test: Any = None) -> str:
    with pytest.raises(InputError) as caught:  # noqa: PT012
        found = number_classes(values, names)
        number_labels(test, found.names, found.known)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        NUMBERS,
        np.array(NUMBERS, np.uint8),
        np.array(NUMBERS, np.float32),
        np.array(NUMBERS, object),
        np.array(NUMBERS)[:, None],
        np.array(NUMBERS)[None],
        torch.tensor(NUMBERS),
        torch.tensor(NUMBERS, dtype=torch.bfloat16)[:, None],
        np.eye(3)[NUMBERS],
        np.eye(3, dtype=bool)[NUMBERS],
        torch.eye(3, dtype=torch.int64)[NUMBERS],
        np.eye(3)[NUMBERS].tolist(),
        [torch.tensor(number) for number in NUMBERS],
        [np.array([number]) for number in NUMBERS],
        [np.float64(number) for number in NUMBERS],
    ],
)
def test_numbers_of_any_kind_are_the_numbers_of_the_classes(values: Any) -> None:
    found = number_classes(values)
    assert (found.names, found.numbers.tolist(), found.known, found.notes) == (("0", "1", "2"), NUMBERS, None, ())
    assert found.numbers.dtype == np.int64
    assert number_classes(values, ["a", "b", "c"]).names == ("a", "b", "c")
    assert number_labels(values, found.names, found.known).tolist() == NUMBERS


@pytest.mark.parametrize(
    "values", [["b", "a", "c"], [b"b", b"a", b"c"], np.array(["b", "a", "c"]), np.array([b"b", b"a", b"c"])]
)
def test_texts_are_sorted_and_matched_by_name(values: Any) -> None:
    found = number_classes(values)
    assert (found.names, found.numbers.tolist()) == (("a", "b", "c"), [1, 0, 2])
    assert number_labels(["c", "a"], found.names, found.known).tolist() == [2, 0]
    assert number_labels(np.array([["c"], ["b"]]), found.names, found.known).tolist() == [2, 1]
    assert "labels hold 'd', which is not a class: expected one of a, b, c" in refusal(values, test=["a", "d"])
    assert "labels hold 0, which is not a class: expected one of a, b, c" in refusal(values, test=[0, 1, 2])


def test_texts_follow_the_order_of_given_names() -> None:
    found = number_classes(["cat", "dog", "cat"], ["dog", "owl", "cat"])
    assert (found.names, found.numbers.tolist()) == (("dog", "cat"), [1, 0, 1])
    assert found.notes == ("left out classes without a training image: owl",)
    assert "labels hold 'cow', which is not a class: expected one of dog, cat" in refusal(
        ["cow", "dog"], ["dog", "cat"]
    )


def test_truth_values_are_two_classes() -> None:
    found = number_classes([True, False, True])
    assert (found.names, found.numbers.tolist()) == (("False", "True"), [1, 0, 1])
    for test in ([0, 1], [False, True], ["False", "True"], np.array([0.0, 1.0])):
        assert number_labels(test, found.names, found.known).tolist() == [0, 1]
    texts = number_classes(["False", "True"])
    assert number_labels([True], texts.names, texts.known).tolist() == [1]


def test_labels_from_one_are_named_by_themselves_and_mean_the_same_in_the_test_set() -> None:
    found = number_classes([1, 2, 3, 3])
    assert (found.names, found.numbers.tolist(), found.notes) == (("1", "2", "3"), [0, 1, 2, 2], ())
    assert number_labels([3, 1], found.names, found.known).tolist() == [2, 0]
    assert number_labels(["3", "1"], found.names, found.known).tolist() == [2, 0]
    assert "labels hold 0, which is not a class: expected one of 1, 2, 3" in refusal([1, 2, 3], test=[0, 1, 2])
    assert "labels go up to 3, but the 3 classes are numbered 0 to 2" in refusal([0, 1, 2], test=[1, 2, 3])
    assert "not numbered from 0" in refusal([1, 2, 3], test=np.eye(3))


def test_labels_with_gaps_are_named_by_themselves() -> None:
    found = number_classes([0, 5, 2, 5])
    assert (found.names, found.numbers.tolist()) == (("0", "2", "5"), [0, 2, 1, 2])
    assert found.notes == ("labels have gaps: the 3 classes are named by the labels 0, 2, 5",)
    assert number_labels([5, 0], found.names, found.known).tolist() == [2, 0]
    assert "labels hold 1, which is not a class" in refusal([0, 5, 2], test=[0, 1, 2])


def test_given_names_count_from_nought_or_from_one() -> None:
    found = number_classes([1, 2, 3], ["a", "b", "c"])
    assert (found.names, found.numbers.tolist()) == (("a", "b", "c"), [0, 1, 2])
    assert found.notes == ("labels go from 1 to 3: 1 is the first of the class names, 'a'",)
    assert number_labels([1, 2], found.names, found.known).tolist() == [0, 1]
    assert "labels go up to 4, but the 3 classes are numbered 0 to 2" in refusal([1, 2, 4], ["a", "b", "c"])


def test_an_empty_class_is_left_out_and_named_and_numbers_stay_what_they_were() -> None:
    found = number_classes([1, 2, 3, 1], ["N/A", "a", "b", "c"])
    assert (found.names, found.numbers.tolist()) == (("a", "b", "c"), [0, 1, 2, 0])
    assert found.notes == ("left out classes without a training image: N/A",)
    assert number_labels([1, 2], found.names, found.known).tolist() == [0, 1]
    assert "labels hold 0, which is not a class" in refusal([1, 2, 3], ["N/A", "a", "b", "c"], test=[0])
    one_hot = number_classes(np.eye(4)[[1, 2, 3]])
    assert (one_hot.names, one_hot.numbers.tolist()) == (("1", "2", "3"), [0, 1, 2])
    assert number_labels(np.eye(4)[[3]], one_hot.names, one_hot.known, count=1).tolist() == [2]


def test_names_that_are_numbers_are_matched_by_what_they_say() -> None:
    found = number_classes([0, 2, 5], ["0", "2", "5"])
    assert (found.names, found.numbers.tolist()) == (("0", "2", "5"), [0, 1, 2])
    assert number_labels([5], found.names, found.known).tolist() == [2]
    assert number_classes([0, 1, 2], ["1", "2", "0"]).numbers.tolist() == [0, 1, 2]
    assert "may be positions in the class names 0, 2, 5 or those names" in refusal([0, 2], ["0", "2", "5"])


def test_a_mapping_names_each_value() -> None:
    for names in ({"3": "a", "7": "b"}, {7: "b", 3: "a"}):
        found = number_classes([7, 3, 7], names)
        assert (found.names, found.numbers.tolist()) == (("a", "b"), [1, 0, 1])
        assert number_labels([3], found.names, found.known).tolist() == [0]
    for names in ({True: "yes", False: "no"}, {1.0: "yes", 0.0: "no"}, {np.float32(1): "yes", np.bool_(0): "no"}):
        for values in ([True, False], np.array([1.0, 0.0])):
            assert number_classes(values, names).names == ("no", "yes")
            assert number_classes(values, names).numbers.tolist() == [1, 0]
    words = number_classes(["n02", "n01"], {"n01": "owl", "n02": "wren"})
    assert (words.names, words.numbers.tolist()) == (("owl", "wren"), [1, 0])
    assert "labels hold 8, for which class_names has no name" in refusal([8, 3], {3: "a", 7: "b"})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([0, -1], "labels go down to -1: classes are numbered from 0"),
        (np.array([0.0, np.nan]), "labels have no value (NaN) at position 1"),
        ([None, "a"], "labels have no value (None) at position 0"),
        (["a", float("nan")], "labels have no value (NaN) at position 1"),
        (pandas.Series(["a", None, "b"], dtype="string"), "labels have no value (NA) at position 1"),
        (pandas.Series([True, None], dtype="boolean"), "labels have no value (NA) at position 1"),
        (np.ma.masked_array([0, 1], [False, True]), "labels have no value at position 1"),
        ([0, float("inf")], "labels hold inf at position 1"),
        ([0, 2**63], "which is too large for a label"),
        (np.array([0, 2**64 - 1], np.uint64), "which is too large for a label"),
        ([0.5, 1], "labels hold 0.5 at position 0, which is not a whole number"),
        (["a", 1], "labels mix strings and numbers, such as 'a' at position 0"),
        (np.full((2, 2), 0.5), "labels have shape (2, 2), and row 0 holds soft labels"),
        (np.array([[1, 1], [0, 1]]), "row 0 is of several classes at once"),
        (np.array([[0, 1], [0, 0]]), "row 1 is of no class"),
        (np.array([[3, 1], [0, 1]]), "row 0 is not one-hot"),
        (np.zeros((2, 2, 2)), "labels have shape (2, 2, 2), expected (N,)"),
        (np.array([["a", "b"]] * 2), "labels have shape (2, 2), expected (N,)"),
        ([[0, 1], [1]], "labels are of different shapes"),
        (np.array([1j, 2]), "labels have dtype complex128"),
        (np.array([b"\xff", b"a"]), "labels are bytes that are not UTF-8"),
        ([{}, 1], "labels hold {} at position 0"),
        ({0: 1}, "labels are of type dict"),
        ("ab", "labels are of type str"),
        (3, "labels are of type int"),
        ([], "labels have shape (0,): they hold no label"),
        ([4, 4], "there is one class only"),
        (["", "a"], "class name in labels '' is not one line"),
    ],
)
def test_labels_that_are_none_are_refused(values: Any, message: str) -> None:
    assert message in refusal(values)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "class_names is empty"),
        ({}, "class_names is empty"),
        (["a"], "labels go up to 1, but the 1 classes are numbered 0 to 0"),
        (["a", "a"], "class name 'a' occurs twice"),
        ({"x": "a", "y": "b"}, "class_names names 'x', but labels are integers"),
        ({0.5: "a", 1: "b"}, "class_names names 0.5, but labels are integers"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: Any, message: str) -> None:
    assert message in refusal([0, 1], names)


def test_one_hot_rows_of_another_length_are_refused() -> None:
    assert "one-hot rows of 3 columns for 2 class names" in refusal(np.eye(3), ["a", "b"])
    assert "labels are one-hot rows of 2 columns for 3 classes" in refusal([0, 1, 2], test=np.eye(2))


PIXELS = np.random.default_rng(0).integers(0, 256, (6, 4, 5), dtype=np.uint8)


def twice(labels: Any, test: Any, **given: Any) -> tuple[ImageSet, ImageSet]:
    train = image_set(PIXELS, labels, name="toy", **given)
    return train, image_set(PIXELS[: len(test)], test, spec=train.spec)


@pytest.mark.parametrize(
    ("labels", "test"),
    [
        ([1, 2, 3, 1, 2, 3], [3, 1]),
        (["a", "b", "c"] * 2, ["c", "a"]),
        (np.eye(3)[[0, 1, 2] * 2], np.eye(3)[[2, 0]]),
        ([[10.0], [20.0], [30.0]] * 2, [30, 10]),
    ],
)
@pytest.mark.filterwarnings("ignore:labels have gaps")
def test_a_test_set_is_numbered_as_its_training_set(labels: Any, test: Any) -> None:
    train, tests = twice(labels, test)
    assert (train.targets, tests.targets) == ([0, 1, 2, 0, 1, 2], [2, 0])
    again = Spec.from_json(train.spec.to_json())  # as an artefact holds it
    assert image_set(PIXELS[:2], test, spec=again).targets == [2, 0]
    assert again == train.spec


def test_the_encoding_is_no_part_of_what_data_are() -> None:
    plain = image_set(PIXELS, [0, 1, 2] * 2, name="toy", class_names=["1", "2", "3"])
    encoded = image_set(PIXELS, [1, 2, 3] * 2, name="toy")
    assert "encoding" not in plain.spec.to_json()
    assert encoded.spec == plain.spec
    assert encoded.fingerprint() == plain.fingerprint()


@pytest.mark.parametrize("encoding", [3, {"labels": [1]}, {"labels": {"a": -1}}, {"pixels": [1]}, {"pixels": [2, 1]}])
def test_a_damaged_encoding_is_refused(encoding: Any) -> None:
    fields = image_set(PIXELS, [0, 1, 2] * 2, name="toy").spec.to_json()
    with pytest.raises(InputError, match=r"field encoding"):
        Spec.from_json({**fields, "encoding": encoding})


@pytest.mark.parametrize(
    ("labels", "test", "names"),
    [([0, 0, 1, 2, 2, 0], [0, 1, 2], ("0", "2")), (list("aabcca"), list("abc"), ("a", "c"))],
)
def test_small_classes_are_left_out_of_the_test_set_too(labels: Any, test: Any, names: tuple[str, ...]) -> None:
    with pytest.warns(UserWarning, match="left out") as told:
        train, tests = twice(labels, test, min_per_class=2)
    assert [str(one.message) for one in told] == [
        f"left out classes with fewer than 2 training images: {'1' if names[0] == '0' else 'b'} (1)",
        "left out 1 images of classes that the training set leaves out",
    ]
    assert train.spec.class_names == names
    assert (train.targets, tests.targets) == ([0, 0, 1, 1, 0], [0, 1])
    assert np.array_equal(train.images[:, 0], PIXELS[[0, 1, 3, 4, 5]])
    assert np.array_equal(tests.images[:, 0], PIXELS[[0, 2]])


def test_sets_have_what_torchvision_has() -> None:
    train, _ = twice(list("abcabc"), ["c"])
    assert (train.targets, train.classes) == ([0, 1, 2, 0, 1, 2], ["a", "b", "c"])
    assert train.class_to_idx == {"a": 0, "b": 1, "c": 2}
