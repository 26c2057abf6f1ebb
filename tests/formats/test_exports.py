"""Sets that leave and come back: bit for bit where the format is lossless, by 8 bits where it is not."""

import json
import unicodedata
from pathlib import Path
from typing import get_args

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml
from PIL import Image
from synthetic_sets import make

from datacondense import InputError, Scores, Spec, SyntheticSet, load_set
from datacondense.formats import (
    FORMATS,
    Format,
    authors_pt,
    export,
    find_runs,
    hf_dataset,
    import_sets,
    npz,
    png_folder,
)
from datacondense.formats.accuracies import Accuracies, known_accuracies
from datacondense.formats.export_item import ExportItem
from datacondense.formats.png_folder import class_folder_names
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import save

ODD_NAMES = (
    "a/b",
    "a\\b",
    "..",
    "CON",
    "",
    " . ",
    "x" * 300,
    "Käse",
    "café",
    "a:b",
    "e\u0301" * 90,
    "a/b",
    ".hidden",
    "木",
)


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("to", ["npz", "hf"])
def test_lossless_formats_come_back_bit_for_bit(to: Format, channels: int) -> None:
    made = make(channels=channels)
    made.images[0, 0, 0, 0] = -0.0
    export([made], to, "out")
    assert import_sets("out", None, "back") == [Path("back")]
    back = load_set("back")
    assert back.fingerprint() == made.fingerprint()
    assert back.spec == made.spec
    assert back.provenance.to_json().items() >= made.provenance.to_json().items()
    assert back.provenance.imported["file"] == "out"
    assert json.loads(Path("back/run.json").read_text())["status"] == "imported"
    assert Path("back/images.png").exists()


def test_a_table_of_many_images_is_read_piece_by_piece() -> None:
    made = make(names=tuple(map(str, range(100))))
    export([made], "hf", "out")
    import_sets("out", None, "back")
    assert load_set("back").fingerprint() == made.fingerprint()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_comes_back_within_8_bits_of_what_can_be_shown(channels: int) -> None:
    made = make(channels=channels)
    export([made], "folder", "out")
    import_sets("out", None, "back")
    back = load_set("back")
    assert torch.equal(back.labels, made.labels)
    assert torch.equal(back.spec.pixels(back.images), made.spec.pixels(made.images))
    shown, again = made.spec.denormalise(made.images), back.spec.denormalise(back.images)
    assert float((shown - again).abs().max()) <= 0.5 / 255 + 1e-6
    export([back], "folder", "twice")
    for file in Path("out").rglob("*.png"):
        assert Path("twice", file.relative_to("out")).read_bytes() == file.read_bytes()


def test_the_authors_layout_comes_back_bit_for_bit() -> None:
    sets = [make(seed=seed) for seed in range(3)]
    scores = [{"ConvNet": Accuracies([0.1 * seed, 0.5], "")} for seed in range(3)]
    export(sets, "pt", "out.pt", scores=scores)
    plain = torch.load("out.pt", weights_only=True)
    assert list(plain) == ["data", "accs_all_exps", "datacondense"]
    assert plain["accs_all_exps"] == {"ConvNet": [0.0, 0.5, 0.1, 0.5, 0.2, 0.5]}
    runs = import_sets("out.pt", None, "back")
    assert runs == [Path("back/exp0"), Path("back/exp1"), Path("back/exp2")] == find_runs(Path("back"))
    backs = [load_set(run) for run in runs]
    for seed, (back, made) in enumerate(zip(backs, sets, strict=True)):
        assert back.fingerprint() == made.fingerprint()
        assert back.spec == made.spec
        assert back.provenance.to_json().items() >= made.provenance.to_json().items()
        assert back.provenance.published == {"ConvNet": [0.1 * seed, 0.5]}
    export(backs, "pt", "again.pt", scores=[known_accuracies(back) for back in backs])
    again = torch.load("again.pt", weights_only=True)
    assert again["accs_all_exps"] == plain["accs_all_exps"]
    for (images, labels), (images2, labels2) in zip(plain["data"], again["data"], strict=True):
        assert torch.equal(images, images2)
        assert torch.equal(labels, labels2)
    with pytest.raises(InputError, match=r"out\.pt was made from 'pets', which is not --data 'pets': class_names"):
        import_sets("out.pt", make(names=("a", "b", "c")).spec, "other")


