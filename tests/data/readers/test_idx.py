import gzip
import resource
from pathlib import Path

import numpy as np
import pytest
from readers import TRAIN_LABELS, encode, refusal, write_set

from datacondense.data.named import NAMED
from datacondense.data.readers import idx
from datacondense.data.source import load

pytestmark = pytest.mark.filterwarnings("ignore:.*not the published files:UserWarning")  # they are made here
(DEBIAN,) = NAMED["fashion-mnist"].system


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("shape", [(7,), (2, 3, 5)])
def test_a_file_reads_back_as_written(tmp_path: Path, shape: tuple[int, ...], suffix: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape)
    path = tmp_path / f"file{suffix}"
    path.write_bytes((gzip.compress if suffix else bytes)(encode(array)))
    assert np.array_equal(idx.read(path, len(shape)), array)


GOOD = encode(np.arange(24).reshape(2, 3, 4))
PACKED = gzip.compress(GOOD, mtime=0)


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
        (GOOD + b"\0", "is damaged: more than 24 bytes of data, expected 24 for the shape [2, 3, 4]"),
        (GOOD[:4] + b"\xff" * 12 + GOOD[16:], "is damaged: it declares the shape [4294967295, 4294967295, 4294967295]"),
        (GOOD[:4] + bytes(12), "is damaged: it declares the shape [0, 0, 0]"),
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


def test_the_set_has_its_published_spec(tmp_path: Path) -> None:
    train, test = load("fashion-mnist", data_dir=str(write_set(tmp_path / "mine", 9)))
    assert (len(train), len(test)) == (20, 5)
    assert (train.spec.name, train.spec.shape, train.spec.flip) == ("fashion-mnist", (1, 28, 28), True)
    assert (train.spec.mean, train.spec.std) == ((0.2861,), (0.3530,))
    assert train.spec.class_names[::9] == ("T-shirt/top", "Ankle boot")
    assert test.spec is train.spec


def test_files_that_do_not_fit_together_are_refused_by_place(tmp_path: Path) -> None:
    mine = write_set(tmp_path / "mine", 1)
    (mine / TRAIN_LABELS).write_bytes(encode(np.arange(19) % 10))
    assert refusal(load, "fashion-mnist", data_dir=mine) == (
        f"{mine}: labels have shape (19,), expected (20,): one for each image"
    )
    (mine / TRAIN_LABELS).write_bytes(encode(np.arange(20) % 9))
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


@pytest.mark.slow
def test_a_gzip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    """A file of a megabyte that unpacks to one gigabyte behind the header of 24 pixels."""
    path = tmp_path / "file.gz"
    with gzip.open(path, "wb", compresslevel=9) as file:
        file.write(GOOD)
        for _ in range(1024):
            file.write(bytes(1 << 20))
    assert path.stat().st_size < 2 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert refusal(idx.read, path, 3).startswith(f"{path} is damaged: more than 24 bytes of data")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # kilobytes


@pytest.mark.parametrize("shape", [(1 << 31, 1, 1), (65536, 65536, 2)])
def test_a_header_that_declares_more_than_two_gigabytes_or_lies_is_refused(tmp_path: Path, shape: tuple[int]) -> None:
    for name, pack in (("file", bytes), ("file.gz", gzip.compress)):
        (tmp_path / name).write_bytes(pack(GOOD[:4] + np.array(shape, ">u4").tobytes() + bytes(100)))
        assert "is damaged: " in refusal(idx.read, tmp_path / name, 3)


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_cut_anywhere_a_file_is_refused(tmp_path: Path, name: str) -> None:
    mine = write_set(tmp_path / name, 7, ".gz")
    whole = (mine / f"{TRAIN_LABELS}.gz").read_bytes()
    for end in range(len(whole)):
        (mine / f"{TRAIN_LABELS}.gz").write_bytes(whole[:end])
        assert f"{mine / TRAIN_LABELS}.gz " in refusal(load, name, data_dir=mine)
