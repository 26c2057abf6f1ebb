"""A class is known by its name in every split and every file, however each of them numbers its classes."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Value, config, load_from_disk
from PIL import Image

from datacondense import ImageSet, InputError, load
from datacondense.data.named import NAMED, HubName, Named
from datacondense.data.options import no_progress
from datacondense.data.sources import hub
from datacondense.data.sources.hub_columns import match_names

TRUTH = {10: "ant", 20: "bee", 30: "cat"}
"""Value of all pixels of an image -> its class."""
NUMBER = {name: value for value, name in TRUTH.items()}

Save = Callable[..., str]


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The library writes to a folder of the test's own, asks no network and draws no bars."""
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.setattr(config, "HF_HUB_OFFLINE", True)
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def encoded(value: int) -> dict[str, Any]:
    file = io.BytesIO()
    Image.new("L", (4, 4), value).save(file, "PNG")
    return {"bytes": file.getvalue(), "path": None}


def table(classes: str, names: Sequence[str] | None = None, kind: Any = None, labels: Sequence[Any] = ()) -> Dataset:
    """Images of the classes in a text, as "ant bee"; labels by position in `names`, or those given."""
    order = classes.split()
    numbers = list(labels) or [(names or sorted(set(order))).index(name) for name in order]
    feature = kind or (ClassLabel(names=list(names)) if names else Value("int64"))
    features = Features({"image": datasets.Image(), "label": feature})
    return Dataset.from_dict({"image": [encoded(NUMBER[k]) for k in order], "label": numbers}, features=features)


def parquet(folder: str = "set", **splits: Dataset | list[Dataset]) -> str:
    Path(folder).mkdir()
    for split, tables in splits.items():
        several = tables if isinstance(tables, list) else [tables]
        for i, one in enumerate(several):
            one.to_parquet(Path(folder, f"{split}-{i:05}-of-{len(several):05}.parquet"))
    return f"hub:{folder}"


def saved(folder: str = "set", **splits: Dataset) -> str:
    DatasetDict({**splits}).save_to_disk(folder)
    return f"hub:{folder}"


def arrow(folder: str = "set", **splits: Dataset) -> str:
    """Arrow files as they are, without what `save_to_disk` writes beside them."""
    for split, one in splits.items():
        one.save_to_disk("there")
        Path(folder).mkdir(exist_ok=True)
        shutil.copy("there/data-00000-of-00001.arrow", Path(folder, f"{split}.arrow"))
        shutil.rmtree("there")
    return f"hub:{folder}"


def pictures(part: ImageSet) -> list[str]:
    """The class of each image by its pixels; an error where its label says another."""
    truth = [TRUTH[int(image[0, 0, 0])] for image in part.images]
    assert [part.spec.class_names[label] for label in part.labels.tolist()] == truth
    return truth


def checked(source: str, **options: Any) -> tuple[list[str], list[str]]:
    train, test = load(source, **options)
    return pictures(train), pictures(test)


