"""Data that were moved or renamed: what a run was begun on is known by its content, and asked for by name."""

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, config
from PIL import Image
from readers import write_set

from datacondense import DataNotFound, InputError, Observer, condense, load, load_set
from datacondense.cli.app import main
from datacondense.methods import DistributionMatching

METHOD = DistributionMatching(iterations=2, batch_real=2, arch="ConvNetD1")
ALONE: dict[str, Any] = {"device": "cpu", "compile": "off"}
NAMES = ("ant", "bee")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.chdir(tmp_path)
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def pictures() -> list[tuple[str, int, np.ndarray]]:
    rng = np.random.default_rng(0)
    return [(split, k, rng.integers(0, 256, (8, 8), np.uint8)) for split in ("train", "test") for k in (0, 0, 1, 1)]


def folder(place: str = "old") -> str:
    for i, (split, k, pixels) in enumerate(pictures()):
        path = Path(place, split, NAMES[k], f"{i}.png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
    return f"folder:{place}"


def zipped() -> str:
    folder("old")
    shutil.make_archive("old", "zip", "old")
    shutil.rmtree("old")
    return "folder:old.zip"


def arrays() -> str:
    train, test = ([(k, p) for split, k, p in pictures() if split == wanted] for wanted in ("train", "test"))
    columns: dict[str, Any] = {
        "images": np.stack([p for _, p in train]),
        "labels": np.array([k for k, _ in train]),
        "test_images": np.stack([p for _, p in test]),
        "test_labels": np.array([k for k, _ in test]),
    }
    np.savez("old.npz", **columns)
    return "arrays:old.npz"


def tables() -> DatasetDict:
    features = Features({"image": datasets.Image(), "label": ClassLabel(names=list(NAMES))})
    splits = {}
    for wanted in ("train", "test"):
        rows = [(k, p) for split, k, p in pictures() if split == wanted]
        images = []
        for _, pixels in rows:
            file = io.BytesIO()
            Image.fromarray(pixels).save(file, "PNG")
            images.append({"bytes": file.getvalue(), "path": None})
        splits[wanted] = Dataset.from_dict({"image": images, "label": [k for k, _ in rows]}, features=features)
    return DatasetDict(splits)


def parquet() -> str:
    Path("old").mkdir()
    for split, table in tables().items():
        table.to_parquet(f"old/{split}-00000-of-00001.parquet")
    return "hub:old"


def saved() -> str:
    tables().save_to_disk("old")
    return "hub:old"


def unpacked() -> str:
    shutil.unpack_archive("old.zip", "new")
    Path("old.zip").unlink()
    return "folder:new"


def renamed(old: str, new: str) -> Callable[[], str]:
    def move() -> str:
        prefix = {".npz": "arrays", ".zip": "folder"}.get(Path(old).suffix)
        prefix = prefix or ("folder" if any(Path(old).rglob("*.png")) else "hub")
        Path(new).parent.mkdir(parents=True, exist_ok=True)
        Path(old).rename(new)
        return f"{prefix}:{new}"

    return move


def as_parquet() -> str:
    """The same images by another door."""
    shutil.rmtree("old")
    parquet()
    return renamed("old", "new")()


MOVES = {
    "folder renamed": (folder, renamed("old", "new")),
    "folder moved": (folder, renamed("old", "elsewhere/old")),
    "zip renamed": (zipped, renamed("old.zip", "new.zip")),
    "zip unpacked": (zipped, unpacked),
    "arrays renamed": (arrays, renamed("old.npz", "new.npz")),
    "parquet moved": (parquet, renamed("old", "new")),
    "saved moved": (saved, renamed("old", "new")),
    "folder as tables": (folder, as_parquet),
}


@pytest.mark.parametrize("move", MOVES)
def test_a_run_goes_on_with_data_that_have_another_place(move: str) -> None:
    make, moved = MOVES[move]
    real, _ = load(make())
    whole = condense(METHOD, real, 1, **ALONE)
    condense(METHOD, real, 1, out="run", time_budget=1e-9, **ALONE)
    anew, _ = load(moved())
    told = Told()
    result = condense(METHOD, anew, 1, out="run", resume=True, observers=[told], **ALONE)
    assert result.fingerprint() == whole.fingerprint()
    assert json.loads(Path("run/run.json").read_text())["data"] == result.spec.name == real.spec.name == "old"
    assert load_set("run").fingerprint() == whole.fingerprint()
    said = [text for text in told.messages if "with which the run began under the name old: the run keeps" in text]
    assert len(said) == (anew.spec.name != "old")


class Told(Observer):
    """An observer of messages alone."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def test_a_complete_run_too() -> None:
    real, _ = load(folder())
    first = condense(METHOD, real, 1, out="run", **ALONE)
    again = condense(METHOD, real.renamed("other"), 1, out="run", resume=True, **ALONE)
    assert (again.spec.name, again.fingerprint()) == ("old", first.fingerprint())
    other = type(real)(real.images, real.labels, replace(real.spec, mean=(0.5,)))
    with pytest.raises(InputError, match="the training images differ"):
        condense(METHOD, other, 1, out="run", resume=True, **ALONE)


def test_a_set_of_the_same_data_under_another_name_is_started_from() -> None:
    real, _ = load(folder())
    start = condense(METHOD, real.renamed("before"), 1, **ALONE)
    assert condense(METHOD, real, 1, start=start, **ALONE).spec.name == "old"


@pytest.mark.parametrize("make", [folder, zipped, arrays, parquet, saved])
@pytest.mark.parametrize("command", ["evaluate run --nets 1 --epochs 1", "show run --real --out grid.png"])
def test_data_that_are_gone_are_asked_for(make: Callable[[], str], command: str, capsys) -> None:
    source = make()
    assert main(f"condense random --data {source} --ipc 1 --arch ConvNetD1 --out run".split()) == 0
    renamed(source.partition(":")[2], f"new{Path(source).suffix}")()
    capsys.readouterr()
    assert main(command.split()) == 2
    said = capsys.readouterr().err.strip()
    assert "the data from which run was made are no longer at" in said.replace("\n", " ")
    assert "name them with --data" in said.replace("\n", " ")
    moved = f"{source.partition(':')[0]}:new{Path(source).suffix}"
    assert main([*command.split(), "--data", moved]) == 0
    assert "does not hold the images" not in capsys.readouterr().err


@pytest.mark.filterwarnings("default::UserWarning")
def test_files_of_a_named_set_that_are_gone_are_asked_for(capsys) -> None:
    write_set(Path("there"), 5)
    assert main("condense random --data mnist --data-dir there --ipc 1 --arch ConvNetD1 --out run".split()) == 0
    assert "note: there: not the published files of mnist" in capsys.readouterr().err
    Path("there").rename("here")
    assert main("evaluate run --nets 1 --epochs 1".split()) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"are no longer at mnist in {Path('there').absolute()}: name them with --data" in said


@pytest.mark.parametrize("source", ["folder:gone", "folder:gone.zip", "arrays:gone.npz", "hub:./gone", "hub:gone"])
def test_what_is_not_there_is_not_found(source: str) -> None:
    with pytest.raises(DataNotFound):
        load(source)
