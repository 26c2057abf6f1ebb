import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from readers import refusal

from datacondense.data.named import NAMED, Found
from datacondense.data.readers import tiny_imagenet
from datacondense.data.search_paths import Arrays, ImageFiles

WNIDS = ("n01443537", "n01629819", "n02002724")
SET = NAMED["tiny-imagenet"]


def write_folder(root: Path) -> Path:
    """Two training images of every class, and three to test on, as JPEG files of one colour each."""
    lines = []
    for label, wnid in enumerate(reversed(WNIDS)):
        images = root / "train" / wnid / "images"
        images.mkdir(parents=True)
        for i in (1, 0):
            Image.new("RGB", (64, 64), (label, 10 * i, 0)).save(images / f"{wnid}_{i}.JPEG")
        (root / "train" / wnid / f"{wnid}_boxes.txt").write_text(f"{wnid}_0.JPEG\t0\t0\t62\t62\n")
    (root / "val/images").mkdir(parents=True)
    for i, wnid in enumerate((WNIDS[1], WNIDS[0], WNIDS[1])):
        Image.new("RGB", (64, 64), (i, 0, 0)).save(root / f"val/images/val_{i}.JPEG")
        lines.append(f"val_{i}.JPEG\t{wnid}\t0\t32\t44\t62\n")
    (root / "val/val_annotations.txt").write_text("".join(lines))
    return root


def contents(data_dir: Path) -> Arrays | ImageFiles:
    found = SET.find(data_dir)
    assert isinstance(found, Found)
    return found.contents()


@pytest.mark.parametrize("inside", ["tiny-imagenet-200", "."])
def test_the_folder_is_listed(tmp_path: Path, inside: str) -> None:
    root = write_folder(tmp_path / inside)
    names, train, test = contents(tmp_path)[:3]
    assert names == WNIDS
    assert train == [
        (root / f"train/{wnid}/images/{wnid}_{i}.JPEG", label) for label, wnid in enumerate(WNIDS) for i in (0, 1)
    ]
    assert test == [(root / f"val/images/val_{i}.JPEG", label) for i, label in enumerate((1, 0, 1))]


GOOD = "val_0.JPEG\tn01443537\t0\t32\t44\t62\n"


@pytest.mark.parametrize(
    ("annotations", "said"),
    [
        (GOOD * 2, "is damaged, line 2: val_0.JPEG comes twice"),
        (GOOD, "has no line for val_1.JPEG: it is cut short, or images were added"),
        ("", "has no line for val_0.JPEG"),
        ("\n", "is damaged, line 1: there is no image ''"),
        ("val_0.JPEG n01443537\n", "is damaged, line 1: there is no image 'val_0.JPEG n01443537'"),
        ("val_0.JPEG", "is damaged, line 1: there is no class ''"),
        ("val_0.JPEG\tn99999999\t0\n", "is damaged, line 1: there is no class 'n99999999'"),
        ("../images/val_0.JPEG\tn01443537\n", "is damaged, line 1: there is no image '../images/val_0.JPEG'"),
        ("/etc/passwd\tn01443537\n", "is damaged, line 1: there is no image '/etc/passwd'"),
        ("val_9.JPEG\tn01443537\n", "is damaged, line 1: there is no image 'val_9.JPEG'"),
        (GOOD + "é", "is damaged: byte 32 is not ASCII"),
        ("x\0y\n" * 3, "is damaged, line 1: there is no image 'x\\x00y'"),
    ],
)
def test_damaged_annotations_are_refused(tmp_path: Path, annotations: str, said: str) -> None:
    file = write_folder(tmp_path / "tiny-imagenet-200") / "val/val_annotations.txt"
    file.write_text(annotations, encoding="utf-8")
    assert refusal(contents, tmp_path).startswith(f"{file} {said}")


def test_cut_anywhere_annotations_are_refused(tmp_path: Path) -> None:
    file = write_folder(tmp_path) / "val/val_annotations.txt"
    whole = file.read_bytes()
    last = len(whole.rstrip(b"\n").rpartition(b"\t0\t")[0])  # behind the last class there are only boxes
    for end in range(last):
        file.write_bytes(whole[:end])
        assert refusal(contents, tmp_path).startswith(str(file))


def test_a_class_without_images_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path)
    (root / "train/n09999999").mkdir()
    assert refusal(contents, tmp_path).startswith(f"{root}/train/n09999999/images has no image")


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "whole")
    (root / "train").rename(tmp_path / "aside")
    (root / "train").mkdir()
    assert refusal(contents, root) == f"{root}/train has no class folders: expected train/WNID/images/*.JPEG"


