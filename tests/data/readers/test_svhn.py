import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from readers import refusal

from datacondense.data.readers import svhn
from datacondense.data.source import load

pytestmark = pytest.mark.filterwarnings("ignore:.*not the published files:UserWarning")  # they are made here
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 3, 32, 32)).astype(np.uint8)
DIGITS = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1])
LABELS = np.where(DIGITS == 0, 10, DIGITS).astype(np.uint8)[:, None]
X = IMAGES.transpose(2, 3, 1, 0)


def write(path: Path, *, packed: bool = True, **variables: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scipy.io.savemat(path, {"X": X, "y": LABELS, **variables}, do_compression=packed)
    return path


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("folder", [".", "svhn", "SVHN"])
def test_svhn(tmp_path: Path, packed: bool, folder: str) -> None:
    write(tmp_path / folder / "train_32x32.mat", packed=packed)
    write(tmp_path / folder / "test_32x32.mat", packed=packed, X=X[..., :3], y=LABELS[:3].T.astype(np.int32))
    train, test = load("svhn", data_dir=tmp_path)
    assert np.array_equal(train.images, IMAGES)
    assert np.array_equal(train.labels, DIGITS)  # label 10 is digit 0
    assert np.array_equal(test.images, IMAGES[:3])
    assert test.labels.tolist() == [0, 1, 2]
    assert (train.spec.name, train.spec.class_names, train.spec.flip) == ("svhn", tuple("0123456789"), False)
    assert (train.spec.mean, train.spec.std) == ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"X": X.astype(np.float32)}, "X is float32 (32, 32, 3, 12), expected uint8 (H, W, 3, N)"),
        ({"X": IMAGES}, "X is uint8 (12, 3, 32, 32), expected uint8 (H, W, 3, N)"),
        ({"X": X > 0}, "is not an array of real numbers"),
        ({"y": LABELS[:11]}, "y is uint8 (11, 1), expected integers (12, 1)"),
        ({"y": LABELS + 0.5}, "y is float64 (12, 1), expected integers (12, 1)"),
        ({"y": LABELS - 1}, "labels go from 0 to 9, expected 1 to 10"),
        ({"y": LABELS + 1}, "labels go from 2 to 11, expected 1 to 10"),
        ({"y": -LABELS.astype(np.int16)}, "labels go from -10 to -1, expected 1 to 10"),
        ({"X": "text"}, "is not an array of real numbers"),
        ({"X": {"part": X}}, "is not an array of real numbers"),
        ({"X": X.astype(object)}, "is not an array of real numbers"),
        ({"y": LABELS * 1j}, "is not an array of real numbers"),
        ({"y": scipy.sparse.csc_array(LABELS.astype(float))}, "is not an array of real numbers"),
        ({"X": np.zeros((32, 32, 3, 0), np.uint8)}, "variable X has 0 bytes"),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_variables_of_another_form_are_refused(tmp_path: Path, variables: Any, said: str, packed: bool) -> None:
    path = write(tmp_path / "train_32x32.mat", packed=packed, **variables)
    found = refusal(svhn.read, path)
    assert found.startswith(str(path))
    assert said in found


def test_other_variables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.mat"
    scipy.io.savemat(path, {"a": 1, "X": X, "y": LABELS})
    assert refusal(svhn.read, path) == f"{path} has the variable 'a', expected X and y, once each"
    scipy.io.savemat(path, {"X": X})
    assert str(path) in refusal(svhn.read, path)
    scipy.io.savemat(path, {"X": X[:, :, 0, 0], "y": LABELS}, format="4")
    assert "its header is different" in refusal(svhn.read, path)


@pytest.mark.parametrize("packed", [True, False])
def test_cut_anywhere_a_file_is_refused(tmp_path: Path, packed: bool) -> None:
    path = write(tmp_path / "file.mat", packed=packed, X=X[..., :1], y=LABELS[:1])
    whole = path.read_bytes()
    for end in [*range(300), *range(300, len(whole), 37)]:
        path.write_bytes(whole[:end])
        assert str(path) in refusal(svhn.read, path)


def variable(name: bytes, dims: tuple[int, ...], kind: int, data: bytes, length: int | None = None) -> bytes:
    """An element of a MATLAB file, whose tag may say another length than the data has."""
    flags = struct.pack("<4I", 6, 8, 9, 0)
    shape = struct.pack(f"<2I{len(dims)}I", 5, 4 * len(dims), *dims) + bytes(-4 * len(dims) % 8)
    tag = struct.pack("<2I", kind, len(data) if length is None else length)
    body = flags + shape + struct.pack("<2I", 1, len(name)) + name + bytes(-len(name) % 8) + tag + data
    body += bytes(-len(body) % 8)
    return struct.pack("<2I", 14, len(body)) + body


HEADER = b"MATLAB".ljust(124) + b"\0\1IM"


@pytest.mark.parametrize(
    "x",
    [
        variable(b"X", (32, 32, 3, 2), 2, bytes(6143)),
        variable(b"X", (32, 32, 3, 2), 2, bytes(6144), length=7000),
        variable(b"X", (32, 32, 3, 1 << 20), 2, bytes(6144), length=3 << 30),
        variable(b"X", (1 << 31, 2, 3, 1 << 31), 2, bytes(6144)),
        variable(b"X", (32, 32, 3, 2), 200, bytes(6144)),  # a type that no version of MATLAB has
        variable(b"X", (32, 32, 3, 2), 1 << 14, bytes(6144)),
        variable(b"X", (32,) * 33, 2, bytes(6144)),
        variable(b"X" * 70, (32, 32, 3, 2), 2, bytes(6144)),
        struct.pack("<2I", 14, 1 << 31) + bytes(100),
        struct.pack("<2I", 99, 8) + bytes(8),
        struct.pack("<2I", 15, 8) + bytes(8),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_tags_that_lie_are_refused(tmp_path: Path, x: bytes, packed: bool) -> None:
    if packed:
        data = zlib.compress(x)
        x = struct.pack("<2I", 15, len(data)) + data
    path = tmp_path / "file.mat"
    path.write_bytes(HEADER + x + variable(b"y", (2, 1), 2, b"\1\2"))
    assert str(path) in refusal(svhn.read, path)


def test_a_file_put_together_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file.mat"
    path.write_bytes(HEADER + variable(b"X", (32, 32, 3, 2), 2, bytes(6144)) + variable(b"y", (2, 1), 2, b"\1\x0a"))
    images, labels = svhn.read(path)
    assert (images.shape, labels.tolist()) == ((2, 3, 32, 32), [1, 0])


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    packer = zlib.compressobj(9)
    head = variable(b"X", (32, 32, 3, 2), 2, bytes(6144))
    data = packer.compress(head) + b"".join(packer.compress(bytes(1 << 20)) for _ in range(300)) + packer.flush()
    path = tmp_path / "file.mat"
    path.write_bytes(HEADER + struct.pack("<2I", 15, len(data)) + data)
    assert path.stat().st_size < 1 << 20
    assert "of a variable that has" in refusal(svhn.read, path)


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "file.mat")
    data = bytearray(path.read_bytes())
    (length,) = struct.unpack_from("<I", data, 132)
    data[136 + length - 1] ^= 1
    path.write_bytes(data)
    assert "incorrect data check" in refusal(svhn.read, path)
