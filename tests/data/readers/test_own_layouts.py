"""Folders and zip files as people lay them out."""

import os
import shutil
import zipfile
from pathlib import Path

import pytest
import torch
from folders import Told, birds, packed, picture, refusal

from datacondense import load
from datacondense.data.sources import file_tree
from datacondense.utils import cache


@pytest.mark.parametrize("test", ["val", "valid", "validation"])
def test_a_folder_to_validate_on_is_for_testing(tmp_path: Path, test: str) -> None:
    birds(tmp_path / "train", 3)
    birds(tmp_path / test, 2)
    assert [len(part) for part in load(f"folder:{tmp_path}")] == [6, 4]


def test_of_test_and_val_val_is_left_out_and_that_is_said_each_time(tmp_path: Path) -> None:
    for name, count in (("train", 3), ("val", 2), ("test", 1)):
        birds(tmp_path / name, count)
    for _ in range(2):
        with pytest.warns(UserWarning, match="val is left out: test is the test set"):
            assert [len(part) for part in load(f"folder:{tmp_path}")] == [6, 2]


def test_classes_called_train_and_bus_are_classes(tmp_path: Path) -> None:
    for name in ("train/1.png", "train/2.png", "bus/1.png", "bus/2.png"):
        picture(tmp_path / name)
    assert load(f"folder:{tmp_path}")[0].spec.class_names == ("bus", "train")


def test_deeper_folders_are_read_in_order(tmp_path: Path) -> None:
    for i, name in enumerate(["a/images/1.png", "a/images/more/1.png", "a/z.png", "a/.git/1.png"]):
        picture(tmp_path / "train" / name, (i, 0, 0))
        picture(tmp_path / "test" / name)
    picture(tmp_path / "train/b/1.png", (9, 0, 0))
    assert load(f"folder:{tmp_path}")[0].images[:, 0, 0, 0].tolist() == [0, 1, 2, 9]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    birds(tmp_path / "real", 3)
    root = tmp_path / "set"
    (root / "owl").mkdir(parents=True)
    (root / "owl/deep").symlink_to(tmp_path / "real/owl")
    (root / "owl/again").symlink_to(tmp_path / "real/owl")
    (root / "owl/up").symlink_to(root)
    (root / "owl/self").symlink_to(root / "owl")
    (root / "wren").symlink_to(tmp_path / "real/wren")
    train, test = load(f"folder:{root}")
    assert (train.counts + test.counts).tolist()[1] == 3
    assert len(train) + len(test) <= 12


def test_special_files_are_passed_over_and_links_to_nothing_are_not(tmp_path: Path) -> None:
    birds(tmp_path)
    os.mkfifo(tmp_path / "owl/pipe.png")
    assert len(load(f"folder:{tmp_path}")[0]) == 10
    shutil.rmtree(cache.folder())
    (tmp_path / "owl/gone.png").symlink_to(tmp_path / "nowhere")
    assert "owl/gone.png cannot be read (No such file or directory)" in refusal(tmp_path)


def test_a_thousand_classes(tmp_path: Path) -> None:
    for k in range(1000):
        for i in range(2):
            picture(tmp_path / f"{k:03}" / f"{i}.bmp", k % 256, "L", (2, 2))
    train, test = load(f"folder:{tmp_path}")
    assert (len(train), len(test), train.spec.classes) == (1000, 1000, 1000)
    assert train.images[:, 0, 0, 0].tolist() == [k % 256 for k in range(1000)]


