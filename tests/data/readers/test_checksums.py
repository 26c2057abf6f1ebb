"""A named set is known by the checksums of its files, whatever they and their folder are called."""

import gzip
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from readers import TEST_LABELS, TRAIN_LABELS, encode, write_set

from datacondense import InputError, load
from datacondense.data.named import NAMED
from datacondense.data.readers import checksums, idx

(DEBIAN,) = NAMED["fashion-mnist"].system
fashion = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs the Debian package dataset-fashion-mnist")


def refusal(source: str, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(source, data_dir=folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def notes(source: str, folder: Path) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(source, data_dir=folder)
    return [str(one.message) for one in caught]


def test_the_table() -> None:
    every = [md5 for files in checksums.MD5.values() for md5 in files.values()]
    assert len(set(every)) == len(every)
    assert all(len(md5) == 32 and set(md5) <= set("0123456789abcdef") for md5 in every)
    for name, files in checksums.MD5.items():
        if name in NAMED:
            known = {file for layout in NAMED[name].layouts for file in layout.files} - {f"{name}-python.tar.gz"}
            assert {file for file in known if not file.endswith(".tar.gz")} <= files.keys()


@pytest.fixture(params=["packed", "unpacked", "packed anew"])
def clothes(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """FashionMNIST's real files, in a folder without a name that tells."""
    place = tmp_path / "files"
    place.mkdir()
    for name in idx.FILES:
        packed = DEBIAN / f"{name}.gz"
        if request.param == "packed":
            (place / packed.name).symlink_to(packed)
        elif request.param == "unpacked":
            (place / name).write_bytes(gzip.decompress(packed.read_bytes()))
        else:
            (place / packed.name).write_bytes(gzip.compress(gzip.decompress(packed.read_bytes()), 1))
    return place


@fashion
@pytest.mark.slow
def test_the_files_of_another_set_are_refused(clothes: Path) -> None:
    said = refusal("mnist", clothes)
    assert said.startswith(f"{clothes}/train-images-idx3-ubyte is the published file of fashion-mnist, not of mnist")


@fashion
@pytest.mark.slow
def test_what_the_files_are_counts_and_not_what_their_folder_is_called(clothes: Path) -> None:
    for name in ("mnist", "MNIST/raw", "kmnist", "mine"):
        place = clothes.parent / "here" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(clothes, place, symlinks=True)
    for name in ("mnist", "MNIST/raw", "kmnist", "mine"):
        assert notes("fashion-mnist", clothes.parent / "here" / name) == []


@fashion
def test_the_table_holds_the_checksums_of_what_is_here() -> None:
    for name, dimensions in idx.FILES.items():
        assert idx.digest_array_file(DEBIAN / f"{name}.gz", dimensions) == checksums.MD5["fashion-mnist"][name]


def publish(monkeypatch: pytest.MonkeyPatch, name: str, folder: Path) -> None:
    """Take the files of a folder for the published ones of a set."""
    for path in folder.iterdir():
        origin = checksums.Origin(name, path.name)
        monkeypatch.setitem(checksums._ORIGINS, checksums.digest_file(path), origin)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_files_of_a_set_that_is_not_known_here_are_refused_too(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = write_set(tmp_path / "mine", 3, suffix)
    publish(monkeypatch, "kmnist", mine)
    for name in ("mnist", "fashion-mnist"):
        assert f"is the published file of kmnist, not of {name}: name another folder" in refusal(name, mine)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_note_names_each_file_that_is_not_published(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = write_set(tmp_path / "mine", 3, suffix)
    every = "train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte"
    assert notes("mnist", mine) == [f"{mine}: not the published files of mnist, by their checksums: {every}"]
    publish(monkeypatch, "mnist", mine)
    assert notes("mnist", mine) == []
    pack = gzip.compress if suffix else bytes
    (mine / f"{TRAIN_LABELS}{suffix}").write_bytes(pack(encode(np.arange(20)[::-1] % 10)))
    assert notes("mnist", mine) == [f"{mine}: not the published files of mnist, by their checksums: {TRAIN_LABELS}"]


def test_a_file_in_the_place_of_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = write_set(tmp_path / "mine", 3)
    labels = encode(np.arange(20) % 10)
    (mine / TRAIN_LABELS).write_bytes(labels)
    publish(monkeypatch, "mnist", mine)
    monkeypatch.setitem(checksums._ORIGINS, checksums.digest(labels), checksums.Origin("mnist", TEST_LABELS))
    assert notes("mnist", mine) == [f"{mine}: {TRAIN_LABELS} is the published {TEST_LABELS}"]


@pytest.mark.parametrize("name", ["KMNIST/raw", "kmnist", "EMNIST/raw", "qmnist"])
def test_a_folder_with_the_name_of_another_set_of_the_family_is_refused(tmp_path: Path, name: str) -> None:
    place = write_set(tmp_path / name, 1)
    family = name.split("/")[0].lower()
    assert f"{name} has the name of {family}, not mnist: name another with --data-dir" in refusal("mnist", place)
