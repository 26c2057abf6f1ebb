import dataclasses
import gzip
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from datacondense.data import idx, load
from datacondense.data.places import VARIABLE
from datacondense.errors import InputError

IMAGES, LABELS, TEST_IMAGES, TEST_LABELS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
DEBIAN = idx.FASHION_MNIST.system


def encode(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def write_set(folder: Path, value: int, suffix: str = "") -> Path:
    """The four files, of 20 train and 5 test images of 4 by 6 pixels that all have `value`."""
    folder.mkdir(parents=True)
    pack = gzip.compress if suffix else bytes
    for name, array in (
        (IMAGES, np.full((20, 4, 6), value)),
        (LABELS, np.arange(20) % 10),
        (TEST_IMAGES, np.full((5, 4, 6), value)),
        (TEST_LABELS, np.arange(5)),
    ):
        (folder / f"{name}{suffix}").write_bytes(pack(encode(array)))
    return folder


def refusal(function: Callable[..., object], *args: object, **kwargs: object) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine is found but what a test puts there, and Debian's folder under its own name."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.chdir(tmp_path)


def fashion(tmp_path: Path) -> idx.IdxSet:
    return dataclasses.replace(idx.FASHION_MNIST, system=tmp_path / "debian")


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(7,), (2, 3, 5)])
def test_a_file_reads_back_as_written(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape)
    path = tmp_path / f"file{suffix}"
    path.write_bytes((gzip.compress if suffix else bytes)(encode(array)))
    assert np.array_equal(idx.read(path, len(shape)), array)


GOOD = encode(np.arange(24).reshape(2, 3, 4))
PACKED = gzip.compress(GOOD)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "starts with the bytes (none), expected 00 00 08 03: IDX, uint8, 3 dimensions"),
        (b"\x89PNG" + GOOD, "starts with the bytes 89 50 4e 47"),
        (b"\0\0\x0d" + GOOD[3:], "starts with the bytes 00 00 0d 03, expected 00 00 08 03"),
        (encode(np.arange(24)), "starts with the bytes 00 00 08 01, expected 00 00 08 03"),
        (PACKED, "starts with the bytes 1f 8b"),
        (GOOD[:15], "is cut short: it ends within its header"),
        (GOOD[:-1], "is damaged: 23 bytes of data, expected 24 for the shape [2, 3, 4]"),
        (GOOD + b"\0", "is damaged: 25 bytes of data, expected 24 for the shape [2, 3, 4]"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "is damaged: 24 bytes of data"),
    ],
)
def test_anything_but_one_whole_array_is_refused(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(data)
    assert refusal(idx.read, path, 3).startswith(f"{path} {said}")


@pytest.mark.parametrize(
    "data",
    [b"", GOOD, PACKED[:-12], PACKED[:20], PACKED[:-8] + bytes(8), PACKED[:10] + b"\xff" * 8 + PACKED[18:]],
    ids=["empty", "unpacked", "no end", "truncated", "checksum", "wrong bytes"],
)
def test_a_damaged_gzip_file_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.gz"
    path.write_bytes(data)
    said = refusal(idx.read, path, 3)
    assert said.startswith(f"{path} ")


def test_fashion_mnist_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "env"))
    places = [
        "mine/FashionMNIST/raw",
        "mine/fashion-mnist",
        "mine",
        "env/FashionMNIST/raw",
        "env/fashion-mnist",
        "env",
        "data/FashionMNIST/raw",
        "data/fashion-mnist",
        "debian",
    ]
    for value, place in reversed(list(enumerate(places))):
        folder = tmp_path / place
        if folder.exists():  # it holds a subfolder already
            for file in write_set(tmp_path / f"new{value}", value, ".gz").iterdir():
                file.rename(folder / file.name)
        else:
            write_set(folder, value, ".gz" if value % 2 else "")
        data_dir = tmp_path / "mine" if place.startswith("mine") else None
        train, test = fashion(tmp_path)(data_dir)
        assert (train.images == value).all(), place
        assert (test.images == value).all(), place


def test_the_set_has_its_published_spec(tmp_path: Path) -> None:
    train, test = load("fashion-mnist", data_dir=str(write_set(tmp_path / "mine", 9)))
    assert (len(train), len(test)) == (20, 5)
    assert (train.spec.name, train.spec.shape, train.spec.flip) == ("fashion-mnist", (1, 4, 6), True)
    assert (train.spec.mean, train.spec.std) == ((0.2861,), (0.3530,))
    assert train.spec.class_names[::9] == ("T-shirt/top", "Ankle boot")
    assert test.spec is train.spec


def test_a_given_folder_is_the_only_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_set(tmp_path / "debian", 1)
    monkeypatch.setenv(VARIABLE, str(write_set(tmp_path / "env", 2)))
    write_set(tmp_path / "data/FashionMNIST/raw", 3)
    mine = tmp_path / "mine"
    assert refusal(fashion(tmp_path), mine) == (
        f"fashion-mnist not found: looked in {mine}/FashionMNIST/raw, {mine}/fashion-mnist, {mine}; "
        "install it (apt-get install dataset-fashion-mnist) or name its folder with --data-dir"
    )


def test_an_absent_set_is_told_with_every_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    env = tmp_path / "env"
    monkeypatch.setenv(VARIABLE, str(env))
    said = refusal(fashion(tmp_path), None)
    places = [f"{env}/FashionMNIST/raw", f"{env}/fashion-mnist", f"{env}", "data/FashionMNIST/raw"]
    assert f"looked in {', '.join([*places, 'data/fashion-mnist', str(tmp_path / 'debian')])}; " in said
    assert "apt-get install dataset-fashion-mnist" in said
    assert "--data-dir" in said


def test_files_of_a_namesake_in_the_data_folder_are_not_taken(tmp_path: Path) -> None:
    write_set(tmp_path / "data", 1)  # MNIST's files have the same names
    assert "not found" in refusal(fashion(tmp_path), None)


def test_a_place_that_has_part_of_the_set_is_told(tmp_path: Path) -> None:
    mine = write_set(tmp_path / "mine", 1, ".gz")
    (mine / f"{TEST_LABELS}.gz").unlink()
    assert f"{mine} (which lacks {TEST_LABELS}); " in refusal(load, "fashion-mnist", data_dir=mine)


def test_files_that_do_not_fit_together_are_refused_by_place(tmp_path: Path) -> None:
    mine = write_set(tmp_path / "mine", 1)
    (mine / LABELS).write_bytes(encode(np.arange(19) % 10))
    assert refusal(load, "fashion-mnist", data_dir=mine) == (
        f"{mine}: labels have shape (19,), expected (20,): one for each image"
    )
    (mine / LABELS).write_bytes(encode(np.arange(20) % 9))
    assert f"{mine}: class 'Ankle boot' (label 9) has no image" in refusal(load, "fashion-mnist", data_dir=mine)


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_the_real_fashion_mnist() -> None:
    train, test = load("fashion-mnist")
    assert train.images.shape == (60_000, 1, 28, 28)
    assert train.counts.tolist() == [6000] * 10
    assert test.counts.tolist() == [1000] * 10
    scaled = train.images.numpy() / np.float32(255)
    assert scaled.mean(dtype=np.float64) == pytest.approx(train.spec.mean[0], abs=1e-4)
    assert scaled.std(dtype=np.float64) == pytest.approx(train.spec.std[0], abs=1e-4)