def test_accuracies_that_a_reader_would_give_to_another_set_are_left_out() -> None:
    scores = [{"ConvNet": Accuracies([0.25], "")}, {"ConvNet": Accuracies([0.5] * 3, ""), "MLP": Accuracies([0.5], "")}]
    with pytest.warns(UserWarning, match="they are left out, as the file cannot assign them to the sets") as caught:
        export([make(seed=0), make(seed=1)], "pt", "out.pt", scores=scores)
    assert [str(one.message).partition(":")[0] for one in caught] == [
        "the sets have 1, 3 accuracies of ConvNet",
        "the sets have 0, 1 accuracies of MLP",
    ]
    assert torch.load("out.pt", weights_only=True)["accs_all_exps"] == {}


def test_sets_without_a_class_in_common_stay_apart() -> None:
    one = make()
    halves = [
        SyntheticSet(one.images[part], one.labels[part], one.spec, Provenance()) for part in (slice(2), slice(2, None))
    ]
    export(halves, "pt", "out.pt")
    backs = [load_set(run) for run in import_sets("out.pt", None, "back")]
    assert [back.fingerprint() for back in backs] == [half.fingerprint() for half in halves]


def test_where_the_real_images_are_stays_on_this_machine() -> None:
    made = make()
    named = {"source": "digits", "data_dir": "/home/me"}
    sources = ({"source": "folder:/home/me/photos"}, {"source": "hub:/home/me/x"}, named)
    for to in FORMATS:
        for number, source in enumerate(sources):
            provenance = made.provenance.changed(source=source)
            dest = Path(f"{to}{number}")
            export([SyntheticSet(made.images, made.labels, made.spec, provenance)], to, dest)
            files = [dest] if dest.is_file() else [path for path in dest.rglob("*") if path.is_file()]
            assert not any(b"/home/me" in path.read_bytes() for path in files)
            import_sets(dest, None, f"back-{to}{number}")
            found = load_set(f"back-{to}{number}").provenance.source
            assert found == ({"source": "digits"} if number == 2 else {})


@pytest.mark.parametrize("to", FORMATS)
def test_a_file_of_others_does_not_decide_what_is_opened(to: Format) -> None:
    made = make()
    source = {"source": "digits", "data_dir": "/etc"}
    lying = SyntheticSet(made.images, made.labels, made.spec, made.provenance.changed(source=source))
    if to in ("folder", "hf"):
        Path("out").mkdir()
    match to:
        case "folder":
            png_folder.write(lying, Path("out"))
        case "hf":
            hf_dataset.write(ExportItem(lying, {}, "mit"), Path("out"))
        case "npz":
            npz.write(lying, Path("out"))
        case "pt":
            authors_pt.write([lying], [{}], Path("out"))
    import_sets("out", None, "back")
    assert load_set("back").provenance.source == {"source": "digits"}
    assert json.loads(Path("back/run.json").read_text())["source"] == {"source": "digits"}
    import_sets("out", None, "named", source={"source": "folder:/home/me", "image_size": 8})
    assert load_set("named").provenance.source == {"source": "folder:/home/me", "image_size": 8}


@pytest.mark.parametrize("to", ["folder", "npz", "hf"])
def test_several_sets_become_one_export_each(to: Format) -> None:
    export([make(seed=0), make(seed=1)], to, "out")
    suffix = ".npz" if to == "npz" else ""
    for seed in (0, 1):
        import_sets(f"out/exp{seed}{suffix}", None, f"back{seed}")
        assert load_set(f"back{seed}").provenance.seed == seed
    assert import_sets("out", None, "all") == [Path("all/exp0"), Path("all/exp1")]
    assert [load_set(f"all/exp{seed}").provenance.seed for seed in (0, 1)] == [0, 1]
    export([make(seed=2)] * 2, to, "out", overwrite=True)
    import_sets(f"out/exp0{suffix}", None, "new")
    assert load_set("new").provenance.seed == 2
    Path(f"out/exp0{suffix}").rename("gone")
    with pytest.raises(InputError, match=r"out is damaged: datacondense\.json lists 2 sets, but 1 are there"):
        import_sets("out", None, "all", overwrite=True)


def test_folder_names_are_safe_unique_and_in_the_order_of_the_labels() -> None:
    names = class_folder_names(ODD_NAMES)
    assert names[0] == "00_a_b"
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names)
    assert sorted(names) == names
    for name in names:
        assert not set(name) & set('/\\:*?"<>|\0')
        assert len(name.encode()) < 128
        assert not name.endswith((".", " "))
    assert sorted(class_folder_names(["x"] * 1001)) == class_folder_names(["x"] * 1001)
    assert class_folder_names(["a._", "हिन्दी", "x" * 99 + " y"]) == ["00_a", "01_हिन्दी", f"02_{'x' * 99}"]


