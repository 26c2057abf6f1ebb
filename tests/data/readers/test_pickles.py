import io
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datacondense.data.readers.pickles import read_pickle, read_torch
from datacondense.utils.errors import InputError


class Creates:
    """What a malicious file holds: whoever unpickles it makes the file `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


def refusal(function: Callable[..., object], *args: object, **kwargs: object) -> str:
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def from_bytes(data: bytes) -> object:
    return read_pickle(io.BytesIO(data), "FILE")


ARRAYS = [
    np.arange(6, dtype=np.uint8).reshape(2, 3),
    np.asfortranarray(np.arange(6, dtype=np.int32).reshape(2, 3)),
    np.array([1.5, -2], ">f8"),
    np.array([True, False]),
]
PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


@pytest.mark.parametrize("array", ARRAYS, ids=lambda array: f"{array.dtype}{array.shape}")
def test_arrays_and_plain_values_read_back(array: np.ndarray) -> None:
    found = from_bytes(pickle.dumps({"data": array, "labels": [1, 2], "rest": (None, 1.5, "é", b"\xff")}, 2))
    assert isinstance(found, dict)
    assert np.array_equal(found["data"], array)
    assert found["data"].dtype == array.dtype
    assert (found["labels"], found["rest"]) == ([1, 2], (None, 1.5, "é", b"\xff"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_pickle_that_carries_code_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    trace = tmp_path / "trace"
    for evil in (Creates(trace), {"data": Creates(trace)}, [np.arange(3), Creates(trace)]):
        data = pickle.dumps(evil, protocol)
        said = refusal(from_bytes, data)
        assert re.fullmatch(r"FILE would run \S+, which data files do not use: it is refused", said)
        assert "mkdir" in said or protocol == 5  # by which an array is pickled in a way that is refused before that
        assert not trace.exists()
    pickle.loads(data)
    assert trace.exists()  # it is malicious indeed


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize("form", ["plain", "zip", "legacy"])
def test_a_torch_file_that_carries_code_is_refused_and_not_run(tmp_path: Path, protocol: int, form: str) -> None:
    trace, path = tmp_path / "trace", tmp_path / "file.pt"
    evil = {"data": [torch.zeros(3)], "accs": Creates(trace)}
    if form == "plain":
        path.write_bytes(pickle.dumps(evil["accs"], protocol))
    else:
        torch.save(evil, path, pickle_protocol=max(protocol, 2), _use_new_zipfile_serialization=form == "zip")
    assert refusal(read_torch, path).endswith("mkdir, which data files do not use: it is refused")
    assert not trace.exists()


def hand_made(*operations: bytes) -> bytes:
    return b"\x80\x02" + b"".join(operations) + b"."


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
NDARRAY = b"cnumpy\nndarray\n"
DTYPE = b"cnumpy\ndtype\n"
EMPTY = b"K\0\x85U\1b\x87R"


@pytest.mark.parametrize(
    "data",
    [
        hand_made(NDARRAY, b"(J\xff\xff\xff\x7ft", b"R"),  # ndarray((2147483647,))
        hand_made(NDARRAY, b"J\xff\xff\xff\x7f\x85\x81"),  # the same by way of __new__
        hand_made(
            RECONSTRUCT, NDARRAY, b"J\xff\xff\xff\x7f\x85U\1b\x87R"
        ),  # _reconstruct(ndarray, (2147483647,), b"b")
        hand_made(RECONSTRUCT, DTYPE, b"K\0\x85U\1b\x87R"),
        hand_made(RECONSTRUCT, b"}U\7__doc__U\1xs\x86b"),  # set fields of what is called
        # An array of an object that lies at the address 0x4141414141414141.
        hand_made(RECONSTRUCT, NDARRAY, EMPTY, b"(K\1K\1\x85", DTYPE, b"U\2O8K\0K\1\x87R\x89U\x08AAAAAAAAtb"),
        hand_made(b"r\xff\xff\xff\x7f"),
        hand_made(b"Nr\xff\xff\xff\x7f"),  # a memo of 2147483647 entries
        hand_made(b"]", b"\x85" * 30_000),
        hand_made(b"}", b"]" + b"\x85" * 30_000, b"Ns"),  # a key whose hash takes 30 000 calls
        hand_made(b"\x96\xff\xff\xff\xff\xff\0\0\0"),  # a bytearray of a terabyte
        hand_made(b"T\xff\xff\xff\x7fabc"),
        hand_made(b"\x95\xff\xff\xff\xff\xff\0\0\0N"),
        hand_made(b"c" + b"a" * 10_000 + b"\nb\n"),
        hand_made(b"Q"),
        hand_made(b"\x82\1"),
        b"",
        b"\x80",
        b"\xff",
        b"PK\3\4",
        b"\x1f\x8b",
    ],
)
def test_what_is_not_a_pickle_of_arrays_is_refused(data: bytes) -> None:
    assert refusal(from_bytes, data).startswith("FILE ")


def test_arrays_of_objects_are_refused() -> None:
    for data in (np.array([None, 1]), np.array([{}, []], object), np.array([(1, 2)], [("a", "i4"), ("b", "i4")])):
        refusal(from_bytes, pickle.dumps({"data": data}, 2))


def test_an_array_whose_shape_lies_is_refused() -> None:
    good = pickle.dumps({"data": np.arange(6, dtype=np.uint8).reshape(2, 3)}, 2)
    assert "is damaged or not a pickle" in refusal(from_bytes, good.replace(b"K\2K\3\x86", b"K\2K\4\x86"))
    assert "is damaged or not a pickle" in refusal(from_bytes, good.replace(b"K\2K\3\x86", b"J\xff\xff\xff\x7fK\3\x86"))


def test_a_pickle_cut_anywhere_is_refused() -> None:
    good = pickle.dumps({"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [0, 1]}, 2)
    for end in range(len(good)):
        refusal(from_bytes, good[:end])


VALUES: dict[Any, Any] = {
    "data": [[torch.arange(24.0).reshape(2, 3, 4), torch.tensor([0, 1])], [torch.ones(2, dtype=torch.uint8)]],
    "accs": {"ConvNet": [np.float64(0.5), np.float32(0.25), np.int64(3), np.bool_(True), 0.75, 1]},
    "rest": (None, True, "é", b"\xff"),
    1: torch.zeros(0),
}


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, torch.Tensor):
        return found.dtype == expected.dtype and torch.equal(found, expected)
    if isinstance(expected, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    if isinstance(expected, list | tuple):
        pairs = zip(found, expected, strict=True)
        return type(found) is type(expected) and all(same(a, b) for a, b in pairs)
    return type(found) is type(expected) and found == expected


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("mmap", [True, False])
def test_what_torch_saved_reads_back(tmp_path: Path, zipped: bool, mmap: bool) -> None:
    path = tmp_path / "file.pt"
    torch.save(VALUES, path, _use_new_zipfile_serialization=zipped)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(read_torch(path, mmap=mmap), VALUES)


def test_scalars_of_the_numpy_before_version_2_read_back(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save([np.float64(0.5)], path)
    rewrite(path, lambda data: data.replace(b"numpy._core.multiarray", b"numpy.core.multiarray"))
    assert read_torch(path) == [0.5]


def test_parameters_and_shared_tensors_come_out_plain(tmp_path: Path) -> None:
    path, shared = tmp_path / "file.pt", torch.ones(3, requires_grad=True)
    torch.save([torch.nn.Parameter(torch.ones(2)), shared, shared, torch.zeros(2, dtype=torch.bfloat16)], path)
    parameter, first, second, half = read_torch(path)
    assert type(parameter) is torch.Tensor
    assert [tensor.requires_grad for tensor in (parameter, first)] == [False, False]
    assert first is second
    assert half.dtype == torch.bfloat16


def rewrite(path: Path, change: Callable[[bytes], bytes], compression: int = zipfile.ZIP_STORED) -> None:
    """The same archive with another data.pkl."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in records.items():
            archive.writestr(name, change(data) if name.endswith("data.pkl") else data)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (torch.zeros(1).expand(1 << 20), "its tensors claim more than the file holds"),
        ([torch.zeros(1).expand(300) for _ in range(20)], "its tensors claim more than the file holds"),
        (torch.eye(3).to_sparse(), "would run torch._utils._rebuild_sparse_tensor"),
        (np.array(["a"]), "is not a boolean, integer or float"),
        (np.array([None]), "is not a boolean, integer or float"),
        (np.zeros(3, np.complex64), "is not a boolean, integer or float"),
        (torch.nn.Linear(1, 1), "which data files do not use"),
        ({"a": {1, 2}}, "which data files do not use"),
        (torch.float32, "which data files do not use"),
    ],
    ids=str,
)
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_other_values_are_refused(tmp_path: Path, value: object, said: str, zipped: bool) -> None:
    path = tmp_path / "file.pt"
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    assert said in refusal(read_torch, path)
    assert said in refusal(read_torch, path, mmap=True)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("dtype", ["?", "u1", ">i2", "<i8", "f2", ">f4", "f8"])
