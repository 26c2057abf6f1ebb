"""A set is read from wherever it was written."""

from pathlib import Path

import pytest
import torch

from datacondense import DataNotFound, InputError, SyntheticSet, condense, export, load_set
from datacondense.formats import FORMATS, Format
from datacondense.methods import DistributionMatching

METHOD = DistributionMatching(iterations=1, batch_real=4, arch="ConvNetD1")


@pytest.fixture
def made(toy, tmp_path, monkeypatch: pytest.MonkeyPatch) -> SyntheticSet:
    monkeypatch.chdir(tmp_path)
    return condense(METHOD, toy(), 1, out="run")


def test_what_is_saved_is_loaded(made: SyntheticSet) -> None:
    made.save("sets/digits.safetensors")
    for place in ("sets/digits.safetensors", Path("run"), "run/synthetic.safetensors"):
        found = load_set(place)
        assert found.fingerprint() == made.fingerprint()
        assert found.provenance == made.provenance


@pytest.mark.parametrize("to", FORMATS)
def test_every_export_is_loaded(made: SyntheticSet, to: Format) -> None:
    dest = f"export{FORMATS[to].suffix}"
    export(made, to, dest)
    found = load_set(dest)
    assert found.spec == made.spec
    assert torch.equal(found.labels, made.labels)
    assert torch.equal(found.spec.pixels(found.images), made.spec.pixels(made.images))
    assert found.provenance.method == "dm"


def test_a_folder_of_another_program_is_loaded_with_its_spec(made: SyntheticSet) -> None:
    export(made, "folder", "folder")
    Path("folder/datacondense.json").unlink()
    found = load_set("folder", spec=made.spec)
    assert torch.equal(found.spec.pixels(found.images), made.spec.pixels(made.images))
    assert load_set("run", spec=made.spec).fingerprint() == made.fingerprint()
    with pytest.raises(DataNotFound, match="no synthetic set at folder"):
        load_set("folder")


def test_several_sets_are_not_one(made: SyntheticSet) -> None:
    export([made, made], "pt", "two.pt")
    with pytest.raises(InputError, match=r"two.pt holds 2 sets: dc.import_sets makes a run directory of each"):
        load_set("two.pt")


def test_another_name_and_nothing_at_all_are_refused(made: SyntheticSet) -> None:
    with pytest.raises(InputError, match=r"a set is saved as NAME.safetensors; dc.export"):
        made.save("set.npz")
    assert not Path("set.npz").exists()
    with pytest.raises(DataNotFound, match="no synthetic set at nowhere"):
        load_set("nowhere")
    Path("empty").mkdir()
    with pytest.raises(DataNotFound, match="no synthetic set at empty"):
        load_set("empty")
