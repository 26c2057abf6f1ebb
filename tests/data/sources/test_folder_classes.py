"""Class folders without images that can be read: left out where they are empty, named by their kind where not."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datacondense import InputError, image_set, load
from datacondense.data.sources.image_files import HEIF


def picture(path: Path, value: int = 9) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), value).save(path)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes, to train and to test on."""
    monkeypatch.chdir(tmp_path)
    for name in ("train/ant/1", "train/ant/2", "train/cat/1", "train/cat/2", "test/ant/1", "test/cat/1"):
        picture(tmp_path / f"photos/{name}.png")
    return tmp_path / "photos"


def refusal(source: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def zipped(folder: str) -> str:
    return shutil.make_archive(folder, "zip", folder)


@pytest.mark.parametrize("place", ["folder:photos/train", "folder:train.zip"])
@pytest.mark.parametrize("inside", ["", ".ipynb_checkpoints/1.png", ".DS_Store", "notes.txt", "deeper/"])
def test_an_empty_class_is_left_out(photos: Path, place: str, inside: str) -> None:
    folder = photos / "train/bee"
    folder.mkdir()
    if inside.endswith("/"):
        (folder / inside).mkdir()
    elif inside:
        picture(folder / inside) if inside.endswith("png") else (folder / inside).write_text("")
    shutil.make_archive("train", "zip", "photos/train")
    with pytest.warns(UserWarning, match="left out empty class folders: bee$"):
        train, test = load(place)
    assert train.spec.class_names == test.spec.class_names == ("ant", "cat")
    assert train.labels.tolist() == [0, 1]


def test_an_empty_class_of_either_part_is_left_out(photos: Path) -> None:
    for name in ("train/bee", "test/bee", "test/dog"):
        (photos / name).mkdir()
    with pytest.warns(UserWarning, match="left out empty class folders: train/bee, test/bee, test/dog$"):
        train, test = load("folder:photos")
    assert (train.spec.class_names, test.labels.tolist()) == (("ant", "cat"), [0, 1])


def test_a_class_that_is_empty_in_the_test_folder_is_trained_on(photos: Path) -> None:
    (photos / "test/ant/1.png").unlink()
    with pytest.warns(UserWarning, match="left out empty class folders: test/ant$"):
        train, test = load("folder:photos")
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 1, 1], [1])


def test_a_class_with_test_images_alone_is_refused(photos: Path) -> None:
    picture(photos / "test/bee/1.png")
    assert refusal("folder:photos") == "photos: test/bee is a class that train does not have"
    (photos / "train/bee").mkdir()
    assert refusal("folder:photos") == "photos: test/bee is a class of which train has no image"


def test_a_test_folder_of_empty_classes_is_none(photos: Path) -> None:
    for name in ("ant", "cat"):
        (photos / f"test/{name}/1.png").unlink()
        picture(photos / f"val/{name}/1.png", 77)
    with pytest.warns(UserWarning, match="test is left out: val is the test set"):
        assert load("folder:photos")[1].images.unique().tolist() == [77]
    shutil.rmtree(photos / "val")
    with pytest.warns(UserWarning, match="test is left out: its class folders have no image"):
        assert len(load("folder:photos")[1]) == 2  # of the training images


def test_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ant", "bee"):
        Path("photos", name).mkdir(parents=True)
    assert refusal("folder:photos").startswith("photos has no image in its class folders: expected")
    picture(Path("photos/ant/1.png"))
    assert refusal("folder:photos").startswith("photos has one class only, 'ant': expected")


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("suffix", [*HEIF, ".HEIC", ".svg", ".CR2", ".pdf", ".mov"])
@pytest.mark.parametrize("part", ["train/bee", "test/ant"])
def test_a_class_of_pictures_that_cannot_be_read_is_named_by_their_kind(
    photos: Path, suffix: str, part: str, packed: bool
) -> None:
    shutil.rmtree(photos / part, ignore_errors=True)
    (photos / part).mkdir()
    for i in range(3):
        (photos / part / f"{i}{suffix}").write_bytes(b"picture")
    place = zipped("photos") if packed else "photos"
    said = refusal(f"folder:{place}")
    assert said.startswith(f"{place}: {part} has only 3 files ({suffix.lower()}), which are not supported: convert")
    assert ("pillow-heif" in said) == (suffix.lower() in HEIF)
    assert refusal(f"folder:{place}", skip_broken=True) == said


def test_a_mixed_class_keeps_what_can_be_read(photos: Path) -> None:
    (photos / "train/ant/3.heic").write_bytes(b"picture")
    with pytest.warns(UserWarning, match=r"ignored 1 files of unknown type \(.heic\)"):
        assert len(load("folder:photos")[0]) == 4


def test_a_class_of_other_files_says_so(photos: Path) -> None:
    (photos / "train/bee").mkdir()
    (photos / "train/bee/1.bin").write_bytes(b"")
    (photos / "train/bee/2").write_bytes(b"")
    said = refusal("folder:photos")
    assert said.startswith("photos: train/bee has no image (.png .apng ")
    assert "but 2 files (.bin, no suffix)" in said


def test_a_class_of_broken_images_names_one(photos: Path) -> None:
    picture(photos / "train/bee/1.png")
    (photos / "train/bee/1.png").write_bytes(b"")
    assert "train/bee/1.png" in refusal("folder:photos")
    said = refusal("folder:photos", skip_broken=True)
    assert "class 'bee' has no readable image, as train/bee/1.png" in said


@pytest.mark.parametrize("name", ["@eaDir", "__MACOSX", "$RECYCLE.BIN", ".ipynb_checkpoints", "lost+found"])
def test_folders_that_systems_leave_are_no_classes(photos: Path, name: str) -> None:
    picture(photos / f"train/{name}/1.png", 200)
    picture(photos / f"train/ant/{name}/1.png", 200)
    train, _ = load("folder:photos")
    assert (train.spec.class_names, int(train.images.max())) == (("ant", "cat"), 9)


def test_a_link_to_itself_is_one_line(photos: Path) -> None:
    (photos / "train/loop").symlink_to("loop")
    (photos / "train/ant/loop").symlink_to("loop")
    with pytest.warns(UserWarning, match=r"ignored 1 files of unknown type \(no suffix\)"):
        assert len(load("folder:photos")[0]) == 4
    (photos / "train/ant/loop.png").symlink_to("loop.png")
    assert "train/ant/loop.png cannot be read (Too many levels of symbolic links)" in refusal("folder:photos")
    Path("self").symlink_to("self")
    for source in ("folder:self", "arrays:self", "hub:self", "hub:./self"):
        assert "self" in refusal(source)


def test_a_folder_whose_name_is_no_text_is_one_line(photos: Path) -> None:
    odd = os.fsdecode(b"odd\xff")
    photos.rename(odd)
    assert "is not UTF-8: rename the file or directory" in refusal(f"folder:{odd}")


@pytest.mark.parametrize("other", ["Caf\u00e9", "caf\u00e9 ", "cafe\u0301"])
def test_class_names_that_look_the_same_are_explained(other: str) -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    spec = image_set(images, ["caf\u00e9", "dog"] * 2, name="toy").spec
    with pytest.raises(InputError, match="differ only in case, spaces or Unicode form"):
        image_set(images, [other, "dog"] * 2, spec=spec)