def test_odd_class_names_survive_every_format() -> None:
    made = make(names=tuple(name for name in ODD_NAMES if name))
    for to in ("folder", "npz", "hf"):
        export([made], to, f"out-{to}")
        import_sets(f"out-{to}", None, f"back-{to}")
        assert load_set(f"back-{to}").spec.class_names == made.spec.class_names


def test_a_class_without_images_has_no_folder_to_be_in() -> None:
    made = make()
    made = SyntheticSet(made.images[2:], made.labels[2:], made.spec, made.provenance)
    with pytest.raises(InputError, match="class 'cat' has no image"):
        export([made], "folder", "out")
    assert list(Path().iterdir()) == []
    export([made], "npz", "out")
    import_sets("out", None, "back")
    assert load_set("back").fingerprint() == made.fingerprint()


def test_a_folder_of_others_is_read_by_the_names_of_the_classes() -> None:
    made = make()
    export([made], "folder", "out")
    Path("out/datacondense.json").unlink()
    with pytest.raises(InputError, match="name the data with --data"):
        import_sets("out", None, "back")
    for old, new in (("00_cat", "cat"), ("02_dog", "dog")):
        Path("out", old).rename(Path("out", new))
    import_sets("out", made.spec, "back")
    back = load_set("back")
    assert torch.equal(back.spec.pixels(back.images), made.spec.pixels(made.images))
    assert back.labels.tolist() == made.labels.tolist()
    Path("out/dog").rename("out/wolf")
    with pytest.raises(InputError, match="wolf is not a class of pets"):
        import_sets("out", made.spec, "other")


def test_a_dataset_directory_of_others_is_read_from_its_pictures() -> None:
    made = make()
    export([made], "hf", "out")
    Path("out/datacondense.json").unlink()
    with pytest.raises(InputError, match="name the data with --data"):
        import_sets("out", None, "back")
    import_sets("out", made.spec, "back")
    back = load_set("back")
    assert torch.equal(back.spec.pixels(back.images), made.spec.pixels(made.images))
    assert back.labels.tolist() == made.labels.tolist()


def test_the_data_that_is_named_must_be_that_of_the_export() -> None:
    export([make()], "npz", "out")
    with pytest.raises(InputError, match="out was made from 'pets', which is not --data 'pets': class_names"):
        import_sets("out", make(names=("a", "b", "c")).spec, "back")
    assert not Path("back").exists()


def test_an_image_that_was_changed_is_noticed() -> None:
    export([make()], "folder", "out")
    Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save("out/00_cat/0001.png")
    with pytest.raises(InputError, match="out was changed after it was exported"):
        import_sets("out", None, "back")


def test_every_format_is_an_entry_of_the_dict() -> None:
    assert tuple(FORMATS) == get_args(Format)
    assert [to for to, one in FORMATS.items() if one.suffix] == ["npz", "pt"]


def test_classes_of_the_same_name_can_be_loaded_by_datasets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(Path("hf-home").absolute()))
    export(make(names=("a", "b", "a", "a (2)")), "hf", "out")
    features = datasets.Features.from_arrow_schema(pq.read_schema("out/data/train-00000-of-00001.parquet"))
    label = features["label"]
    assert isinstance(label, datasets.ClassLabel)
    assert label.names == ["a (0)", "b (1)", "a (2)", "a (2) (3)"]
    assert features["pixels"] == datasets.List(datasets.List(datasets.List(datasets.Value("float32"))))
    import_sets("out", None, "back")
    assert load_set("back").spec.class_names == ("a", "b", "a", "a (2)")
    Path("out/datacondense.json").unlink()
    import_sets("out", load_set("back").spec, "again")
    assert torch.equal(load_set("again").labels, load_set("back").labels)


@pytest.mark.parametrize("licence", ["no", "null", "1.0", "mit"])
def test_the_front_of_the_card_is_text_for_yaml(licence: str) -> None:
    spec = Spec('p\U0001f600\ufeff: "\\', ("a",), (1, 1, 1), (0.5,), (0.25,))
    export(
        SyntheticSet(torch.zeros(1, 1, 1, 1), torch.zeros(1).long(), spec, Provenance()), "hf", "out", licence=licence
    )
    fields = yaml.safe_load(Path("out/README.md").read_text().split("---\n")[1])
    assert fields["license"] == licence
    assert fields["pretty_name"] == f"{spec.name}, condensed by an unknown method"