def refusal(source: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FORMS = pytest.mark.parametrize("save", [parquet, saved, arrow])
TRAIN = ("ant bee cat ant", ["ant", "bee", "cat"])


@FORMS
@pytest.mark.parametrize(
    ("classes", "names"),
    [
        ("cat ant", ["cat", "ant"]),
        ("cat bee ant", ["cat", "bee", "ant"]),
        ("bee cat", ["bee", "cat"]),
        ("cat", ["cat"]),
        ("cat bee ant", ["aardvark", "bee", "cat", "zebra", "ant"]),
    ],
)
def test_another_split_numbers_its_classes_in_its_own_way(save: Save, classes: str, names: list[str]) -> None:
    source = save(train=table(*TRAIN), test=table(classes, names))
    assert checked(source) == (TRAIN[0].split(), classes.split())
    assert load(source)[0].spec.class_names == ("ant", "bee", "cat")


@FORMS
def test_a_validation_split_that_is_tested_on(save: Save) -> None:
    source = save(train=table(*TRAIN), validation=table("cat ant", ["cat", "ant"]))
    assert checked(source)[1] == ["cat", "ant"]


@FORMS
def test_a_class_that_training_lacks_is_refused(save: Save) -> None:
    source = save(train=table("ant bee ant bee", ["ant", "bee"]), test=table("ant cat", ["ant", "cat"]))
    assert "column 'label' holds 'cat' in split test, but not in training" in refusal(source)


@FORMS
def test_a_class_without_a_training_image_is_left_out(save: Save) -> None:
    names = ["zebra", "ant", "aardvark", "bee"]
    source = save(train=table("ant bee bee", names), test=table("bee", names))
    with pytest.warns(UserWarning, match="hub:set: left out classes without a training image: zebra, aardvark"):
        assert checked(source) == (["ant", "bee", "bee"], ["bee"])


@FORMS
def test_but_not_where_it_is_tested_on(save: Save) -> None:
    names = ["ant", "bee", "cat"]
    source = save(train=table("ant bee", names), test=table("cat", names))
    assert "holds 'cat' in split test, but not in training" in refusal(source)


def test_files_of_one_split_that_number_classes_differently() -> None:
    files = [table("ant bee", ["ant", "bee"]), table("cat ant", ["cat", "ant"]), table("bee", ["bee"])]
    source = parquet(train=files, test=[table("bee cat", ["bee", "cat"]), table("cat", ["ant", "bee", "cat"])])
    assert checked(source) == (["ant", "bee", "cat", "ant", "bee"], ["bee", "cat", "cat"])
    assert load(source)[0].spec.class_names == ("ant", "bee", "cat")


@FORMS
@pytest.mark.parametrize("nameless", ["train", "test"])
def test_numbers_are_not_matched_with_names(save: Save, nameless: str) -> None:
    splits = {"train": table("ant bee cat", ["ant", "bee", "cat"]), "test": table("cat ant", ["cat", "ant"])}
    splits[nameless] = table("ant bee cat")
    said = refusal(save(**splits))
    assert "column 'label' holds n" in said
    assert "which cannot be matched" in said


@FORMS
def test_a_file_without_names_in_a_split_that_is_left_out_does_no_harm(save: Save) -> None:
    source = save(train=table(*TRAIN), validation=table("ant"), test=table("cat ant", ["cat", "ant"]))
    with pytest.warns(UserWarning, match="split 'validation' is left out: 'test' is the test set"):
        assert checked(source)[1] == ["cat", "ant"]


def texts(classes: str) -> Dataset:
    return table(classes, kind=Value("string"), labels=classes.split())


@pytest.mark.parametrize("save", [parquet, saved])
def test_texts_and_declared_names_are_matched(save: Save) -> None:
    assert checked(save("a", train=texts("bee ant cat"), test=table("cat ant", ["cat", "ant"])))[1] == ["cat", "ant"]
    assert checked(save("b", train=table(*TRAIN), test=texts("cat ant")))[1] == ["cat", "ant"]
    assert checked(save("c", train=texts("bee ant cat"), test=texts("cat bee")))[1] == ["cat", "bee"]


@pytest.mark.parametrize("save", [parquet, saved])
def test_numbers_without_names_are_matched_by_value(save: Save) -> None:
    three = table("ant bee cat", labels=[1, 2, 3])
    train, test = load(save("a", train=three, test=table("cat bee", labels=[3, 2])))
    assert train.spec.class_names == ("1", "2", "3")
    assert test.labels.tolist() == [2, 1]
    assert "holds 0 in split test, but not" in refusal(save("b", train=three, test=table("ant", labels=[0])))
    truth = {kind: table("ant bee", kind=Value("bool"), labels=kind) for kind in ((False, True), (True, False))}
    train, test = load(save("c", train=truth[False, True], test=truth[True, False]))
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 1], [1, 0])
    mixed = refusal(save("d", train=truth[False, True], test=table("ant", labels=[0])))
    assert "holds numbers in" in mixed
    assert "booleans in" in mixed


def readme(folder: str, names: Sequence[str]) -> None:
    listed = "".join(f"          '{number}': {name}\n" for number, name in enumerate(names))
    Path(folder, "README.md").write_text(
        "---\ndataset_info:\n  features:\n  - name: image\n    dtype: image\n  - name: label\n    dtype:\n"
        f"      class_label:\n        names:\n{listed}---\n"
    )


def test_a_readme_names_the_classes_of_files_that_do_not() -> None:
    source = parquet(train=table("cat ant bee", labels=[0, 1, 2]), test=table("bee cat", labels=[2, 0]))
    readme("set", ["cat", "ant", "bee"])
    assert checked(source) == (["cat", "ant", "bee"], ["bee", "cat"])


@pytest.mark.parametrize("names", [["cat", "ant", "bee"], ["ant", "bee"], ["ant", "bee", "dog"]])
def test_a_readme_that_contradicts_a_file_is_refused(names: list[str]) -> None:
    source = parquet(train=table(*TRAIN), test=table("cat ant", ["ant", "bee", "cat"]))
    readme("set", names)
    said = refusal(source)
    assert "by its README, but 'ant', 'bee', 'cat' by train-00000-of-00001.parquet" in said


def test_rows_that_the_library_keeps_of_earlier_work_are_not_read_again() -> None:
    source = saved(train=table(*TRAIN), test=table("cat ant", ["cat", "ant"]))
    load_from_disk("set/train").map(lambda row: row, load_from_cache_file=False)
    assert len(list(Path("set/train").glob("*.arrow"))) == 2
    assert checked(source) == (TRAIN[0].split(), ["cat", "ant"])


def test_a_saved_set_of_one_split() -> None:
    table("ant bee ant bee ant bee", ["bee", "ant"]).save_to_disk("set")
    train, test = checked("hub:set")
    assert sorted(train + test) == ["ant"] * 3 + ["bee"] * 3
    assert "has no configurations, such as small" in refusal("hub:set:small")


