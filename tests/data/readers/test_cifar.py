import io
import os
import pickle
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from readers import refusal

from datacondense.data.readers import cifar
from datacondense.data.source import load

pytestmark = pytest.mark.filterwarnings("ignore:.*not the published files:UserWarning")  # they are made here


def text(value: bytes) -> bytes:
    """A string of Python 2 in a pickle."""
    short = len(value) < 256
    return (b"U" + bytes([len(value)]) if short else b"T" + len(value).to_bytes(4, "little")) + value


def number(value: int) -> bytes:
    return b"J" + value.to_bytes(4, "little", signed=True)


def batch(images: np.ndarray, labels: Sequence[int], key: bytes = b"labels") -> bytes:
    """A batch as Python 2 and its NumPy wrote them: protocol 2, with names and pixels in strings of bytes."""
    pixels = images.reshape(len(images), -1)
    shape = b"".join(map(number, pixels.shape)) + b"\x86"
    dtype = (
        b"cnumpy\ndtype\nq\4" + text(b"u1") + b"K\0K\1\x87Rq\5(K\3" + text(b"|") + b"NNN" + number(-1) * 2 + b"K\0tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\nq\2cnumpy\nndarray\nq\3K\0\x85" + text(b"b") + b"\x87R"
    array = empty + b"(K\1" + shape + dtype + b"\x89" + text(pixels.tobytes()) + b"tb"
    entries = [
        text(b"batch_label") + text(b"training batch 1 of 5"),
        text(key) + b"](" + b"".join(map(number, labels)) + b"e",
        text(b"data") + array,
        text(b"filenames") + b"](" + text(b"leptodactylus_s_000004.png") + b"e",
    ]
    return b"\x80\2}q\1(" + b"".join(entries) + b"u."


def pixels(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32)).astype(np.uint8)


TEN = {f"data_batch_{i}": batch(pixels(4, i), [(4 * i + j) % 10 for j in range(4)]) for i in range(1, 6)}
TEN["test_batch"] = batch(pixels(3, 6), [9, 0, 9])
HUNDRED = {
    "train": batch(pixels(100, 0), range(100), b"fine_labels"),
    "test": batch(pixels(2, 1), [99, 5], b"fine_labels"),
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def pack(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return path


def test_batches_mean_to_python_2_what_they_mean_here() -> None:
    expected = pickle.loads(TEN["test_batch"], encoding="latin1")
    assert expected["labels"] == [9, 0, 9]
    assert np.array_equal(expected["data"].reshape(3, 3, 32, 32), pixels(3, 6))


@pytest.mark.parametrize("form", ["beside", "itself", "packed"])
def test_cifar10(tmp_path: Path, form: str) -> None:
    if form == "packed":
        members = {f"cifar-10-batches-py/{name}": data for name, data in reversed(TEN.items())}
        others = {"cifar-10-batches-py/readme.html": b"x", "../test_batch": b"x", "/data_batch_1": b"x"}
        pack(tmp_path / "cifar-10-python.tar.gz", {**others, **members})
    else:
        write(tmp_path / ("cifar-10-batches-py" if form == "beside" else "."), TEN)
    before = sorted(tmp_path.rglob("*"))
    train, test = load("cifar10", data_dir=tmp_path)
    assert np.array_equal(train.images, np.concatenate([pixels(4, i) for i in range(1, 6)]))
    assert train.labels.tolist() == [i % 10 for i in range(4, 24)]
    assert np.array_equal(test.images, pixels(3, 6))
    assert test.labels.tolist() == [9, 0, 9]
    assert (train.spec.name, train.spec.shape, train.spec.flip) == ("cifar10", (3, 32, 32), True)
    assert (train.spec.mean, train.spec.std) == ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
    assert train.spec.class_names[:2] == ("airplane", "automobile")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("packed", [False, True])
def test_cifar100_has_its_fine_labels(tmp_path: Path, packed: bool) -> None:
    if packed:
        members = {f"cifar-100-python/{name}": data for name, data in HUNDRED.items()}
        pack(tmp_path / "cifar-100-python.tar.gz", members)
    else:
        write(tmp_path / "cifar-100-python", HUNDRED)
    train, test = load("cifar100", data_dir=tmp_path)
    assert train.labels.tolist() == list(range(100))
    assert test.labels.tolist() == [99, 5]
    names = train.spec.class_names
    assert len(names) == len(set(names)) == 100
    assert list(names) == sorted(names)
    assert (names[0], names[1], names[41], names[99]) == ("apple", "aquarium_fish", "lawn_mower", "worm")


def test_the_unpacked_batches_come_first(tmp_path: Path) -> None:
    write(tmp_path / "cifar-10-batches-py", TEN)
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"damaged")
    assert len(load("cifar10", data_dir=tmp_path)[0]) == 20


FIRST = {"data": np.zeros((4, 3072), np.uint8), "labels": [0, 1, 2, 3]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "is not a CIFAR batch: expected a dict with 'data' and 'labels'"),
        ({"data": FIRST["data"]}, "is not a CIFAR batch: expected a dict with 'data' and 'labels'"),
        ({**FIRST, "data": [1]}, "has images of the form list, expected uint8 (N, 3072)"),
        ({**FIRST, "data": np.zeros((4, 3072), np.int64)}, "has images of the form int64 (4, 3072), expected"),
        ({**FIRST, "data": np.zeros((4, 3071), np.uint8)}, "has images of the form uint8 (4, 3071), expected"),
        ({**FIRST, "labels": [0, 1, 2]}, "has 3 labels for 4 images"),
        ({**FIRST, "labels": [0, 1, 2, 10]}, "has labels that are not a list of whole numbers from 0 to 9"),
        ({**FIRST, "labels": [0, 1, 2, -1]}, "has labels that are not a list of whole numbers from 0 to 9"),
        ({**FIRST, "labels": [0, 1, 2, 1.5]}, "has labels that are not a list of whole numbers from 0 to 9"),
        ({**FIRST, "labels": [0, 1, 2, True]}, "has labels that are not a list of whole numbers from 0 to 9"),
        ({**FIRST, "labels": [0, 1, 2, 1 << 80]}, "has labels that are not a list of whole numbers from 0 to 9"),
        ({**FIRST, "labels": "0123"}, "has labels that are not a list of whole numbers from 0 to 9"),
    ],
)
def test_a_batch_of_another_form_is_refused(tmp_path: Path, content: object, said: str) -> None:
    folder = write(tmp_path / "cifar-10-batches-py", {**TEN, "data_batch_3": pickle.dumps(content, 2)})
    assert refusal(load, "cifar10", data_dir=tmp_path).startswith(f"{folder / 'data_batch_3'} {said}")


