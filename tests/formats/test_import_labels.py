"""Labels of others' files with a number for each class: recognised, recorded, named or refused."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor

from datacondense import InputError, Spec, load_set
from datacondense.cli.app import main
from datacondense.formats import FORMATS, LabelKind, export, import_sets
from datacondense.pictures import to_png

SPEC = Spec("toy", ("a", "b", "c"), (1, 4, 4), (0.5,), (0.25,))
GENERATOR = torch.Generator().manual_seed(0)
IMAGES = torch.randn(6, 1, 4, 4, generator=GENERATOR)
CLASSES = torch.arange(3).repeat_interleave(2)
LOGITS = torch.randn(6, 3, generator=GENERATOR) * 4
PROBABILITIES = LOGITS.softmax(1)
ONE_HOT = torch.nn.functional.one_hot(CLASSES, 3)
AS_READ: dict[str, tuple[Tensor, LabelKind | None, Tensor]] = {
    "logits": (LOGITS, "logits", PROBABILITIES),
    "probabilities": (PROBABILITIES, "probabilities", PROBABILITIES),
    "half": (PROBABILITIES.half(), "probabilities", PROBABILITIES.half().float()),
    "double": (PROBABILITIES.double(), "probabilities", PROBABILITIES),
    "one-hot": (ONE_HOT, "hard", CLASSES),
    "one-hot floats": (ONE_HOT.float(), "hard", CLASSES),
    "centred": (ONE_HOT - 1 / 3, "logits", (ONE_HOT - 1 / 3).softmax(1)),
    "classes": (CLASSES, None, CLASSES),
}


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def authors(labels: Tensor) -> str:
    torch.save({"data": [[IMAGES, labels]] * 2, "accs_all_exps": {}}, "in.pt")
    return "in.pt"


def pair(labels: Tensor) -> str:
    torch.save(IMAGES, "images_best.pt")
    torch.save(labels, "labels_best.pt")
    return "images_best.pt"


def arrays(labels: Tensor) -> str:
    np.savez("in.npz", images=IMAGES.numpy(), labels=labels.numpy())
    return "in.npz"


WRITERS: dict[str, Callable[[Tensor], str]] = {"authors": authors, "pair": pair, "arrays": arrays}


@pytest.mark.filterwarnings("ignore:.*labels are read as logits")
@pytest.mark.parametrize("kind", AS_READ)
@pytest.mark.parametrize("writer", WRITERS)
def test_labels_are_recognised_and_the_decision_is_recorded(writer: str, kind: str) -> None:
    labels, taken_for, expected = AS_READ[kind]
    runs = import_sets(WRITERS[writer](labels), SPEC, "back", pixels="normalised")
    for run in runs:
        back = load_set(run)
        assert back.labels.dtype == expected.dtype
        assert torch.equal(back.labels, expected)
        assert back.provenance.imported.get("labels", {}).get("taken_for") == taken_for


@pytest.mark.parametrize("writer", WRITERS)
def test_the_user_names_the_kind(writer: str) -> None:
    path = WRITERS[writer](LOGITS)
    expected: dict[LabelKind, Tensor] = {"hard": LOGITS.argmax(1), "logits": PROBABILITIES, "values": LOGITS}
    for kind, labels in expected.items():
        for run in import_sets(path, SPEC, "back", overwrite=True, pixels="normalised", labels=kind):
            assert torch.equal(load_set(run).labels, labels)
            assert load_set(run).provenance.imported["labels"] == {
                "taken_for": kind,
                "because": "as --labels says",
            }
    with pytest.raises(InputError, match=r"--labels probabilities: they go from .* and sum to .*: name their kind"):
        import_sets(path, SPEC, "other", pixels="normalised", labels="probabilities")
    with pytest.raises(InputError, match="unknown labels 'soft': choose from auto, hard"):
        import_sets(path, SPEC, "other", pixels="normalised", labels="soft")  # pyright: ignore[reportArgumentType]
    path = WRITERS[writer](CLASSES)
    with pytest.raises(InputError, match="--labels logits: the file has one class for each image: leave it out"):
        import_sets(path, SPEC, "other", pixels="normalised", labels="logits")


def test_logits_are_reported() -> None:
    with pytest.warns(UserWarning, match=r"in\.pt: labels are read as logits \(they go from .*their softmax is stored"):
        import_sets(authors(LOGITS), SPEC, "back", pixels="normalised")


def test_the_command_prints_how_it_read_them(capsys: pytest.CaptureFixture[str]) -> None:
    labels = torch.full((10, 10), 0.05) + torch.eye(10) / 2
    torch.save([torch.rand(10, 1, 8, 8), labels], "data.pt")
    assert main("import data.pt --data digits --pixels unit back".split()) == 0
    assert "labels are read as probabilities (none is negative, and they sum to 1)" in capsys.readouterr().out
    assert torch.equal(load_set("back").labels, labels)
    command = "import data.pt --data digits --pixels unit --labels hard --factor 2 other"
    assert main(command.split()) == 0
    assert "each image is cut into 2 x 2 training images" in capsys.readouterr().out
    assert load_set("other").labels.tolist() == torch.arange(10).repeat_interleave(4).tolist()
    for option in ("--labels hard", "--factor 2", "--pixels unit"):
        assert main(f"import data.pt --data digits {option} --generator g.pth other".split()) == 2
        assert "does not apply to latents: leave it out" in capsys.readouterr().err


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_names_its_labels_itself(to: Any) -> None:
    made = load_set(import_sets(pair(soft()), SPEC, "run", pixels="normalised")[0])
    export(made, to, "out")
    with pytest.raises(InputError, match="records the kind of its labels: leave it out"):
        import_sets("out", None, "other", labels="hard")


def soft() -> Tensor:
    return 0.1 + 0.7 * ONE_HOT.float()


BAD_LABELS = {
    "nan": (LOGITS.where(LOGITS < 1, torch.nan), "labels hold numbers that are NaN or infinite"),
    "infinite": (LOGITS / 0, "labels hold numbers that are NaN or infinite"),
    "too large": (LOGITS.double() * 1e300, "NaN or infinite|labels are read as logits"),
    "other classes": (torch.full((6, 4), 0.25), r"labels of shape \(6, 4\) do not have a number for each of 3 classes"),
    "one-hot of other classes": (torch.eye(6), r"labels of shape \(6, 6\) do not have a number for each of 3 classes"),
    "too few": (PROBABILITIES[:5], r"6 images do not fit labels of shape \(5, 3\)"),
    "booleans": (ONE_HOT.bool(), "labels have dtype torch.bool"),
    "complex": (PROBABILITIES.to(torch.complex64), "dtype complex64|ComplexFloatStorage"),
    "a cube": (PROBABILITIES[:, None], "are not whole numbers"),
    "no column": (PROBABILITIES[:, :0], r"labels of shape \(6, 0\) hold nothing"),
    "none": (PROBABILITIES[:0], "hold nothing"),
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("what", BAD_LABELS)
def test_labels_that_do_not_fit_are_refused(what: str, writer: str) -> None:
    labels, message = BAD_LABELS[what]
    with pytest.raises(InputError, match=message) as error:
        import_sets(WRITERS[writer](labels), SPEC, "back", pixels="normalised")
    assert "\n" not in str(error.value)
    assert not Path("back").exists()


def folder(rows: list[list[Any]] | None) -> None:
    """Write six pictures in folders of their classes, each in its own grey, and labels.csv."""
    for index in range(6):
        path = Path("in", SPEC.class_names[index // 2], f"{index % 2}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(to_png(torch.full((1, 4, 4), 10 * index, dtype=torch.uint8)))
    if rows is not None:
        with Path("in/labels.csv").open("w", newline="") as file:
            csv.writer(file).writerows(rows)


def table(labels: Tensor, head: tuple[str, ...] = ("file", "a", "b", "c")) -> list[list[Any]]:
    names = [f"{SPEC.class_names[index // 2]}/{index % 2}.png" for index in range(6)]
    return [[*head], *([name, *row] for name, row in zip(names, labels.tolist(), strict=True))]


def test_a_folder_of_others_with_a_table_of_labels() -> None:
    rows = table(PROBABILITIES)
    folder([rows[0], *reversed(rows[1:])])
    import_sets("in", SPEC, "back")
    back = load_set("back")
    assert torch.equal(back.labels, PROBABILITIES)
    assert SPEC.pixels(back.images)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 40, 50]
    assert back.provenance.imported["labels"]["taken_for"] == "probabilities"
    folder([["file", "label", "c", "a", "b"], *([r[0], "x", r[3], r[1], r[2]] for r in rows[1:])])
    import_sets("in", SPEC, "back", overwrite=True)
    assert torch.equal(load_set("back").labels, PROBABILITIES), "columns are in another order"
    with Path("in/labels.csv").open("a") as file:
        file.write("\n\n")
    import_sets("in", SPEC, "back", overwrite=True)
    assert torch.equal(load_set("back").labels, PROBABILITIES), "empty lines are no rows"
    import_sets("in", SPEC, "back", overwrite=True, labels="hard")
    assert torch.equal(load_set("back").labels, PROBABILITIES.argmax(1))
    import_sets("in", SPEC, "back", overwrite=True, factor=2)
    assert torch.equal(load_set("back").labels, PROBABILITIES.repeat_interleave(4, 0))


BAD_TABLES: dict[str, tuple[list[list[Any]], str]] = {
    "empty": ([], "its columns are none, expected file, label and the 3 classes"),
    "classes alone": ([["file", "label"], ["a/0.png", 0]], "its columns are file, label, expected"),
    "other classes": (table(LOGITS, ("file", "a", "b", "x")), "its columns are file, a, b, x, expected"),
    "twice": (table(LOGITS, ("file", "a", "b", "b")), "its columns are file, a, b, b, expected"),
    "a row twice": ([*table(LOGITS), table(LOGITS)[1]], "row 8 names 'a/0.png', again"),
    "no such file": ([*table(LOGITS), ["a/9.png", 0, 0, 1]], "row 8 names 'a/9.png', no image of a class"),
    "outside": ([*table(LOGITS), ["../a/0.png", 0, 0, 1]], "row 8 names '../a/0.png', no image of a class"),
    "a row too few": (table(LOGITS)[:-1], "no row for 1 images, such as c/1.png"),
    "a cell too few": ([*table(LOGITS)[:-1], ["c/1.png", 0, 1]], "row 7 has 3 cells, expected 4"),
    "text": ([*table(LOGITS)[:-1], ["c/1.png", 0, 1, "one"]], "not a table of numbers"),
    "nan": ([*table(LOGITS)[:-1], ["c/1.png", 0, 1, "nan"]], "NaN or infinite"),
    "beyond float32": ([*table(LOGITS)[:-1], ["c/1.png", 0, 1, "1e300"]], "NaN or infinite"),
    "a row too short after an empty one": ([*table(LOGITS), [], ["c/1.png"]], "row 9 has 1 cells, expected 4"),
}


@pytest.mark.parametrize("what", BAD_TABLES)
def test_a_table_that_does_not_fit_is_refused(what: str) -> None:
    rows, message = BAD_TABLES[what]
    folder(rows)
    with pytest.raises(InputError, match=message) as error:
        import_sets("in", SPEC, "back")
    assert "\n" not in str(error.value)
    assert "in" in str(error.value)
    assert ("not a table" in str(error.value)) == (what == "text")


@pytest.mark.parametrize("data", [b"\xff\xfe\0", b'file,a,b,c\n"a/0.png', b"file,a,b,c\n" + b"x" * 200_000, b"\0" * 99])
def test_a_table_of_other_bytes_is_refused(data: bytes) -> None:
    folder(None)
    Path("in/labels.csv").write_bytes(data)
    with pytest.raises(InputError, match=r"labels\.csv: ") as error:
        import_sets("in", SPEC, "back")
    assert "\n" not in str(error.value)


def test_a_changed_table_of_an_export_is_noticed() -> None:
    made = load_set(import_sets(pair(soft()), SPEC, "run", pixels="normalised")[0])
    export(made, "folder", "out")
    path = Path("out/labels.csv")
    text = path.read_text()
    assert text.splitlines()[:2] == ["file,label,a,b,c", "00_a/0000.png,0,0.800000012,0.100000001,0.100000001"]
    path.write_text(text.replace("0.800000012", "0.8000001", 1))
    with pytest.raises(InputError, match="out was changed after it was exported"):
        import_sets("out", None, "back")
    path.unlink()
    with pytest.raises(InputError, match="out was changed after it was exported"):
        import_sets("out", None, "back")
    export(made, "folder", "out", overwrite=True)
    assert path.read_text() == text


def hub(soft: list[Any], names: list[str] | None = None, kind: pa.DataType | None = None) -> None:
    """Write hf/ as others write it, with a column of soft labels."""
    Path("hf/data").mkdir(parents=True, exist_ok=True)
    images = [
        {"bytes": to_png(torch.full((1, 4, 4), 10 * k, dtype=torch.uint8)), "path": None} for k in range(len(soft))
    ]
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    columns = {"image": images, "label": [0] * len(soft), "soft_label": pa.array(soft, kind)}
    metadata = {} if names is None else {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), "hf/data/train-00000-of-00001.parquet")


def test_a_table_of_the_hub_with_soft_labels() -> None:
    for kind in (pa.list_(pa.float32()), pa.list_(pa.float64()), pa.list_(pa.float32(), 3)):
        hub(PROBABILITIES.tolist(), None, kind)
        import_sets("hf", SPEC, "back", overwrite=True)
        assert torch.equal(load_set("back").labels, PROBABILITIES)
    hub(PROBABILITIES[:, [2, 0, 1]].tolist(), ["c", "a", "b"], pa.list_(pa.float32()))
    import_sets("hf", SPEC, "back", overwrite=True)
    assert torch.equal(load_set("back").labels, PROBABILITIES)


@pytest.mark.parametrize(
    ("soft", "message"),
    [
        ([[0.5, 0.5]] * 2, r"soft labels are 4 values of double for 2 images of shape \(3,\)"),
        ([[0.25] * 4, [0.5, 0.5]], "lists of different lengths, expected 3 numbers each"),
        ([[0.5, 0.5, 0.0], None], r"soft labels are 3 values of double"),
        ([[0.5, 0.5, None]] * 2, "NaN or infinite"),
        ([["a", "b", "c"]] * 2, "soft labels are 6 values of string"),
        ([0.5, 0.5], "is damaged or not a table|soft labels"),
        ([[0.5] * 1000] * 2, "soft_label' holds 2,000 values"),
    ],
)
def test_soft_labels_of_the_hub_that_do_not_fit_are_refused(soft: list[Any], message: str) -> None:
    hub(soft)
    with pytest.raises(InputError, match=message) as error:
        import_sets("hf", SPEC, "back")
    assert "\n" not in str(error.value)