def tensors(**others: Any) -> dict[str, Any]:
    images = torch.arange(9 * 3 * 64 * 64, dtype=torch.int64).remainder(251).to(torch.uint8).view(9, 3, 64, 64)
    return {
        "classes": [WNIDS[2], WNIDS[0], WNIDS[1]],
        "images_train": images[:6].clone(),
        "labels_train": torch.tensor([0, 0, 1, 1, 2, 2]),
        "images_val": images[6:].clone(),
        "labels_val": torch.tensor([2, 1, 2]),
        **others,
    }


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_the_file_of_tensors(tmp_path: Path, zipped: bool) -> None:
    saved = tensors()
    torch.save(saved, tmp_path / "tinyimagenet.pt", _use_new_zipfile_serialization=zipped)
    found = SET.find(tmp_path)
    assert isinstance(found, Found)
    arrays = found.contents()
    assert isinstance(arrays, Arrays)
    train, test = found.build(arrays)
    assert torch.equal(train.images, saved["images_train"])
    assert torch.equal(test.images, saved["images_val"])
    assert train.labels.tolist() == [2, 2, 0, 0, 1, 1]  # renumbered, so that the names are sorted
    assert test.labels.tolist() == [1, 0, 1]
    assert train.spec.class_names == WNIDS


@pytest.mark.filterwarnings("ignore:the mean of the test images")  # the statistics are the published ones
def test_the_folder_and_the_file_give_the_same_spec(tmp_path: Path) -> None:
    write_folder(tmp_path / "a")
    (tmp_path / "b").mkdir()
    torch.save(tensors(), tmp_path / "b/tinyimagenet.pt")
    listing, arrays = contents(tmp_path / "a"), contents(tmp_path / "b")
    assert isinstance(listing, ImageFiles)
    assert isinstance(arrays, Arrays)
    decoded = Arrays(
        np.stack([np.asarray(Image.open(file)) for file, _ in listing.train]),
        np.array([label for _, label in listing.train]),
        np.stack([np.asarray(Image.open(file)) for file, _ in listing.test]),
        np.array([label for _, label in listing.test]),
        listing.class_names,
    )
    assert SET.build(decoded)[0].spec == SET.build(arrays)[0].spec
    assert SET.build(arrays)[0].spec.shape == (3, 64, 64)
    assert SET.build(arrays)[0].spec.mean == (0.485, 0.456, 0.406)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"classes": 3}, "'classes' is not a list of names"),
        ({"classes": [1, 2, 3]}, "'classes' is not a list of names"),
        ({"classes": ["a", "b", "a"]}, "'classes' holds a name twice"),
        (
            {"images_train": tensors()["images_train"].float()},
            "'images_train' is torch.float32, expected a tensor, uint8",
        ),
        ({"images_val": [1]}, "'images_val' is list, expected a tensor, uint8"),
        ({"labels_train": torch.tensor([0, 0, 1, 1, 2, 3])}, "'labels_train' are not whole numbers from 0 to 2"),
        ({"labels_train": torch.tensor([0, 0, 1, 1, 2, -1])}, "'labels_train' are not whole numbers from 0 to 2"),
        ({"labels_val": torch.tensor([0.5, 1, 2])}, "'labels_val' are not whole numbers from 0 to 2"),
        ({"labels_val": torch.zeros(3, dtype=torch.bfloat16)}, "'labels_val' is torch.bfloat16"),
        ({"labels_train": torch.tensor([0, 0, 1, 1, 2])}, "labels have shape (5,), expected (6,)"),
        ({"labels_train": torch.tensor([0, 0, 1, 1, 1, 1])}, "has no image, but a training set needs images"),
        (
            {"images_train": torch.zeros(6, 3, 32, 32, dtype=torch.uint8)},
            "images have shape (3, 32, 32) (C, H, W), but",
        ),
        ({"images_val": torch.zeros(3, 3, 32, 32, dtype=torch.uint8)}, "images have shape (3, 32, 32) (C, H, W), exp"),
        ({"images_val": torch.zeros(0, 3, 64, 64, dtype=torch.uint8)}, "they hold no pixel"),
        ({"images_train": torch.zeros(6, dtype=torch.uint8)}, "images have shape (6,), expected (N, H, W)"),
    ],
)
def test_a_file_of_another_form_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    path = tmp_path / "tinyimagenet.pt"
    torch.save(tensors(**change), path)
    found = SET.find(tmp_path)
    assert isinstance(found, Found)

    def read() -> None:
        arrays = found.contents()
        assert isinstance(arrays, Arrays)
        found.build(arrays)

    assert said in refusal(read)


def test_a_file_that_lacks_a_key_or_is_no_dict_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "tinyimagenet.pt"
    for value in ({key: value for key, value in tensors().items() if key != "classes"}, [1], torch.zeros(2)):
        torch.save(value, path)
        assert refusal(tiny_imagenet.read_file, path).startswith(
            f"{path} is not the file of TinyImageNet: expected a dict"
        )


class Creates:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., None], tuple[Path]]:
        return Path.mkdir, (self.path,)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_that_carries_code_is_refused_and_not_run(tmp_path: Path, zipped: bool) -> None:
    trace, path = tmp_path / "trace", tmp_path / "tinyimagenet.pt"
    torch.save(tensors(more=Creates(trace)), path, _use_new_zipfile_serialization=zipped)
    assert "which data files do not use: it is refused" in refusal(contents, tmp_path)
    path.write_bytes(pickle.dumps(Creates(trace)))
    assert "which data files do not use: it is refused" in refusal(contents, tmp_path)
    assert not trace.exists()