def test_arrays_of_numbers_are_read_as_they_were_saved(tmp_path: Path, dtype: str, zipped: bool) -> None:
    path = tmp_path / "file.pt"
    for array in (np.arange(6).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array(1)):
        saved = array.astype(dtype)
        torch.save({"a": [saved, saved]}, path, _use_new_zipfile_serialization=zipped)
        first, second = read_torch(path)["a"]
        assert first is second
        assert first.dtype == saved.dtype
        assert np.array_equal(first, saved)


def test_a_storage_that_claims_more_than_its_record_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save(torch.arange(100, dtype=torch.uint8), path)
    rewrite(path, lambda data: data.replace(b"Kdt", b"M\xff\xfft").replace(b"Kd\x85", b"M\xff\xff\x85"))
    assert str(path) in refusal(read_torch, path)


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    path, deep = tmp_path / "file.pt", []
    torch.save([deep], path)
    deep.append(deep)
    torch.save(deep, path)
    assert "is nested more than 20 deep" in refusal(read_torch, path)


def test_a_zip_bomb_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save(torch.zeros(1 << 22), path)
    rewrite(path, bytes, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 16
    assert refusal(read_torch, path).startswith(f"{path} has compressed records")


def test_another_zip_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escape", "x")
    assert refusal(read_torch, path) == f"{path} is not a file of torch.save: it is a zip file without data.pkl"
    assert not (tmp_path.parent / "escape").exists()
    assert "it is missing or empty" in refusal(read_torch, tmp_path / "absent.pt")
    assert "it is missing or empty" in refusal(read_torch, tmp_path)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_torch_file_cut_anywhere_is_refused(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "file.pt"
    torch.save({"a": torch.arange(4.0), "b": [np.float64(1)]}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for end in range(0, len(whole), 7):
        path.write_bytes(whole[:end])
        assert str(path) in refusal(read_torch, path)


def test_a_wrong_bit_among_the_pixels_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file.pt"
    torch.save(torch.full((1000,), 7, dtype=torch.uint8), path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"\7\7\7", b"\7\5\7", 1))
    for mmap in (False, True):
        said = refusal(read_torch, path, mmap=mmap)
        assert said.startswith(f"{path} is damaged")
        assert "checksum" in said


def _doubled(times: int) -> bytes:
    """A pickle of a dict whose key is a tuple that holds the one before twice, and so on."""
    return b"\x80\x02}q\x01K\x01\x85q\x00" + b"h\x00h\x00\x86q\x00" * times + b"h\x01h\x00K\x01s."


@pytest.mark.parametrize("bomb", [_doubled(60), b"\x80\x02}K\x01\x85" + b"2\x86" * 60 + b"K\x01s."])
def test_tuples_that_would_be_hashed_for_ever_are_refused(tmp_path: Path, bomb: bytes) -> None:
    assert "unpacking its tuples would never end" in refusal(from_bytes, bomb)
    path = tmp_path / "a.pt"
    torch.save({"a": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as whole:
        parts = {entry: whole.read(entry) for entry in whole.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for entry, data in parts.items():
            archive.writestr(entry, bomb if entry.filename.endswith("data.pkl") else data)
    assert "unpacking its tuples would never end" in refusal(read_torch, path)


def test_tuples_as_keys_that_share_a_little_are_read() -> None:
    shared = (1, (2, 3))
    value = {(shared, i): (shared, shared) for i in range(1000)}
    for protocol in PROTOCOLS:
        assert from_bytes(pickle.dumps(value, protocol)) == value