def test_what_the_library_does_to_names_is_followed() -> None:
    aligned = table("cat ant", ["cat", "ant"]).align_labels_with_mapping({"ant": 0, "bee": 1, "cat": 2}, "label")
    encoded_later = texts("cat ant").class_encode_column("label")
    renamed = table("cat ant", kind=ClassLabel(names=["x", "y"]), labels=[0, 1])
    renamed = renamed.cast_column("label", ClassLabel(names=["cat", "ant"]))
    few = table("ant cat bee cat", ["ant", "cat", "bee"]).filter(lambda row: row["label"] == 1)
    for name, test in {"a": aligned, "b": encoded_later, "d": few, "e": renamed}.items():
        for save in (parquet, saved):
            folder = f"{name}{save.__name__}"
            assert checked(save(folder, train=table("ant bee cat", ["ant", "bee", "cat"]), test=test))[1][0] == "cat"


def test_a_saved_set_whose_description_contradicts_its_file_is_refused() -> None:
    source = saved(train=table(*TRAIN), test=table("cat ant", ["cat", "ant"]))
    path = Path("set/test/dataset_info.json")
    described = json.loads(path.read_text())
    described["features"]["label"]["names"] = ["ant", "cat"]
    path.write_text(json.dumps(described))
    assert "has other class names in test/dataset_info.json than in data-00000" in refusal(source)


def test_a_saved_set_that_names_a_file_elsewhere_is_refused() -> None:
    source = saved(train=table(*TRAIN), test=table("cat", ["cat"]))
    saved("other", train=table(*TRAIN), test=table("cat", ["cat"]))
    path = Path("set/test/state.json")
    state = json.loads(path.read_text())
    state["_data_files"] = [{"filename": "../../other/test/data-00000-of-00001.arrow"}]
    path.write_text(json.dumps(state))
    assert "which is not in the folder: save it again" in refusal(source)
    path.write_text("{")
    assert refusal(source).startswith("hub:set: cannot be read (")


def test_folders_of_images_and_their_metadata() -> None:
    for name in ("train/ant/1 train/ant/2 train/bee/1 train/cat/1 test/cat/1 test/bee/1").split():
        path = Path("folders", f"{name}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), NUMBER[path.parent.name]).save(path)
    assert checked("hub:folders") == (["ant", "ant", "bee", "cat"], ["bee", "cat"])
    for split, classes in {"train": ["cat", "ant", "bee"], "test": ["bee", "ant"]}.items():
        Path("listed", split).mkdir(parents=True)
        lines = []
        for i, name in enumerate(classes):
            Image.new("L", (4, 4), NUMBER[name]).save(Path("listed", split, f"{i}.png"))
            lines.append(json.dumps({"file_name": f"{i}.png", "label": name}))
        Path("listed", split, "metadata.jsonl").write_text("\n".join(lines))
    assert checked("hub:listed") == (["cat", "ant", "bee"], ["bee", "ant"])


def test_one_hot_rows() -> None:
    kind = datasets.List(Value("int8"))
    train = table("ant bee cat", kind=kind, labels=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    test = table("cat ant", kind=kind, labels=[[0, 0, 1], [1, 0, 0]])
    read, tested = load(parquet(train=train, test=test))
    assert (read.labels.tolist(), tested.labels.tolist()) == ([0, 1, 2], [2, 0])
    alone = table("cat", kind=kind, labels=[[0, 0, 1]])
    _, tested = load(parquet("alone", train=train, test=alone))
    assert tested.labels.tolist() == [2]


def published(names: Sequence[str], **splits: Dataset) -> tuple[ImageSet, ImageSet]:
    Path("owner").mkdir()
    place = parquet("owner/set", **splits).removeprefix("hub:")
    named = Named(
        name="animals",
        class_names=tuple(names),
        shape=(1, 4, 4),
        mean=(0.5,),
        std=(0.5,),
        layouts=(),
        obtain="",
    )
    return hub.read_published(named, HubName(repo=place), no_progress)


def test_a_published_set_is_matched_with_the_names_by_which_it_is_known() -> None:
    train, test = published(
        ["cat", "ant", "bee"], train=table("ant bee cat", ["ant", "bee", "cat"]), test=table("cat bee", ["cat", "bee"])
    )
    assert train.spec.class_names == ("cat", "ant", "bee")
    assert (pictures(train), pictures(test)) == (["ant", "bee", "cat"], ["cat", "bee"])


def test_names_are_matched_however_they_are_spelled() -> None:
    clothes = NAMED["fashion-mnist"].class_names or ()
    hub_names = ["T - shirt / top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag"]
    assert match_names(clothes, [*hub_names, "Ankle boot"]) == list(range(10))
    assert match_names(clothes, [*map(str, range(10))]) == list(range(10))
    assert match_names(["crab", "dog"], ["cra", "dog"]) == [0, 1]
    assert match_names(["a", "b", "c"], ["C", "a", "B"]) == [2, 0, 1]
    digits = [*map(str, range(10))]
    assert match_names(digits, [*digits[1:], "0"]) == [*range(1, 10), 0]


@pytest.mark.parametrize("names", [["x", "y", "z"], ["a", "b"], ["b", "x", "c"], ["a", "A", "b"], ["1", "2", "3"]])
def test_other_names_are_another_set(names: list[str]) -> None:
    with pytest.raises(InputError, match="this is another dataset"):
        match_names(["a", "b", "c"], names)