class Creates:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_a_batch_that_carries_code_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    evil = pickle.dumps({**FIRST, "filenames": Creates(trace)}, 2)
    folder = write(tmp_path / "plain/cifar-10-batches-py", {**TEN, "test_batch": evil})
    assert f"{folder / 'test_batch'} would run posix.mkdir" in refusal(load, "cifar10", data_dir=tmp_path / "plain")
    packed = write(tmp_path / "packed", {}) / "cifar-10-python.tar.gz"
    pack(packed, {f"cifar-10-batches-py/{name}": data for name, data in (TEN | {"test_batch": evil}).items()})
    said = refusal(load, "cifar10", data_dir=packed.parent)
    assert f"{packed}: cifar-10-batches-py/test_batch would run posix.mkdir" in said
    assert not trace.exists()


def test_cut_anywhere_a_batch_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path / "cifar-10-batches-py", TEN)
    whole = TEN["test_batch"]
    for end in [*range(400), *range(400, len(whole), 501)]:
        (folder / "test_batch").write_bytes(whole[:end])
        assert f"{folder / 'test_batch'} " in refusal(load, "cifar10", data_dir=tmp_path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "cifar-100-python.tar.gz", {f"cifar-100-python/{k}": v for k, v in HUNDRED.items()})
    whole = path.read_bytes()
    wrong = bytearray(whole)
    wrong[len(whole) // 2] ^= 4
    for data in [b"", b"tar", bytes(wrong), *(whole[: len(whole) * i // 30] for i in range(30)), whole[:-5]]:
        path.write_bytes(data)
        assert str(path) in refusal(load, "cifar100", data_dir=tmp_path)


def test_an_archive_that_lacks_a_batch_or_links_elsewhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cifar-100-python.tar.gz"
    elsewhere = write(tmp_path / "elsewhere", {"test": HUNDRED["test"]})
    with tarfile.open(path, "w:gz") as archive:
        entry = tarfile.TarInfo("cifar-100-python/train")
        entry.size = len(HUNDRED["train"])
        archive.addfile(entry, io.BytesIO(HUNDRED["train"]))
        for name in ("cifar-100-python/test", "../test"):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, str(elsewhere / "test")
            archive.addfile(link)
    assert refusal(load, "cifar100", data_dir=tmp_path) == f"{path} lacks cifar-100-python/test"


def test_an_archive_that_is_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cifar-100-python.tar.gz"
    pack(path, {"zeros": bytes(3 << 20), **{f"cifar-100-python/{k}": v for k, v in HUNDRED.items()}})
    assert len(load("cifar100", data_dir=tmp_path)[0]) == 100
    monkeypatch.setattr(cifar, "_LARGEST", 2 << 20)  # in place of the 256 MiB that would take long to unpack
    assert refusal(load, "cifar100", data_dir=tmp_path).startswith(f"{path} unpacks to more than 2 MiB")
