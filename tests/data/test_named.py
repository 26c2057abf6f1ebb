import dataclasses
from pathlib import Path

import numpy as np
import pytest
from readers import TEST_LABELS, TRAIN_IMAGES, encode, refusal, write_set

from datacondense.data.named import NAMED, Found, HubName, Named, NotFound
from datacondense.data.search_paths import VARIABLE, Arrays
from datacondense.data.source import load
from datacondense.utils.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:.*not the published files:UserWarning")  # they are made here


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine is found but what a test puts there, and Debian's folder under its own name."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def fashion(tmp_path: Path) -> Named:
    return dataclasses.replace(NAMED["fashion-mnist"], system=(tmp_path / "debian",))


def value_of(named: Named, data_dir: Path | None) -> int:
    """The value that all pixels of the set found have."""
    found = named.find(data_dir)
    assert isinstance(found, Found)
    arrays = found.contents()
    assert isinstance(arrays, Arrays)
    train, test = found.build(arrays)
    (value,) = {*train.images.unique().tolist(), *test.images.unique().tolist()}
    return value


def error_of(named: Named, data_dir: Path | None) -> str:
    found = named.find(data_dir)
    assert isinstance(found, NotFound)
    return str(found.error())


def test_fashion_mnist_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "env"))
    places = [
        "mine/FashionMNIST/raw",
        "mine/fashion-mnist",
        "mine",
        "env/FashionMNIST/raw",
        "env/fashion-mnist",
        "data/FashionMNIST/raw",
        "data/fashion-mnist",
        "debian",
    ]
    for value, place in reversed(list(enumerate(places))):
        write_set(tmp_path / place, value, ".gz" if value % 2 else "")
        data_dir = tmp_path / "mine" if place.startswith("mine") else None
        assert value_of(fashion(tmp_path), data_dir) == value, place


def test_a_packed_file_comes_before_one_that_is_not(tmp_path: Path) -> None:
    write_set(tmp_path / "mine", 1)
    write_set(tmp_path / "mine", 2, ".gz")
    assert value_of(fashion(tmp_path), tmp_path / "mine") == 2


def test_a_given_folder_is_the_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "debian", 1)
    monkeypatch.setenv(VARIABLE, str(write_set(tmp_path / "env", 2)))
    write_set(tmp_path / "data/FashionMNIST/raw", 3)
    mine = tmp_path / "mine"
    said = error_of(fashion(tmp_path), mine)
    assert said.startswith(
        f"fashion-mnist not found: looked in {mine}/FashionMNIST/raw, {mine}/fashion-mnist, {mine}; "
        "install it (apt-get install dataset-fashion-mnist), or download train-images-idx3-ubyte.gz, "
    )
    assert "--data-dir" in said


def test_an_absent_set_is_told_with_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / "env"
    monkeypatch.setenv(VARIABLE, str(env))
    found = fashion(tmp_path).find(None)
    assert isinstance(found, NotFound)
    places = [f"{env}/FashionMNIST/raw", f"{env}/fashion-mnist", "data/FashionMNIST/raw"]
    every = ", ".join([*places, "data/fashion-mnist", str(tmp_path / "debian")])
    assert f"looked in {every}; install it" in str(found.error())
    assert f"looked in {every}, the hub; install it" in str(found.error(["the hub"]))


def test_files_of_a_namesake_in_the_data_folder_are_not_taken(tmp_path: Path) -> None:
    write_set(tmp_path / "data", 1)  # MNIST's files have the same names
    assert "not found" in error_of(fashion(tmp_path), None)
    assert "not found" in error_of(NAMED["mnist"], None)


def test_a_place_that_has_part_of_the_set_is_told(tmp_path: Path) -> None:
    mine = write_set(tmp_path / "mine", 1, ".gz")
    (mine / f"{TEST_LABELS}.gz").unlink()
    assert f"{mine} (which lacks {TEST_LABELS}), the Hugging Face hub (" in refusal(load, "mnist", data_dir=mine)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_files_that_lie_directly_in_the_given_folder_are_taken_for_either(tmp_path: Path, name: str) -> None:
    train, _ = load(name, data_dir=write_set(tmp_path / "mine", 3))
    assert train.spec == NAMED[name].spec()


