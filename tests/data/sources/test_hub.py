import io
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as parquet
import pytest
import torch
from datasets import config
from PIL import Image

from datacondense import InputError, load
from datacondense.data.named import HubName, Named
from datacondense.data.options import no_progress
from datacondense.data.source import DataSource
from datacondense.data.sources import hub
from datacondense.utils import cache

NAMES = ["owl", "wren"]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The library writes to a folder of the test's own, asks no network and draws no bars."""
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(config, "HF_MODULES_CACHE", tmp_path / "modules")
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def encoded(value: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new(mode, size, (value, 1, 2) if mode == "RGB" else value).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def write(
    folder: Path,
    split: str = "train",
    labels: Sequence[Any] = (0, 1, 0, 1, 0, 1),
    *,
    image: str = "image",
    label: str = "label",
    kind: Any = None,
    mode: str = "RGB",
    extra: dict[str, tuple[Any, list[Any]]] | None = None,
) -> Path:
    """A parquet file as the hub has them; image i holds the value 10 i."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    features = {image: datasets.Image(), label: kind or datasets.ClassLabel(names=NAMES)}
    columns: dict[str, Any] = {image: [encoded(10 * i, mode) for i in range(len(labels))], label: list(labels)}
    for name, (feature, values) in (extra or {}).items():
        features[name], columns[name] = feature, values
    table = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    path = folder / "data" / f"{split}-00000-of-00001.parquet"
    table.to_parquet(path)
    return path


def refusal(place: object, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(f"hub:{place}", **options)
    assert "\n" not in str(caught.value)
    left = [path.relative_to(cache.folder()) for path in cache.folder().rglob("*") if path.is_file()]
    assert not [
        path for path in left if path.parts[0] != "tables" or ("incomplete" in str(path) and path.suffix != ".lock")
    ]
    return str(caught.value)


def test_columns_are_found_by_their_types(tmp_path: Path) -> None:
    extra = {"id": (datasets.Value("int64"), list(range(6))), "text": (datasets.Value("string"), list("abcdef"))}
    for split in ("train", "test"):
        write(tmp_path / "birds", split, image="img", label="fine", extra=extra)
    train, test = load(f"hub:{tmp_path / 'birds'}")
    assert (train.spec.name, train.spec.class_names, train.spec.shape) == ("birds", ("owl", "wren"), (3, 4, 6))
    assert train.images[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert train.labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert torch.equal(test.images, train.images)


def test_a_second_read_decodes_nothing_and_other_content_is_noticed(tmp_path: Path) -> None:
    path = write(tmp_path / "birds")
    told: list[str] = []
    for _ in range(2):
        train, test = load("hub:./birds", progress=lambda what, *_: told.append(what))
        assert (len(train), len(test)) == (4, 2)
        assert told.count("decoding") == 7  # at 0 to 6 images, once
    path.unlink()
    write(tmp_path / "birds", labels=(1, 0, 0, 1, 0, 1, 1))
    assert sum(map(len, load("hub:./birds"))) == 7


def test_a_folder_of_the_name_of_a_set_on_the_hub_is_read_first(tmp_path: Path) -> None:
    write(tmp_path / "uoft-cs/cifar10")
    assert load("hub:uoft-cs/cifar10")[0].spec.name == "cifar10"


def test_a_folder_of_images_in_the_layout_of_the_library(tmp_path: Path) -> None:
    for split in ("train", "test"):
        for k, name in enumerate(NAMES):
            for i in range(3):
                (tmp_path / "birds" / split / name).mkdir(parents=True, exist_ok=True)
                Image.new("L", (6, 4), 100 * k + i).save(tmp_path / "birds" / split / name / f"{i}.png")
    train, test = load("hub:birds")
    assert train.spec.class_names == ("owl", "wren")
    assert sorted(train.images[:, 0, 0, 0].tolist()) == [0, 1, 2, 100, 101, 102]
    assert test.labels.tolist() == (test.images[:, 0, 0, 0] // 100).tolist()


def test_a_file_elsewhere_is_no_part_of_a_set(tmp_path: Path) -> None:
    Image.new("L", (6, 4)).save(tmp_path / "secret.png")
    folder = tmp_path / "birds"
    write(folder)
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    rows = [{"bytes": None, "path": str(tmp_path / "secret.png")}, encoded(1), encoded(2), encoded(3)]
    table = datasets.Dataset.from_dict({"image": rows, "label": [0, 0, 1, 1]}, features=features)
    parquet.write_table(table.data.table, folder / "data/train-00000-of-00001.parquet")  # to_parquet would embed it
    assert "train row 0 names the file" in refusal("birds")


@pytest.mark.parametrize(
    ("splits", "sizes", "note"),
    [
        ({"train": 6}, (4, 2), None),
        ({"whole": 6}, (4, 2), None),
        ({"train": 6, "test": 4}, (6, 4), None),
        ({"train": 6, "validation": 2}, (6, 2), None),
        ({"train": 6, "test": 4, "validation": 2}, (6, 4), "split 'validation' is left out: 'test' is the test set"),
    ],
)
def test_splits(tmp_path: Path, splits: dict[str, int], sizes: tuple[int, int], note: str | None) -> None:
    for split, count in splits.items():
        write(tmp_path / "birds", split, [i % 2 for i in range(count)])
    if note is None:
        assert tuple(map(len, load("hub:birds"))) == sizes
    else:
        with pytest.warns(UserWarning, match=note):
            assert tuple(map(len, load("hub:birds"))) == sizes


@pytest.mark.parametrize("other", [True, False])
def test_a_test_split_without_labels_is_left_out(tmp_path: Path, other: bool) -> None:
    write(tmp_path / "birds", labels=[0, 1] * 5)
    write(tmp_path / "birds", "test", [-1, -1])
    if other:
        write(tmp_path / "birds", "validation", [1, 1, 0])
    with pytest.warns(UserWarning, match="split 'test' is left out: its images have no labels"):
        assert tuple(map(len, load("hub:birds"))) == ((10, 3) if other else (8, 2))


@pytest.mark.parametrize(
    ("kind", "labels", "names"),
    [
        ("string", ["b", "a", "b", "a", "c", "c"], ("a", "b", "c")),
        ("int64", [10, 9, 10, 9, 10, 9], ("9", "10")),
        ("int8", [10, 9, 10, 9, 10, 9], ("9", "10")),
    ],
)
@pytest.mark.parametrize("column", ["label", "kind"])
def test_plain_columns_of_labels(tmp_path: Path, kind: str, labels: list, names: tuple, column: str) -> None:
    write(tmp_path / "birds", labels=labels, kind=datasets.Value(kind), label=column)
    if column == "kind":
        assert "no column is recognised as labels: name one with --label-column; columns are image (" in refusal(
            "birds"
        )
    train, test = load("hub:birds", label_column=None if column == "label" else column)
    assert train.spec.class_names == names
    assert (train.counts + test.counts).tolist() == [6 // len(names)] * len(names)


def test_several_columns_are_asked_about(tmp_path: Path) -> None:
    more = {
        "thumb": (datasets.Image(), [encoded(9)] * 6),
        "coarse": (datasets.ClassLabel(names=["bird"]), [0] * 6),
        "weight": (datasets.Value("float32"), [0.0] * 6),
    }
    write(tmp_path / "birds", extra=more)
    assert "columns image, thumb may all be the images: name one with --image-column" in refusal("birds")
    said = refusal("birds", image_column="image")
    assert "columns label, coarse may all be the labels: name one with --label-column" in said
    assert load("hub:birds", image_column="thumb", label_column="label")[0].images[0, 0, 0, 0] == 9
    for option, message in {
        "none": "--label-column none does not exist; columns are image (PIL",
        "weight": "--label-column weight is not a column of labels",
    }.items():
        assert message in _only_message("birds", image_column="image", label_column=option)
    assert "--image-column label is not a column of images" in _only_message("birds", image_column="label")


def _only_message(place: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(f"hub:{place}", **options)
    return str(caught.value)


def test_wrong_labels_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", labels=["x", None, "y"], kind=datasets.Value("string"))
    assert "column 'label' has rows without a value" in refusal("a")
    write(tmp_path / "b", labels=["x", "y", "y"], kind=datasets.Value("string"))
    write(tmp_path / "b", "test", labels=["x", "z"], kind=datasets.Value("string"))
    assert "column 'label' holds 'z' in split test, but not in training" in refusal("b")
    write(tmp_path / "c", labels=[0, -1, 1])
    assert "split 'train' has label -1, but its 2 classes are 0 to 1" in refusal("c")


def test_images_that_are_broken_or_missing(tmp_path: Path) -> None:
    folder = tmp_path / "birds"
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)})
    rows = [encoded(i) for i in range(8)]
    rows[2], rows[5] = None, {"bytes": b"x", "path": None}  # type: ignore[assignment]
    (folder / "data").mkdir(parents=True)
    table = datasets.Dataset.from_dict({"image": rows, "label": [0, 1] * 4}, features=features)
    table.to_parquet(folder / "data/train-00000-of-00001.parquet")
    said = refusal("birds")
    assert said.startswith("hub:birds: 2 of 8 images cannot be read: train row 2 has no image; train row 5 cannot be")
    with pytest.warns(UserWarning, match="left out 2 of 8 images"):
        assert sum(map(len, load("hub:birds", skip_broken=True))) == 6


def test_what_the_library_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert refusal("empty").startswith("hub:empty: cannot be read (")
    path = write(tmp_path / "cut")
    path.write_bytes(path.read_bytes()[:-100])
    assert refusal("cut").startswith("hub:cut: cannot be read (Parquet magic bytes not found in footer")
    assert not [path for path in cache.folder().rglob("*") if path.is_file()]
    (tmp_path / "text").mkdir()
    (tmp_path / "text/train.csv").write_text("label,image\n1,2\n")
    assert "no column is recognised as images" in refusal("text")


def test_code_that_comes_with_a_set_is_not_run(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    (tmp_path / "birds/birds.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert "scripts are no longer supported" in refusal("birds")
    assert not (tmp_path / "ran").exists()


def test_configurations(tmp_path: Path) -> None:
    for name, count in (("small", 4), ("large", 10)):
        write(tmp_path / "birds" / name, labels=[0, 1] * (count // 2))
    (tmp_path / "birds/README.md").write_text(
        "---\nconfigs:\n- config_name: small\n  data_dir: small\n- config_name: large\n  data_dir: large\n---\n"
    )
    for name, count in (("small", 4), ("large", 10)):
        assert sum(map(len, load(f"hub:birds:{name}"))) == count
    assert "(write hub:birds:CONFIG)" in _only_message("birds")
    assert "'huge'" in _only_message("birds:huge")


@pytest.mark.parametrize("place", ["mnist", "a/b/c", "/no/such", "./none", "~/none", "a/", ":x"])
def test_what_is_neither_a_folder_nor_a_name_is_refused(place: str) -> None:
    assert "is neither an existing folder nor OWNER/NAME" in refusal(place)


def test_without_a_network_the_hub_is_soon_given_up() -> None:
    code = "from datacondense import load\nload('hub:ylecun/mnist')"
    begun = time.monotonic()
    environment = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(Path.cwd() / "home"), "PATH": ""}
    environment["PYTHONPATH"] = ":".join(sys.path)
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert time.monotonic() - begun < 20
    assert "the hub cannot be reached, and no earlier download is there" in done.stderr.strip().splitlines()[-1]
    assert "Retrying" not in done.stderr


def named(**changes: Any):
    """Read a dataset that is known by the name birds, with changes to what is known and to its columns and splits."""
    where = {name: changes.pop(name) for name in ("image_column", "test") if name in changes}
    settings: dict[str, Any] = {
        "name": "birds",
        "class_names": ("Owl", "Wren"),
        "mean": (0.1, 0.2, 0.3),
        "std": (0.4, 0.5, 0.6),
        "flip": False,
        "shape": (3, 4, 6),
        "layouts": (),
        "obtain": "",
    }
    known = Named(**{**settings, **changes})
    return hub.read_published(known, HubName(repo="owner/birds", **where), no_progress)


def test_a_published_set_has_its_published_properties(tmp_path: Path) -> None:
    for split in ("train", "test"):
        write(tmp_path / "owner/birds", split, mode="L")
    train, test = named()
    spec = train.spec
    assert (spec.name, spec.class_names, spec.shape, spec.mean, spec.std, spec.flip) == (
        *("birds", ("Owl", "Wren"), (3, 4, 6), (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)),
        False,
    )
    assert (len(train), len(test)) == (6, 6)
    assert (train.images[:, 0] == train.images[:, 2]).all()
    assert named(class_names=None)[0].spec.class_names == ("owl", "wren")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("a", "b", "c")}, "there are 2 classes, expected 3"),
        ({"shape": (3, 4, 5)}, r"have shape \(3, 4, 6\)"),
        ({"shape": (1, 4, 6)}, r"have shape \(3, 4, 6\)"),
        ({"test": "valid"}, "there is no split 'valid', only train, test"),
        ({"image_column": "img"}, "--image-column img does not exist"),
    ],
)
def test_another_set_under_the_name_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    for split in ("train", "test"):
        write(tmp_path / "owner/birds", split)
    with pytest.raises(InputError, match=message) as caught:
        named(**changes)
    assert not isinstance(caught.value, hub.Absent)


def test_a_published_set_that_is_nowhere_is_absent() -> None:
    with pytest.raises(hub.Absent, match="hub:owner/birds: the hub cannot be reached"):
        named()


def test_places_for_the_record(tmp_path: Path) -> None:
    write(tmp_path / "birds")
    assert DataSource("hub:birds").to_json() == {"source": f"hub:{tmp_path / 'birds'}"}
    assert DataSource("hub:birds:small").to_json() == {"source": f"hub:{tmp_path / 'birds'}:small"}
    assert DataSource("hub:owner/birds:x", image_size=8).to_json() == {"source": "hub:owner/birds:x", "image_size": 8}


def test_the_library_is_imported_only_where_it_is_needed() -> None:
    code = "import sys, datacondense; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def readme(folder: Path, path: str) -> Path:
    folder.mkdir(exist_ok=True)
    text = f'---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: "{path}"\n---\n'
    (folder / "README.md").write_text(text)
    return folder


def test_a_change_behind_a_link_is_noticed(tmp_path: Path) -> None:
    write(tmp_path / "real", labels=[0, 1] * 3)
    readme(tmp_path / "birds", "data/*.parquet").joinpath("data").symlink_to(tmp_path / "real/data")
    (tmp_path / "birds/again").symlink_to(tmp_path / "birds")
    assert sum(map(len, load("hub:birds"))) == 6
    write(tmp_path / "real", labels=[0, 1] * 4)
    assert sum(map(len, load("hub:birds"))) == 8


@pytest.mark.parametrize("path", ["../real/data/*.parquet", "data/../../real/data/*.parquet"])
def test_tables_outside_of_the_folder_are_refused(tmp_path: Path, path: str) -> None:
    write(tmp_path / "real")
    write(tmp_path / "birds", "other")
    readme(tmp_path / "birds", path)
    assert "real/data/train-00000-of-00001.parquet, which is not in the folder" in refusal("birds")


def test_a_folder_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "birds")

    def change(what: str, done: int, total: int) -> None:
        if what == "decoding" and done == total:
            path.with_name("train-00001-of-00002.parquet").write_bytes(path.read_bytes())

    with pytest.raises(InputError, match="changed while they were read"):
        load("hub:birds", progress=change)


@pytest.mark.parametrize("place", ["../birds", "../link"])
def test_a_folder_of_images_is_found_by_any_path(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        for i in range(3):
            (tmp_path / "birds" / name).mkdir(parents=True, exist_ok=True)
            Image.new("L", (6, 4), i).save(tmp_path / "birds" / name / f"{i}.png")
    (tmp_path / "link").symlink_to(tmp_path / "birds")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert sum(map(len, load(f"hub:{place}"))) == 6


def test_truth_values_are_two_classes(tmp_path: Path) -> None:
    write(tmp_path / "birds", labels=[True, False] * 3, kind=datasets.Value("bool"))
    assert load("hub:birds")[0].spec.class_names == ("False", "True")


def test_training_images_of_class_minus_one_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "birds", labels=[-1, 0, 1] * 2, kind=datasets.Value("int64"))
    assert "'label' has rows of class -1, which means no label" in refusal("birds")


def test_only_an_error_about_configurations_asks_for_one(tmp_path: Path) -> None:
    write(tmp_path / "config").write_bytes(b"x")
    assert "CONFIG" not in refusal("config")
