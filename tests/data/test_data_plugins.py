"""Data sets of plug-ins, through `load`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from datacondense import DataSource, InputError, load
from datacondense.data.registry import DATASETS

ORIGIN = {"file": "mine.py", "sha256": "0" * 64}


@pytest.fixture(autouse=True)
def data_as_before() -> Iterator[None]:
    before = list(DATASETS)
    yield
    for name in set(DATASETS) - set(before):
        del DATASETS[name]


def register(name: str, read) -> None:
    DATASETS.add(name, DATASETS.checked(name, read), ORIGIN)


def test_a_function_of_the_data_folder_is_a_data_set(toy, tmp_path: Path) -> None:
    folders = []

    def mine(data_dir: Path | None):
        folders.append(data_dir)
        return toy(sizes=(10, 10, 1)), toy(sizes=(2, 2, 2), draw=1)

    register("mine", mine)
    train, test = load("mine")
    assert (len(train), len(test)) == (21, 6)
    assert len(load("mine", data_dir=tmp_path, hold_out=0.5)[0]) == 11
    with pytest.warns(UserWarning, match="fewer than 2"):
        assert load("mine", min_per_class=2)[0].spec.classes == 2
    assert folders == [None, tmp_path, None]
    assert DataSource("mine", data_dir=tmp_path).to_json() == {"source": "mine", "data_dir": str(tmp_path)}
    with pytest.raises(InputError, match="--image-size does not apply to mine"):
        load("mine", image_size=8)
    with pytest.raises(InputError, match="--data-dir does not apply to digits"):
        load("digits", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (3, r"data set mine is of type int: write a function of \(data_dir\)"),
        (lambda: None, r"data set mine cannot be called with \(data_dir\): write a function of \(data_dir\)"),
    ],
)
def test_what_reads_nothing_is_refused(read, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DATASETS.checked("mine", read)


def test_what_it_gives_is_checked(toy) -> None:
    register("one", lambda data_dir: toy())
    with pytest.raises(InputError, match="data set one gives no train and test set: return two"):
        load("one")
    register("other", lambda data_dir: (toy(), toy(side=12)))
    with pytest.raises(InputError, match=r"data set other: the test set does not fit the train set: .*12"):
        load("other")


def test_an_unknown_name_tells_of_plug_ins() -> None:
    with pytest.raises(InputError, match=r"unknown data 'mine': .*; --plugin FILE\.py loads your own"):
        load("mine")
