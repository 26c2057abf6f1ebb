import io
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datacondense.data.source import load
from datacondense.utils import hardware
from datacondense.utils.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(30) % 3


def write(path: Path, **arrays: Any) -> Path:
    np.savez(path, **({"images": IMAGES, "labels": LABELS} | arrays))
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(f"arrays:{path}")
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith(str(path))
    return said.removeprefix(str(path)).removeprefix(": ")


def test_arrays_with_a_test_set_are_read_as_they_are(tmp_path: Path) -> None:
    path = write(
        tmp_path / "birds.v2.npz", test_images=IMAGES[:2] / 255, test_labels=LABELS[:2], class_names=["a", "b", "c"]
    )
    train, test = load(f"arrays:{path}")
    assert np.array_equal(train.images, IMAGES.transpose(0, 3, 1, 2))
    assert train.labels.tolist() == LABELS.tolist()
    assert np.array_equal(test.images, train.images[:2])
    assert test.labels.tolist() == [0, 1]
    assert (train.spec.name, train.spec.class_names, train.spec.flip) == ("birds.v2", ("a", "b", "c"), True)
    assert test.spec is train.spec


def test_without_a_test_set_a_fixed_fifth_is_set_aside(tmp_path: Path) -> None:
    path = write(tmp_path / "birds.npz")
    (train, test), (again, _) = load(f"arrays:{path}"), load(f"arrays:{path}")
    assert (train.counts.tolist(), test.counts.tolist()) == ([8] * 3, [2] * 3)
    assert train.images.equal(again.images)
    assert train.spec == again.spec
    assert train.spec.class_names == ("0", "1", "2")


def test_the_home_folder_can_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "birds.npz")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(load("arrays:~/birds.npz")[0]) == 24


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.npz") == " is not a file: expected an .npz of NumPy arrays"
    assert "is not a file" in refusal(tmp_path)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize("data", [b"", b"images and labels", npy(IMAGES), b"PK\x03\x04rest"])
def test_a_file_of_another_format_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "birds.npz"
    path.write_bytes(data)
    assert refusal(path) == " is damaged or not an .npz file: write one with numpy.savez"


@pytest.mark.parametrize("kept", [10, 1000, -1])
def test_a_truncated_file_is_refused(tmp_path: Path, kept: int) -> None:
    path = write(tmp_path / "birds.npz")
    path.write_bytes(path.read_bytes()[:kept])
    assert "is damaged" in refusal(path)


def test_an_archive_that_is_packed_in_another_way_is_refused_by_array(tmp_path: Path) -> None:
    path = write(tmp_path / "birds.npz")
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\x01\x02")
    data[entry + 10] = 99  # the compression method
    path.write_bytes(data)
    assert "array 'images' is damaged or holds Python objects, which are not read (That compress" in refusal(path)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_a_file_with_a_wrong_byte_is_refused_by_array(tmp_path: Path, save: Any) -> None:
    path = tmp_path / "birds.npz"
    save(path, images=IMAGES, labels=LABELS)
    data = bytearray(path.read_bytes())
    data[1000] ^= 0xFF
    path.write_bytes(data)
    assert "array 'images' is damaged" in refusal(path)


@pytest.mark.parametrize("content", [b"", b"text", npy(IMAGES)[:40], npy(IMAGES)[:-1]])
def test_a_member_that_is_no_whole_array_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "birds.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", content)
        archive.writestr("labels.npy", npy(LABELS))
    assert "array 'images' is damaged" in refusal(path)


@pytest.mark.parametrize("key", ["images", "labels", "test_images", "class_names"])
def test_pickled_arrays_are_refused_by_name(tmp_path: Path, key: str) -> None:
    pickled = {key: np.array([{}, "a", 3], dtype=object)}
    path = write(tmp_path / "birds.npz", **({"test_images": IMAGES[:3], "test_labels": LABELS[:3]} | pickled))
    assert f"array {key!r} holds Python objects" in refusal(path)


