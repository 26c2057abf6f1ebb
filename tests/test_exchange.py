"""Sets that leave and come back: bit for bit where the format is lossless, by 8 bits where it is not."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from datacondense import InputError, Spec, SyntheticSet, load_set
from datacondense.artifact import save
from datacondense.exchange import FORMATS, Format, export, import_sets, runs_in
from datacondense.exchange.names import folder_names
from datacondense.exchange.scores import Accuracies, known

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


def make(*, channels: int = 3, names: tuple[str, ...] = ("cat", "T-shirt/top", "dog"), seed: int = 0) -> SyntheticSet:
    generator = torch.Generator().manual_seed(seed)
    k = len(names)
    spec = Spec("pets", names, (channels, 5, 7), (0.4914, 0.4822, 0.4465)[:channels], (0.2, 0.19, 0.21)[:channels])
    images = torch.randn(2 * k, *spec.shape, generator=generator) * 3  # beyond what a picture can show
    made = {"method": "dm", "settings": {"arch": "ConvNet"}, "seed": seed, "ipc": 2, "data_sha256": "0" * 64}
    return SyntheticSet(images, torch.arange(k).repeat_interleave(2), spec, {**made, "source": {"source": "digits"}})


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
    assert back.provenance.items() >= made.provenance.items()
    assert back.provenance["imported"]["file"] == "out"
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
    assert list(plain) == ["data", "accs_all_exps"]
    assert plain["accs_all_exps"] == {"ConvNet": [0.0, 0.5, 0.1, 0.5, 0.2, 0.5]}
    runs = import_sets("out.pt", sets[0].spec, "back", source={"source": "digits", "data_dir": None})
    assert runs == [Path("back/exp0"), Path("back/exp1"), Path("back/exp2")] == runs_in(Path("back"))
    backs = [load_set(run) for run in runs]
    for seed, (back, made) in enumerate(zip(backs, sets, strict=True)):
        assert back.fingerprint() == made.fingerprint()
        assert (back.provenance["method"], back.provenance["seed"], back.provenance["ipc"]) == ("imported", seed, 2)
        assert back.provenance["settings"] == {"arch": "ConvNet"}
        assert back.provenance["published"] == {"ConvNet": [0.1 * seed, 0.5]}
    export(backs, "pt", "again.pt", scores=[known(back) for back in backs])
    again = torch.load("again.pt", weights_only=True)
    assert again["accs_all_exps"] == plain["accs_all_exps"]
    for (images, labels), (images2, labels2) in zip(plain["data"], again["data"], strict=True):
        assert torch.equal(images, images2)
        assert torch.equal(labels, labels2)


@pytest.mark.parametrize("to", ["folder", "npz", "hf"])
def test_several_sets_become_one_export_each(to: Format) -> None:
    export([make(seed=0), make(seed=1)], to, "out")
    suffix = ".npz" if to == "npz" else ""
    for seed in (0, 1):
        import_sets(f"out/exp{seed}{suffix}", None, f"back{seed}")
        assert load_set(f"back{seed}").provenance["seed"] == seed
    export([make(seed=2)] * 2, to, "out", overwrite=True)
    import_sets(f"out/exp0{suffix}", None, "new")
    assert load_set("new").provenance["seed"] == 2


def test_folder_names_are_safe_unique_and_in_the_order_of_the_labels() -> None:
    names = folder_names(ODD_NAMES)
    assert names[0] == "00_a_b"
    assert len({unicodedata.normalize("NFC", name).casefold() for name in names}) == len(names)
    assert sorted(names) == names
    for name in names:
        assert not set(name) & set('/\\:*?"<>|\0')
        assert len(name.encode()) < 128
        assert not name.endswith((".", " "))
    assert sorted(folder_names(["x"] * 1001)) == folder_names(["x"] * 1001)


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
    with pytest.raises(InputError, match="name the data by --data"):
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
    with pytest.raises(InputError, match="name the data by --data"):
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


def test_the_card_says_what_there_is_to_say() -> None:
    made = make(names=("a: b", "- c", "'d\""))
    export([made], "hf", "out", scores=[{"ConvNet": Accuracies([0.5, 0.6], "300 epochs")}], licence="CC-BY-4.0")
    _, front, text = Path("out/README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front)
    assert (fields["license"], fields["task_categories"]) == ("cc-by-4.0", ["image-classification"])
    assert fields["size_categories"] == ["n<1K"]
    for words in ("| ConvNet | 55.00 +- 7.07 | 2 | 300 epochs |", "| method | dm |", "| arch | ConvNet |"):
        assert words in text


@pytest.mark.parametrize("to", FORMATS)
def test_what_is_there_is_not_overwritten_unasked(to: Format) -> None:
    export([make()], to, "out")
    with pytest.raises(InputError, match=r"out (exists|is not empty): replace it by --overwrite"):
        export([make(seed=1)], to, "out")
    export([make(seed=1)], to, "out", overwrite=True)
    (back,) = import_sets("out", make().spec, "back")
    assert torch.equal(load_set(back).labels, make().labels)
    assert sorted(path.name for path in Path().iterdir()) == ["back", "out"]


@pytest.mark.parametrize("to", ["folder", "hf"])
def test_overwrite_never_deletes_what_no_export_has_written(to: Format) -> None:
    Path("photos").mkdir()
    Path("photos/mine.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="photos holds other files"):
        export([make()], to, "photos", overwrite=True)
    Path("file").write_bytes(b"x")
    with pytest.raises(InputError, match="file is a file"):
        export([make()], to, "file", overwrite=True)
    export([make()], to, "out")
    Path("out/run").mkdir()
    save(make(), Path("out/run/synthetic.safetensors"))
    with pytest.raises(InputError, match="out holds other files"):
        export([make()], to, "out", overwrite=True)
    assert Path("photos/mine.jpg").read_bytes() == Path("file").read_bytes() == b"x"


def test_overwriting_an_import_spares_everything_but_runs() -> None:
    export([make()], "npz", "out.npz")
    import_sets("out.npz", None, "back")
    with pytest.raises(InputError, match="back is not empty: replace it by --overwrite"):
        import_sets("out.npz", None, "back")
    import_sets("out.npz", None, "back", overwrite=True)
    Path("photos").mkdir()
    Path("photos/mine.jpg").write_bytes(b"x")
    with pytest.raises(InputError, match="photos holds other files"):
        import_sets("out.npz", None, "photos", overwrite=True)
    Path("out.npz").rename("back/out.npz")
    with pytest.raises(InputError, match="which --overwrite would delete"):
        import_sets("back/out.npz", None, "back", overwrite=True)
    assert Path("back/out.npz").exists()


def test_an_empty_directory_may_be_filled() -> None:
    Path("out").mkdir()
    export([make()], "folder", "out")
    Path("back").mkdir()
    import_sets("out", None, "back")


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_fails_leaves_nothing_behind(to: Format, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make()
    export([made], to, "out")
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    monkeypatch.setattr("pathlib.Path.rename", full)
    with pytest.raises(OSError, match="No space left"):
        export([make(seed=1)], to, "out", overwrite=True)
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before


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
    assert [run.name for run in runs_in(Path("runs"))] == ["exp0", "exp2", "exp10"]
    assert runs_in(Path("runs/exp2")) == [Path("runs/exp2")]
    assert runs_in(Path("runs/other")) == [Path("runs/other")]
    assert runs_in(Path("absent")) == [Path("absent")]