def test_names_that_are_no_text_are_refused_or_shown(tmp_path: Path) -> None:
    birds(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/owl/\xff\n.png")).write_bytes(b"")
    assert "owl/? .png cannot be read" in refusal(tmp_path)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).mkdir()
    picture(Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff/1.png")))
    assert r"class folder '\udcff' is not one line of 1 to 1000 letters" in refusal(tmp_path)


@pytest.mark.parametrize("inside", ["", "birds-1.0/"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_file_reads_as_the_folder(tmp_path: Path, inside: str, method: int) -> None:
    root = birds(tmp_path / "birds")
    picture(root / "__MACOSX/owl/1.png")
    picture(root / ".hidden/1.png")
    path = packed(root, tmp_path / "birds.zip", inside, compression=method)
    shutil.rmtree(root / "__MACOSX")
    for ours, theirs in zip(load(f"folder:{path}"), load(f"folder:{root}"), strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert ours.fingerprint() == theirs.fingerprint()


def test_a_zip_file_with_train_and_test(tmp_path: Path) -> None:
    birds(tmp_path / "set/train", 3)
    birds(tmp_path / "set/test", 2)
    path = packed(tmp_path / "set", tmp_path / "set.zip", "set/")
    told = Told()
    assert [len(part) for part in load(f"folder:{path}")] == [6, 4]
    assert [len(part) for part in load(f"folder:{path}", progress=told)] == [6, 4]
    assert told.last == {}


@pytest.mark.parametrize("name", ["../owl/1.png", "/owl/1.png", "owl/../../1.png", "C:/owl/1.png", "..\\owl\\1.png"])
def test_a_zip_file_that_leaves_its_folder_is_refused(tmp_path: Path, name: str) -> None:
    root = birds(tmp_path / "birds")
    path = packed(root, tmp_path / "birds.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, (root / "owl/1.png").read_bytes())
    assert "whose path leaves the folder" in refusal(path)
    assert not (tmp_path / "owl").exists()


def test_a_damaged_zip_file(tmp_path: Path) -> None:
    path = packed(birds(tmp_path / "birds"), tmp_path / "birds.zip")
    data = path.read_bytes()
    path.write_bytes(data[:-30])
    assert "is damaged or not a zip file (" in refusal(path)
    at = data.index(b"IDAT") + 8
    path.write_bytes(data[:at] + bytes([data[at] ^ 255]) + data[at + 1 :])
    assert ": owl/0.png is damaged (Bad CRC-32" in refusal(path)
    with pytest.warns(UserWarning, match="left out 1 of 12 images"):
        assert sum(map(len, load(f"folder:{path}", skip_broken=True))) == 11


def test_an_encrypted_or_oddly_packed_zip_file(tmp_path: Path) -> None:
    root = birds(tmp_path / "birds")
    odd = packed(root, tmp_path / "a.zip", compression=zipfile.ZIP_LZMA)
    assert "uses a compression other than deflate (" in refusal(odd)
    path = packed(root, tmp_path / "b.zip")
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 1)
    path.write_bytes(data)
    assert "is encrypted (" in refusal(path)


def test_a_zip_bomb_is_refused_without_unpacking_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = birds(tmp_path / "birds")
    path = packed(root, tmp_path / "birds.zip", compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("owl/9.png", "w") as file:
        for _ in range(40):
            file.write(bytes(2**20))
    monkeypatch.setattr(file_tree, "MOST_BYTES", 2**24)
    assert "owl/9.png has 40 MiB, more than 16: make it smaller" in refusal(path)


@pytest.mark.parametrize("stray", ["preview.png", "root/preview.png"])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_image_beside_the_classes_merges_none(tmp_path: Path, stray: str, zipped: bool) -> None:
    birds(tmp_path / "set/root")
    picture(tmp_path / "set" / stray)
    place = packed(tmp_path / "set", tmp_path / "set.zip") if zipped else tmp_path / "set"
    with pytest.warns(UserWarning, match="ignored 1 images outside of the class folders"):
        train, test = load(f"folder:{place}")
    assert (train.spec.class_names, len(train) + len(test)) == (("owl", "wren"), 12)


def test_one_class_is_refused_with_the_layout_that_was_expected(tmp_path: Path) -> None:
    picture(tmp_path / "owl/1.png")
    said = refusal(tmp_path)
    assert said.startswith(f"{tmp_path} has one class only, 'owl': expected PATH/CLASS/*.png, or both ")


@pytest.mark.parametrize(
    ("train", "test"), [("Train", "Test"), ("train", "testing"), ("TRAINING", "dev"), ("train", "eval")]
)
def test_parts_have_several_names_in_any_case(tmp_path: Path, train: str, test: str) -> None:
    birds(tmp_path / train, 3)
    birds(tmp_path / test, 2)
    assert [len(part) for part in load(f"folder:{tmp_path}")] == [6, 4]


@pytest.mark.parametrize("parts", [["Train", "train", "test"], ["test", "val"], ["training", "train"]])
def test_what_looks_like_parts_and_is_none_is_refused(tmp_path: Path, parts: list[str]) -> None:
    for part in parts:
        birds(tmp_path / part, 2)
    assert "expected PATH/CLASS/*.png, or both PATH/train/CLASS/*.png" in refusal(tmp_path)


@pytest.mark.parametrize("val", [True, False])
def test_test_images_without_classes_are_left_out(tmp_path: Path, val: bool) -> None:
    birds(tmp_path / "train", 5)
    picture(tmp_path / "test/1.png")
    if val:
        birds(tmp_path / "val", 2)
    with pytest.warns(UserWarning, match="test is left out"):
        assert [len(part) for part in load(f"folder:{tmp_path}")] == ([10, 4] if val else [8, 2])


def test_what_is_passed_over_is_counted_each_time(tmp_path: Path) -> None:
    birds(tmp_path / "train")
    birds(tmp_path / "test")
    birds(tmp_path / "unlabelled")
    picture(tmp_path / "1.png")
    picture(tmp_path / "train/2.png")
    for name in (
        "train/owl/3.heic",
        "test/owl/more/4.HEIC",
        "train/owl/5",
        "train/owl/6.txt",
        "train/owl/.7.raw",
        "8.pdf",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    for _ in range(2):
        with pytest.warns(UserWarning, match="ignored") as caught:
            assert [len(part) for part in load(f"folder:{tmp_path}")] == [12, 12]
        assert [str(warning.message) for warning in caught] == [
            f"{tmp_path}: ignored 3 files of unknown type (.heic, no suffix), "
            "2 images outside of the class folders, the folders unlabelled"
        ]


@pytest.mark.parametrize("base", ["", "root/", "train/", "root/train/"])
def test_a_link_inside_a_class_doubles_no_image(tmp_path: Path, base: str) -> None:
    for name in ("owl", "wren"):
        for i in range(3):
            picture(tmp_path / base / name / f"deep/{i}.png")
    (tmp_path / base / "owl/again").symlink_to(tmp_path / base / "owl/deep")
    (tmp_path / base / "wren/owls").symlink_to(tmp_path / base / "owl/deep")
    if "train" in base:
        birds(tmp_path / base / "../test", 1)
    train, test = load(f"folder:{tmp_path}")
    assert len(train) + len(test) == 9 + ("train" in base) * 2


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\x7f"])
def test_names_that_no_set_can_be_saved_under_are_refused_first(tmp_path: Path, name: str) -> None:
    birds(tmp_path / name)
    assert "name of the data" in refusal(tmp_path / name)
    birds(tmp_path / "set").joinpath("owl").rename(tmp_path / "set" / name)
    assert "class folder" in refusal(tmp_path / "set")
