"""Random damage to small files of every published format: a right answer or one line of what is wrong."""

import gzip
import io
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datacondense.data.named import NAMED, Found
from datacondense.data.readers import cifar, idx, svhn, tiny_imagenet
from datacondense.data.readers.pickles import read_pickle, read_torch
from datacondense.data.search_paths import Arrays
from datacondense.utils.errors import InputError

pytestmark = pytest.mark.slow
SLOW_OR_LARGE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]
thorough = settings(
    max_examples=2000, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW_OR_LARGE
)
NOISE = np.random.default_rng(0)


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Up to four bits are flipped or bytes set, then perhaps the end is cut off or a piece taken out or repeated."""
    near_start = st.floats(0, 1).map(lambda share: share**3)  # headers are what decides
    changes = draw(
        st.lists(
            st.tuples(near_start | st.floats(0, 1), st.integers(0, 7) | st.binary(min_size=1, max_size=4)), max_size=4
        )
    )
    start, end, times = draw(st.floats(0, 1)), draw(st.floats(0, 1)), draw(st.sampled_from([1, 1, 1, 0, 2]))

    def damage(data: bytes) -> bytes:
        changed = bytearray(data)
        for share, change in changes:
            at = min(int(share * len(changed)), len(changed) - 1)
            if isinstance(change, int):
                changed[at] ^= 1 << change
            else:
                changed[at : at + len(change)] = change
        first, last = sorted((int(start * len(changed)), int(end * len(changed))))
        if times == 0 and last - first > len(changed) // 2:
            return bytes(changed[:first])
        return bytes(changed[:first] + changed[first:last] * times + changed[last:])

    return damage


def judge(read: Callable[[], Any]) -> Any:
    """What `read` returns, None for a clear error; every other exception fails the test."""
    said = ""
    try:
        return read()
    except InputError as error:
        said = str(error)
    assert len(said.splitlines()) == 1
    return None


def build(name: str, arrays: Arrays | None) -> None:
    """What was read goes through the checks of the set as well."""
    if arrays is not None:
        judge(lambda: NAMED[name].build(arrays))


def idx_file() -> bytes:
    images = NOISE.integers(0, 256, (10, 28, 28)).astype(np.uint8)
    return bytes([0, 0, 8, 3]) + struct.pack(">3I", 10, 28, 28) + images.tobytes()


IDX = idx_file()
IDX_GZ = gzip.compress(IDX, mtime=0)


@thorough
@given(damage=damages())
def test_idx(tmp_path_factory: pytest.TempPathFactory, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-idx"
    path.write_bytes(damage(IDX))
    images = judge(lambda: idx.read(path, 3))
    if images is not None:
        labels = np.arange(len(images)) % 10
        build("mnist", Arrays(images, labels, images, labels))


@thorough
@given(damage=damages())
def test_idx_gz(tmp_path_factory: pytest.TempPathFactory, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-idx.gz"
    data = damage(IDX_GZ)
    path.write_bytes(data)
    images = judge(lambda: idx.read(path, 3))
    # The checksum makes sure that what can be read is right, all but the unused fields of gzip's header.
    assert images is None or images.tobytes() == IDX[16:]


def cifar_batch() -> bytes:
    """Ten images as a batch of CIFAR-10, in the operations of Python 2."""
    pixels = NOISE.integers(0, 256, (10, 3072)).astype(np.uint8).tobytes()
    array = (
        b"cnumpy.core.multiarray\n_reconstruct\nq\2cnumpy\nndarray\nq\3K\0\x85U\1b\x87Rq\4(K\1M\x0a\0M\0\x0c\x86"
        b"cnumpy\ndtype\nq\5U\2u1K\0K\1\x87Rq\6(K\3U\1|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T"
    )
    labels = b"](" + b"".join(b"K" + bytes([k]) for k in range(10)) + b"e"
    array += struct.pack("<I", len(pixels)) + pixels + b"tb"
    return b"\x80\2}q\1(U\x06labelsq\x07" + labels + b"U\x0bbatch_labelU\5batchU\4data" + array + b"u."


CIFAR = cifar_batch()


def test_the_batch_is_what_python_takes_it_for() -> None:
    batch = pickle.loads(CIFAR, encoding="latin1")
    assert (batch["data"].shape, batch["labels"]) == ((10, 3072), list(range(10)))


@thorough
@given(damage=damages())
def test_cifar_batch(tmp_path_factory: pytest.TempPathFactory, damage: Callable[[bytes], bytes]) -> None:
    folder = tmp_path_factory.getbasetemp() / "fuzz-cifar"
    folder.mkdir(exist_ok=True)
    files = [*cifar.CIFAR10.train, cifar.CIFAR10.test]
    for name in files:
        (folder / name).write_bytes(CIFAR)
    (folder / "data_batch_2").write_bytes(damage(CIFAR))
    found = NAMED["cifar10"].find(folder)
    assert isinstance(found, Found)
    build("cifar10", judge(found.contents))


@thorough
@given(damage=damages(), whole=st.booleans())
def test_read_pickle(damage: Callable[[bytes], bytes], whole: bool) -> None:
    small = CIFAR[: CIFAR.index(b"U\4data")] + b"u." if not whole else CIFAR  # where most damage hits an operation
    judge(lambda: read_pickle(io.BytesIO(damage(small)), "FILE"))


def mat_file(packed: bool) -> bytes:
    file = io.BytesIO()
    images = NOISE.integers(0, 256, (32, 32, 3, 10)).astype(np.uint8)
    scipy.io.savemat(file, {"X": images, "y": np.arange(1, 11, dtype=np.uint8)[:, None]}, do_compression=packed)
    return file.getvalue()


MAT = {packed: mat_file(packed) for packed in (True, False)}


@pytest.mark.parametrize("packed", [True, False])
@thorough
@given(damage=damages())
def test_svhn(tmp_path_factory: pytest.TempPathFactory, packed: bool, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.mat"
    path.write_bytes(MAT[packed][:128] + damage(MAT[packed][128:]))
    found = judge(lambda: svhn.read(path))
    if found is not None:
        build("svhn", Arrays(*found, *found))


@thorough
@given(damage=damages())
def test_svhn_whose_packed_variables_are_damaged_within(
    tmp_path_factory: pytest.TempPathFactory, damage: Callable[[bytes], bytes]
) -> None:
    """The checksum is right, so that only the tags can tell."""
    import zlib

    data = zlib.compress(damage(MAT[False][128 : MAT[False].index(b"\1\0\1\0y\0\0\0") - 32]))
    path = tmp_path_factory.getbasetemp() / "fuzz-within.mat"
    path.write_bytes(MAT[True][:128] + struct.pack("<2I", 15, len(data)) + data + MAT[False][-64:])
    judge(lambda: svhn.read(path))


def torch_file(value: Any, zipped: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


NAMES = ["n3", "n1", "n2"]
TINY_VALUE = {
    "classes": NAMES,
    "images_train": torch.from_numpy(NOISE.integers(0, 256, (3, 3, 64, 64)).astype(np.uint8)),
    "labels_train": torch.tensor([0, 1, 2]),
    "images_val": torch.from_numpy(NOISE.integers(0, 256, (1, 3, 64, 64)).astype(np.uint8)),
    "labels_val": torch.tensor([2]),
}
TINY = {zipped: torch_file(TINY_VALUE, zipped) for zipped in (True, False)}


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@thorough
@given(damage=damages())
def test_tinyimagenet_pt(
    tmp_path_factory: pytest.TempPathFactory, zipped: bool, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-tiny.pt"
    path.unlink(missing_ok=True)  # a new file, as the last one may still be mapped
    path.write_bytes(damage(TINY[zipped]))
    build("tiny-imagenet", judge(lambda: tiny_imagenet.read_file(path)))


SAVED = {
    "data": [
        [torch.arange(6.0).reshape(2, 3), torch.tensor([0, 1])],
        [torch.ones(2), torch.zeros(1, dtype=torch.bool)],
    ],
    "accs_all_exps": {"ConvNet": [np.float64(0.5), np.float32(0.25), np.int64(3)], "MLP": [0.5, None, "x", (1, 2)]},
}
TORCH = {zipped: torch_file(SAVED, zipped) for zipped in (True, False)}


@pytest.mark.parametrize("mmap", [False, True])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@thorough
@given(damage=damages())
def test_read_torch(
    tmp_path_factory: pytest.TempPathFactory, zipped: bool, mmap: bool, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz-torch.pt"
    path.unlink(missing_ok=True)
    path.write_bytes(damage(TORCH[zipped]))
    found = judge(lambda: read_torch(path, mmap=mmap))
    touch(found)
    # The zip format has checksums, so that what can be read is right.
    assert found is None or not zipped or repr(found) == repr(SAVED)


@thorough
@given(damage=damages())
def test_read_torch_whose_structure_is_damaged_within(
    tmp_path_factory: pytest.TempPathFactory, damage: Callable[[bytes], bytes]
) -> None:
    """The checksums are right, so that only the structure can tell."""
    import zipfile

    path = tmp_path_factory.getbasetemp() / "fuzz-within.pt"
    path.unlink(missing_ok=True)
    with zipfile.ZipFile(io.BytesIO(TORCH[True])) as archive, zipfile.ZipFile(path, "w") as damaged:
        for name in archive.namelist():
            data = archive.read(name)
            damaged.writestr(name, damage(data) if name.endswith("data.pkl") else data)
    touch(judge(lambda: read_torch(path)))


def touch(value: Any) -> None:
    """Every element is read, which a tensor beyond its memory would not survive."""
    if isinstance(value, torch.Tensor):
        assert value.numel() * value.element_size() <= 1 << 16
        value.clone().numpy() if value.dtype != torch.bfloat16 else value.clone()
    elif isinstance(value, dict):
        for key, item in value.items():
            touch(key)
            touch(item)
    elif isinstance(value, list | tuple):
        for item in value:
            touch(item)


ANNOTATIONS = b"".join(b"val_%d.JPEG\tn%02d\t0\t32\t44\t62\n" % (i, i % 3) for i in range(8))


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tiny") / "tiny-imagenet-200"
    for i in range(3):
        (root / f"train/n0{i}/images").mkdir(parents=True)
        (root / f"train/n0{i}/images/n0{i}_0.JPEG").touch()
    (root / "val/images").mkdir(parents=True)
    for i in range(8):
        (root / f"val/images/val_{i}.JPEG").touch()
    return root


@thorough
@given(damage=damages())
def test_val_annotations(tiny_folder: Path, damage: Callable[[bytes], bytes]) -> None:
    (tiny_folder / "val/val_annotations.txt").write_bytes(damage(ANNOTATIONS))
    listing = judge(lambda: tiny_imagenet.list_folder(tiny_folder))
    if listing is not None:
        assert sorted(file.name for file, _ in listing.test) == [f"val_{i}.JPEG" for i in range(8)]
        assert {label for _, label in listing.test} <= {0, 1, 2}