def test_the_card_says_what_there_is_to_say() -> None:
    made = make(names=("a: b", "- c", "'d\""))
    export([made], "hf", "out", scores=[{"ConvNet": Accuracies([0.5, 0.6], "300 epochs")}], licence="CC-BY-4.0")
    _, front, text = Path("out/README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert (fields["license"], fields["task_categories"]) == ("cc-by-4.0", ["image-classification"])
    assert fields["size_categories"] == ["n<1K"]
    for words in ("| ConvNet | 55.00 ± 7.07 | 2 | 300 epochs |", "| method | dm |", "| arch | ConvNet |"):
        assert words in text


def test_only_what_could_be_read_again_is_written() -> None:
    made = make()
    images = made.images.clone().requires_grad_()
    export(SyntheticSet(images, made.labels, made.spec, Provenance.from_json({"numbers": (1, 2)})), "npz", "out.npz")
    import_sets("out.npz", None, "back")
    assert load_set("back").fingerprint() == made.fingerprint()
    assert load_set("back").provenance.to_json()["numbers"] == [1, 2]
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    bad = {
        "pixels that are NaN": (made.images / 0, made.labels, {}),
        "images have dtype float64": (made.images.double(), made.labels, {}),
        "labels go from 1 to 3": (made.images, made.labels + 1, {}),
        "is not JSON": (made.images, made.labels, {"made": Path("x")}),
        "it cannot be written": (made.images, made.labels, {"loss": float("nan")}),
        "provenance of the set is no": (made.images, made.labels, {"deep": deep}),
        "provenance.seed": (made.images, made.labels, {"seed": -1}),
    }
    for to in FORMATS:
        for message, (images, labels, provenance) in bad.items():
            with pytest.raises(InputError, match=message):
                export(SyntheticSet(images, labels, made.spec, Provenance.from_json(provenance)), to, "bad/out")
    assert not Path("bad").exists()


def test_scores_are_taken_as_evaluate_returns_them() -> None:
    recipe = {"epochs": 300, "augment": "dsa"}
    scores = Scores({"MLP": [0.25, 0.5]}, {"MLP": []}, 1.0, {"recipes": {"MLP": recipe}}, {})
    export(make(), "hf", "one", scores=scores)
    assert "| MLP | 37.50 ± 17.68 | 2 | 300 epochs, augmentation dsa |" in Path("one/README.md").read_text()
    export([make(), make(seed=1)], "hf", "two", scores=[scores, None])
    assert "None were measured" in Path("two/exp1/README.md").read_text()
    export(make(), "pt", "one.pt", scores=scores)
    assert torch.load("one.pt", weights_only=True)["accs_all_exps"] == {"MLP": [0.25, 0.5]}
    with pytest.raises(InputError, match="there are 1 scores for 2 sets"):
        export([make(), make()], "pt", "new", scores=[scores])
    with pytest.raises(InputError, match="the scores of MLP are not all fractions"):
        export(make(), "pt", "new", scores={"MLP": Accuracies([52.5], "")})
    assert not Path("new").exists()


def test_sets_of_different_data_do_not_go_into_one_file() -> None:
    with pytest.raises(InputError, match="one file cannot hold sets of 'pets' and of 'pets'"):
        export([make(), make(names=("a", "b", "c"))], "pt", "out.pt")
    with pytest.raises(InputError, match="unknown format 'zip'"):
        export([make()], "zip", "out")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="--licence 'my own'"):
        export([make()], "hf", "out", licence="my own")
    assert list(Path().iterdir()) == []


def test_runs_in_a_directory_come_in_the_order_of_their_numbers() -> None:
    for name in ("exp10", "exp2", "exp0", "other"):
        Path("runs", name).mkdir(parents=True)
        if name != "other":
            save(make(), Path("runs", name, "synthetic.safetensors"))
    assert [run.name for run in find_runs(Path("runs"))] == ["exp0", "exp2", "exp10"]
    assert find_runs(Path("runs/exp2")) == [Path("runs/exp2")]
    assert find_runs(Path("runs/other")) == [Path("runs/other")]
    assert find_runs(Path("absent")) == [Path("absent")]
