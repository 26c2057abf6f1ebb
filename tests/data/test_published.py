"""Published sets through `load`: from disk where they are, otherwise from the hub, in its own format."""

from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from PIL import Image

from datacondense import InputError
from datacondense.data.named import NAMED, HubName
from datacondense.data.source import load
from datacondense.utils import cache

PER_CLASS = 2


def picture(value: int, shape: tuple[int, int, int], *, grey: bool = False) -> Image.Image:
    channels, height, width = shape
    return Image.new(
        "L" if channels == 1 or grey else "RGB", (width, height), value if channels == 1 or grey else (value, 0, 0)
    )


def publish(name: str) -> None:
    """What the hub has under the name of a set, as a folder of that name: its library takes that first."""
    named = NAMED[name]
    hub = named.hub
    assert isinstance(hub, HubName)
    names = list(named.class_names or ("n01", "n02", "n03"))
    features = {hub.image_column: datasets.Image(), hub.label_column: datasets.ClassLabel(names=names)}
    root = Path(hub.repo)
    for split, offset in ((hub.train, 0), (hub.test, 100)):
        labels = [label for label in range(len(names)) for _ in range(PER_CLASS)]
        rows = {
            hub.image_column: [
                picture(offset + label, named.shape, grey=name == "tiny-imagenet" and label == 1) for label in labels
            ],
            hub.label_column: labels,
        }
        (root / "data").mkdir(parents=True, exist_ok=True)
        table = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
        table.to_parquet(root / "data" / f"{split}.parquet")
    files = "".join(f"  - split: {split}\n    path: data/{split}.parquet\n" for split in (hub.train, hub.test))
    (root / "README.md").write_text(
        f"---\nconfigs:\n- config_name: {hub.config or 'default'}\n  data_files:\n{files}---\n"
    )


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", [name for name, named in NAMED.items() if not any(p.exists() for p in named.system)])
@pytest.mark.filterwarnings("ignore:.*the mean of the test images")
def test_a_set_that_is_not_on_disk_comes_from_the_hub(name: str) -> None:
    publish(name)
    train, test = load(name)
    named = NAMED[name]
    assert train.spec is not test.spec or train.spec == test.spec
    assert (train.spec.shape, train.spec.mean, train.spec.std) == (named.shape, named.mean, named.std)
    assert (train.spec.name, train.spec.flip) == (name, name not in ("mnist", "svhn"))
    if named.class_names:
        assert train.spec == named.spec()
    for part, offset in ((train, 0), (test, 100)):
        assert part.counts.tolist() == [PER_CLASS] * train.spec.classes
        expected = torch.arange(train.spec.classes).repeat_interleave(PER_CLASS) + offset
        assert part.images[:, 0, 0, 0].tolist() == expected.tolist()


def test_other_classes_on_the_hub_are_refused() -> None:
    publish("cifar100")
    Path("uoft-cs/cifar100").rename("uoft-cs/cifar10")
    with pytest.raises(InputError, match=r"^hub:uoft-cs/cifar10: --label-column label does not exist"):
        load("cifar10")


def test_absent_everywhere_is_one_error_with_every_place_and_what_to_do() -> None:
    with pytest.raises(InputError) as caught:
        load("cifar10")
    said = str(caught.value)
    assert said.startswith(
        "cifar10 not found: looked in data/cifar-10-batches-py, data/cifar-10-python.tar.gz, the Hugging Face hub ("
    )
    assert "the hub cannot be reached" in said
    assert "download cifar-10-python.tar.gz from" in said
    assert "--data-dir" in said


def tiny_folder(root: Path) -> Path:
    """Three classes in the published layout, one image of which is grey, as some are."""
    folder = root / "tiny-imagenet-200"
    lines = []
    for label, name in enumerate(("n03", "n01", "n02")):
        for index in range(3):
            file = folder / "train" / name / "images" / f"{name}_{index}.JPEG"
            file.parent.mkdir(parents=True, exist_ok=True)
            picture(60 * label, (3, 64, 64), grey=index == 1).save(file, quality=95)
        (folder / "val/images").mkdir(parents=True, exist_ok=True)
        picture(60 * label, (3, 64, 64)).save(folder / f"val/images/val_{label}.JPEG", quality=95)
        lines.append(f"val_{label}.JPEG\t{name}\t0\t0\t62\t62\n")
    (folder / "val/val_annotations.txt").write_text("".join(lines))
    return root


def test_tiny_imagenet_is_decoded_from_its_folder_and_found_in_the_cache(tmp_path: Path) -> None:
    tiny_folder(tmp_path / "mine")
    told: list[str] = []
    train, test = load("tiny-imagenet", data_dir=tmp_path / "mine", progress=lambda what, *_: told.append(what))
    assert set(told) == {"reading", "decoding"}
    assert train.spec.class_names == ("n01", "n02", "n03")
    assert train.spec.shape == (3, 64, 64)
    assert train.spec.mean == NAMED["tiny-imagenet"].mean
    assert (train.labels.tolist(), test.labels.tolist()) == ([0] * 3 + [1] * 3 + [2] * 3, [2, 0, 1])
    assert np.allclose(train.images[:, 0, 0, 0], [60] * 3 + [120] * 3 + [0] * 3, atol=2)
    told.clear()
    again, _ = load("tiny-imagenet", data_dir=tmp_path / "mine", progress=lambda what, *_: told.append(what))
    assert told == []
    assert again.fingerprint() == train.fingerprint()
    assert len(list((cache.folder() / "sets").iterdir())) == 1


@pytest.mark.filterwarnings("ignore:.*the mean of the test images")
def test_disk_comes_before_the_hub(tmp_path: Path) -> None:
    publish("tiny-imagenet")
    train, _ = load("tiny-imagenet", data_dir=tiny_folder(tmp_path / "mine"))
    assert len(train) == 9
    train, _ = load("tiny-imagenet", data_dir=tmp_path)
    assert len(train) == 6


def test_options_of_ones_own_images_are_of_no_use_to_published_sets() -> None:
    with pytest.raises(InputError, match=r"^--image-size does not apply to cifar10: leave it out"):
        load("cifar10", image_size=16)