def test_mnist(tmp_path: Path) -> None:
    write_set(tmp_path / "root/MNIST/raw", 5)
    write_set(tmp_path / "root/FashionMNIST/raw", 6)
    train, test = load("mnist", data_dir=tmp_path / "root")
    assert int(train.images.max()) == 5
    assert (train.spec.mean, train.spec.std, train.spec.flip) == ((0.1307,), (0.3081,), False)
    assert train.spec.class_names == tuple("0123456789")
    assert test.spec is train.spec


def test_images_of_another_shape_are_not_the_set(tmp_path: Path) -> None:
    mine = write_set(tmp_path / "mine", 1)
    (mine / TRAIN_IMAGES).write_bytes(encode(np.zeros((20, 32, 32))))
    said = refusal(load, "mnist", data_dir=mine)
    assert said == f"{mine}: images have shape (1, 32, 32) (C, H, W), but mnist has (1, 28, 28)"


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    mine = write_set(tmp_path / "mine", 1)
    found = NAMED["mnist"].find(mine)
    assert isinstance(found, Found)
    (mine / TEST_LABELS).unlink()
    said = refusal(found.contents)
    assert "cannot be read" in said
    assert str(mine / TEST_LABELS) in said


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("mnist", ["data/MNIST/raw", "data/mnist"]),
        ("svhn", ["data/svhn", "data/SVHN", "data"]),
        ("cifar10", ["data/cifar-10-batches-py", "data/cifar-10-python.tar.gz"]),
        ("cifar100", ["data/cifar-100-python", "data/cifar-100-python.tar.gz"]),
        ("tiny-imagenet", ["data/tiny-imagenet-200", "data/tinyimagenet.pt"]),
    ],
)
def test_every_set_says_where_it_was_looked_for_and_how_to_get_it(name: str, files: list[str]) -> None:
    said = error_of(NAMED[name], None)
    assert said.startswith(f"{name} not found: looked in {', '.join(files)}; download ")
    assert "--data-dir" in said


PUBLISHED = {
    "mnist": ((0.1307,), (0.3081,)),
    "fashion-mnist": ((0.2861,), (0.3530,)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "tiny-imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def test_what_is_known_without_files() -> None:
    assert {name: (named.mean, named.std) for name, named in NAMED.items()} == PUBLISHED
    assert {name for name, named in NAMED.items() if not named.flip} == {"mnist", "svhn"}
    assert NAMED["tiny-imagenet"].spec() is None
    spec = NAMED["cifar100"].spec()
    assert spec is not None
    assert (spec.name, spec.classes, spec.shape, spec.flip) == ("cifar100", 100, (3, 32, 32), True)


def test_the_names_on_the_hub() -> None:
    assert {name: named.hub for name, named in NAMED.items()} == {
        "mnist": HubName(repo="ylecun/mnist"),
        "fashion-mnist": HubName(repo="zalando-datasets/fashion_mnist"),
        "svhn": HubName(repo="ufldl-stanford/svhn", config="cropped_digits"),
        "cifar10": HubName(repo="uoft-cs/cifar10", image_column="img"),
        "cifar100": HubName(repo="uoft-cs/cifar100", image_column="img", label_column="fine_label"),
        "tiny-imagenet": HubName(repo="zh-plus/tiny-imagenet", test="valid"),
    }


def test_the_files_of_another_set_in_the_folder_of_the_variable_are_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, str(write_set(tmp_path / "fashion-mnist", 1)))
    assert isinstance(NAMED["mnist"].find(None), NotFound)


@pytest.mark.parametrize(
    ("folder", "refused"),
    [
        ("fashion-mnist", "mnist"),
        ("FashionMNIST/raw", "mnist"),
        ("mnist/fashion-mnist", "mnist"),
        ("MNIST/raw", "fashion-mnist"),
        ("mnist", "fashion-mnist"),
    ],
)
def test_a_folder_with_the_name_of_another_set_is_refused(tmp_path: Path, folder: str, refused: str) -> None:
    other = "fashion-mnist" if refused == "mnist" else "mnist"
    place = write_set(tmp_path / folder, 1)
    assert isinstance(NAMED[other].find(place), Found)
    with pytest.raises(InputError, match=f"{folder} has the name of {other}, not {refused}: name another"):
        NAMED[refused].find(place)
