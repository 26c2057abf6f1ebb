from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset, random_split

from datacondense import ImageSet, InputError, from_torch

PIXELS = np.random.default_rng(0).integers(0, 256, (30, 4, 5), dtype=np.uint8)


class Birds(Dataset):
    """A stand-in for torchvision's datasets, with the attributes that are given."""

    def __init__(self, labels: Any, **attributes: Any) -> None:
        self.labels = labels
        self.__dict__.update(attributes)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> Any:
        return PIXELS[index], self.labels[index]


class Wrapped(Dataset):
    """A wrapper that transforms images, as many write it."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[index]


def read(dataset: Any, test: Any = None, **options: Any) -> tuple[ImageSet, ImageSet]:
    return from_torch(dataset, name="mine", test=dataset if test is None else test, **options)


def named(part: ImageSet) -> list[str]:
    return [part.classes[label] for label in part.targets]


BIRDS = ["owl", "wren", "tit"]
THREE = [0, 1, 2] * 10


@pytest.mark.parametrize(
    "attributes",
    [
        {"classes": BIRDS},
        {"classes": tuple(BIRDS), "class_to_idx": {"owl": 0, "wren": 1, "tit": 2}},
        {"class_to_idx": {"tit": 2, "owl": 0, "wren": 1}},
        {"classes": sorted(BIRDS), "class_to_idx": {"tit": 2, "owl": 0, "wren": 1}},
        {"classes": np.array(BIRDS)},
        {"info": {"label": {"0": "owl", "1": "wren", "2": "tit"}, "n_channels": 1}},
    ],
)
@pytest.mark.parametrize(
    "kind", [int, float, np.int64, torch.tensor, lambda k: np.array([k]), lambda k: torch.tensor([float(k)])]
)
def test_names_wherever_a_dataset_has_them(attributes: dict[str, Any], kind: Any) -> None:
    train, test = read(Birds([kind(label) for label in THREE], **attributes))
    assert (train.classes, train.targets, test.targets) == (BIRDS, THREE, THREE)


def test_labels_of_any_kind() -> None:
    for labels in (np.eye(3)[THREE], torch.eye(3)[THREE], [BIRDS[label] for label in THREE]):
        train, test = read(Birds(labels, classes=BIRDS))
        assert (train.classes, train.targets, test.targets) == (BIRDS, THREE, THREE)
    train, _ = read(Birds([label + 1 for label in THREE]))
    assert (train.classes, train.targets) == (["1", "2", "3"], THREE)
    train, _ = read(TensorDataset(torch.from_numpy(PIXELS), torch.tensor(THREE)[:, None].double()))
    assert (train.classes, train.targets) == (["0", "1", "2"], THREE)


def test_names_of_whatever_a_part_was_taken_of() -> None:
    whole = Birds(THREE, classes=BIRDS)
    parts: list[Any] = random_split(whole, [20, 10], torch.Generator().manual_seed(0))
    wrapped = Subset(Wrapped(Subset(Subset(whole, range(29)), range(25))), range(20))

    sets: list[Any] = [parts[0], wrapped, Wrapped(Wrapped(whole)), ConcatDataset([whole, parts[1]])]
    for part in sets:
        labels = [label for _, label in part]
        train, test = read(part, parts[1])
        assert (train.classes, train.targets) == (BIRDS, labels)
        assert test.targets == [label for _, label in parts[1]]


def test_a_subset_without_some_classes() -> None:
    whole = Birds(THREE, classes=BIRDS)
    few = Subset(whole, [index for index, label in enumerate(THREE) if label != 1])
    with pytest.warns(UserWarning, match="left out classes without a training image: wren"):
        train, test = read(few)
    assert (train.classes, train.targets, test.targets) == (["owl", "tit"], [0, 1] * 10, [0, 1] * 10)
    with (
        pytest.warns(UserWarning, match="wren"),
        pytest.raises(InputError, match="mine: test: labels hold 1, which is"),
    ):
        read(few, whole)


def test_letters_of_emnist() -> None:
    letters = ["N/A", "a", "b", "c"]
    with pytest.warns(UserWarning, match="left out classes without a training image: N/A"):
        train, test = read(Birds([label + 1 for label in THREE], classes=letters), Birds([3, 1], classes=letters))
    assert (train.classes, train.targets, test.targets) == (["a", "b", "c"], THREE, [2, 0])


def test_a_target_transform_that_changes_labels_takes_their_names() -> None:
    letters = ["N/A", "a", "b", "c"]
    with pytest.warns(UserWarning, match="class names of the dataset are not used: its target_transform may"):
        train, test = read(Birds(THREE, classes=letters, target_transform=lambda label: label - 1))
    assert (train.classes, train.targets, test.targets) == (["0", "1", "2"], THREE, THREE)
    train, _ = read(Birds(THREE, classes=BIRDS, target_transform=int))
    assert train.classes == BIRDS


@pytest.mark.parametrize(
    "test",
    [
        Birds([0, 1, 0], classes=["tit", "owl"]),
        Birds([5, 2, 5], class_to_idx={"owl": 2, "tit": 5}),
        Subset(Birds([9, 0, 1, 0], classes=["tit", "owl"]), [1, 2, 3]),
        ConcatDataset([Birds([0], classes=["tit"]), Birds([0, 1], classes=["owl", "tit"])]),
        Birds(["tit", "owl", "tit"]),
    ],
)
def test_a_test_set_with_another_numbering_is_matched_by_name(test: Any) -> None:
    train, tests = read(Birds(THREE, classes=BIRDS), test)
    assert tests.spec is train.spec
    assert named(tests) == ["tit", "owl", "tit"]


def test_a_class_of_the_test_set_alone_is_refused() -> None:
    with pytest.raises(
        InputError, match="mine: test: labels hold 'hawk', which is not a class: expected one of owl, wren, tit"
    ):
        read(Birds(THREE, classes=BIRDS), Birds([0, 1], classes=["owl", "hawk"]))
    with pytest.raises(InputError, match="item 1 of the test set has label 2, which has no class name"):
        read(Birds(THREE, classes=BIRDS), Birds([0, 2], classes=["owl", "tit"]))


def test_datasets_that_number_their_classes_differently_are_joined_by_name() -> None:
    both = ConcatDataset(
        [Birds([0, 1] * 5, classes=["wren", "owl"]), Birds([0, 1, 2] * 5, classes=["owl", "tit", "wren"])]
    )
    train, test = read(both)
    assert train.classes == ["wren", "owl", "tit"]
    assert named(train) == named(test) == ["wren", "owl"] * 5 + ["owl", "tit", "wren"] * 5
    part, _ = read(Subset(both, range(10, 25)))
    assert named(part) == ["owl", "tit", "wren"] * 5
    with pytest.raises(InputError, match="dataset combines datasets with and without class names"):
        read(ConcatDataset([both, Birds(THREE)]))


def test_given_names_go_before_those_of_the_dataset() -> None:
    train, test = read(Birds(THREE, classes=BIRDS), Birds([1], classes=["x", "y"]), class_names=["a", "b", "c"])
    assert (train.classes, test.targets) == (["a", "b", "c"], [1])
    train, test = read(Birds([3, 7] * 15), class_names={3: "a", 7: "b"})
    assert (named(train)[:2], named(test)[:2]) == (["a", "b"], ["a", "b"])


def test_several_names_for_a_class() -> None:
    assert read(Birds(THREE, classes=[("tench", "Tinca"), ("crane",), "owl"]))[0].classes == [
        "tench, Tinca",
        "crane",
        "owl",
    ]


def test_small_classes_are_left_out_as_load_does() -> None:
    dataset = Birds([0, 1, 2, 0, 1, 2, 0, 1, 0, 1], classes=BIRDS)
    with pytest.warns(UserWarning, match=r"left out classes with fewer than 3 training images: tit \(2\)"):
        train, test = read(dataset, min_per_class=3)
    assert (train.classes, train.targets, test.targets) == (["owl", "wren"], [0, 1] * 4, [0, 1] * 4)
    with pytest.warns(UserWarning, match=r"left out classes with fewer than 2 training images: tit \(1\)"):
        train, _ = from_torch(dataset, name="mine", min_per_class=2)
    assert train.counts.tolist() == [3, 3]