@pytest.mark.parametrize(("given", "missing"), [("test_images", "labels"), ("test_labels", "images")])
def test_half_a_test_set_is_refused(tmp_path: Path, given: str, missing: str) -> None:
    path = write(tmp_path / "birds.npz", **{given: LABELS})
    assert f"there is no array of {missing} beside {given!r}, only images, labels, {given}; expected" in refusal(path)


def test_missing_arrays_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "birds.npz"
    np.savez(path, birds=IMAGES, kinds=LABELS)
    said = refusal(path)
    assert said.startswith(
        "there is no array of train images, only birds, kinds; expected images, labels and, if there"
    )
    assert "x_train, y_train, x_test, y_test" in said


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"labels": LABELS[:-1]}, "labels have shape (29,), expected (30,)"),
        ({"class_names": np.arange(3)}, "array 'class_names' has dtype int64 and shape (3,), expected K strings"),
        ({"class_names": np.array("a")}, "array 'class_names' has dtype <U1 and shape (), expected K strings"),
        ({"class_names": ["a", "b"]}, "labels go up to 2, but the 2 classes are numbered 0 to 1"),
        (
            {"test_images": IMAGES[:, :2], "test_labels": LABELS},
            "test_images, test_labels: images have shape (3, 2, 5) (C, H, W), expected (3, 4, 5)",
        ),
        ({"images": IMAGES[:3], "labels": LABELS[:3]}, "every class has a single image"),
    ],
)
def test_unusable_arrays_are_refused(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    assert refusal(write(tmp_path / "birds.npz", **arrays)).startswith(said)


def member(descr: str, shape: str, data: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    """A .npy file whose header says what it likes."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117).encode() + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(header))
    return b"\x93NUMPY" + version + size + header + data


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (member("|u1", "(100000000, 3, 32, 32)"), "array 'images' is damaged: its header declares 307200000128 bytes"),
        (member("|u1", "(2, 4, 4)", bytes(33)), "its header declares 160 bytes, but it has 161"),
        (member("|u1", "(2, 4, -4)", bytes(32)), "array 'images' is damaged"),
        (member("|u1", "(2, 4, 'a')", bytes(32)), "array 'images' is damaged"),
        (member("|u1", "(2, 4, 4)", bytes(32), b"\x09\x00"), "array 'images' is damaged"),
        (member("|O", "(2, 4, 4)", bytes(32)), "array 'images' holds Python objects, which are not read"),
        (b"no array", "array 'images' is damaged"),
        (b"", "array 'images' is damaged"),
    ],
)
def test_headers_that_lie_are_refused_before_room_is_made(tmp_path: Path, images: bytes, message: str) -> None:
    path = tmp_path / "birds.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", images)
        archive.writestr("labels.npy", member("|u1", "(2,)", bytes(2)))
    assert message in refusal(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "birds.npz"
    np.savez_compressed(path, images=np.zeros((200, 100, 100), np.uint8), labels=LABELS)
    assert path.stat().st_size < 10_000
    monkeypatch.setattr(hardware, "available_memory", lambda: 1_000_000)
    assert "array 'images' needs 0.0 GiB of memory, but only 0.0 are free" in refusal(path)


@pytest.mark.parametrize("name", ["../images.npy", "/images.npy", "a/images.npy", "a\\images.npy", "..\\images.npy"])
def test_members_that_are_paths_are_refused(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "birds.npz")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, member("|u1", "(2,)", bytes(2)))
    assert f"holds a member {name.removesuffix('.npy')!r}, which is a path" in refusal(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_damage_under_other_compressions_is_refused(tmp_path: Path, method: int, place: float) -> None:
    path = tmp_path / "birds.npz"
    pixels = np.random.default_rng(0).integers(0, 256, 500, dtype=np.uint8).tobytes()
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("images.npy", member("|u1", "(5, 10, 10)", pixels))
        archive.writestr("labels.npy", npy(LABELS[:5]))
    data = bytearray(path.read_bytes())
    data[40 + int(place * 400)] ^= 255
    path.write_bytes(data)
    assert "array 'images' is damaged" in refusal(path)


def test_memory_that_runs_out_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "birds.npz")

    def full(*_args: object, **_options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(np.lib.npyio.NpzFile, "__getitem__", full)
    with pytest.raises(MemoryError):
        load(f"arrays:{path}")
