import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from datacondense.data.registry import DATASETS
from datacondense.data.source import SOURCES, DataOptions, DataSource, load
from datacondense.synthetic.provenance import Source
from datacondense.utils import cache
from datacondense.utils.errors import InputError


@pytest.mark.parametrize("source", ["dgits", "digits:", "arrays", "array:a.npz", "a.npz", ""])
def test_an_unknown_name_is_told_with_all_that_is_known(source: str) -> None:
    with pytest.raises(InputError) as caught:
        load(source)
    said = str(caught.value)
    assert said.startswith(f"unknown data {source!r}: ")
    assert said.endswith(
        "choose from digits, mnist, fashion-mnist, svhn, cifar10, cifar100, tiny-imagenet, arrays:FILE.npz, "
        "folder:PATH, hub:OWNER/NAME; --plugin FILE.py loads your own"
    )
    assert len([*DATASETS, *SOURCES]) == 10


@pytest.mark.parametrize(
    ("source", "usage"), [("arrays:", "arrays:FILE.npz"), ("folder:", "folder:PATH"), ("hub:", "hub:OWNER/NAME")]
)
def test_a_prefix_without_a_place_is_refused(source: str, usage: str) -> None:
    with pytest.raises(InputError, match=f"names no place: write {usage}"):
        load(source)


def test_importing_the_registry_does_not_import_scikit_learn_and_scipy() -> None:
    code = "import sys, datacondense.data; sys.exit(bool({'sklearn', 'scipy.io'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_arguments_for_the_record_are_those_that_were_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert DataSource("digits").to_json() == {"source": "digits"}
    assert DataSource("mnist", data_dir=Path("mine")).to_json() == {
        "source": "mnist",
        "data_dir": str(tmp_path / "mine"),
    }
    files = DataSource("folder:a.zip", image_size=32, skip_broken=False, min_per_class=2, label_column=None)
    assert files.to_json() == {"source": f"folder:{tmp_path / 'a.zip'}", "image_size": 32, "min_per_class": 2}
    assert DataSource("arrays:~/a.npz").to_json() == {"source": f"arrays:{Path('~/a.npz').expanduser()}"}
    assert DataSource("hub:owner/name").to_json() == {"source": "hub:owner/name"}


def test_a_record_gives_the_source_again(tmp_path: Path) -> None:
    values = {"image_size": 8, "skip_broken": True, "image_column": "i", "label_column": "l", "pixel_range": "own"}
    values |= {"flip": False}
    source = DataSource(f"hub:{tmp_path}", data_dir=tmp_path, **values, hold_out=0.1, min_per_class=2)
    record = source.to_json()
    assert DataSource.from_json(json.loads(json.dumps(record))) == source
    assert list(record) == ["source", "data_dir", *values, "hold_out", "min_per_class"]  # the order in files
    numbers = {"image_size": np.int64(8), "hold_out": np.float64(0.1), "min_per_class": np.int32(2)}
    of_numpy = DataSource(f"hub:{tmp_path}", data_dir=tmp_path, **{**values, **numbers})
    assert json.dumps(of_numpy.to_json()) == json.dumps(record)


def test_options_are_the_same_for_python_the_command_line_and_the_record() -> None:
    names = {field.name for field in fields(DataSource)}
    assert {"source", *DataOptions.__annotations__} == names
    assert set(Source.__struct_fields__) == names - {"validation"}  # which images to test on: no part of a record


def test_unknown_options_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'imagesize'"):
        load("digits", imagesize=8)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize("source", ["folder:~nosuchuser/a", "arrays:~nosuchuser/a.npz", "hub:~nosuchuser/a", "mnist"])
def test_the_home_of_nobody_is_an_error_of_one_line(source: str) -> None:
    with pytest.raises(InputError, match=r"~nosuchuser/a.* starts with the home folder of an unknown user"):
        load(source, data_dir="~nosuchuser/a" if source == "mnist" else None)


@pytest.mark.parametrize("variable", ["DATACONDENSE_CACHE", "DATACONDENSE_DATA"])
def test_the_home_of_nobody_in_a_variable(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "~nosuchuser/a")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "set").mkdir()
    with pytest.raises(InputError, match="home folder"):
        cache.folder() if variable == cache.VARIABLE else load("cifar10")


@pytest.mark.parametrize("place", ["data", "variable", "nowhere"])
def test_the_folder_of_a_named_set_is_recorded(tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if place == "variable":
        monkeypatch.setenv("DATACONDENSE_DATA", str(tmp_path / "variable"))
    files = tmp_path / place / "svhn"
    files.mkdir(parents=True)
    for name in ("train_32x32.mat", "test_32x32.mat"):
        (files / name).touch()
    monkeypatch.chdir(tmp_path)
    expected = {} if place == "nowhere" else {"data_dir": str(tmp_path / place)}
    assert DataSource("svhn").to_json() == {"source": "svhn", **expected}


@pytest.mark.parametrize("source", ["digits", "folder:photos", "arrays:mine.npz", "hub:a/b"])
def test_a_data_folder_does_not_apply_to_what_has_a_place_of_its_own(source: str) -> None:
    with pytest.raises(InputError, match=f"^--data-dir does not apply to {source}: leave it out"):
        load(source, data_dir="somewhere")
