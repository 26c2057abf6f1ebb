"""Files of others: what the authors released is read, nothing in it is run, and what cannot be is one clear line."""

import io
import json
import os
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from datacondense import InputError, Spec, SyntheticSet, load_set
from datacondense.cli.app import main
from datacondense.formats import export, import_sets
from datacondense.formats.accuracies import known_accuracies
from datacondense.pictures import to_png
from datacondense.synthetic.provenance import Provenance
from datacondense.utils import hardware

SPEC = Spec("toy", ("a", "b", "c", "d"), (1, 4, 4), (0.5,), (0.25,))


@pytest.fixture(autouse=True)
def in_tmp_path(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def experiment(seed: int, classes: tuple[int, ...] = (0, 1, 2, 3), ipc: int = 2) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.tensor(classes).repeat_interleave(ipc)
    return [torch.randn(len(labels), *SPEC.shape, generator=generator), labels]


def authors_file(path: str = "res_DC_toy_ConvNet_2ipc.pt") -> dict[str, Any]:
    """As main.py writes it: the accuracies are NumPy scalars."""
    accuracies = {"ConvNet": [np.float64(0.1 * i) for i in range(10)], "MLP": [np.float32(0.3) for _ in range(5)]}
    content = {"data": [experiment(seed) for seed in range(5)], "accs_all_exps": accuracies}
    torch.save(content, path)
    return content


def test_a_file_of_the_authors_imports_and_leaves_as_it_came() -> None:
    content = authors_file()
    runs = import_sets("res_DC_toy_ConvNet_2ipc.pt", SPEC, "back")
    assert [run.name for run in runs] == [f"exp{index}" for index in range(5)]
    sets = [load_set(run) for run in runs]
    assert sets[1].provenance.published == {"ConvNet": [0.2, 0.1 * 3], "MLP": [float(np.float32(0.3))]}
    assert sets[1].provenance.settings == {"arch": "ConvNet", "augment": "none"}
    assert sets[1].provenance.imported["file"] == "res_DC_toy_ConvNet_2ipc.pt"
    export(sets, "pt", "again.pt", scores=[known_accuracies(one) for one in sets])
    again = torch.load("again.pt", weights_only=False)
    assert again["accs_all_exps"] == content["accs_all_exps"]
    for (images, labels), (images2, labels2) in zip(content["data"], again["data"], strict=True):
        assert torch.equal(images, images2)
        assert torch.equal(labels, labels2)
        assert (images2.dtype, labels2.dtype) == (torch.float32, torch.int64)


def test_steps_of_class_incremental_learning_become_one_set_and_leave_as_they_came() -> None:
    steps = [experiment(0, (2, 0)), experiment(1, (3, 1))]
    accuracies = {"ConvNet": [0.25, 0.5, 0.75], "MLP": []}
    torch.save({"data": steps, "accs_all_exps": accuracies}, "cl_res_DM_toy_ConvNet_2ipc_2steps_seed0.pt")
    assert import_sets("cl_res_DM_toy_ConvNet_2ipc_2steps_seed0.pt", SPEC, "back") == [Path("back")]
    back = load_set("back")
    assert back.labels.tolist() == [2, 2, 0, 0, 3, 3, 1, 1]
    assert back.provenance.steps == [["c", "a"], ["d", "b"]]
    assert back.provenance.settings == {"arch": "ConvNet"}
    export([back], "pt", "again.pt", scores=[known_accuracies(back)])
    again = torch.load("again.pt", weights_only=True)
    assert list(again) == ["data", "accs_all_exps", "datacondense"]
    assert again["accs_all_exps"] == {"ConvNet": [0.25, 0.5, 0.75]}
    for (images, labels), (images2, labels2) in zip(steps, again["data"], strict=True):
        assert torch.equal(images, images2)
        assert torch.equal(labels, labels2)
    assert import_sets("again.pt", None, "twice") == [Path("twice")]
    assert load_set("twice").fingerprint() == back.fingerprint()
    assert load_set("twice").provenance.steps == back.provenance.steps


def test_accuracies_that_do_not_divide_evenly_are_left_out_and_the_others_kept() -> None:
    accuracies = {"ConvNet": [0.1, 0.2, 0.3], "MLP": [0.4, 0.5]}
    torch.save({"data": [experiment(0), experiment(1)], "accs_all_exps": accuracies}, "odd.pt")
    with pytest.warns(UserWarning, match=r"odd\.pt: its 3 accuracies of ConvNet do not divide among 2 experiments"):
        runs = import_sets("odd.pt", SPEC, "back", pixels="normalised")
    assert [load_set(run).provenance.published for run in runs] == [{"MLP": [0.4]}, {"MLP": [0.5]}]


def test_an_experiment_claims_no_seed() -> None:
    authors_file()
    sets = [load_set(run) for run in import_sets("res_DC_toy_ConvNet_2ipc.pt", SPEC, "back")]
    assert [one.provenance.to_json()["experiment"] for one in sets] == list(range(5))
    assert not any(one.provenance.seed is not None for one in sets)


class Malicious:
    """Makes a file when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("old", [False, True])
def test_a_file_that_carries_code_is_refused_and_nothing_is_run(old: bool, capsys) -> None:
    content = {"data": [experiment(0)], "accs_all_exps": Malicious()}
    torch.save(content, "evil.pt", _use_new_zipfile_serialization=not old)
    assert main("import evil.pt --data digits back".split()) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "would run" in error
    assert not Path("executed").exists()
    assert not Path("back").exists()
    torch.load("evil.pt", weights_only=False)
    assert Path("executed").exists(), "the file would have done no harm"


def changed(index: int = 0, **tensors: torch.Tensor) -> dict[str, Any]:
    images, labels = experiment(1)
    data = [experiment(0), [images, labels]]
    data[index] = [tensors.get("images", images), tensors.get("labels", labels)]
    return {"data": data, "accs_all_exps": {}}


IMAGES, LABELS = experiment(1)
HEADER = json.dumps(SyntheticSet(IMAGES, LABELS, SPEC, Provenance()).header())
BAD = {
    "a number": (3, "is not a file of synthetic sets"),
    "no data": ({"datas": []}, "is not a file of synthetic sets"),
    "no experiment": ({"data": []}, "is not a file of synthetic sets"),
    "a triple": ({"data": [[IMAGES, LABELS, LABELS]]}, r"bad\.pt, experiment 0: it is not \[images, labels\]"),
    "numbers for tensors": ({"data": [[1, 2]]}, "experiment 0: it is not"),
    "images of integers": (changed(images=IMAGES.byte()), "experiment 1: images have dtype torch.float32, and those"),
    "labels in parts": (
        changed(1, labels=LABELS + 0.5),
        "experiment 1: labels have dtype torch.float32 and are no",
    ),
    "labels nan": (changed(1, labels=LABELS / 0.0), "experiment 1: labels have dtype torch.float32 and are no"),
    "soft labels": (changed(labels=torch.full((8, 4), 0.25)), "experiment 1: labels look like probabilities and hard"),
    "boolean labels": (changed(labels=LABELS.bool()), "experiment 0: labels have dtype torch.bool"),
    "label too large": (changed(1, labels=LABELS + 1), "experiment 1: labels go from 1 to 4, but the 4 classes"),
    "negative label": (changed(labels=LABELS - 1), "experiment 0: labels go from -1 to 2"),
    "too few labels": (changed(labels=LABELS[:3]), "experiment 0: 8 images do not fit labels of shape"),
    "labels in a cube": (changed(labels=LABELS[:, None, None]), "experiment 0: 8 images do not fit labels of shape"),
    "other size": (changed(images=IMAGES[:, :, :3]), r"experiment 0: images have shape \(8, 1, 3, 4\)"),
    "flat": (changed(images=IMAGES.flatten(1)), r"experiment 0: images have shape \(8, 16\)"),
    "no image": (changed(images=IMAGES[:0], labels=LABELS[:0]), "experiment 0: there is no image"),
    "infinite": (changed(images=IMAGES / 0), "experiment 0: images hold 128 pixels that are NaN or infinite"),
    "accuracies a list": ({**changed(), "accs_all_exps": [0.5]}, "accuracies are of type list"),
    "accuracies text": ({**changed(), "accs_all_exps": {"MLP": ["x"]}}, "accuracies of 'MLP' are not all numbers"),
    "accuracies bool": ({**changed(), "accs_all_exps": {"MLP": [True]}}, "accuracies of 'MLP' are not all numbers"),
    "percent": ({**changed(), "accs_all_exps": {"MLP": [52.5, 0.5]}}, "divide percentages by 100"),
    "negative": ({**changed(), "accs_all_exps": {"MLP": [-0.5]}}, "accuracies of 'MLP' are not all fractions"),
    "headers a number": ({**changed(), "datacondense": 3}, "'datacondense' is not a list of headers"),
    "a header no JSON": ({**changed(), "datacondense": ["{"]}, "one of its headers is not JSON"),
    "a header of another format": ({**changed(), "datacondense": ['{"format": 9}'] * 2}, "format 9, but this"),
    "too few headers": (
        {"data": [experiment(0)] * 3, "datacondense": [HEADER] * 2},
        r"bad\.pt is damaged: it has 2 headers for 3 sets",
    ),
    "headers of two sets": ({**changed(), "datacondense": [HEADER, HEADER.replace("toy", "boy")]}, "different data"),
    "accuracies nan": ({**changed(), "accs_all_exps": {"MLP": [float("nan")]}}, "accuracies of 'MLP' are not all"),
}


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_fit_is_refused_and_named(what: str) -> None:
    content, message = BAD[what]
    torch.save(content, "bad.pt")
    with pytest.raises(InputError, match=message) as error:
        import_sets("bad.pt", SPEC, "back")
    assert "bad.pt" in str(error.value)
    assert "\n" not in str(error.value)
    assert [path.name for path in Path().iterdir()] == ["bad.pt"]


def a_set() -> SyntheticSet:
    images, labels = experiment(0)
    return SyntheticSet(images, labels, SPEC, Provenance.from_json({"method": "dm", "settings": {}, "seed": 0}))


@pytest.mark.parametrize(
    "name", ["out.npz", "out.pt", "out-hf/data/train-00000-of-00001.parquet", "out-folder/00_a/0000.png"]
)
def test_a_file_that_is_cut_short_is_refused(name: str) -> None:
    export([a_set()], "npz", "out.npz")
    export([a_set()], "pt", "out.pt")
    export([a_set()], "hf", "out-hf")
    export([a_set()], "folder", "out-folder")
    path = Path(name)
    whole = path.read_bytes()
    end = [] if path.suffix == ".png" else [len(whole) - 1]  # a picture is whole before its last byte
    for length in (0, 1, 10, len(whole) // 2, *end):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=path.parts[0]):
            import_sets(path.parts[0], SPEC, "back")
    assert not Path("back").exists()


def rewritten(change: dict[str, bytes | None], *, pack: int = zipfile.ZIP_STORED) -> None:
    """good.npz with members replaced, added, or (None) left out, as bad.npz."""
    export([a_set()], "npz", "good.npz", overwrite=True)
    with zipfile.ZipFile("good.npz") as archive:
        members: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile("bad.npz", "w", pack) as archive:
        for name, data in {**members, **change}.items():
            if data is not None:
                archive.writestr(name, data)


def npy(array: np.ndarray, *, pickled: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=pickled)
    return buffer.getvalue()


def lying(shape: tuple[int, ...], data: bytes = b"\0" * 64, descr: str = "<f4") -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"shape": shape, "fortran_order": False, "descr": descr})
    return buffer.getvalue() + data


def header(**change: Any) -> bytes:
    return npy(np.array(json.dumps({**a_set().header(), **change}, sort_keys=True)))


BAD_NPZ = {
    "a path that leaves": ({"../images.npy": b"x"}, "a member '../images.npy', a path that leaves"),
    "an absolute path": ({"/etc/passwd": b"x"}, "a member '/etc/passwd', a path that leaves"),
    "a path of Windows": ({"..\\x.npy": b"x"}, "a path that leaves"),
    "no labels": ({"labels.npy": None}, "it has no array 'labels': only what"),
    "a pickle": ({"labels.npy": npy(np.array([Malicious()]), pickled=True)}, "holds Python objects"),
    "a shape too large": ({"images.npy": lying((10**6, 1, 4, 4))}, "its header declares"),
    "a shape beyond counting": ({"images.npy": lying((2**40, 2**40, 4, 4))}, "its header declares"),
    "a negative shape": ({"images.npy": lying((-1, -4, 4, 1))}, "its header declares"),
    "not an array": ({"images.npy": b"nothing"}, r"bad\.npz is damaged"),
    "float labels": ({"labels.npy": npy(np.zeros(8))}, "array 'labels' has dtype float64, expected int64"),
    "a header of numbers": ({"header.npy": npy(np.zeros(8))}, "array 'header' has dtype"),
    "no JSON": ({"header.npy": npy(np.array("{"))}, "its header is not JSON"),
    "another format": ({"header.npy": header(format=9)}, "format 9, but this version reads 1"),
    "another seed": ({"header.npy": header(provenance={"seed": 9})}, "does not match its checksum"),
    "other pixels": ({"images.npy": npy(np.zeros((8, 1, 4, 4), np.float32))}, "does not match its checksum"),
}


@pytest.mark.parametrize("what", BAD_NPZ)
def test_an_archive_that_lies_is_refused(what: str) -> None:
    change, message = BAD_NPZ[what]
    rewritten(change)
    with pytest.raises(InputError, match=message) as error:
        import_sets("bad.npz", None, "back")
    assert "bad.npz" in str(error.value)
    assert not Path("back").exists()
    assert not Path("executed").exists()


def test_a_file_of_the_authors_is_known_whatever_its_name() -> None:
    torch.save({"data": [experiment(0)]}, "x.npz")
    import_sets("x.npz", SPEC, "back", pixels="normalised")
    assert torch.equal(load_set("back").images, experiment(0)[0])


def test_a_run_is_not_imported_again() -> None:
    export([a_set()], "npz", "out.npz")
    import_sets("out.npz", None, "runs/one")
    for place in ("runs", "runs/one", "runs/one/synthetic.safetensors"):
        with pytest.raises(
            InputError, match=f"{place} is already a run, not an export: evaluate, show and export read"
        ):
            import_sets(place, SPEC, "back")


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    rewritten({"images.npy": npy(np.zeros((2**20, 1, 4, 4), np.float32))}, pack=zipfile.ZIP_DEFLATED)
    assert Path("bad.npz").stat().st_size < 2**17, "64 MiB in 128 KiB"
    monkeypatch.setattr(hardware, "available_memory", lambda: 2**27)  # of which a quarter may be taken
    tracemalloc.start()
    with pytest.raises(InputError, match=r"bad\.npz: its arrays would take 0\.1 GiB of memory"):
        import_sets("bad.npz", None, "back")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**22


def test_a_header_that_claims_too_much_memory_is_refused() -> None:
    export([a_set()], "folder", "out")
    record = json.loads(Path("out/datacondense.json").read_text())
    record["header"]["spec"]["shape"] = [1, 10**6, 10**6]
    Path("out/datacondense.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="GiB of memory, but this machine can spare"):
        import_sets("out", None, "back")


def test_a_picture_that_claims_to_be_huge_is_not_decoded() -> None:
    export([a_set()], "folder", "out")
    picture = bytearray(Path("out/00_a/0000.png").read_bytes())
    picture[16:24] = (60_000).to_bytes(4, "big") * 2
    crc = zlib.crc32(bytes(picture[12:29]))
    picture[29:33] = crc.to_bytes(4, "big")
    Path("out/00_a/0000.png").write_bytes(picture)
    with pytest.raises(InputError, match=r"0000\.png: cannot be read as a PNG image"):
        import_sets("out", None, "back")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"label": [0, 1]}, "it has the columns label; needed are image and label"),
        ({"image": [b"x", b"y"], "label": [0, 1]}, "images are binary, expected the bytes of pictures"),
        ({"image": [{"bytes": b"x"}] * 2, "label": [0, 1]}, "cannot be read as a PNG"),
        ({"image": [{"bytes": None}] * 2, "label": [0, 1]}, "not stored in the file"),
        ({"image": [{"bytes": b"x"}] * 2, "label": [0.5, 1]}, "labels are double with 0 missing, expected integers"),
        ({"image": [{"bytes": b"x"}] * 2, "label": [0, None]}, "labels are int64 with 1 missing, expected integers"),
        ({"image": [], "label": pa.array([], pa.int64())}, "there is no image in it"),
    ],
)
def test_a_table_of_others_that_does_not_fit_is_refused(columns: dict[str, Any], message: str) -> None:
    Path("hf/data").mkdir(parents=True)
    pq.write_table(pa.table(columns), "hf/data/train-00000-of-00001.parquet")
    with pytest.raises(InputError, match=message):
        import_sets("hf", SPEC, "back")


def table(names: list[str] | None, labels: list[int], metadata: bytes | None = None) -> None:
    """hf/ as others write it, with a picture of its own grey for each label."""
    Path("hf/data").mkdir(parents=True, exist_ok=True)
    images = [{"bytes": to_png(torch.full((1, 4, 4), 10 * label, dtype=torch.uint8)), "path": None} for label in labels]
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    description = metadata or json.dumps({"info": {"features": features}}).encode()
    content = pa.table({"image": images, "label": labels})
    content = content.replace_schema_metadata(
        {} if names is None and metadata is None else {"huggingface": description}
    )
    pq.write_table(content, "hf/data/train-00000-of-00001.parquet")


def test_a_file_without_names_beside_one_with_names_is_refused() -> None:
    table(None, [0, 1])
    Path("hf/data/train-00000-of-00001.parquet").rename("hf/data/train-00001-of-00002.parquet")
    table(["c", "a", "d", "b"], [2, 3])
    Path("hf/data/train-00000-of-00001.parquet").rename("hf/data/train-00000-of-00002.parquet")
    with pytest.raises(InputError, match=r"00002\.parquet only numbers its classes, and other files name them"):
        import_sets("hf", SPEC, "back")


def test_labels_of_others_are_told_by_the_names_of_their_classes() -> None:
    labels = [0, 1, 2, 3, 0]
    for names, expected in ((None, labels), (["a", "b", "c", "d"], labels), (["c", "a", "d", "b"], [2, 0, 3, 1, 2])):
        table(names, labels)
        import_sets("hf", SPEC, "back", overwrite=True)
        back = load_set("back")
        assert back.labels.tolist() == expected
        assert SPEC.pixels(back.images)[:, 0, 0, 0].tolist() == [0, 10, 20, 30, 0]
    for names in (["a", "b", "c"], ["a", "b", "c", "x"], ["a", "b", "c", "d", "e"]):
        table(names, labels)
        with pytest.raises(InputError, match=f"its classes are not those of toy: {', '.join(names)} there, a, b, c, d"):
            import_sets("hf", SPEC, "other")
    table(["b", "a", "c", "d"], [0, 4])
    with pytest.raises(InputError, match="labels go from 0 to 4 for 4 classes"):
        import_sets("hf", SPEC, "other")
    table(None, labels, b"{")
    with pytest.raises(InputError, match="is damaged or not a table"):
        import_sets("hf", SPEC, "other")
    for odd in (b"[]", b'{"info": 3}', b'{"info": {"features": {"label": null}}}'):
        table(None, labels, odd)
        import_sets("hf", SPEC, "back", overwrite=True)


def test_no_picture_of_a_folder_is_left_out_unnoticed() -> None:
    for number, name in enumerate(("a/1.png", "a/2.PNG", "b/x.Png", "c/.hidden", "c/1.png")):
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        Path("in", name).write_bytes(to_png(torch.full((1, 4, 4), number, dtype=torch.uint8)))
    with pytest.warns(UserWarning, match="in has no folder for 1 classes of toy: d"):
        import_sets("in", SPEC, "back")
    back = load_set("back")
    assert back.labels.tolist() == [0, 0, 1, 2]
    assert SPEC.pixels(back.images)[:, 0, 0, 0].tolist() == [0, 1, 2, 4]
    for name in ("b/photo.jpg", "c/notes"):
        Path("in", name).write_bytes(b"")
        with pytest.raises(InputError, match=rf"in/{name} is not a \.png file"):
            import_sets("in", SPEC, "other")
        Path("in", name).unlink()


def test_what_is_no_export_is_refused() -> None:
    Path("empty").mkdir()
    for place, message in {"absent": "absent does not exist", "empty": r"has no datacondense\.json"}.items():
        with pytest.raises(InputError, match=message):
            import_sets(place, None, "back")
    torch.save({"data": [experiment(0)]}, "plain.pt")
    with pytest.raises(InputError, match=r"plain\.pt does not describe its images: name the data with --data"):
        import_sets("plain.pt", None, "back")
    Path("text.pt").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pt"):
        import_sets("text.pt", SPEC, "back")


def test_without_pyarrow_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match="this needs pyarrow: pip install pyarrow"):
        export([a_set()], "hf", "out")
    assert list(Path().iterdir()) == []
