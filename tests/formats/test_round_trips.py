"""Sets of every form leave and come back: equal images and labels, and equal scores where the format is lossless."""

import json
from pathlib import Path

import datasets
import pytest
import torch
from synthetic_sets import FORMS

from datacondense import ImageSet, SyntheticSet, evaluate, load, load_set
from datacondense.formats import FORMATS, Format, export, import_sets
from datacondense.synthetic.provenance import Provenance
from datacondense.synthetic.set import FILE_NAME, save
from datacondense.training.recipe import Recipe


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def digits() -> tuple[ImageSet, ImageSet]:
    return load("digits")


def equal(one: SyntheticSet, other: SyntheticSet) -> bool:
    same = one.images.dtype == other.images.dtype and one.labels.dtype == other.labels.dtype
    return same and one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("form", FORMS)
def test_our_file(form: str, digits: tuple[ImageSet, ImageSet]) -> None:
    made = FORMS[form](digits[0])
    save(made, Path(FILE_NAME))
    back = load_set(".")
    assert equal(back, made)
    assert back.header() == made.header()
    assert back.provenance == made.provenance


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("to", FORMATS)
def test_every_format(to: Format, form: str, digits: tuple[ImageSet, ImageSet]) -> None:
    train, test = digits
    made = FORMS[form](train)
    export(made, to, "out")
    import_sets("out", None, "back")
    back = load_set("back")
    assert torch.equal(back.labels, made.labels)
    assert torch.equal(torch.signbit(back.labels), torch.signbit(made.labels))
    assert back.labels.dtype == made.labels.dtype
    assert torch.equal(train.spec.pixels(back.images), train.spec.pixels(made.images))
    assert back.stored is None, "the export holds decoded images"
    assert "decoder" not in back.header()
    counted = {"ipc": int(made.counts.max())} if made.views > 1 else {}  # decoded images are stored images there
    assert back.provenance.to_json().items() >= made.provenance.changed(**counted).to_json().items()
    if to == "folder":
        return
    assert equal(back, made)
    scores = [evaluate(one, test, archs=["MLP"], nets=1, epochs=2, seed=0).accuracy for one in (back, made)]
    assert scores[0] == scores[1]


@pytest.mark.parametrize("to", FORMATS)
def test_the_recipe(to: Format, digits: tuple[ImageSet, ImageSet]) -> None:
    made = FORMS["tiles"](digits[0])
    recipe = Recipe(epochs=7, lr=0.02, loss="mse", optimiser="adam", augment="flip")
    made = SyntheticSet(made.images, made.labels, made.spec, made.provenance, recipe=recipe)
    export(made, to, "out")
    import_sets("out", None, "back")
    assert load_set("back").recipe == recipe


def test_several_sets_of_other_kinds_share_a_pt_file(digits: tuple[ImageSet, ImageSet]) -> None:
    sets = [FORMS[form](digits[0]) for form in ("tiles", "pixels", "latents", "dct")]
    export(sets, "pt", "out.pt")
    backs = [load_set(run) for run in import_sets("out.pt", None, "back")]
    assert all(equal(back, made) for back, made in zip(backs, sets, strict=True))


def test_steps_are_grouped_by_classes(digits: tuple[ImageSet, ImageSet]) -> None:
    made = FORMS["soft"](digits[0])
    names = list(made.spec.class_names)
    steps = SyntheticSet(
        made.images, made.labels, made.spec, Provenance.from_json({"steps": [names[:4], names[4:7], names[7:]]})
    )
    export(steps, "pt", "out.pt")
    content = torch.load("out.pt", weights_only=True)
    assert [labels.shape for _, labels in content["data"]] == [(8, 10), (6, 10), (6, 10)]
    import_sets("out.pt", None, "back")
    back = load_set("back")
    assert equal(back, made)
    assert back.provenance.steps == steps.provenance.steps
    del content["datacondense"]
    torch.save(content, "theirs.pt")
    import_sets("theirs.pt", made.spec, "theirs", pixels="normalised", labels="values")
    assert equal(load_set("theirs"), made)
    assert load_set("theirs").provenance.steps == steps.provenance.steps


def test_datasets_reads_soft_labels(digits: tuple[ImageSet, ImageSet]) -> None:
    made = FORMS["dct"](digits[0])
    export(made, "hf", "out")
    train = datasets.load_dataset("out", split="train", cache_dir="cache").with_format("torch")
    assert torch.equal(torch.as_tensor(train["soft_label"][:]), made.labels)
    assert torch.equal(torch.as_tensor(train["label"][:]), made.classes)
    assert torch.equal(torch.as_tensor(train["pixels"][:]), made.images)
    card = Path("out/README.md").read_text()
    assert "- `soft_label`: the label to train on" in card
    assert 'train["soft\\_label"]' not in card
    assert "| decoder | dct (coefficients 13), numbers stored as f32 |" in card
    assert made.stored is not None
    size = sum(one.nbytes for one in made.stored.tensors().values()) + made.labels.nbytes
    assert f"| bytes | {size:,} as condensed; decoded here, one image per view |" in card
    assert "decoder" not in json.loads(Path("out/datacondense.json").read_text())["header"]
